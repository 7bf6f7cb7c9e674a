"""What people do with a fleet that lives: they reach its hosts, and its bots talk to their users."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

from reconciler import commands, events, keys, messages, onboarding
from reconciler.bots import Bots
from reconciler.configs import differing, read_whole, shown, written_at
from reconciler.costs import costs_of, owner_of, with_spending
from reconciler.errors import CloudError, FleetError, HostError
from reconciler.examining import diagnose_all, without_cloud
from reconciler.logs import Logs, secrets_of
from reconciler.managed import files
from reconciler.model import (
    Activity,
    ChildConfig,
    Completed,
    Costs,
    Delivery,
    Diagnosis,
    Fleet,
    HostAddress,
    Letter,
    Record,
    Secret,
    Server,
)
from reconciler.models import spending
from reconciler.overseeing import Overseeing
from reconciler.ownership import Owned, settle
from reconciler.pairings import Pairings
from reconciler.planning import Planned
from reconciler.ports import Clock, Host, Ports, Session
from reconciler.reaching import WORKERS, Lines
from reconciler.selection import Selection, resolve
from reconciler.steps.release import newest
from reconciler.steps.runs import Runs, fleet_firewalls, may_be_unfinished, open_runs
from reconciler.steps.work import TOKEN_GENERATION, address_of, uid_of

T = TypeVar("T")


class Living(Overseeing):
    """`note` and the journal name who asks; what goes wrong with one child stops no other."""

    def __init__(self, fleet: Fleet, ports: Ports) -> None:
        super().__init__(fleet, ports)
        self._told: tuple[Runs, dict[str, Record]] | None = None

    @property
    def clock(self) -> Clock:
        return self._ports.clock

    @property
    def fleet_id(self) -> str:
        return keys.fleet_id(self._ports.fleet_key)

    def servers(self) -> dict[str, Server | None]:
        """Every declared child and the server of it, by one listing and without SSH; and who is in no fleet file."""
        return {name: found.server for name, found in self.owned().items()}

    def owned(self) -> dict[str, Owned]:
        """The same, with what is left beside it of a replacement that did not end."""
        owned = settle(self.fleet, self._ports.cloud.servers(self.fleet_id))
        return dict.fromkeys(self.fleet.children, Owned()) | owned

    def connect(self, server: Server, timeout: float = 15.0) -> Session:
        """An SSH connection with the pinned key. Raises HostError."""
        return self._ports.dialer.connect(self.address(server), timeout)

    def on_each(self, names: Iterable[str], ask: Callable[[str, Host], T]) -> dict[str, T | FleetError]:
        """What `ask` makes of a connection to the host of each child; or why there is none. Raises CloudError."""
        with self.lines(kept=False) as lines:
            return lines.ask(names, ask)

    def gateway_token(self, server: Server) -> Secret:
        """What the gateway there asks of its clients. Raises HostError for a server that was not made by a fleet."""
        return keys.gateway_token(self._ports.fleet_key, uid_of(server), TOKEN_GENERATION)

    def address(self, server: Server) -> HostAddress:
        """How a child is reached and known. Raises HostError when it has no address or no uid."""
        runs, records = self._half_made()
        record = records.get(server.child or "")
        # A first apply that failed is what people want to look at.
        return address_of(server, self.fleet, self._ports, may_be_unfinished(server, runs, record))

    def newest_version(self, names: Iterable[str]) -> str:
        """What `latest` means now, as the registry says it to the host of one of these. Raises HostError."""
        registry, wanted = self._ports.endpoints.npm_registry, sorted(names)
        with self.lines(kept=False) as lines:
            problem = "none of them has a server"
            for name in (name for name in wanted if name not in lines.without_server(wanted)):
                answer = lines.ask([name], lambda _, host: newest(host, registry))[name]
                if not isinstance(answer, FleetError):
                    return answer
                problem = answer.summary
        raise HostError(f"no host of them says what the newest version is: {problem}", "name the version")

    def stop(self, names: Iterable[str], workers: int = WORKERS) -> dict[str, FleetError | None]:
        """The gateways of these end, after what they are at; None where that went well. Raises CloudError.

        Nothing keeps them so: a boot, and the next apply, start them.
        """

        def end(name: str, host: Host) -> Completed:
            self.note("stop-of-gateway-intended", child=name)
            try:
                answer = host.run(commands.stop_unit(files.UNIT))
            except FleetError as error:
                self.note("gateway-not-stopped", child=name, problem=error.summary)
                raise
            self.note("gateway-stopped", child=name)
            return answer

        with self.lines(kept=False) as lines:
            answers = lines.ask(names, end, workers)
        return {name: answer if isinstance(answer, FleetError) else None for name, answer in answers.items()}

    def reboot_reasons(self, names: Iterable[str]) -> dict[str, str | FleetError]:
        """In a host's own words, why it needs to boot anew; empty where it does not. Raises CloudError."""

        def ask(name: str, host: Host) -> str:
            return host.run(commands.find_reboot_reason()).stdout.decode("utf-8", "replace").strip()[:300]

        return self.on_each(names, ask)

    def diagnose(self, names: Iterable[str]) -> list[Diagnosis]:
        """What is wrong with each, and why, by a look at it and a closer one at its host. Changes nothing."""
        return self.look_closely(names)[1]

    def look_closely(self, names: Iterable[str]) -> tuple[Planned | None, list[Diagnosis]]:
        """The same, with what would be planned for them; None where the cloud does not answer."""
        names = tuple(names)
        try:
            planned = self.plan(names)
            children = planned.children

            def known(name: str) -> list[Secret]:
                return secrets_of(self.fleet, self._ports, name, children[name].server)[0]

            return planned, diagnose_all(children, self.on_each, self._ports.endpoints, known)
        except CloudError as error:
            return None, without_cloud(names, {}, error.summary)

    def configs(self, names: Iterable[str]) -> list[ChildConfig]:
        """What the gateways of these read, key by key. Raises CloudError."""
        return shown({name: self.fleet.children[name] for name in names}, self.on_each)

    def config_differences(self, names: Iterable[str]) -> list[ChildConfig]:
        """How that differs from the fleet file, and when the host's was written. Raises CloudError."""
        found = [differing(child) for _, child in sorted(self.plan(tuple(names)).children.items())]
        times = self.on_each([it.child for it in found if it.differences], lambda _, host: written_at(host))
        at = {name: time for name, time in times.items() if isinstance(time, str)}
        return [replace(it, written_at=at.get(it.child, "")) for it in found]

    def whole_config(self, name: str, place: str = files.CONFIG_PATH) -> bytes:
        """A child's openclaw.json, byte for byte, with its secrets; empty without one. Raises HostError, CloudError."""
        answer = self.on_each([name], lambda _, host: read_whole(name, host, place, may_lack=True))[name]
        if isinstance(answer, FleetError):
            raise answer
        return answer

    # --- bots and their users -----------------------------------------------------------------------------------

    def bots(self) -> Bots:
        """The bots of this fleet's children."""
        return Bots(self.fleet, self._ports)

    def send(self, letters: Iterable[Letter]) -> list[Delivery]:
        """What became of each, in their order. Raises CloudError."""
        return messages.send(letters, self.on_each, self._ports)

    def welcomed(self, child: str, user: int, bot: int) -> tuple[str, bool]:
        """When this bot has written to this user first, and whether that is known to have arrived; or empty."""
        return onboarding.welcomed(self._ports, child, user, bot)

    def welcome(self, child: str, user: int, text: str, bot: int, every: float, seconds: float) -> Delivery:
        """The first message, tried again each `every` seconds while Telegram refuses it. Raises UsageProblem."""
        until = self._ports.clock.monotonic() + seconds
        with self.lines(kept=True) as lines:
            return onboarding.welcome(self.fleet, child, user, text, bot, lines.ask, self._ports, every, until)

    def pairings(self, lines: Lines | None = None) -> Pairings:
        """Who asks to talk to the bots of children; over these connections, where some are kept."""
        return Pairings(self.fleet, self._ports, lines.ask if lines else self.on_each)

    def costs(self, selection: Selection, *, models: bool = False) -> Costs:
        """What the servers of these cost in a month; with `models` also what their gateways have counted this month.

        Where all are meant, also what costs something in the project besides, and what the fleet file allows.

        Raises CloudError, UsageProblem for a name that nobody has.
        """
        servers = self._ports.cloud.servers(self.fleet_id)
        owned = settle(self.fleet, servers)
        owners = {server.id: owner_of(server, owned) for server in servers}
        there = {owners[server.id]: server for server in servers} | {name: it.server for name, it in owned.items()}
        names = resolve(selection, self.fleet.children, there)
        catalog = self._ports.cloud.catalog()
        meant = [server for server in servers if owners[server.id] in names]
        found = costs_of(self.fleet, meant, owned, catalog)
        if selection.means_all:
            found = replace(found, budget=self.fleet.policy.max_monthly)
            try:
                found = replace(found, besides=self._ports.cloud.besides())
            except CloudError as error:  # a token may be allowed to see servers alone
                found = replace(found, besides_problem=error.summary)
        if not models:
            return found
        running = [name for name in names if name in self.fleet.children and name in owned and owned[name].server]
        return with_spending(found, spending(self.fleet, running, self.on_each, self._ports.clock.now()))

    def activities(
        self, names: Iterable[str], lines: Lines, count: int, *, texts: bool, every: float
    ) -> Iterator[list[Activity]]:
        """What happens between bots and their users, and then what comes, over these connections. Raises CloudError."""
        return events.follow(names, count, lines.ask, self._ports.clock, every, texts=texts)

    def logs(self, lines: Lines) -> Logs:
        """What gateways and their units have written, over these connections."""
        return Logs(self.fleet, self._ports, lines.servers, lines.ask)

    def lines(self, *, kept: bool, servers: Callable[[], Mapping[str, Server | None]] | None = None) -> Lines:
        """Connections to the hosts of children, that stay open where they are `kept`. Raises CloudError.

        `servers` lists them, else the cloud does, anew.
        """
        return Lines(servers or self.servers, self.connect, self._ports.clock, kept=kept)

    def _half_made(self) -> tuple[Runs, dict[str, Record]]:
        """What tells of a first apply that has not ended. Read once: a thousand addresses are written at a time."""
        if self._told is None:
            runs = open_runs(self.fleet, fleet_firewalls(self.fleet, self._ports))
            self._told = runs, self._ports.store.records() if runs else {}
        return self._told
