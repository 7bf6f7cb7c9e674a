"""The bots of a fleet's children: whose token it is, who else has it, and how a child gets another.

No host is asked. Who may have which bot at a time is the planner's to decide; here a person is told before anything is
written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

from reconciler import keys
from reconciler.errors import FleetError, Refused, UsageProblem
from reconciler.fleet import former_names
from reconciler.model import BotIdentity, ChildSpec, Event, Fleet, Secret, Server, ServerStatus, Webhook
from reconciler.model import CheckedBot as Checked
from reconciler.parallel import in_parallel
from reconciler.ports import Channel, Ports
from reconciler.selection import not_declared
from reconciler.steps.work import bot_of

WORKERS: Final = 8  # Telegram wants no more than 30 requests a second
POLL_SECONDS: Final = 8.0  # a gateway that was driven out asks again within these
_UNREADABLE: Final = "an address that nobody can read"
_TOKEN: Final = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]{20,100}")


class Bots:
    def __init__(self, fleet: Fleet, ports: Ports) -> None:
        self._fleet = fleet
        self._ports = ports

    def place(self, name: str) -> str:
        """Where the child's token is kept. Raises UsageProblem for a stranger, SecretError where nobody can write."""
        return self._ports.secrets.bot_token_place(self._spec(name).bot_token)

    def judge(self, name: str, token: Secret) -> BotIdentity:
        """Whose token that is, if this child may have it.

        Raises UsageProblem where it is none, TokenRefused where it is nobody's, Refused where another has the bot.
        """
        if not _TOKEN.fullmatch(token.reveal()):
            raise UsageProblem(
                "that is no bot token: digits, a colon, and 35 letters, digits, - or _",
                "copy it from @BotFather as a whole, and nothing else",
            )
        servers = self._running()
        with self._ports.channel() as channel:
            identity = channel.identity(token)
            self._refuse_another_childs(name, identity, servers)
            if where := _elsewhere(channel.webhook(token)):
                raise Refused(
                    f"@{identity.username} belongs to another program: its messages are sent to {where}",
                    "switch that off there; or make a new bot with @BotFather (/newbot)",
                )
            if not self._has(name, identity, servers) and channel.is_polled(token, POLL_SECONDS):
                raise Refused(
                    f"@{identity.username} is in use: another program asks for its messages",
                    "stop that; or take the token from it (@BotFather, /revoke) and give the new one here",
                )
        return identity

    def keep(self, name: str, token: Secret, identity: BotIdentity) -> None:
        """The child's reference leads to it from now on. The caller holds the lock. Raises SecretError."""
        self._ports.secrets.keep_bot_token(self._spec(name).bot_token, token)
        fields = {"child": name, "bot": str(identity.id), "username": identity.username, "by": self._ports.operator}
        at = self._ports.clock.now().isoformat()
        self._ports.store.append(Event("bot-token-kept", at, self._ports.clock.token(), dict(fields)), durable=True)

    def identity(self, name: str) -> BotIdentity:
        """Of the bot that the child has by its reference. Raises SecretError, TokenRefused, ChannelUnavailable."""
        with self._ports.channel() as channel:
            return channel.identity(self._ports.secrets.bot_token(self._spec(name).bot_token))

    def before(self, name: str) -> str:
        """In words, what the child has by its reference now, if it is more than nothing."""
        reference = self._spec(name).bot_token
        bot = bot_of(self._spec(name), self._ports)
        if bot is None and self._ports.secrets.holds_bot_token(reference):
            return f"something in {self.place(name)} that cannot be read as a token"
        return "" if bot is None else f"the bot {bot}"

    def check(self, names: Iterable[str]) -> list[Checked]:
        """What Telegram says of the bot of each of these children, and which of them share one. Changes nothing."""
        wanted, sharing = tuple(names), self._sharing()
        with self._ports.channel() as channel:

            def look(name: str) -> Checked:
                return _checked(name, self._spec(name), sharing, channel, self._ports)

            return in_parallel(look, wanted, WORKERS)

    def _spec(self, name: str) -> ChildSpec:
        if name not in self._fleet.children:
            raise not_declared(name, self._fleet.children)
        return self._fleet.children[name]

    def _sharing(self) -> Mapping[str, list[str]]:
        """The children that shall run, by bot."""
        found: dict[str, list[str]] = {}
        for name, spec in self._fleet.children.items():
            if spec.enabled and (bot := bot_of(spec, self._ports)) is not None:
                found.setdefault(bot, []).append(name)
        return found

    def _refuse_another_childs(self, name: str, identity: BotIdentity, servers: Iterable[Server]) -> None:
        bot, ours = str(identity.id), {name, *former_names(self._fleet, name)}
        shall = {other for other in self._sharing().get(bot, ()) if other != name}
        have = {server.child or server.name for server in servers if server.bot == bot} - ours
        if others := sorted(shall | have):
            raise Refused(
                f"{others[0]} has this bot already: @{identity.username}",
                "two gateways with one bot drive each other out: make a new one with @BotFather (/newbot)",
            )

    def _has(self, name: str, identity: BotIdentity, servers: Iterable[Server]) -> bool:
        """Whether its own gateway asks for this bot's messages, by the labels."""
        ours = {name, *former_names(self._fleet, name)}
        return any(server.child in ours and server.bot == str(identity.id) for server in servers)

    def _running(self) -> list[Server]:
        """All of the fleet's, whoever has them; one that is off asks for nobody's messages."""
        servers = self._ports.cloud.servers(keys.fleet_id(self._ports.fleet_key))
        return [server for server in servers if server.status is not ServerStatus.OFF]


def _checked(name: str, spec: ChildSpec, sharing: Mapping[str, list[str]], channel: Channel, ports: Ports) -> Checked:
    try:
        token = ports.secrets.bot_token(spec.bot_token)
        identity = channel.identity(token)
        webhook, commands = channel.webhook(token), channel.commands(token)
        differing = spec.profile.differing_from(channel.profile(token)) if spec.profile.is_declared else {}
    except FleetError as error:
        return Checked(name, findings=(error.summary,))
    findings = []
    if others := [other for other in sharing.get(str(identity.id), ()) if other != name]:
        findings.append(f"{' and '.join(others)} shall have the same bot")
    if where := _elsewhere(webhook):
        findings.append(f"its messages are sent to {where}, which its gateway will end")
    if differing:
        words = ", ".join(field.replace("_", " ") for field in differing)
        findings.append(f"not as the fleet file says: {words} (fleet apply {name})")
    return Checked(name, identity, webhook, commands, tuple(findings))


def _elsewhere(webhook: Webhook) -> str:
    """The machine that a webhook sends to: what follows in its address may be a secret."""
    if not webhook.url:
        return ""
    try:
        return urlsplit(webhook.url).hostname or _UNREADABLE
    except ValueError:
        return _UNREADABLE
