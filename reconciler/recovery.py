"""Is this the fleet key? The cloud's labels say, and a login to one of the servers proves it. Changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from reconciler import keys
from reconciler.commands.importing import prove_root
from reconciler.errors import HostError
from reconciler.model import Fleet, Server, ServerStatus
from reconciler.ports import Ports
from reconciler.steps.runs import fleet_firewalls, may_be_unfinished, open_runs
from reconciler.steps.server import server_name
from reconciler.steps.work import CONNECT_TIMEOUT, address_of

LOGINS: Final = 3  # servers at which a login is tried


@dataclass(frozen=True, slots=True)
class Recognition:
    """`children` have a server with the fleet-id of the key; `login` is where it got in, else `refusals` say why not.

    Where it knows no server, `others` maps servers with the names of this fleet to the fleet-id that they do carry.
    """

    fleet_id: str
    children: tuple[str, ...] = ()
    login: str | None = None
    refusals: tuple[str, ...] = ()
    others: Mapping[str, str | None] | None = None


def recognise(fleet: Fleet, ports: Ports) -> Recognition:
    """By the fleet key in `ports`. Raises CloudError."""
    fleet_id = keys.fleet_id(ports.fleet_key)
    servers = ports.cloud.servers(fleet_id)
    if not servers:
        return Recognition(fleet_id, others=_namesakes(fleet, ports))
    children = tuple(sorted(server.child or server.name for server in servers))
    refusals = []
    running = sorted((server for server in servers if server.status is ServerStatus.RUNNING), key=lambda it: it.name)
    runs = open_runs(fleet, fleet_firewalls(fleet, ports))
    for server in running[:LOGINS]:
        problem = _login_problem(server, fleet, ports, may_be_unfinished(server, runs, None))
        if problem is None:
            return Recognition(fleet_id, children, login=server.child)
        refusals.append(problem)
    return Recognition(fleet_id, children, refusals=tuple(refusals))


def _login_problem(server: Server, fleet: Fleet, ports: Ports, first_boot: bool) -> str | None:
    try:
        host = ports.dialer.connect(address_of(server, fleet, ports, first_boot), CONNECT_TIMEOUT)
        try:
            host.run(prove_root())
        finally:
            host.close()
    except HostError as error:
        return error.summary
    return None


def _namesakes(fleet: Fleet, ports: Ports) -> dict[str, str | None]:
    found = ports.cloud.servers_named([server_name(fleet, child) for child in fleet.children])
    return {server.name: server.label("fleet-id") for server in found}
