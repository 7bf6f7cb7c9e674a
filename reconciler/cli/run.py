"""`fleet restart`, `start`, `stop`: gateways, and not their servers; `fleet reboot`: their servers."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import click

from reconciler.cli.changes import consent, has_errors, json_option, refuse_questions, show_end, show_plan
from reconciler.cli.client import declared_of, open_client, with_server
from reconciler.cli.options import Settings, with_settings
from reconciler.cli.output import whoever_reads
from reconciler.cli.selecting import NONE_IS_REFUSED, refuse_empty, with_selection
from reconciler.selection import Selection

if TYPE_CHECKING:
    from reconciler.api import FleetClient
    from reconciler.errors import FleetError
    from reconciler.model import Json

_PARTLY = 3
parallel_option = click.option(
    "--max-parallel", default=4, show_default=True, type=click.IntRange(1, 128), help="Gateways at a time."
)
yes_option = click.option("--yes", "-y", is_flag=True, help="Without asking.")


@click.command()
@with_selection(NONE_IS_REFUSED)
@parallel_option
@yes_option
@json_option
@with_settings
def restart(settings: Settings, selection: Selection, max_parallel: int, yes: bool, as_json: bool) -> int:
    """Start gateways anew: fleet restart alice. Each ends what it is at, and is proven healthy before the next begin.

    Where one is not healthy within its time, those that have not begun stay as they are. Exit code 3: some were
    restarted, 1: none.
    """
    return _run(settings, selection, "restart", max_parallel, yes, as_json=as_json)


@click.command()
@with_selection(NONE_IS_REFUSED)
@parallel_option
@yes_option
@json_option
@with_settings
def start(settings: Settings, selection: Selection, max_parallel: int, yes: bool, as_json: bool) -> int:
    """Start gateways that do not run, and servers that are off; each is proven healthy before the next begin."""
    return _run(settings, selection, "start", max_parallel, yes, as_json=as_json)


@click.command()
@with_selection(NONE_IS_REFUSED)
@click.option("--if-required", is_flag=True, help="Those alone whose host says that it needs it.")
@parallel_option
@yes_option
@json_option
@with_settings
def reboot(
    settings: Settings, selection: Selection, if_required: bool, max_parallel: int, yes: bool, as_json: bool
) -> int:
    """Boot servers anew, a few at a time: fleet reboot --all --if-required

    Each gateway ends what it is at, and is proven healthy before the next servers begin. A host needs it when an
    update says so, or a newer kernel than the one that runs is installed.
    """
    return _run(settings, selection, "reboot", max_parallel, yes, if_required=if_required, as_json=as_json)


@click.command()
@with_selection(NONE_IS_REFUSED)
@click.option("--max-parallel", default=32, show_default=True, type=click.IntRange(1, 128), help="Gateways at a time.")
@yes_option
@json_option
@with_settings
def stop(settings: Settings, selection: Selection, max_parallel: int, yes: bool, as_json: bool) -> int:
    """End gateways, after what they are at. A boot starts them, and so does the next apply.

    To keep one off, write `enabled: false` into the fleet file.
    """
    from reconciler.render.text import harmless, json_text

    refuse_empty(selection, "stop")
    refuse_questions(yes=yes, as_json=as_json)
    client = open_client(settings, beside=as_json)
    names = with_server(client, declared_of(client, selection), selection)
    if not names:
        show_end(settings, None, [], [], as_json=as_json)
        return 0
    with whoever_reads() as output, client.lock("fleet stop"):
        consent(f"Stop {', '.join(names)}? Nobody gets an answer then.", yes, output)
        ended = client.stop(names, max_parallel)
        if as_json:
            click.echo(json_text({"outcomes": [_stopped(*one) for one in ended.items()], "not_begun": []}))
        for name, error in () if as_json else ended.items():
            said = "stopped" if error is None else f"not stopped: {error.summary}"
            click.secho(harmless(f"{name}: {said}"), fg=None if error is None else "red", color=settings.color)
    failed = sum(error is not None for error in ended.values())
    return 0 if not failed else 1 if failed == len(ended) else 3


def _stopped(name: str, error: FleetError | None) -> Json:
    """As an action of a plan ends."""
    summary, advice = (error.summary, error.advice) if error is not None else ("", "")
    return {"child": name, "kind": "stop", "done": error is None, "seconds": None, "error": summary, "advice": advice}


def _run(
    settings: Settings,
    selection: Selection,
    verb: str,
    parallel: int,
    yes: bool,
    *,
    as_json: bool,
    if_required: bool = False,
) -> int:
    from reconciler.model import Kind, OutcomeCode

    refuse_empty(selection, verb)
    refuse_questions(yes=yes, as_json=as_json)
    client = open_client(settings, beside=as_json)
    with whoever_reads() as output, client.lock(f"fleet {verb}"):
        names = declared_of(client, selection)
        unknown = 0
        if if_required:
            names, unknown = _needing(client, with_server(client, names, selection), beside=as_json)
            if not names:
                show_end(settings, None, [], [], as_json=as_json)
                return _PARTLY if unknown else 0
        planned = client.plan_restart(names, reboots=verb == "reboot")
        if verb == "start":
            some = tuple(action for action in planned.plan.actions if action.kind is Kind.START)
            planned = replace(planned, plan=replace(planned.plan, actions=some))
        if not as_json:
            show_plan(settings, planned)
        if planned.plan.is_empty:
            show_end(settings, planned, [], [], as_json=as_json)
            return 1 if has_errors(planned) or unknown else 0
        consent(f"{verb.capitalize()} them?", yes, output)
        to_come, outcomes, failed = iter(planned.plan.actions), [], False
        while not failed and (group := tuple(islice(to_come, parallel))):
            ended = client.apply(replace(planned, plan=replace(planned.plan, actions=group)), parallel)
            outcomes += ended
            failed = any(outcome.code is OutcomeCode.FAILED for outcome in ended)
        rest = [action.child for action in to_come]
        show_end(settings, planned, outcomes, rest, as_json=as_json)
    done = sum(outcome.code is OutcomeCode.DONE for outcome in outcomes)
    is_whole = done == len(outcomes) and not rest and not has_errors(planned) and not unknown
    return 0 if is_whole else 3 if done else 1


def _needing(client: FleetClient, names: tuple[str, ...], *, beside: bool) -> tuple[tuple[str, ...], int]:
    """Those whose host says so, and of how many nobody knows."""
    from reconciler.errors import FleetError
    from reconciler.render.text import harmless

    needs, unknown = list[str](), 0
    for name, why in sorted(client.reboot_reasons(names).items()):
        if isinstance(why, FleetError):
            unknown += 1
            click.echo(f"{name}: nobody knows whether it needs that: {harmless(why.summary)}", err=True)
        elif why:
            needs.append(name)
            click.echo(f"{name} needs it: {harmless(why)}", err=beside)
    if not needs:
        click.echo(f"No host {'that answers ' if unknown else ''}says that it needs it.", err=beside)
    return tuple(needs), unknown
