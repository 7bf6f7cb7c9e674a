"""`fleet onboard`: from a child in the fleet file to a user who gets answers."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from reconciler.cli.bot import give, given_token
from reconciler.cli.changes import (
    consent,
    follow_moves,
    has_errors,
    refuse_questions,
    refuse_to_end,
    run_plan,
    show_plan,
)
from reconciler.cli.client import open_client
from reconciler.cli.options import Settings, with_settings
from reconciler.cli.output import LastingOutput, whoever_reads
from reconciler.errors import Refused, SecretError, TokenRefused, UsageProblem
from reconciler.model import LARGEST_USER
from reconciler.selection import not_declared

if TYPE_CHECKING:
    from reconciler.api import FleetClient
    from reconciler.model import BotIdentity, Delivery, Json, PairingRequest

EVERY = 5.0  # seconds


@dataclass(frozen=True)
class _End:
    """How far it came: `welcomed`, `not-confirmed`, `not-delivered`, `not-come`, or `not-applied`."""

    code: int
    state: str
    user: int | None = None
    message: str = ""


@click.command()
@click.argument("child")
@click.option(
    "--user", type=click.IntRange(1, LARGEST_USER), metavar="ID", help="Their Telegram id, where it is known."
)
@click.option("--welcome", metavar="TEXT", help="The first message, a template as that of `fleet send`.")
@click.option("--again", is_flag=True, help="Also who was welcomed before.")
@click.option(
    "--timeout", type=click.IntRange(0), default=900, show_default=True, metavar="SECONDS", help="How long to wait."
)
@click.option("--yes", "-y", is_flag=True, help="Without asking; needs --user, or the one user that the file names.")
@click.option("--json", "as_json", is_flag=True, help="How it ended as JSON on standard output, all else beside it.")
@with_settings
def onboard(
    settings: Settings,
    child: str,
    user: int | None,
    welcome: str | None,
    again: bool,
    timeout: int,
    yes: bool,
    as_json: bool,
) -> int:
    """Bring a child to its user: bot, server, link, pairing, and a first message that has arrived.

    What is done already is passed over, so that it can be run again wherever it ended. A missing bot token is read
    from standard input, or asked for without showing it. Exit code 3: the user has not come yet, or nobody can tell
    whether the message has arrived.
    """
    from reconciler import onboarding
    from reconciler.render.text import json_text

    refuse_questions(yes=yes, as_json=as_json)
    client = open_client(settings, beside=as_json)
    if child not in client.fleet.children:
        raise not_declared(child, client.fleet.children)
    if why := client.why_no_server(child):
        raise Refused(f"{child} gets no server, so nobody gets an answer from it: {why}", "change that there first")
    wanted = onboarding.whom(client.fleet.children[child], user)
    text = welcome or onboarding.WELCOME
    onboarding.first_letter(client.fleet, child, wanted or 1, text)  # before anything is done
    if yes and wanted is None:
        raise UsageProblem("--yes would let in whoever asks", f"say who it is: fleet onboard {child} --yes --user ID")
    with whoever_reads() as output, contextlib.redirect_stdout(sys.stderr if as_json else output):
        identity = _bot(client, child, yes, output)
        end = _brought(settings, client, child, identity, wanted, text, again, timeout, yes, output)
    if as_json:
        whom: dict[str, Json] = {"child": child, "bot": identity.link, "user": end.user}
        click.echo(json_text({**whom, "state": end.state, "message": end.message}))
    return end.code


def _brought(
    settings: Settings,
    client: FleetClient,
    child: str,
    identity: BotIdentity,
    wanted: int | None,
    text: str,
    again: bool,
    timeout: int,
    yes: bool,
    output: LastingOutput,
) -> _End:
    if code := _applied(client, child, settings, yes, output):
        return _End(code, "not-applied", wanted)
    if wanted is None and not again:
        wanted = _let_in_before(client, child, identity)
    at, arrived = client.welcomed(child, wanted, identity.id) if wanted is not None and not again else ("", False)
    if at:
        unclear = "" if arrived else ", and nobody can tell whether that has arrived"
        click.echo(f"{wanted} was welcomed on {at[:16].replace('T', ' ')} UTC{unclear}; once more: --again")
        return _End(0, "welcomed", wanted) if arrived else _End(3, "not-confirmed", wanted)
    _show_link(identity, output)
    return _Meeting(client, child, identity, timeout, yes).welcome(wanted, text)


def _let_in_before(client: FleetClient, child: str, identity: BotIdentity) -> int | None:
    """Whom nobody has named and somebody has let in: who was not welcomed yet, else the last of all."""
    [access] = client.pairings().look([child])
    users = [int(user) for user in access.let_in if user.isascii() and user.isdigit()]
    waiting = [user for user in users if not client.welcomed(child, user, identity.id)[0]]
    if len(waiting) > 1:
        names = ", ".join(map(str, waiting))
        raise Refused(f"let in, and not welcomed: {names}", f"say who: fleet onboard {child} --user {waiting[0]}")
    if waiting:
        click.echo(f"{waiting[0]} was let in before, and not welcomed yet.")
    return waiting[0] if waiting else users[-1] if users else None


def _bot(client: FleetClient, child: str, yes: bool, output: LastingOutput) -> BotIdentity:
    from reconciler.render.text import harmless

    missing = None
    try:
        return client.bots().identity(child)
    except (SecretError, TokenRefused) as error:
        with contextlib.suppress(SecretError):
            client.bots().place(child)
            missing = error
        if missing is None:  # nobody but a person can put it there
            raise
        click.echo(harmless(f"{child} has no bot yet: {error.summary}."))
    given = given_token()
    with client.lock("fleet onboard"):
        return give(client, child, given, yes, output)


def _applied(client: FleetClient, child: str, settings: Settings, yes: bool, output: LastingOutput) -> int:
    """0 when the child is as the file says."""
    with client.lock("fleet onboard"):
        planned = client.plan([child])
        found = planned.children[child]
        if found.asleep is not None and not found.asleep.is_waking:
            raise Refused(f"{child} sleeps, and nobody gets an answer from it", f"first: fleet wake {child}")
        if planned.plan.is_empty and not has_errors(planned):
            follow_moves(client, planned)
            click.echo(f"{child} is as the fleet file says.")
            return 0
        show_plan(settings, planned)
        if planned.plan.is_refused or has_errors(planned):
            raise Refused(f"{child} is not onboarded like this", "mend what is said above, and run this again")
        refuse_to_end(settings, planned)
        consent("Apply this plan?", yes, output)
        follow_moves(client, planned)
        return run_plan(client, planned, settings)


def _show_link(identity: BotIdentity, output: LastingOutput) -> None:
    from reconciler.render.qr import qr_lines
    from reconciler.render.text import harmless

    link, name = harmless(identity.link), harmless(identity.name)
    if output.isatty():
        click.echo("\n" + "\n".join(qr_lines(identity.link)))
    click.echo(f"\n{link}\n\nA text to send them:\n\n  Your assistant is {name}: open {link} and press Start.\n")


class _Meeting:
    """The wait for a user, up to a first message that has arrived."""

    def __init__(self, client: FleetClient, child: str, bot: BotIdentity, timeout: float, yes: bool) -> None:
        self._client, self._child, self._bot, self._yes = client, child, bot, yes
        self._until = client.clock.monotonic() + timeout

    @property
    def _left(self) -> float:
        return max(0.0, self._until - self._client.clock.monotonic())

    def welcome(self, user: int | None, text: str) -> _End:
        wanted = user
        if user is None or not self._is_let_in(user):
            user = self._await_request(user)
        if user is None:
            click.echo("Nobody has come yet. Run this again, it goes on from here.", err=True)
            return _End(3, "not-come", wanted)
        click.echo(f"The first message waits for {user}.")
        delivery = self._client.welcome(self._child, user, text, self._bot.id, EVERY, self._left)
        return self._told(user, delivery)

    def _is_let_in(self, user: int) -> bool:
        [access] = self._client.pairings().look([self._child])
        if access.problem:
            raise Refused(access.problem, access.advice)
        return user in self._client.fleet.children[self._child].users.allowed or str(user) in access.let_in

    def _await_request(self, user: int | None) -> int | None:
        """Who was let in; None where nobody came. Others who ask are named and left waiting."""
        from reconciler.model import NewsKind
        from reconciler.render.pairings import news_line, who

        click.echo(f"Waiting for {user or 'somebody'} to write to the bot; Ctrl-C ends that, and loses nothing.")
        with self._client.lines(kept=True) as lines:
            pairings = self._client.pairings(lines)
            for news in pairings.watch([self._child], EVERY, self._left):
                if news.kind in (NewsKind.UNHEARD, NewsKind.HEARD):
                    click.echo(news_line(news))
                if news.kind is not NewsKind.ASKS or news.request is None:
                    continue
                if user is not None and news.request.user != str(user):
                    click.echo(f"{who(news.request)} asks as well: fleet pairing list {self._child}")
                elif self._agreed(news.request):
                    pairings.approve(news.request)
                    click.echo(f"{who(news.request)} may talk to {self._child} now.")
                    return int(news.request.user)
        return None

    def _agreed(self, request: PairingRequest) -> bool:
        from reconciler.render.pairings import who

        if self._yes:
            return True
        if not sys.stdin.isatty():
            raise Refused(f"{who(request)} asks, and there is no terminal to ask on", "give --yes and --user ID")
        return click.confirm(f"{who(request)} asks, with the code {request.code}. Let them in?", default=False)

    def _told(self, user: int, delivery: Delivery) -> _End:
        from reconciler.render.text import harmless

        if delivery.message:
            click.echo(f"{user} is welcomed: Telegram took it as message {harmless(delivery.message)}.")
            return _End(0, "welcomed", user, delivery.message)
        if delivery.is_unclear:
            click.echo(f"Sent, not confirmed: {harmless(delivery.problem)}.", err=True)
            return _End(3, "not-confirmed", user)
        advice = "" if delivery.is_refused else f" ({harmless(delivery.advice)})"
        click.echo(f"{harmless(delivery.problem)}{advice}. Run this again, it goes on from here.", err=True)
        return _End(3, "not-delivered", user)
