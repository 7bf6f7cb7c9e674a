"""Brings an existing server under the fleet: who may come, then the steps in their order, each in the journal.

It decides on what the cloud says before it connects anywhere. What the steps do is in steps/importing.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from reconciler import keys
from reconciler.errors import FleetError, HostError, NotFound, Refused, UsageProblem
from reconciler.fleet import former_names
from reconciler.model import ChildSpec, Event, Fleet, HostAddress, Json, Secret, Server, ServerStatus
from reconciler.ownership import settle
from reconciler.ports import Ports
from reconciler.steps.importing import STEPS, Arrival, Survey, arrival
from reconciler.steps.server import server_name


@dataclass(frozen=True, slots=True)
class Request:
    """Which server becomes which child, and how to get in: never by trust at first sight.

    `identity` is an OpenSSH private key without a passphrase, `host_key` is "ssh-ed25519 AAAA…".
    """

    name_or_id: str
    child: str
    identity: Secret
    host_key: str
    user: str = "root"
    port: int = 22
    take_over: bool = False


@dataclass(frozen=True, slots=True)
class Imported:
    child: str
    server: Server
    survey: Survey


def take_in(request: Request, fleet: Fleet, ports: Ports) -> Imported:
    """Run it; again after a crash anywhere. Raises Refused, UsageProblem, HostError, CloudError."""
    spec = fleet.children.get(request.child)
    if spec is None:
        raise UsageProblem(
            f"the fleet file declares no child {request.child}",
            "write it there first: an import needs to know its wish",
        )
    _refuse_if_expired(spec, ports)
    server = _server(request, fleet, ports)
    _refuse_if_taken(request, server, fleet, ports)
    run = ports.clock.token()
    work = arrival(fleet, spec, server, _given(request, server), run, ports)
    _note(ports, run, "import-started", spec, server=server.id, name=server.name, uid=str(work.future.uid))
    try:
        _run(work, spec, run)
    finally:
        if work.host is not None:
            work.host.close()
    _note(ports, run, "import-done", spec, server=work.server.id, name=work.server.name)
    assert work.survey is not None
    return Imported(spec.name, work.server, work.survey)


def _run(work: Arrival, spec: ChildSpec, run: str) -> None:
    ports = work.ports
    for name, ensure in STEPS:
        started = ports.clock.monotonic()
        try:
            ensure(work)
        except FleetError as error:
            _note(ports, run, "import-failed", spec, step=name, error=error.summary)
            raise
        seconds = ports.clock.monotonic() - started
        _note(ports, run, "import-step", spec, step=name)
        ports.progress(spec.name, name, seconds)


def _refuse_if_expired(spec: ChildSpec, ports: Ports) -> None:
    """The next apply would delete the server and the memory on it, unless it is protected."""
    if spec.expires is not None and spec.expires <= ports.clock.now() and not spec.protect:
        raise Refused(
            f"child {spec.name} has expired on {spec.expires:%Y-%m-%d %H:%M} UTC: "
            "the next apply would delete the imported server",
            "give it a later `expires` in the fleet file, or none",
        )


def _server(request: Request, fleet: Fleet, ports: Ports) -> Server:
    wanted = request.name_or_id
    found = ports.cloud.server_named(wanted)
    if found is None and wanted.isdecimal():
        found = ports.cloud.server(int(wanted))
    if found is None:
        ours = server_name(fleet, request.child)
        raise NotFound(
            f"there is no server with the name or id {wanted}",
            f"look into the cloud's console; when an earlier import has ended it is called {ours} now",
        )
    if found.status is not ServerStatus.RUNNING:
        raise Refused(f"server {found.name} is {found.status}", "switch it on and import it then")
    if found.address is None:
        raise HostError(f"server {found.name} has no address", "give it a public one")
    return found


def _refuse_if_taken(request: Request, server: Server, fleet: Fleet, ports: Ports) -> None:
    fleet_id = keys.fleet_id(ports.fleet_key)
    owner = server.label("fleet-id")
    if owner == fleet_id:
        raise Refused(f"server {server.name} is child {server.child} of this fleet already", "nothing was changed")
    if owner is not None and not request.take_over:
        raise Refused(
            f"server {server.name} belongs to the fleet with id {owner}, not to this one ({fleet_id})",
            "use the fleet key it was made with (fleet key recover); if that is lost for good: --take-over",
        )
    owned = settle(fleet, ports.cloud.servers(fleet_id)).get(request.child)
    namesake = ports.cloud.server_named(server_name(fleet, request.child))
    existing = owned.server if owned else namesake
    if existing is not None and existing.id != server.id:
        how = ", which `moved` gives it" if existing.child in former_names(fleet, request.child) else ""
        raise Refused(
            f"child {request.child} has a server already: {existing.name}{how}", "import this one as another child"
        )


def _given(request: Request, server: Server) -> HostAddress:
    assert server.address is not None, "servers without one were refused"
    return HostAddress(server.address, request.port, request.user, (request.identity,), (request.host_key,))


def _note(ports: Ports, run: str, event: str, spec: ChildSpec, **fields: Json) -> None:
    at = ports.clock.now().isoformat()
    by = {"by": ports.operator} if event == "import-started" else {}
    ports.store.append(Event(event, at, run, {"child": spec.name, **fields, **by}), durable=True)


__all__: Final = ["Imported", "Request", "Survey", "take_in"]
