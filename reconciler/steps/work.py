"""What a step is, and what it is handed: one child's work in progress."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from reconciler import keys
from reconciler.commands import postpone_return
from reconciler.diff import same
from reconciler.errors import HostError, LoginRefused, SecretError
from reconciler.managed import Materials, files, wanted_values
from reconciler.model import (
    LABEL_PREFIX,
    ChildSpec,
    Fleet,
    Hold,
    HostAddress,
    HostFacts,
    Json,
    Secret,
    SecretRef,
    Server,
    Sleep,
    masked,
)
from reconciler.parallel import Gate
from reconciler.ports import Host, Ports
from reconciler.steps.parts import Asked, HealthBefore, Keeping, Replacing, Switching
from reconciler.steps.probing import probe
from reconciler.steps.repairs import leaving_alone
from reconciler.steps.trees import Trees, wanted_tree
from reconciler.steps.versions import pinned, present, with_quarantine

SSH_PORT: Final = 22
TOKEN_GENERATION: Final = 1
# The labels that say a host's key to who cannot derive it: the one that it shows, and the one that it is about to.
HOST_KEY: Final = "host-key"
NEXT_HOST_KEY: Final = "host-key-next"
CONNECT_TIMEOUT: Final = 10.0
POSTPONE_EVERY: Final = 30.0  # seconds; the host waits five times as long


@dataclass(frozen=True, slots=True)
class Step:
    """A name people read and an idempotent function; it answers whether there was anything to do."""

    name: str
    ensure: Callable[[Work], bool]


@dataclass(slots=True)
class Work:
    """One child on its way to what it shall be. Steps fill in what later steps need: server, host, facts."""

    fleet: Fleet
    name: str
    spec: ChildSpec | None
    ports: Ports
    run: str  # the id of this run, which is also the nonce of servers it creates
    note: Callable[..., None]  # note("create-intended", durable=True, **fields)
    asked: Asked = field(default_factory=Asked)
    # The server, and what is known of it.
    ssh_key_id: int | None = None  # the fleet's key at the cloud; known when something is created
    making: Gate = field(default_factory=Gate)  # shut when this run may make no further server
    new_uid: str | None = None  # of the server that is being made
    server: Server | None = None
    host: Host | None = None
    facts: HostFacts | None = None
    is_first: bool = False  # no first apply has ended on the server yet; then its first host key is taken
    is_quiet: bool = False  # no boot may start its gateway
    may_have_started: bool = False  # its gateway, on a server of which no first apply has ended
    booted_before: str | None = None  # the boot that was to end, since its button was pressed
    # Which version it goes to, and what is left alone.
    trees: Trees = field(default_factory=Trees)  # what this run knows of releases, shared with the other children
    quarantined: Mapping[str, Hold] = field(default_factory=dict)  # versions that the whole fleet keeps away from
    keeps_version: bool = False  # it goes to another one in its batch of a rollout, and not by this action
    made_at: str | None = None  # the version of a server that is being made, where its host cannot tell
    stays_at: str | None = None  # the version that a switch has gone back to
    left_alone: tuple[str, ...] = ()  # managed paths that no step touches: a person has to decide about them
    # What is under way.
    asleep: Sleep | None = None  # it was, or is on its way to wake: the fleet's note of that is still there
    switching: Switching = field(default_factory=Switching)
    health_before: HealthBefore = field(default_factory=HealthBefore)
    replacing: Replacing = field(default_factory=Replacing)
    keeping: Keeping = field(default_factory=Keeping)
    written_over: bytes | None = None  # the openclaw.json that another one has taken the place of
    is_counted: bool = False  # that a rung is tried
    _postponed: float = 0.0
    _materials: Materials | None = None
    _overheard: set[Secret] = field(default_factory=set)  # what stands in the agent's own keys

    def on(self, server: Server) -> Work:
        """The same child's work on another server of it: from here on each goes its own way."""
        return replace(
            self,
            server=server,
            host=None,
            asked=replace(self.asked),
            switching=replace(self.switching),
            health_before=replace(self.health_before),
            replacing=Replacing(),
            keeping=replace(self.keeping),
            _materials=None,
        )

    def declared(self) -> ChildSpec:
        """The spec, with the exact version as soon as that is known."""
        assert self.spec is not None, "steps that build are only planned for declared children"
        if self.stays_at is not None:
            return replace(self.spec, version=self.stays_at)
        if self.made_at is not None:
            return replace(self.spec, version=self.made_at)
        spec = pinned(self.spec, self.facts)
        there = present(self.facts) if self.keeps_version and self.facts is not None else None
        return spec if there is None else replace(spec, version=there)

    def existing(self) -> Server:
        assert self.server is not None, "the step before this one makes the server"
        return self.server

    def connection(self) -> Host:
        """The open connection; a new one where the last broke off."""
        if self.host is None:
            address = address_of(self.existing(), self.fleet, self.ports)
            self.host = self.ports.dialer.connect(address, CONNECT_TIMEOUT)
        return self.host

    def hang_up(self) -> None:
        if self.host is not None:
            self.host.close()
            self.host = None

    def is_right(self, *names: str) -> bool:
        """Whether all these managed things look as they shall, and what was written there is also in force."""
        assert self.facts is not None, "the step before this one looks"
        if self.facts.applied is not None and not self.facts.applied.is_finished:
            return False  # it may have ended between writing a file and loading it
        wanted = self.wanted()
        return all(same(self.facts.managed.get(name), wanted[name]) for name in names)

    def wanted(self) -> dict[str, Json]:
        """What every managed thing shall look like; where something is left alone, as it looks now."""
        return leaving_alone(self.declared_values(), self.facts.managed if self.facts else {}, self.left_alone)

    def declared_values(self) -> dict[str, Json]:
        """The same, also of what is left alone: that stays drift until a person decides."""
        spec = self.declared()
        tree = wanted_tree(spec.version, self.facts, self.trees.known)
        return wanted_values(spec, replace(self.materials(), tree=tree))

    def materials(self) -> Materials:
        """Derived and resolved once for all steps."""
        if self._materials is None:
            self._materials = gather_materials(self.fleet, self.declared(), uid_of(self.existing()), self.ports)
        return self._materials

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """What the host has been trusted with by this run, and its programs may repeat."""
        return self._materials.secrets if self._materials else ()

    def overhear(self, values: Iterable[Secret]) -> None:
        """What was read on the host and is none of ours."""
        self._overheard.update(values)

    def quoted(self, text: str) -> str:
        """What a program says that was given all of this, for an error."""
        return masked(text, (*self.secrets, *self._overheard))

    def look(self) -> HostFacts:
        """Probe the host again and keep what it says."""
        facts = probe(self.connection(), uid_of(self.existing()), self.ports, self.spec)
        if self.asked.retries:
            self.facts = replace(facts, held=None)
        else:
            self.facts = with_quarantine(facts, self.spec, self.quarantined)
        return self.facts

    def keep_going(self) -> None:
        """While a switch is on its way: the host shall not go back yet. Raises HostError when it has."""
        now = self.ports.clock.monotonic()
        if self.switching.under_way is not None and now - self._postponed > POSTPONE_EVERY:
            self.connection().run(postpone_return())
            self._postponed = now


def uid_of(server: Server) -> str:
    """The child's uid, from which its keys derive. HostError when the label was taken away."""
    if server.uid is None:
        raise HostError(
            f"server {server.name} has lost its label {LABEL_PREFIX}uid, so its keys cannot be derived",
            "put the label back from state/ or the journal",
        )
    return server.uid


def bot_of(spec: ChildSpec, ports: Ports) -> str | None:
    """The number of a child's bot, the part of its token before the colon: no secret. None without such a token."""
    if spec.is_throwaway:
        return None
    try:
        found = re.match(r"([0-9]{1,20}):", ports.secrets.bot_token(spec.bot_token).reveal())
    except SecretError:
        return None  # an error where the token is needed
    return found[1] if found else None


def gather_materials(fleet: Fleet, spec: ChildSpec, uid: str, ports: Ports, *, resolves: bool = True) -> Materials:
    """Derive this child's keys and resolve its secrets: a throw-away is given none of them. Raises SecretError.

    Where nothing `resolves` them they are empty; of who has only a probe key all are.
    """
    if keys.is_probe_key(ports.fleet_key):
        none = Secret("")
        return Materials("", none, "", none, none, none, none, ports.endpoints)
    subject = ports.fleet_key, uid, fleet.ssh_generation
    return Materials(
        login_public_key=keys.login_public_key(*subject),
        host_private_key=keys.host_key(*subject),
        host_public_key=keys.host_public_key(*subject),
        gateway_token=keys.gateway_token(ports.fleet_key, uid, TOKEN_GENERATION),
        bot_token=_bot_token(spec, ports) if resolves else Secret(""),
        model_key=_model_key(spec, ports) if resolves else Secret(""),
        digest_key=keys.digest_key(ports.fleet_key, uid),
        endpoints=ports.endpoints,
        probe_public_key=_probe_public_key(fleet, spec, uid, ports),
    )


def _probe_public_key(fleet: Fleet, spec: ChildSpec, uid: str, ports: Ports) -> str | None:
    """Nobody watches a throw-away."""
    if fleet.probe_generation is None or spec.is_throwaway:
        return None
    return keys.probe_login_public_key(ports.fleet_key, fleet.probe_generation, uid)


def _bot_token(spec: ChildSpec, ports: Ports) -> Secret | None:
    return None if spec.is_throwaway else ports.secrets.bot_token(spec.bot_token)


def _model_key(spec: ChildSpec, ports: Ports) -> Secret:
    """A gateway does not start without one. A throw-away's is made up: it goes on with nothing that it remembers."""
    if spec.is_throwaway:
        return keys.sandbox_model_key(ports.fleet_key, SecretRef("throwaway", spec.name))
    return ports.secrets.model_key(spec.model.key)


def address_of(server: Server, fleet: Fleet, ports: Ports, first_boot: bool = False) -> HostAddress:
    """How to reach a child. The first host key (generation 0) is taken only where `first_boot` says so.

    Who has only a probe key knows the host's key from the server's label. Raises HostError.
    """
    uid = uid_of(server)
    if server.address is None:
        raise HostError(f"server {server.name} has no IPv4 address", "give it one, or wait until the cloud has")
    if keys.is_probe_key(ports.fleet_key):
        login = keys.probe_login_key(ports.fleet_key, uid)
        return HostAddress(server.address, SSH_PORT, files.LOGIN_USER, (login,), _labelled_host_keys(server))
    generations = [fleet.ssh_generation, fleet.ssh_generation - 1]
    host_generations = [g for g in generations if g > 0] + ([0] if first_boot else [])
    return HostAddress(
        address=server.address,
        port=SSH_PORT,
        user=files.LOGIN_USER,
        login_keys=tuple(keys.login_key(ports.fleet_key, uid, g) for g in generations if g > 0),
        host_keys=tuple(keys.host_public_key(ports.fleet_key, uid, g) for g in host_generations),
    )


def _labelled_host_keys(server: Server) -> tuple[str, ...]:
    """As the last apply has noted them at the cloud, for who cannot derive them. Raises LoginRefused."""
    found = (keys.host_key_of_label(server.label(name) or "") for name in (HOST_KEY, NEXT_HOST_KEY))
    if known := tuple(filter(None, found)):
        return known
    raise LoginRefused(
        f"server {server.name} has no label {LABEL_PREFIX}{HOST_KEY} yet, by which a probe key knows its host",
        "It comes with the first apply after `keys: {probe: 1}` was written into the fleet file: fleet apply",
    )
