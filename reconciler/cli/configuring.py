"""`fleet config pull`, `push`, `edit`, `restore`: openclaw.json as a person wants it, in the place of the gateway's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.changes import consent
from reconciler.cli.client import open_client
from reconciler.cli.config import config
from reconciler.cli.options import Settings, with_settings
from reconciler.cli.output import show_lines, whoever_reads
from reconciler.cli.private import write_private
from reconciler.cli.run import yes_option
from reconciler.errors import Refused, UsageProblem
from reconciler.selection import not_declared

if TYPE_CHECKING:
    from reconciler.api import FleetClient
    from reconciler.cli.output import LastingOutput
    from reconciler.model import ChildSpec, Json

file_argument = click.argument("copy", metavar="[FILE]", type=click.Path(path_type=Path), required=False)
force_option = click.option("--force", is_flag=True, help="Over what is there, whatever has changed meanwhile.")
closed_option = click.option(
    "--closed", is_flag=True, help="Also what opens the gateway or runs code, and the fleet file may not set."
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
        _refuse_changed(file)
    _keep(file, client.whole_config(child))
    click.echo(f"{file} is the configuration of {child}. To give it back: fleet config push {child} {file}")
    return 0


@config.command()
@click.argument("child")
@file_argument
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@yes_option
@force_option
@closed_option
@with_settings
def push(settings: Settings, child: str, copy: Path | None, dry_run: bool, yes: bool, force: bool, closed: bool) -> int:
    """Give a child another openclaw.json, the whole of it, as `pull` has fetched and you have changed it.

    The release that will read it has to take it. It goes over what FILE was fetched from and over nothing else, and
    keys that the fleet or its file sets are changed there. Where the gateway is not healthy with it, the one before is
    put back.
    """
    client = open_client(settings)
    _check(client, child)
    file = copy or Path(f"{child}.openclaw.json")
    content, base = _read(file), _base(file)
    if base is None and not force:
        raise UsageProblem(
            f"nobody knows what {file} was made from", f"fetch that first: fleet config pull {child}; or --force"
        )
    with whoever_reads() as output, client.lock("fleet config push"):
        code = _write(
            client, settings, child, content, None if force else base, yes, output, closed=closed, dry_run=dry_run
        )
        if code == 0 and not dry_run:
            _keep(file, client.whole_config(child))  # the gateway has written to it, too
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
    _refuse_changed(file)
    before = client.whole_config(child)
    _keep(file, before)
    try:
        click.edit(filename=str(file))
        after = _read(file)
        code = 0
        if after == before:
            click.echo("Nothing was changed.")
        else:
            with whoever_reads() as output, client.lock("fleet config edit"):
                code = _write(client, settings, child, after, _base(file), yes, output, closed=closed)
    except BaseException:
        if file.exists() and file.read_bytes() == before:
            _forget(file)
        else:
            _say_kept(file, child)
        raise
    if code == 0:
        _forget(file)
    else:
        _say_kept(file, child)
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
@with_settings
def restore(settings: Settings, child: str, source: str, yes: bool) -> int:
    """Put back the openclaw.json of before the last push, edit or restore: fleet config restore alice

    Once more puts back what was there before that.
    """
    from reconciler.managed.files import CONFIG_PATH
    from reconciler.steps.configuring import KEPT_PATH, UNDO_PATH, with_ours

    client = open_client(settings)
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
            click.echo("The keys that the fleet and its file set stay as they are now.")
        return _write(client, settings, child, kept, None, yes, output, closed=True)


def _write(
    client: FleetClient,
    settings: Settings,
    child: str,
    content: bytes,
    base: str | None,
    yes: bool,
    output: LastingOutput,
    *,
    closed: bool = False,
    dry_run: bool = False,
) -> int:
    """`base` is the digest of what it may be written over; None for whatever is there now.

    With `closed`, also keys that the fleet file's `config` may not set.
    """
    from reconciler.configs import differences_of
    from reconciler.model import NewConfig, OutcomeCode, Secret
    from reconciler.render.configs import change_lines
    from reconciler.render.text import harmless
    from reconciler.steps.configuring import digest_of, readable

    there = client.whole_config(child)
    changes = differences_of(there, content)
    if there == content:
        click.echo(f"{child} has that configuration already.")
        return 0
    if readable(there) is None:
        click.echo(f"What {child} has is no JSON5, so all of this is new:")
    show_lines(change_lines(changes) or [("  comments or order alone: no value differs", None)], settings)
    if base is not None and base != digest_of(there):
        raise Refused(
            f"the configuration of {child} was changed on its host meanwhile, and is left as it is",
            f"compare: fleet config pull {child} OTHER; or write over it: --force",
        )
    if not closed:
        _refuse_closed(readable(there), readable(content), client.fleet.children[child])
    facts = client.plan((child,)).children[child].facts
    if facts is not None and not facts.gateway.is_running:
        click.echo("Its gateway does not run: it is started with this.")
    if dry_run:
        return 2
    consent(f"Give {child} this configuration?", yes, output)
    outcome, back = client.write_config(child, NewConfig(Secret(content.decode()), digest_of(there)))
    if outcome.code is OutcomeCode.DONE:
        click.echo(f"{child} runs with it, and is healthy.")
        return 0
    click.echo(f"{child}: {harmless(outcome.error)}", err=True)
    for line in outcome.advice.splitlines():
        click.echo(f"    {harmless(line)}", err=True)
    if back is not None:
        is_back = back.code is OutcomeCode.DONE
        said = "the one before is back, and it is healthy" if is_back else f"nor with the one before: {back.error}"
        click.echo(f"{child}: {harmless(said)}", err=True)
    return 1


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


def _read(file: Path) -> bytes:
    from reconciler.managed.config import LARGEST_CONFIG

    try:
        with file.open("rb") as opened:
            content = opened.read(LARGEST_CONFIG + 1)
        content.decode()
    except OSError as error:
        raise UsageProblem(f"cannot read {file}: {error.strerror}", "fleet config pull CHILD makes one") from error
    except UnicodeDecodeError as error:
        raise UsageProblem(f"{file} is no text in UTF-8", "nothing was changed; mend it first") from error
    if len(content) > LARGEST_CONFIG:
        raise UsageProblem(f"{file} is larger than {LARGEST_CONFIG} bytes", "no gateway has so large a configuration")
    return content


def _refuse_changed(file: Path) -> None:
    if file.exists() and _digest(file) != _base(file):
        raise UsageProblem(
            f"{file} was changed since it was fetched, or was not fetched", "push it, or move it away; or pull --force"
        )


def _forget(file: Path) -> None:
    file.unlink(missing_ok=True)
    _base_of(file).unlink(missing_ok=True)


def _say_kept(file: Path, child: str) -> None:
    click.echo(f"What you wrote is kept in {file}. To give it to {child}: fleet config push {child}", err=True)


def _keep(file: Path, content: bytes) -> None:
    from reconciler.steps.configuring import digest_of

    write_private(file, content)
    write_private(_base_of(file), f"{digest_of(content)}\n".encode())


def _base(file: Path) -> str | None:
    """The digest of what it was fetched as; None where that is not noted."""
    import re

    try:
        text = _base_of(file).read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None
    return text if re.fullmatch("[0-9a-f]{64}", text) else None


def _digest(file: Path) -> str:
    from reconciler.steps.configuring import digest_of

    return digest_of(_read(file))


def _base_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.base")
