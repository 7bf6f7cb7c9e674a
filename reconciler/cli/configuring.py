"""`fleet config pull`, `push`, `edit`, `restore`: openclaw.json as a person wants it, in the place of the gateway's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from reconciler.cli.changes import consent, refuse_questions
from reconciler.cli.client import open_client
from reconciler.cli.config import config
from reconciler.cli.config_copy import base_of, forget, keep, read, refuse_changed, say_kept
from reconciler.cli.options import Settings, with_settings
from reconciler.cli.output import show_lines, whoever_reads
from reconciler.cli.run import yes_option
from reconciler.errors import Refused, UsageProblem
from reconciler.selection import not_declared

if TYPE_CHECKING:
    from reconciler.api import FleetClient
    from reconciler.cli.output import LastingOutput
    from reconciler.model import Change, ChildSpec, Json, Outcome

_CODES: Final = {"unchanged": 0, "differs": 2, "given": 0, "failed": 1}
file_argument = click.argument("copy", metavar="[FILE]", type=click.Path(path_type=Path), required=False)
force_option = click.option("--force", is_flag=True, help="Over what is there, whatever has changed meanwhile.")
closed_option = click.option(
    "--closed", is_flag=True, help="Also what opens the gateway or runs code, and the fleet file may not set."
)

given_json_option = click.option(
    "--json", "as_json", is_flag=True, help="What changes and how it ended as JSON on standard output; with --yes."
)


@config.command()
@click.argument("child")
@file_argument
@force_option
@with_settings
def pull(settings: Settings, child: str, copy: Path | None, force: bool) -> int:
    """Fetch a child's openclaw.json as it is: fleet config pull alice

    Into FILE, else CHILD.openclaw.json, for you alone to read: there may be secrets in it. Beside it, in FILE.base, is
    noted what it was, so that `push` can tell what has changed on the host meanwhile.
    """
    client = open_client(settings)
    _check(client, child)
    file = copy or Path(f"{child}.openclaw.json")
    if not force:
        refuse_changed(file)
    keep(file, client.whole_config(child))
    click.echo(f"{file} is the configuration of {child}. To give it back: fleet config push {child} {file}")
    return 0


@config.command()
@click.argument("child")
@file_argument
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@yes_option
@force_option
@closed_option
@given_json_option
@with_settings
def push(
    settings: Settings,
    child: str,
    copy: Path | None,
    dry_run: bool,
    yes: bool,
    force: bool,
    closed: bool,
    as_json: bool,
) -> int:
    """Give a child another openclaw.json, the whole of it, as `pull` has fetched and you have changed it.

    The release that will read it has to take it. It goes over what FILE was fetched from and over nothing else, and
    keys that the fleet or its file sets are changed there. Where the gateway is not healthy with it, the one before is
    put back.
    """
    refuse_questions(yes=yes or dry_run, as_json=as_json)
    client = open_client(settings, beside=as_json)
    _check(client, child)
    file = copy or Path(f"{child}.openclaw.json")
    content, base = read(file), base_of(file)
    if base is None and not force:
        raise UsageProblem(
            f"nobody knows what {file} was made from", f"fetch that first: fleet config pull {child}; or --force"
        )
    text = _Text(child, content, None if force else base, closed)
    with whoever_reads() as output, client.lock("fleet config push"):
        code = _write(client, settings, text, yes, output, dry_run=dry_run, as_json=as_json)
        if code == 0 and not dry_run:
            keep(file, client.whole_config(child))  # the gateway has written to it, too
        return code


@config.command()
@click.argument("child")
@yes_option
@closed_option
@with_settings
def edit(settings: Settings, child: str, yes: bool, closed: bool) -> int:
    """Change a child's openclaw.json in $VISUAL or $EDITOR: fleet config edit alice

    As `pull` and `push`, in one: what you write is in CHILD.openclaw.json, and stays there until it was pushed.
    """
    client = open_client(settings)
    _check(client, child)
    file = Path(f"{child}.openclaw.json")
    refuse_changed(file)
    before = client.whole_config(child)
    keep(file, before)
    try:
        click.edit(filename=str(file))
        after = read(file)
        code = 0
        if after == before:
            click.echo("Nothing was changed.")
        else:
            with whoever_reads() as output, client.lock("fleet config edit"):
                code = _write(client, settings, _Text(child, after, base_of(file), closed), yes, output)
    except BaseException:
        if file.exists() and file.read_bytes() == before:
            forget(file)
        else:
            say_kept(file, child)
        raise
    if code == 0:
        forget(file)
    else:
        say_kept(file, child)
    return code


@config.command()
@click.argument("child")
@click.option(
    "--from",
    "source",
    type=click.Choice(("before", "last-good", "bak")),
    default="before",
    show_default=True,
    help="What this tool has written over last; or a copy of the gateway's own.",
)
@yes_option
@given_json_option
@with_settings
def restore(settings: Settings, child: str, source: str, yes: bool, as_json: bool) -> int:
    """Put back the openclaw.json of before the last push, edit or restore: fleet config restore alice

    Once more puts back what was there before that.
    """
    from reconciler.managed.files import CONFIG_PATH
    from reconciler.steps.configuring import KEPT_PATH, UNDO_PATH, with_ours

    refuse_questions(yes=yes, as_json=as_json)
    client = open_client(settings, beside=as_json)
    _check(client, child)
    with whoever_reads() as output, client.lock("fleet config restore"):
        content = client.whole_config(child, UNDO_PATH) if source == "before" else b""  # of a push that was cut off
        if not content:
            place = KEPT_PATH if source == "before" else f"{CONFIG_PATH}.{source}"
            content = client.whole_config(child, place)
        if not content:
            what = "nothing was pushed to it" if source == "before" else f"its gateway has made no copy called {source}"
            raise Refused(f"there is nothing to put back on {child}: {what}", f"look: fleet config show {child}")
        kept = with_ours(content, client.whole_config(child), client.fleet.children[child])
        if kept != content:
            click.echo("The keys that the fleet and its file set stay as they are now.", err=as_json)
        return _write(client, settings, _Text(child, kept, closed=True), yes, output, as_json=as_json)


@dataclass(frozen=True)
class _Text:
    """A whole openclaw.json for a child. `base` is the digest of what it may be written over; None for whatever it is.

    With `closed`, also keys that the fleet file's `config` may not set.
    """

    child: str
    content: bytes
    base: str | None = None
    closed: bool = False


def _write(
    client: FleetClient,
    settings: Settings,
    text: _Text,
    yes: bool,
    output: LastingOutput,
    *,
    dry_run: bool = False,
    as_json: bool = False,
) -> int:
    from reconciler.configs import differences_of
    from reconciler.model import NewConfig, OutcomeCode, Secret
    from reconciler.steps.configuring import digest_of

    child, there = text.child, client.whole_config(text.child)
    changes = differences_of(there, text.content)
    if there == text.content:
        return _end(child, "unchanged", changes, as_json=as_json)
    if not as_json:
        _show(child, there, changes, settings)
    _refuse_over_others(client, text, there)
    facts = client.plan((child,)).children[child].facts
    if facts is not None and not facts.gateway.is_running:
        click.echo("Its gateway does not run: it is started with this.", err=as_json)
    if dry_run:
        return _end(child, "differs", changes, as_json=as_json)
    consent(f"Give {child} this configuration?", yes, output)
    outcome, back = client.write_config(child, NewConfig(Secret(text.content.decode()), digest_of(there)))
    state = "given" if outcome.code is OutcomeCode.DONE else "failed"
    return _end(child, state, changes, outcome, back, as_json=as_json)


def _show(child: str, there: bytes, changes: Sequence[Change], settings: Settings) -> None:
    from reconciler.render.configs import change_lines
    from reconciler.steps.configuring import readable

    if readable(there) is None:
        click.echo(f"What {child} has is no JSON5, so all of this is new:")
    show_lines(change_lines(changes) or [("  comments or order alone: no value differs", None)], settings)


def _end(
    child: str,
    state: str,
    changes: Sequence[Change],
    outcome: Outcome | None = None,
    back: Outcome | None = None,
    *,
    as_json: bool,
) -> int:
    """How it ended, in words and for machines. The exit code."""
    from reconciler.model import OutcomeCode
    from reconciler.render.configs import given_json
    from reconciler.render.text import harmless, json_text

    if as_json:
        click.echo(json_text(given_json(child, state, changes, outcome, back)))
    elif state == "unchanged":
        click.echo(f"{child} has that configuration already.")
    elif state == "given":
        click.echo(f"{child} runs with it, and is healthy.")
    if outcome is not None and state == "failed":
        click.echo(f"{child}: {harmless(outcome.error)}", err=True)
        for line in outcome.advice.splitlines():
            click.echo(f"    {harmless(line)}", err=True)
    if back is not None:
        is_back = back.code is OutcomeCode.DONE
        said = "the one before is back, and it is healthy" if is_back else f"nor with the one before: {back.error}"
        click.echo(f"{child}: {harmless(said)}", err=True)
    return _CODES[state]


def _refuse_over_others(client: FleetClient, text: _Text, there: bytes) -> None:
    from reconciler.steps.configuring import digest_of, readable

    if text.base is not None and text.base != digest_of(there):
        raise Refused(
            f"the configuration of {text.child} was changed on its host meanwhile, and is left as it is",
            f"compare: fleet config pull {text.child} OTHER; or write over it: --force",
        )
    if not text.closed:
        _refuse_closed(readable(there), readable(text.content), client.fleet.children[text.child])


def _refuse_closed(before: Json, after: Json, spec: ChildSpec) -> None:
    """What a fleet file may not set is not set by hand by mistake: it opens the gateway, or runs code."""
    from reconciler.diff import merge_patch
    from reconciler.fleet.bounds import opening
    from reconciler.render.configs import path_text
    from reconciler.steps.configuring import not_yours

    if any(not_yours(before, after, spec)):
        return  # nobody may change that, and it is said in other words
    patch = merge_patch(before, after)
    for path, why in opening(patch if isinstance(patch, dict) else {}):
        raise Refused(f"{path_text(path)} is closed to this: {why}", "if you mean it: --closed")


def _check(client: FleetClient, child: str) -> None:
    if child not in client.fleet.children:
        raise not_declared(child, client.fleet.children)
