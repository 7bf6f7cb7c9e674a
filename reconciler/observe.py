"""Looks at everything once: one labelled listing of the cloud, one SSH trip per child. Changes nothing.

A look is for who is to act; a watch is for who wants to know how all are. It asks hosts more closely, resolves no
secret and asks nobody but the cloud and the hosts: what is wanted of a secret is what was applied.

A look is all or nothing: the cloud's listing is complete or an error, and a child without a server is looked up by its
name before it counts as absent, unless there are many. A host that does not answer is a value (Silence), never an
absence. Whose server is whose is settled in `ownership`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from reconciler import keys
from reconciler.errors import (
    ChannelError,
    CloudError,
    HostError,
    HostRefused,
    HostTimedOut,
    LoginRefused,
    SecretError,
    WrongHostKey,
)
from reconciler.managed import wanted_values
from reconciler.model import (
    Catalog,
    Change,
    Child,
    ChildSpec,
    Diagnostic,
    Examination,
    Fleet,
    Hold,
    HostFacts,
    Json,
    Quiet,
    Record,
    Server,
    ServerStatus,
    Severity,
    Silence,
    Sleep,
)
from reconciler.offers import needs_new_server
from reconciler.ownership import Owned, name_before, settle
from reconciler.parallel import in_parallel
from reconciler.ports import Ports
from reconciler.steps.firewalls import firewall_changes, wanted_firewalls
from reconciler.steps.probing import DERIVED, RESOLVED, as_applied, probe, watch
from reconciler.steps.quarantine import known_to_hosts, quarantined
from reconciler.steps.runs import UNFINISHED, fleet_firewalls, may_be_unfinished, open_runs, run_changes
from reconciler.steps.server import not_to_be_had, server_name
from reconciler.steps.silences import silences
from reconciler.steps.sleeping import asleep_by_name, sleep_of
from reconciler.steps.trees import Key, known_trees, wanted_tree
from reconciler.steps.versions import pinned, with_quarantine
from reconciler.steps.work import CONNECT_TIMEOUT, address_of, bot_of, gather_materials, uid_of

WORKERS: Final = 32  # more bought nothing for 50 hosts (facts on performance, section 1.2)
# Of a thousand hosts many may be silent at once, each waited for by one of these: a pass takes no longer for them.
WATCHERS: Final = 256
# With more children missing than this, nobody is looked up by name: it would cost a request each, and a server that
# nobody listed is met all the same, when the cloud refuses to make a second one of its name.
LOOK_UPS: Final = 50


@dataclass(frozen=True, slots=True)
class Observation:
    """One look.

    `catalog` is None when it could not be read and nothing needs it. `shared` is how the fleet's firewalls differ from
    what they shall be, and which runs have left their mark there. `others` are the fleet's servers whose children
    nobody asked about.
    """

    children: dict[str, Child]
    catalog: Catalog | None
    shared: tuple[Change, ...] = ()
    others: tuple[Server, ...] = ()
    quarantined: Mapping[str, Hold] = field(default_factory=dict)
    trees: Mapping[Key, str] = field(default_factory=dict)
    asleep: Mapping[str, Sleep] = field(default_factory=dict)  # by the names that are noted, asked for or not
    quiets: tuple[Quiet, ...] = ()  # what somebody wants to hear nothing of
    looked_up: int = 0  # names that were asked for one by one, for no server of the listing is theirs


def observe(
    fleet: Fleet,
    ports: Ports,
    names: Iterable[str] | None = None,
    retry: Collection[str] = (),
    *,
    watches: bool = False,
) -> Observation:
    """Every declared child and every server of this fleet; only the named ones when `names` is given.

    Of those in `retry` no version is held. `watches`: it is a watch (see above).

    A child whose secrets cannot be resolved is looked at, and has an obstacle. Raises CloudError when the cloud cannot
    be read.
    """
    fleet_id = keys.fleet_id(ports.fleet_key)
    owned = settle(fleet, ports.cloud.servers(fleet_id))
    firewalls = fleet_firewalls(fleet, ports)
    runs, holds, trees = open_runs(fleet, firewalls), quarantined(fleet, firewalls), known_trees(fleet, firewalls)
    asleep = asleep_by_name(fleet, firewalls)
    records = ports.store.records()
    known = set(fleet.children) | set(owned)
    chosen = sorted(known if names is None else set(names))
    missing = len(set(chosen) - owned.keys())
    looks_up = missing <= LOOK_UPS

    def look(name: str) -> Child:
        found = owned.get(name) or Owned(obstacle=_foreign(name, fleet, ports) if looks_up else None)
        holding = None if name in retry else holds
        child = _look(name, fleet, found, _record(records, name, fleet), runs, holding, ports, watches=watches)
        child = _knowing(replace(child, asleep=sleep_of(child, fleet, asleep)), fleet, trees, ports, watches=watches)
        return child if watches else _introduced(child, ports)

    children = {child.name: child for child in in_parallel(look, chosen, WATCHERS if watches else WORKERS)}
    holds = {**known_to_hosts(fleet, firewalls, children.values()), **holds}
    children = {name: _holding(child, None if name in retry else holds) for name, child in children.items()}
    others = tuple(server for name in sorted(owned.keys() - children.keys()) for server in owned[name].servers)
    return Observation(
        children,
        _catalog(children.values(), ports),
        (
            *firewall_changes(wanted_firewalls(fleet, fleet_id), firewalls),
            *run_changes(fleet, runs, children.values(), others, ports.clock.now()),
        ),
        others,
        holds,
        trees,
        asleep,
        tuple(silences(fleet, firewalls)),
        looked_up=missing if looks_up else 0,
    )


def _record(records: dict[str, Record], name: str, fleet: Fleet) -> Record | None:
    return records.get(name) or records.get(name_before(fleet, name))


def _catalog(children: Iterable[Child], ports: Ports) -> Catalog | None:
    """Prices are worth a request at every look, and not worth a failure where they decide nothing."""
    try:
        return ports.cloud.catalog()
    except CloudError:
        if any(_needs_catalog(child) for child in children):
            raise
        return None


def _needs_catalog(child: Child) -> bool:
    """A server must be made, or be another one."""
    if child.spec is None:
        return False
    if child.server is None:
        return child.spec.enabled
    return child.server.server_type not in child.spec.server_types or bool(needs_new_server(child, None))


def _look(
    name: str,
    fleet: Fleet,
    owned: Owned,
    record: Record | None,
    runs: Collection[str],
    holds: Mapping[str, Hold] | None,
    ports: Ports,
    *,
    watches: bool,
) -> Child:
    """`holds` is None of a child for which nothing is held."""
    spec, server = fleet.children.get(name), owned.server
    in_open_run = server is not None and may_be_unfinished(server, runs, record)
    child = Child(
        name, spec=spec, server=server, record=record, obstacle=owned.obstacle, in_open_run=in_open_run,
        spares=owned.spares, retired=owned.retired,
    )  # fmt: skip
    if owned.obstacle is not None:
        return child
    if spec is not None and not watches:
        child = replace(child, bot=bot_of(spec, ports))
    if server is None:
        return child
    if server.status is ServerStatus.RUNNING and (owned.retired or not server.is_unfinished):
        child = _holding(_asked(child, server, fleet, ports, watches=watches), holds)
    return child


def _holding(child: Child, holds: Mapping[str, Hold] | None) -> Child:
    if child.facts is None:
        return child
    facts = replace(child.facts, held=None) if holds is None else with_quarantine(child.facts, child.spec, holds)
    return replace(child, facts=facts)


def _foreign(name: str, fleet: Fleet, ports: Ports) -> Diagnostic | None:
    """A child without a server is absent only if nobody else has its name."""
    full_name = server_name(fleet, name)
    found = ports.cloud.server_named(full_name)
    if found is None:
        return None
    error = not_to_be_had(full_name, found, keys.fleet_id(ports.fleet_key))
    return Diagnostic(Severity.ERROR, f"{name}: {error.summary}", error.advice, address=name)


def _knowing(child: Child, fleet: Fleet, trees: Mapping[Key, str], ports: Ports, *, watches: bool) -> Child:
    """What is wanted on its host, where that is to be told."""
    spec, server = child.spec, child.server
    if spec is None or server is None or child.obstacle is not None or not spec.enabled:
        return child
    exact = pinned(spec, child.facts)
    try:
        materials = gather_materials(fleet, spec, uid_of(server), ports, resolves=not watches)
    except SecretError as error:  # what is wanted nobody can tell, so nothing is planned for this one
        advice = error.advice or "a reference in the fleet file says where its secret lies"
        unknown = Diagnostic(Severity.ERROR, f"{child.name}: {error.summary}", advice, child.name, spec.file, spec.line)
        return replace(child, obstacle=unknown)
    tree = wanted_tree(exact.version, child.facts, trees)
    wanted = wanted_values(exact, replace(materials, tree=tree))
    return replace(child, wanted={**wanted, **_unresolved(child.facts, ports)} if watches else wanted)


def _unresolved(facts: HostFacts | None, ports: Ports) -> dict[str, Json]:
    """What nobody here can tell is wanted as it was applied; what an unfinished apply was at, as it is."""
    if facts is None:
        return {}
    found = {name: as_applied(name, facts) for name in RESOLVED}
    if not keys.is_probe_key(ports.fleet_key):
        return found
    is_finished = facts.applied is not None and facts.applied.is_finished
    derived = {name: as_applied(name, facts) if is_finished else facts.managed.get(name) for name in DERIVED}
    return {**found, **derived}


def _introduced(child: Child, ports: Ports) -> Child:
    """What its bot shows to people, where the file says something of that: Telegram is asked about nobody else."""
    spec = child.spec
    if spec is None or child.facts is None or not spec.profile.is_declared:
        return child
    try:
        with ports.channel() as channel:
            return replace(child, profile=channel.profile(ports.secrets.bot_token(spec.bot_token)))
    except (ChannelError, SecretError) as error:
        return replace(child, profile_problem=error.summary)


def _asked(child: Child, server: Server, fleet: Fleet, ports: Ports, *, watches: bool) -> Child:
    try:
        facts, examined = _facts(fleet, child.spec, server, ports, watches=watches)
        return replace(child, facts=facts, examined=examined)
    except HostError as error:
        if child.is_unfinished:
            return child  # nobody expects an answer yet
        silence = _silence(error)
        detail = f"{error.summary}. {error.advice}" if error.advice else error.summary
        if silence is Silence.WRONG_HOST_KEY and child.record is None:
            detail += f" If its first apply has never ended, give the server the label {UNFINISHED}=true and apply."
        return replace(child, silence=silence, silence_detail=detail)


def _facts(
    fleet: Fleet, spec: ChildSpec | None, server: Server, ports: Ports, *, watches: bool
) -> tuple[HostFacts, Examination | None]:
    host = ports.dialer.connect(address_of(server, fleet, ports), CONNECT_TIMEOUT)
    try:
        if watches:
            return watch(host, uid_of(server), ports, spec)
        return probe(host, uid_of(server), ports, spec), None
    finally:
        host.close()


def _silence(error: HostError) -> Silence:
    match error:
        case HostRefused():
            return Silence.REFUSED
        case HostTimedOut():
            return Silence.TIMED_OUT
        case WrongHostKey():
            return Silence.WRONG_HOST_KEY
        case LoginRefused():
            return Silence.LOGIN_REFUSED
        case _:
            return Silence.PROBE_FAILED
