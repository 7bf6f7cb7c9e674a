"""Which first apply has not ended; and no request is spent on a server whose first apply goes well.

A run that makes servers says so once, by a label on the fleet's default firewall, and takes it away in the end. What it
made carries its id (label `nonce`), and counts as unfinished meanwhile, and after the run has died, unless its host or
its record tells of an apply that ended. A server that a run leaves unfinished gets the label `unfinished` of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from reconciler import keys
from reconciler.errors import NotFound
from reconciler.model import LABEL_PREFIX, Change, Child, Firewall, Fleet, Json, Record, Server
from reconciler.parallel import in_parallel
from reconciler.ports import Ports

UNFINISHED: Final = LABEL_PREFIX + "unfinished"
_MARK: Final = LABEL_PREFIX + "run-"
_WORKERS: Final = 32


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run has ended: ids of servers on which a first apply has `finished`, and of those where none has (`left`).

    Servers in neither were not looked at. `made_all`: it has made and finished whatever it was to make.
    """

    run: str
    finished: frozenset[int]
    left: frozenset[int]
    made_all: bool


def open_runs(fleet: Fleet, firewalls: Iterable[Firewall]) -> frozenset[str]:
    """The runs that have said that they make servers, and not yet that they have ended. Pure."""
    labels = (name for firewall in firewalls if firewall.name == fleet.name for name in firewall.labels)
    return frozenset(name.removeprefix(_MARK) for name in labels if name.startswith(_MARK))


def may_be_unfinished(server: Server, runs: Collection[str], record: Record | None) -> bool:
    """As far as can be told without its host: then its first host key must be taken. Pure."""
    if server.is_unfinished:
        return True
    return server.label("nonce") in runs and (record is None or record.server_id != server.id)


def run_changes(
    fleet: Fleet, runs: frozenset[str], children: Iterable[Child], others: Iterable[Server] = ()
) -> tuple[Change, ...]:
    """For Plan.shared: open runs that have nothing left to finish, as far as this look goes. Pure.

    They were cut off at their very end, or are at work somewhere else. `others` are servers that nobody has looked at.
    """
    waited_for = {child.server.label("nonce") for child in children if child.server and child.is_unfinished}
    over = sorted(runs - waited_for - {server.label("nonce") for server in others})
    return (Change(f"firewall {fleet.name}: open runs", list[Json](over), []),) if over else ()


def open_run(fleet: Fleet, ports: Ports, run: str) -> None:
    """Before the run makes its first server. The default firewall must be there. Raises CloudError."""
    firewall = _default(fleet, ports.cloud.firewalls(keys.fleet_id(ports.fleet_key)))
    ports.cloud.label_firewall(firewall.id, {**firewall.labels, _MARK + run: "true"})


def close_runs(fleet: Fleet, ports: Ports, firewalls: Collection[Firewall], ending: Ending) -> None:
    """After all is done: what is left unfinished says so itself, and then no run is open any more.

    Another run than that of the ending stays open while it has a server that nobody has looked at. Raises CloudError.
    """
    runs = open_runs(fleet, firewalls)
    if not runs:
        return
    is_plain = ending.made_all and runs == {ending.run}
    kept = frozenset() if is_plain else _label_unfinished(ports, runs, ending)
    firewall, marks = _default(fleet, firewalls), {_MARK + run for run in runs - kept}
    labels = {name: value for name, value in firewall.labels.items() if name not in marks}
    if labels != firewall.labels:
        ports.cloud.label_firewall(firewall.id, labels)


def _label_unfinished(ports: Ports, runs: frozenset[str], ending: Ending) -> frozenset[str]:
    """The runs that must stay open. Every server is listed: one may have been made whose answer was lost."""
    servers = ports.cloud.servers(keys.fleet_id(ports.fleet_key))
    of_runs = (server for server in servers if server.label("nonce") in runs and not server.is_unfinished)
    open_ones = [server for server in of_runs if server.id not in ending.finished]
    known = [server for server in open_ones if server.id in ending.left or server.label("nonce") == ending.run]
    in_parallel(lambda server: _say_unfinished(ports, server), known, _WORKERS)
    return frozenset(str(server.label("nonce")) for server in open_ones if server not in known)


def _say_unfinished(ports: Ports, server: Server) -> None:
    try:
        ports.cloud.set_labels(server.id, {**server.labels, UNFINISHED: "true"})
    except NotFound:
        return  # somebody has deleted it since the listing


def _default(fleet: Fleet, firewalls: Iterable[Firewall]) -> Firewall:
    found = next((firewall for firewall in firewalls if firewall.name == fleet.name), None)
    if found is None:
        raise NotFound(f"firewall {fleet.name} is gone", "apply again: it makes a new one")
    return found
