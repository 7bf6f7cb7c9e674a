"""`fleet resuscitate`: brings children back, the least that may help first."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.backup import identity_of, identity_option
from reconciler.cli.changes import consent
from reconciler.cli.client import declared_of, open_client
from reconciler.cli.options import Settings, with_settings
from reconciler.cli.output import show_lines, whoever_reads
from reconciler.cli.run import parallel_option, yes_option
from reconciler.cli.selecting import NONE_IS_REFUSED, refuse_empty, with_selection
from reconciler.errors import UsageProblem
from reconciler.model import Rung
from reconciler.selection import Selection

if TYPE_CHECKING:
    from reconciler.model import Diagnosis, Ladder, Rescue, Try


@click.command()
@with_selection(NONE_IS_REFUSED)
@click.option(
    "--up-to",
    type=click.Choice([it.value for it in Rung]),
    help="The highest rung that may be tried; up to reinstall nothing boots.  [default: all; "
    "those that ask only on a terminal]",
)
@click.option("--dry-run", is_flag=True, help="Say what is wrong and what would be tried, and change nothing.")
@click.option("--again", is_flag=True, help="Also what was tried twice within a day already.")
@parallel_option
@yes_option
@identity_option
@click.option("--json", "as_json", is_flag=True, help="Everything as JSON on standard output.")
@with_settings
def resuscitate(
    settings: Settings,
    selection: Selection,
    up_to: str | None,
    dry_run: bool,
    again: bool,
    max_parallel: int,
    yes: bool,
    identity: Path | None,
    as_json: bool,
) -> int:
    """Bring children back: fleet resuscitate alice. What may help is tried, the least first, each proven by a look.

    The rungs: channel (started), restart (of the gateway), config (the last good one), disk (room is made), port
    (whoever else holds it ends), doctor (OpenClaw's own), reinstall (everything), checkpoint (its state of before),
    reboot, reset (a hard one), rebuild (another server). Who was stopped by hand is started, too. Before a
    checkpoint and before another server it asks; --yes agrees to that one alone which --up-to names, of
    children that are named in full. Exit code
    0: all are well; 3: some; 1: none. With --dry-run, 2: something is wrong.
    """
    from reconciler.resuscitating import Wish

    refuse_empty(selection, "resuscitate")
    if as_json and not (yes or dry_run):
        raise UsageProblem("--json has no place for questions", "give --yes or --dry-run with it")
    client = open_client(settings, beside=as_json)
    names = declared_of(client, selection)
    highest = Rung.REBUILD if up_to is None else Rung(up_to)
    if dry_run:
        found = client.ladders(client.look_closely(names), highest, forgets=again)
        _show(found, settings, as_json=as_json)
        return 2 if any(it.found.cause is not None for it in found) else _unless_unseen(found)
    with whoever_reads() as output, client.lock("fleet resuscitate"):
        looked = client.look_closely(names)
        found = client.ladders(looked, highest, forgets=again)
        ill = [it for it in found if it.found.cause is not None]
        if not as_json:
            _show(found, settings, as_json=False)
        has_rungs = any(it.rungs for it in ill)
        if not has_rungs and not as_json:
            return _unless_unseen(found) if not ill else 3 if len(ill) < len(found) else 1
        consent("Try that, one after the other?", yes or not has_rungs, output)
        agreed = set(selection.names) if yes else set()
        wish = Wish(
            highest,
            lambda child, rung, notes: _agrees(
                child, rung, notes, yes=child in agreed and up_to == rung, asks=not as_json
            ),
            lambda tried, now: _tell(tried, now, settings, as_json=as_json),
            forgets=again,
            is_sure=up_to is not None,
            parallel=max_parallel,
            identity=identity_of(identity),
        )
        return _ended(client.resuscitate(looked, wish), settings, as_json=as_json)


def _show(found: list[Ladder], settings: Settings, *, as_json: bool) -> None:
    from reconciler.render.rescue import ladder_lines, ladders_json
    from reconciler.render.text import json_text

    if as_json:
        click.echo(json_text(ladders_json(found)))
    else:
        show_lines(ladder_lines(found), settings)


def _tell(tried: Try, now: Diagnosis, settings: Settings, *, as_json: bool) -> None:
    from reconciler.render.rescue import try_lines

    if not as_json:
        show_lines(try_lines(tried, now), settings)


def _agrees(child: str, rung: Rung, notes: tuple[str, ...], *, yes: bool, asks: bool) -> bool:
    from reconciler.render.text import harmless

    click.echo("\n".join(f"  {child}: {rung}: {harmless(note)}" for note in notes), err=True)
    if yes:
        return True
    if not (asks and sys.stdin.isatty()):
        return False
    return click.confirm(f"{child}: nothing lower has helped. Try {rung}?", default=False, err=True)


def _ended(rescues: list[Rescue], settings: Settings, *, as_json: bool) -> int:
    from reconciler.render.rescue import rescue_lines, rescues_json
    from reconciler.render.text import json_text

    if as_json:
        click.echo(json_text(rescues_json(rescues)))
    else:
        show_lines(rescue_lines(rescues), settings)
    ill = [it for it in rescues if not it.is_well]
    if not ill:
        return 3 if any(it.now.unseen for it in rescues) else 0
    return 3 if len(ill) < len(rescues) else 1


def _unless_unseen(found: list[Ladder]) -> int:
    return 3 if any(it.found.unseen for it in found) else 0
