"""`fleet hibernate`, `fleet wake`: children that cost nothing for a while, and lose nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from reconciler.cli.backup import identity_of, identity_option
from reconciler.cli.changes import (
    consent,
    follow_moves,
    has_errors,
    json_option,
    refuse_questions,
    refuse_to_end,
    run_plan,
    show_end,
    show_plan,
    show_refused,
)
from reconciler.cli.client import open_client
from reconciler.cli.options import Settings, with_consent, with_settings
from reconciler.cli.output import LastingOutput, whoever_reads
from reconciler.cli.selecting import NONE_IS_REFUSED, refuse_empty, with_selection
from reconciler.errors import FleetError, Refused, UsageProblem
from reconciler.fleet import former_names
from reconciler.memories import is_awake, is_later
from reconciler.model import Kind
from reconciler.selection import Selection, resolve

if TYPE_CHECKING:
    from reconciler.api import FleetClient
    from reconciler.keeper import Keeper
    from reconciler.model import Backup, Secret, Sleep
    from reconciler.planning import Planned
    from reconciler.steps.backups import Memory


_PARTLY: Final = 3


@click.command()
@with_selection(NONE_IS_REFUSED)
@with_consent("Put to sleep")
@json_option
@with_settings
def hibernate(settings: Settings, selection: Selection, yes: bool, as_json: bool) -> int:
    """Keep the memory of children, and delete their servers: then they cost nothing. `fleet wake` brings them back.

    A server that is switched off (`enabled: false`) goes on costing its full price.
    """
    refuse_empty(selection, "put to sleep")
    refuse_questions(yes=yes, as_json=as_json)
    client = open_client(settings, beside=as_json)
    with whoever_reads() as output, client.lock("fleet hibernate"):
        planned = client.plan_hibernation(client.select(selection))
        if not as_json:
            show_plan(settings, planned)
        if has_errors(planned):
            show_refused(settings, planned, as_json=as_json)
            raise Refused("nothing was changed", "leave out the children named above, or mend what is said there")
        if planned.plan.is_empty:
            show_end(settings, planned, [], as_json=as_json)
            return 0
        refuse_to_end(settings, planned, as_json=as_json, but=(Kind.HIBERNATE,))
        consent("Put them to sleep?", yes, output)
        follow_moves(client, planned, beside=as_json)
        return run_plan(client, planned, settings, as_json=as_json)


def _names(client: FleetClient, selection: Selection) -> tuple[str, ...]:
    """All that the file declares; by name or pattern, also those that sleep and are in the file no more."""
    declared = client.fleet.children
    if selection.means_all:
        return tuple(declared)
    if selection.names_only(declared):
        return selection.names
    return resolve(selection, declared, {**dict.fromkeys(client.asleep()), **client.servers()})


@click.command()
@with_selection(NONE_IS_REFUSED)
@click.option(
    "--from",
    "backup_id",
    metavar="BACKUP",
    help="Another backup than the one it went to sleep with: its id, of `fleet backup list`.",
)
@click.option("--empty", is_flag=True, help="Give its memory up: the next apply makes it anew.")
@with_consent("Wake")
@identity_option
@json_option
@with_settings
def wake(
    settings: Settings,
    selection: Selection,
    backup_id: str | None,
    empty: bool,
    yes: bool,
    identity: Path | None,
    as_json: bool,
) -> int:
    """Give children that sleep a new server, and the memory that they went to sleep with before they start.

    They start with the version of then; the next apply goes on to the one in the fleet file.
    """
    from reconciler.render.text import harmless

    refuse_empty(selection, "wake")
    if empty and (backup_id or identity):
        raise UsageProblem("--empty gives the memory up, and --from and --identity ask for one", "give one of them")
    refuse_questions(yes=yes, as_json=as_json)
    client, key = open_client(settings, beside=as_json), identity_of(identity)
    with whoever_reads() as output, client.lock("fleet wake"):
        names = _names(client, selection)
        if backup_id is not None and len(names) > 1:
            raise UsageProblem(f"--from names a backup of one child, and {len(names)} are meant", "name one child")
        asleep = _asleep(client, selection, names, or_lost=empty)
        chosen = _without_switched_off(client, asleep, beside=as_json) if selection.means_all and not empty else asleep
        if not chosen:
            click.echo("Nobody else sleeps." if asleep else "Nobody sleeps.", err=as_json)
            show_end(settings, None, [], as_json=as_json)
            return 0
        _refuse_undeclared(client, [name for name in chosen if not (empty and name in selection.names)])
        if empty:
            return _give_up(client, chosen, yes, output, as_json=as_json)
        if selection.means_all:
            planned, left_out = _plan_all(client, chosen, key)
        else:
            planned, left_out = _plan_these(client, chosen, backup_id, key), {}
        if not as_json:
            show_plan(settings, planned)
        for name, why in left_out.items():
            click.echo(f"{name} is left out: {harmless(why)}. What to do: fleet wake {name}", err=as_json)
        _refuse_who_stays(settings, planned, backup_id, as_json=as_json)
        consent("Wake them?", yes, output)
        client.begin_waking(planned)
        return _woken(client, planned, settings, sorted(left_out), as_json=as_json)


def _woken(client: FleetClient, planned: Planned, settings: Settings, left_out: Sequence[str], *, as_json: bool) -> int:
    if planned.plan.is_empty:
        click.echo("They are awake: their servers were not deleted yet.", err=as_json)
        show_end(settings, planned, [], left_out if as_json else (), as_json=as_json)
        return _PARTLY if left_out else 0
    return run_plan(client, planned, settings, not_begun=left_out, as_json=as_json)


def _plan_these(client: FleetClient, chosen: Mapping[str, Sleep], asked: str | None, key: Secret | None) -> Planned:
    """Raises Refused where one of these cannot wake, or a person has to say with what."""
    keeper = client.keeper()
    backups = {name: _backup_for(name, sleep, asked, keeper) for name, sleep in chosen.items()}
    planned = client.plan_waking(backups, key, named=asked is not None)
    if asked is None and (later := _later(planned, chosen, keeper)):
        name, newest = next(iter(later.items()))
        was = "to wake" if chosen[name].is_waking else "put to sleep"
        raise Refused(
            f"{name} was {was} with {chosen[name].backup}, and there is a later backup of it, {newest}",
            f"say which it shall wake with: fleet wake {name} --from {newest}\n"
            f"or the earlier one: fleet wake {name} --from {chosen[name].backup}",
        )
    return planned


def _plan_all(client: FleetClient, chosen: Mapping[str, Sleep], key: Secret | None) -> tuple[Planned, dict[str, str]]:
    """Who cannot wake keeps nobody else from it; those, and in words why, come second. Raises Refused if all are."""
    given: dict[str, Memory] = {}
    keeper, left_out, failed = client.keeper(), dict[str, str](), None
    for name, sleep in chosen.items():
        try:
            backup = _backup_for(name, sleep, None, keeper)
            given[name] = keeper.memory(backup.child, backup, key)
        except FleetError as error:
            left_out[name], failed = error.summary, error
    if failed is not None and not given:
        raise failed
    planned = client.plan_waking_with(given)
    later = _later(planned, chosen, keeper)
    found = {name: f"there is a later backup of it, {newest}" for name, newest in later.items()}
    found |= dict.fromkeys(_waiting(planned), "it has to wait")
    found |= {it.address: it.summary for it in planned.plan.diagnostics if it.severity in ("error", "refused")}
    left_out |= {name: why for name, why in found.items() if name in given}
    can = {name: memory for name, memory in given.items() if name not in left_out}
    if not can:
        whys = "\n".join(f"{name}: {why}; what to do: fleet wake {name}" for name, why in left_out.items())
        raise Refused("nobody can wake now, and nothing was changed", whys)
    return planned if len(can) == len(given) else client.plan_waking_with(can), left_out


def _asleep(client: FleetClient, selection: Selection, names: Iterable[str], *, or_lost: bool) -> dict[str, Sleep]:
    """Those of these who are meant, and sleep; `or_lost`, or have lost their server, and not their memory.

    A pattern means children of the file; where it hits only others, it is these. Raises Refused where somebody was
    asked for who does not.
    """
    asleep = client.asleep(names, or_lost=or_lost)
    meant = [name for name in names if name in client.fleet.children or name in selection.names]
    awake = [name for name in meant if name not in asleep]
    if awake and not selection.means_all:
        advice = f"who has no server gets one by: fleet apply; with a memory, by: fleet restore {awake[0]}"
        raise Refused(f"not asleep: {', '.join(awake)}", advice)
    return {name: asleep[name] for name in meant or names if name in asleep}


def _backup_for(name: str, sleep: Sleep, asked: str | None, keeper: Keeper) -> Backup:
    """What it wakes with, if it has no server any more: what it went to sleep with, or what is asked for."""
    is_its_own = asked is not None and any(backup.id == asked for backup in keeper.kept(name).backups)
    return keeper.find(name if is_its_own else sleep.source, asked or sleep.backup or None)


def _later(planned: Planned, chosen: Mapping[str, Sleep], keeper: Keeper) -> dict[str, str]:
    """Who was copied after it was put to sleep, and is gone all the same: that ended otherwise. By that copy's id."""
    gone = [name for name in planned.options.waking if planned.children[name].server is None]
    return {
        name: newest.id
        for name, newest in keeper.newest(gone)[0].items()
        if chosen[name].source in keeper.names_of(name) and is_later(newest, chosen[name])
    }


def _waiting(planned: Planned) -> list[str]:
    """Whom this plan does not wake, though it is asked to."""
    acted = {action.child for action in planned.plan.actions}
    return [it for it in planned.options.waking if it not in acted and not is_awake(planned.children[it])]


def _refuse_who_stays(settings: Settings, planned: Planned, asked: str | None, *, as_json: bool) -> None:
    """Raises Refused where this plan wakes not all, or does not give what was asked for."""
    if has_errors(planned) or _waiting(planned):
        show_refused(settings, planned, as_json=as_json)
    if has_errors(planned):
        raise Refused("nothing was changed", "mend what is said above")
    if waiting := _waiting(planned):
        names = ", ".join(waiting)
        raise Refused(f"cannot wake now: {names}; nothing was changed", "mend what is said above, or wait")
    awake = [name for name in planned.options.waking if is_awake(planned.children[name])]
    if asked is not None and awake:
        show_refused(settings, planned, as_json=as_json)
        raise Refused(
            f"the server of {awake[0]} was not deleted yet, with what it remembers",
            f"wake it without --from; to give it another memory then: fleet restore {awake[0]} --from {asked}",
        )


def _without_switched_off(client: FleetClient, chosen: Mapping[str, Sleep], *, beside: bool) -> dict[str, Sleep]:
    """One of all that cannot wake keeps nobody else from it."""
    whys = {name: client.why_no_server(name) for name in chosen}
    for name, why in whys.items():
        if why:
            click.echo(f"{name} sleeps on: {why}.", err=beside)
    return {name: sleep for name, sleep in chosen.items() if not whys[name]}


def _give_up(
    client: FleetClient, chosen: Mapping[str, Sleep], yes: bool, output: LastingOutput, *, as_json: bool
) -> int:
    from reconciler.render.text import json_text

    servers, declared = client.servers(), client.fleet.children
    there, gone = [name for name in chosen if servers.get(name)], [name for name in chosen if not servers.get(name)]
    question = f"Give up for good what {', '.join(gone)} remembered?" if gone else ""
    if there:
        question += f"{' And ' if gone else ''}{', '.join(there)}: no waking, and what is on the server now stays?"
    consent(question, yes, output)
    for name, sleep in chosen.items():
        client.forget_sleep(name, sleep)
    if to_go_on := [name for name in there if name in declared]:
        click.echo(f"They go on with the servers that they still have: fleet apply {' '.join(to_go_on)}", err=as_json)
    if to_make := [name for name in gone if name in declared]:
        click.echo(f"To make them anew, without a memory: fleet apply {' '.join(to_make)}", err=as_json)
    if as_json:
        click.echo(json_text({"given_up": [*chosen]}))
    return 0


def _refuse_undeclared(client: FleetClient, names: Iterable[str]) -> None:
    if gone := [name for name in names if name not in client.fleet.children]:
        called = {old: new for new in client.fleet.children for old in former_names(client.fleet, new)}
        if now := called.get(gone[0]):
            advice = f"unless {now} has a server: fleet wake {now}; else: fleet restore {gone[0]} --to {now}"
            raise Refused(f"{gone[0]} is called {now} in the fleet file now", advice)
        raise Refused(
            f"the fleet file does not declare: {', '.join(gone)}",
            f"declare it, or give what it remembered to another child: fleet restore {gone[0]} --to CHILD",
        )
