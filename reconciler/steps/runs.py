"""Which first apply has not ended; and no request is spent on a server whose first apply goes well.

A run that makes servers says so once, by a label on the fleet's default firewall, and takes it away in the end. What it
made carries its id (label `nonce`), and counts as unfinished meanwhile, and after the run has died, unless its host or
its record tells of an apply that ended. A server that a run leaves unfinished gets the label `unfinished` of its own.

What nobody can tell keeps a run open: a mark too many makes a child wait, a mark too few locks us out of a new server.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from reconciler import keys
from reconciler.errors import NotFound
from reconciler.ids import ID_FORMAT, moment_of
from reconciler.model import LABEL_PREFIX, UNTOUCHED, Change, Child, Firewall, Fleet, Json, Record, Server
from reconciler.parallel import in_parallel
from reconciler.ports import Ports

UNFINISHED: Final = LABEL_PREFIX + "unfinished"
LONGEST_RUN: Final = timedelta(hours=2)  # of another state directory; a thousand servers take some minutes
_FLEET: Final = LABEL_PREFIX + "fleet"
_MARK: Final = LABEL_PREFIX + "run-"
_WORKERS: Final = 32

Runs = Mapping[str, datetime]  # open run -> since when


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run has ended: ids of servers on which a first apply has `finished`, and of those where it failed (`left`).

    Of servers in neither nobody knows. `started`: those where a gateway may have been. `made_all`: it has made and
    finished whatever it was to make.
    """

    run: str
    finished: frozenset[int]
    left: frozenset[int]
    started: frozenset[int]
    made_all: bool


def fleet_firewalls(fleet: Fleet, ports: Ports) -> tuple[Firewall, ...]:
    """This fleet's, by its id and its name: two fleets with one key have the same id. Raises CloudError."""
    same_key = ports.cloud.firewalls(keys.fleet_id(ports.fleet_key))
    return tuple(firewall for firewall in same_key if firewall.labels.get(_FLEET) == fleet.name)


def open_runs(fleet: Fleet, firewalls: Iterable[Firewall]) -> Runs:
    """The runs that have said that they make servers, and not yet that they have ended. Pure."""
    labels = (label for firewall in firewalls if firewall.name == fleet.name for label in firewall.labels.items())
    return {name.removeprefix(_MARK): _since(value) for name, value in labels if name.startswith(_MARK)}


def may_be_unfinished(server: Server, runs: Collection[str], record: Record | None) -> bool:
    """As far as can be told without its host: then its first host key must be taken. Pure."""
    if server.is_unfinished:
        return True
    return server.label("nonce") in runs and (record is None or record.server_id != server.id)


def run_changes(
    fleet: Fleet, runs: Runs, children: Iterable[Child], others: Iterable[Server], now: datetime
) -> tuple[Change, ...]:
    """For Plan.shared: runs that were cut off long ago and have nothing left to finish, as far as is known. Pure.

    `others` are servers that nobody has looked at.
    """
    waited_for = {child.server.label("nonce") for child in children if child.server and child.is_unfinished}
    unknown = {server.label("nonce") for server in others}
    over = sorted({run for run, since in runs.items() if now - since > LONGEST_RUN} - waited_for - unknown)
    return (Change(f"firewall {fleet.name}: open runs", list[Json](over), []),) if over else ()


def open_run(fleet: Fleet, ports: Ports, run: str) -> None:
    """Before the run makes its first server. The default firewall must be there. Raises CloudError."""
    firewall = _default(fleet, fleet_firewalls(fleet, ports))
    ports.cloud.label_firewall(firewall.id, {**firewall.labels, _MARK + run: f"{ports.clock.now():{ID_FORMAT}}"})


def close_runs(fleet: Fleet, ports: Ports, firewalls: Collection[Firewall], ending: Ending) -> None:
    """After all is done: what failed says so itself, and then the run is not open any more.

    Nor is any other one that has certainly died, if all of its servers are known to be finished or say that they are
    not. The caller holds the lock. Raises CloudError.
    """
    runs = open_runs(fleet, firewalls)
    over = {run for run in runs if run == ending.run} | _dead(runs.keys() - {ending.run}, runs, ports)
    if not ending.made_all or over - {ending.run}:
        over -= _label_unfinished(ports, over | {ending.run}, ending)
    if over:
        firewall, marks = _default(fleet, firewalls), {_MARK + run for run in over}
        labels = {name: value for name, value in firewall.labels.items() if name not in marks}
        ports.cloud.label_firewall(firewall.id, labels)


def _since(value: str) -> datetime:
    """Of what is no time, long ago."""
    return moment_of(value) or datetime.fromtimestamp(0, UTC)


def _dead(others: Collection[str], runs: Runs, ports: Ports) -> set[str]:
    """Those that began long ago, and those of this state directory: we hold its lock."""
    if not others:
        return set()
    ours, now = {event.run for event in ports.store.events()}, ports.clock.now()
    return {run for run in others if run in ours or now - runs[run] > LONGEST_RUN}


def _label_unfinished(ports: Ports, runs: Collection[str], ending: Ending) -> set[str]:
    """The runs of which somebody is not known. Every server is listed: one may have been made whose answer was lost."""
    servers = ports.cloud.servers(keys.fleet_id(ports.fleet_key))
    of_runs = (server for server in servers if server.label("nonce") in runs and not server.is_unfinished)
    open_ones = [server for server in of_runs if server.id not in ending.finished]
    known = [server for server in open_ones if server.id in ending.left or server.label("nonce") == ending.run]
    in_parallel(lambda server: _say_unfinished(ports, server, ending), known, _WORKERS)
    return {str(server.label("nonce")) for server in open_ones if server not in known}


def _say_unfinished(ports: Ports, server: Server, ending: Ending) -> None:
    """And, of one that this run has made, whether a gateway may have started: what nobody was told needs no copy."""
    is_untouched = server.label("nonce") == ending.run and server.id not in ending.started
    try:
        ports.cloud.set_labels(server.id, {**server.labels, UNFINISHED: UNTOUCHED if is_untouched else "true"})
    except NotFound:
        return  # somebody has deleted it since the listing


def _default(fleet: Fleet, firewalls: Iterable[Firewall]) -> Firewall:
    found = next((firewall for firewall in firewalls if firewall.name == fleet.name), None)
    if found is None:
        raise NotFound(f"firewall {fleet.name} is gone", "apply again: it makes a new one")
    return found
