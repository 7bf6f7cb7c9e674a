"""`fleet plan`, `fleet apply`, `fleet destroy`: parse, call, render, exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import click

from reconciler.cli.options import Settings, with_settings
from reconciler.cli.output import show_lines
from reconciler.errors import Refused

if TYPE_CHECKING:
    from reconciler.api import FleetClient, Planned


@click.command()
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when there is something to do.")
@click.option("--json", "as_json", is_flag=True, help="The plan as JSON on standard output.")
@with_settings
def plan(settings: Settings, detailed_exitcode: bool, as_json: bool) -> int:
    """Show what `fleet apply` would do, and why. Changes nothing."""
    planned = _client(settings).plan()
    if as_json:
        _show_json(planned)
    else:
        _show(settings, planned)
    if _has_errors(planned):
        return 1
    return 2 if detailed_exitcode and not planned.plan.is_empty else 0


@click.command()
@click.option("--yes", "-y", is_flag=True, help="Apply without asking.")
@click.option("--parallel", default=32, show_default=True, type=click.IntRange(1, 128), help="Children at a time.")
@with_settings
def apply(settings: Settings, yes: bool, parallel: int) -> int:
    """Bring the fleet to what the file says. Asks first."""
    client = _client(settings)
    with client.lock("fleet apply"):
        planned = client.plan()
        _show(settings, planned)
        if planned.plan.is_empty:
            return 1 if _has_errors(planned) else 0
        _consent("Apply this plan?", yes)
        return _run(client, planned, settings, parallel)


@click.command()
@click.argument("children", nargs=-1, metavar="[CHILD or glob]...")
@click.option("--all", "everything", is_flag=True, help="Every child of the fleet.")
@click.option("--yes", "-y", is_flag=True, help="Destroy without asking.")
@with_settings
def destroy(settings: Settings, children: tuple[str, ...], everything: bool, yes: bool) -> int:
    """Delete the servers of the named children and the memory on them. The file stays as it is."""
    client = _client(settings)
    with client.lock("fleet destroy"):
        names = _selected(client, children, everything)
        protected = [name for name in names if (spec := client.fleet.children.get(name)) and spec.protect]
        if protected:
            raise Refused(
                f"protected: {', '.join(protected)}", "set `protect: false` in the fleet file and apply, then destroy"
            )
        planned = client.plan_destruction(names)
        if planned.plan.is_empty and not planned.plan.diagnostics:
            click.echo("Nothing to destroy: these children have no server.")
            return 0
        _show(settings, planned)
        if planned.plan.diagnostics:
            raise Refused("nothing was destroyed", "leave out the children named above, or mend what is said there")
        _consent("Delete these servers for good?", yes)
        return _run(client, planned, settings)


def _has_errors(planned: Planned) -> bool:
    return any(diagnostic.severity == "error" for diagnostic in planned.plan.diagnostics)


def _client(settings: Settings) -> FleetClient:
    from reconciler.api import FleetClient

    return FleetClient.load(settings.file, settings.state_dir, _progress)


def _selected(client: FleetClient, patterns: Iterable[str], everything: bool) -> list[str]:
    known = sorted(client.servers())
    if everything:
        return known
    wanted = list(patterns)
    if not wanted:
        raise click.UsageError("name the children to destroy, or give --all")
    for pattern in wanted:
        if not any(fnmatchcase(name, pattern) for name in known):
            raise click.UsageError(f"no child matches {pattern}; there are: {', '.join(known) or 'none'}")
    return [name for name in known if any(fnmatchcase(name, pattern) for pattern in wanted)]


def _show(settings: Settings, planned: Planned) -> None:
    from reconciler.render.plan import plan_lines

    show_lines(plan_lines(planned.plan, planned.children), settings)


def _show_json(planned: Planned) -> None:
    import json

    from reconciler.render.plan import plan_json

    click.echo(json.dumps(plan_json(planned.plan), indent=2))


def _consent(question: str, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise Refused("there is no terminal to ask on, so nothing was changed", "give --yes to go ahead")
    click.echo()
    if not click.confirm(question, default=False):
        raise Refused("nothing was changed")


def _run(client: FleetClient, planned: Planned, settings: Settings, parallel: int = 32) -> int:
    from reconciler.model import OutcomeCode
    from reconciler.render.outcome import outcome_lines

    click.echo()
    outcomes = client.apply(planned, parallel)
    show_lines(outcome_lines(outcomes), settings)
    failed = [outcome for outcome in outcomes if outcome.code is OutcomeCode.FAILED]
    if len(failed) == len(outcomes):
        return 1
    return 3 if failed or _has_errors(planned) else 0


def _progress(child: str, step: str, seconds: float) -> None:
    from reconciler.render.text import seconds_text

    click.echo(f"  {child}: {step} ({seconds_text(seconds)})")
