"""`fleet plan`, `fleet apply`, `fleet destroy`: parse, call, render, exit code."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.client import named_children, names_of, open_client
from reconciler.cli.options import Settings, with_consent, with_settings
from reconciler.cli.output import LastingOutput, show_lines, whoever_reads
from reconciler.cli.plan_file import read_plan_file, refuse_to_overwrite, write_plan_file
from reconciler.cli.plan_options import max_destroys_option, no_backup_option, plan_options, with_plan_options
from reconciler.cli.selecting import NONE_IS_ALL, NONE_IS_REFUSED, refuse_empty, with_selection
from reconciler.errors import Refused, UsageProblem
from reconciler.selection import Selection

if TYPE_CHECKING:
    from reconciler.api import FleetClient, Planned
    from reconciler.model import Kind, Outcome, Percent
    from reconciler.planfile import PlanFile

json_option = click.option(
    "--json", "as_json", is_flag=True, help="The plan and how it ended as JSON on standard output; with --yes."
)
FORMATS = ("text", "json", "markdown")


@click.command()
@with_selection(NONE_IS_ALL)
@with_plan_options
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Keep the plan for: fleet apply --plan. Overwrites nothing but an older plan file.",
)
@click.option("--format", "form", type=click.Choice(FORMATS), help="How to show it.  [default: text]")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when there is something to do.")
@with_settings
def plan(
    settings: Settings,
    selection: Selection,
    allow_replace: tuple[str, ...],
    repair: tuple[str, ...],
    retry: tuple[str, ...],
    no_backup: tuple[str, ...],
    max_destroys: int | Percent | None,
    out: Path | None,
    form: str | None,
    as_json: bool,
    detailed_exitcode: bool,
) -> int:
    """Show what `fleet apply` would do, and why. Changes nothing."""
    if as_json and form not in (None, "json"):
        raise UsageProblem(f"--json and --format {form} do not go together", "give one of them")
    if out is not None:
        refuse_to_overwrite(out)
    client = open_client(settings)
    options = plan_options(client, allow_replace, repair, retry, no_backup, max_destroys)
    planned = client.plan(names_of(client, selection), options)
    show_plan(settings, planned, "json" if as_json else form or "text")
    if out is not None and not planned.plan.is_refused:
        write_plan_file(out, client.seal(planned, selection))
        click.echo(
            f"The plan is kept in {out} for 24 hours. To do this and no more: fleet apply --plan {out}", err=True
        )
    if planned.plan.is_refused:
        return 4
    if has_errors(planned):
        return 1
    return 2 if detailed_exitcode and not planned.plan.is_empty else 0


@click.command()
@with_selection(NONE_IS_ALL)
@with_plan_options
@click.option(
    "--plan",
    "plan_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Do what this file of `fleet plan --out` holds, and nothing else. Does not ask.",
)
@with_consent("Apply")
@click.option("--max-parallel", default=32, show_default=True, type=click.IntRange(1, 128), help="Children at a time.")
@json_option
@with_settings
def apply(
    settings: Settings,
    selection: Selection,
    allow_replace: tuple[str, ...],
    repair: tuple[str, ...],
    retry: tuple[str, ...],
    no_backup: tuple[str, ...],
    max_destroys: int | Percent | None,
    plan_file: Path | None,
    yes: bool,
    max_parallel: int,
    as_json: bool,
) -> int:
    """Bring the fleet, or the named children, to what the file says. Asks first."""
    allowed = allow_replace or repair or retry or no_backup or max_destroys is not None
    if plan_file and (allowed or not selection.is_empty):
        raise UsageProblem("the plan file says for which children and with which options", "give --plan FILE alone")
    refuse_questions(yes=yes or plan_file is not None, as_json=as_json)
    client = open_client(settings, beside=as_json)
    with whoever_reads() as output, client.lock("fleet apply"):
        agreed = client.unseal(read_plan_file(plan_file)) if plan_file else None
        if agreed:
            selection, options = agreed.bound.selection, agreed.bound.options
        else:
            options = plan_options(client, allow_replace, repair, retry, no_backup, max_destroys)
        planned = client.plan(names_of(client, selection), options)
        if not as_json:
            show_plan(settings, planned)
        _refuse_what_is_refused(settings, planned, as_json=as_json)
        if planned.plan.is_empty:
            follow_moves(client, planned, beside=as_json)
            show_end(settings, planned, [], as_json=as_json)
            return 1 if has_errors(planned) else 0
        if agreed:
            _refuse_more_than(agreed, client, planned, settings, as_json=as_json)
        consent("Apply this plan?", yes or agreed is not None, output)
        follow_moves(client, planned, beside=as_json)
        return run_plan(client, planned, settings, max_parallel, as_json=as_json)


@click.command()
@with_selection(NONE_IS_REFUSED)
@max_destroys_option
@no_backup_option
@with_consent("Destroy")
@json_option
@with_settings
def destroy(
    settings: Settings,
    selection: Selection,
    max_destroys: int | Percent | None,
    no_backup: tuple[str, ...],
    yes: bool,
    as_json: bool,
) -> int:
    """Delete the servers of the named children, after a last copy of their memory. The file stays as it is."""
    refuse_empty(selection, "destroy")
    refuse_questions(yes=yes, as_json=as_json)
    client = open_client(settings, beside=as_json)
    with whoever_reads() as output, client.lock("fleet destroy"):
        names, without_copy = client.select(selection), named_children(client, no_backup, "--no-backup")
        if spared := sorted(without_copy - set(names)):
            raise UsageProblem(
                f"--no-backup {spared[0]}: {spared[0]} is not among those that are destroyed", "name it there as well"
            )
        planned = client.plan_destruction(names, max_destroys, without_copy)
        if planned.plan.is_empty and not planned.plan.diagnostics:
            click.echo("Nothing to destroy: these children have no server.", err=as_json)
            show_end(settings, planned, [], as_json=as_json)
            return 0
        if not as_json:
            show_plan(settings, planned)
        if has_errors(planned):
            show_refused(settings, planned, as_json=as_json)
            raise Refused("nothing was destroyed", "leave out the children named above, or mend what is said there")
        consent("Delete these servers for good?", yes, output)
        return run_plan(client, planned, settings, as_json=as_json)


def follow_moves(client: FleetClient, planned: Planned, *, beside: bool = False) -> None:
    """Who of these sleeps by a former name does by its own from now on. The caller holds the lock, and has consent."""
    for name, old in client.follow_moves(planned).items():
        click.echo(f"{name}, that was {old}, sleeps on under its new name.", err=beside)


def refuse_to_end(settings: Settings, planned: Planned, *, as_json: bool = False, but: Collection[Kind] = ()) -> None:
    """For who brings a child somewhere: that ends none, `but` by what was asked for. Raises Refused."""
    from reconciler.model import Kind

    ends = {Kind.STOP, Kind.HIBERNATE, Kind.DESTROY}.difference(but)
    ending = [it for it in planned.plan.actions if it.kind in ends]
    if ending:
        show_refused(settings, planned, as_json=as_json)
        [names, first] = ", ".join(it.child for it in ending), ending[0]
        raise Refused(
            f"this would {first.kind} {names}, and nothing was changed: {first.reason.text}",
            f"change that in the fleet file; to do it all the same: fleet apply {first.child}",
        )


def has_errors(planned: Planned) -> bool:
    return any(found.severity in ("error", "refused") for found in planned.plan.diagnostics)


def show_refused(settings: Settings, planned: Planned, *, as_json: bool) -> None:
    """For machines, the plan of which the refusal speaks: people have seen it."""
    if as_json:
        show_end(settings, planned, [], as_json=True)


def _refuse_what_is_refused(settings: Settings, planned: Planned, *, as_json: bool) -> None:
    """What policy forbids as a whole, and what protection leaves nothing of; said again where scripts read it."""
    refused = [found for found in planned.plan.diagnostics if found.severity == "refused"]
    if planned.plan.is_refused or (refused and planned.plan.is_empty):
        show_refused(settings, planned, as_json=as_json)
        raise Refused(f"refused, and nothing was changed: {refused[0].summary}", refused[0].detail)


def _refuse_more_than(
    agreed: PlanFile, client: FleetClient, planned: Planned, settings: Settings, *, as_json: bool
) -> None:
    objections = client.objections(agreed, planned)
    if objections:
        show_refused(settings, planned, as_json=as_json)
        raise Refused(
            "the plan is no longer the one in the plan file, so nothing was changed",
            "\n".join([*objections, "look at the plan above and make a new file: fleet plan --out FILE"]),
        )


def show_plan(settings: Settings, planned: Planned, form: str = "text") -> None:
    from reconciler.render.plan import plan_json, plan_lines
    from reconciler.render.text import json_text

    if form == "json":
        click.echo(json_text(plan_json(planned.plan)))
    elif form == "markdown":
        from reconciler.render.markdown import plan_markdown

        click.echo(plan_markdown(planned.plan, planned.children), nl=False)
    else:
        show_lines(plan_lines(planned.plan, planned.children), settings)


def consent(question: str, yes: bool, output: LastingOutput) -> None:
    if yes:
        return
    if output.is_lost:
        raise Refused("nobody reads the plan, so nothing was changed", "give --yes to go ahead without")
    if not sys.stdin.isatty():
        raise Refused("there is no terminal to ask on, so nothing was changed", "give --yes to go ahead")
    click.echo(err=True)
    if not click.confirm(question, default=False, err=True):  # what goes to standard output may be for a program
        raise Refused("nothing was changed")


def refuse_questions(*, yes: bool, as_json: bool) -> None:
    """Raises UsageProblem: between lines for machines nobody can be asked."""
    if as_json and not yes:
        raise UsageProblem("--json has no place for questions", "give --yes with it")


def show_end(
    settings: Settings,
    planned: Planned | None,
    outcomes: Sequence[Outcome],
    not_begun: Sequence[str] = (),
    *,
    as_json: bool,
) -> None:
    """How it ended; for machines with the plan that it was, also where there was nothing to do."""
    from reconciler.render.outcome import outcome_lines, outcomes_json
    from reconciler.render.plan import plan_json
    from reconciler.render.text import json_text

    if as_json:
        plan = {"plan": plan_json(planned.plan)} if planned is not None else {}
        click.echo(json_text({**plan, **outcomes_json(outcomes, not_begun)}))
        return
    if outcomes or (planned is not None and not planned.plan.is_empty):
        show_lines(outcome_lines(outcomes), settings)
    if not_begun:
        click.echo(f"Not begun: {', '.join(not_begun)}", err=True)


def run_plan(
    client: FleetClient,
    planned: Planned,
    settings: Settings,
    parallel: int = 32,
    *,
    not_begun: Sequence[str] = (),
    as_json: bool = False,
) -> int:
    """Its exit code. `not_begun` are children that were meant as well, which are said to be left out already."""
    from reconciler.model import OutcomeCode

    click.echo(err=as_json)
    outcomes = client.apply(planned, parallel)
    show_end(settings, planned, outcomes, not_begun if as_json else (), as_json=as_json)
    failed = [outcome for outcome in outcomes if outcome.code is OutcomeCode.FAILED]
    if failed and len(failed) == len(outcomes):
        return 1
    return 3 if failed or not_begun or has_errors(planned) else 0
