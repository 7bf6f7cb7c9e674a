"""`fleet alert`: where alerts go; `fleet silence`: of whom nothing is told for a while."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.ages import age_of
from reconciler.cli.client import declared_of, open_client
from reconciler.cli.options import Commands, Settings, with_settings
from reconciler.cli.passes import open_history
from reconciler.cli.selecting import NONE_IS_REFUSED, refuse_empty, with_selection
from reconciler.errors import UsageProblem
from reconciler.model import Cause
from reconciler.selection import Selection
from reconciler.steps.silences import EVERYBODY

if TYPE_CHECKING:
    from reconciler.api import FleetClient


class _Span(click.ParamType[timedelta]):
    """30m, 4h, 2d."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        found = value if isinstance(value, timedelta) else age_of(str(value))
        if found is None:
            self.fail(f"{value!r} is no time: write 30m, 4h or 2d", param, ctx)
        return found


@click.group(cls=Commands)
def alert() -> None:
    """Where alerts go, and what would be said."""


@alert.command()
@with_settings
def test(settings: Settings) -> int:
    """Send a message to every place that the fleet file names, to see whether it arrives."""
    client = open_client(settings, only_looks=True)
    places = client.fleet.alerts.to
    if not places:
        raise UsageProblem("the fleet file names nobody to tell", "monitoring: {to: [{url: env:FLEET_SECRET_SLACK}]}")
    failed = 0
    for place in places:
        problem = client.tell(place.url, f"[{client.fleet.name}] a test", "If you read this, alerts arrive.", None)
        failed += bool(problem)
        click.echo(f"{place.url}: {problem or 'delivered'}")
    return 0 if not failed else 1 if failed == len(places) else 3


@alert.command()
@with_settings
def preview(settings: Settings) -> int:
    """Look once, and show what would be said of it if this was the last of the passes that it takes. Tells nobody."""
    from reconciler.heeding import preview_of

    client = open_client(settings, only_looks=True)
    _, slow, _ = open_history(settings).remembered()
    found = client.watch(None, slow, remembers=False)
    texts = preview_of(found, client.fleet)
    for title, body in texts:
        click.echo(title)
        click.echo("\n".join(f"    {line}" for line in body.splitlines()))
    if not texts:
        click.echo("Nothing would be said.")
    return 0


@click.command()
@with_selection(NONE_IS_REFUSED)
@click.option("--for", "span", type=_Span(), metavar="TIME", help="How long: 30m, 4h, 2d.")
@click.option("--cause", type=click.Choice([str(it) for it in Cause]), metavar="CAUSE", help="Of this cause alone.")
@click.option("--end", is_flag=True, help="From now on all is told again.")
@click.option("--list", "lists", is_flag=True, help="What is silenced now.")
@click.option("--json", "as_json", is_flag=True, help="What is silenced then as JSON on standard output.")
@with_settings
def silence(
    settings: Settings,
    selection: Selection,
    span: timedelta | None,
    cause: str | None,
    end: bool,
    lists: bool,
    as_json: bool,
) -> int:
    """Hear nothing of children for a while, from any machine that watches: fleet silence alice --for 4h

    It is noted at the cloud. What is wrong is shown all the same, and told when the time is over and it still is.
    """
    from reconciler.render.alerts import silence_lines, silences_json
    from reconciler.render.text import json_text

    client = open_client(settings)
    if lists:
        said = silence_lines(client.silences())
    else:
        refuse_empty(selection, "silence")
        if not end and span is None:
            raise UsageProblem("it is not said for how long", "fleet silence CHILD --for 4h; or --end")
        names = (EVERYBODY,) if selection.means_all else declared_of(client, selection)
        with client.lock("fleet silence"):
            said = [_spoken(client, names) if end else _silenced(client, names, span or timedelta(), cause or "")]
    click.echo(json_text(silences_json(client.silences())) if as_json else "\n".join(said))
    return 0


def _spoken(client: FleetClient, names: tuple[str, ...]) -> str:
    before = client.speak(names)
    return f"Told again: {', '.join(before)}" if before else "Nothing of that was silenced."


def _silenced(client: FleetClient, names: tuple[str, ...], span: timedelta, cause: str) -> str:
    until = client.clock.now() + span
    client.be_silent(names, until, cause)
    whom = "the fleet" if names == (EVERYBODY,) else ", ".join(names)
    return f"Nothing is told of {whom} until {until:%Y-%m-%d %H:%M} UTC."
