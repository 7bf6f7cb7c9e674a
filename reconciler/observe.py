"""Looks at everything once: one labelled listing of the cloud, one SSH trip per child. Changes nothing.

A look is all or nothing: the cloud's listing is complete or an error, and a child without a server is looked up by its
name before it counts as absent. A host that does not answer is a value (Silence), never an absence.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from reconciler import keys
from reconciler.errors import (
    FleetError,
    HostError,
    HostRefused,
    HostTimedOut,
    LoginRefused,
    WrongHostKey,
)
from reconciler.managed import wanted_values
from reconciler.model import Catalog, Child, Fleet, HostFacts, Record, Server, ServerStatus, Silence
from reconciler.parallel import in_parallel
from reconciler.ports import Ports
from reconciler.steps.server import foreign_server, server_name
from reconciler.steps.work import CONNECT_TIMEOUT, address_of, gather_materials, probe, uid_of

WORKERS: Final = 32  # more bought nothing for 50 hosts (facts on performance, section 1.2)


@dataclass(frozen=True, slots=True)
class Observation:
    """`catalog` is read only when a server must be made, for only then does it decide anything."""

    children: dict[str, Child]
    catalog: Catalog | None


def observe(fleet: Fleet, ports: Ports, names: Iterable[str] | None = None) -> Observation:
    """Every declared child and every server of this fleet; only the named ones when `names` is given.

    Raises CloudError when the cloud cannot be read, SecretError when a reference cannot be resolved.
    """
    servers = _by_child(ports.cloud.servers(keys.fleet_id(ports.fleet_key)), fleet)
    records = ports.store.records()
    chosen = sorted(set(fleet.children) | set(servers)) if names is None else sorted(names)
    looked = in_parallel(lambda name: _look(name, fleet, servers.get(name), records.get(name), ports), chosen, WORKERS)
    children = {child.name: child for child in looked}
    missing = any(child.spec and not child.server for child in children.values())
    return Observation(children, ports.cloud.catalog() if missing else None)


def _by_child(servers: tuple[Server, ...], fleet: Fleet) -> dict[str, Server]:
    found: dict[str, Server] = {}
    for server in servers:
        child = server.child
        if child is None or server.uid is None or server.name != server_name(fleet, child):
            raise FleetError(
                f"server {server.name} ({server.id}) carries this fleet's id, but its name and labels do not agree",
                "mend or remove its labels openclaw-deploy/* in the cloud's console; nothing was changed",
            )
        found[child] = server
    return found


def _look(name: str, fleet: Fleet, server: Server | None, record: Record | None, ports: Ports) -> Child:
    spec = fleet.children.get(name)
    child = Child(name, spec=spec, server=server, record=record)
    if server is None:
        _prove_absent(name, fleet, ports)
        return child
    if spec is not None:
        child = replace(child, wanted=wanted_values(spec, gather_materials(fleet, spec, uid_of(server), ports)))
    if server.status is not ServerStatus.RUNNING or server.label("ready") is None:
        return child
    try:
        return replace(child, facts=_facts(fleet, server, ports))
    except HostError as error:
        detail = f"{error.summary}. {error.advice}" if error.advice else error.summary
        return replace(child, silence=_silence(error), silence_detail=detail)


def _prove_absent(name: str, fleet: Fleet, ports: Ports) -> None:
    full_name = server_name(fleet, name)
    found = ports.cloud.server_named(full_name)
    if found is not None:
        raise foreign_server(full_name, found)


def _facts(fleet: Fleet, server: Server, ports: Ports) -> HostFacts:
    host = ports.dialer.connect(address_of(server, fleet, ports), CONNECT_TIMEOUT)
    try:
        return probe(host, fleet, uid_of(server), ports)
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
