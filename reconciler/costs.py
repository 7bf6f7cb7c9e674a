"""What a fleet costs, from the cloud's list prices of now: every server that is there, whoever it is of. Pure.

A server that is off costs the same (Hetzner bills it in full). Traffic costs what is sent beyond what is included, by
the tebibyte, as the cloud counts both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from reconciler.model import Catalog, Costs, CostSum, Fleet, Server, ServerCost, Spending
from reconciler.offers import candidates
from reconciler.ownership import Owned
from reconciler.planner.money import CENT, ZERO, cost, total

TEBIBYTE: Final = Decimal(1 << 40)
KEYS: Final[Mapping[str, Callable[[ServerCost], str]]] = {
    "child": lambda row: row.child,
    "group": lambda row: row.group or "-",
    "region": lambda row: row.server.region,
}


def costs_of(fleet: Fleet, servers: Iterable[Server], owned: Mapping[str, Owned], catalog: Catalog) -> Costs:
    """Of all of them, each once, by child; where it is in doubt whose one is, by the name that it has itself."""
    rows = []
    for server in servers:
        owner = owner_of(server, owned)
        role = _role(fleet, owner, owned[owner], server) if owner in owned else "in doubt: fleet plan says why"
        rows.append(_row(fleet, owner, server, role, catalog))
    return Costs(catalog.currency, tuple(sorted(rows, key=_place)), _typical(fleet, catalog))


def owner_of(server: Server, owned: Mapping[str, Owned]) -> str:
    """The child that it belongs to; what it calls itself where that is in doubt."""
    owners = [name for name, found in sorted(owned.items()) if any(it.id == server.id for it in found.servers)]
    sure = [name for name in owners if owned[name].obstacle is None]
    return next(iter((*sure, *owners)), server.child or server.name)


def _place(row: ServerCost) -> tuple[str, bool, int]:
    return row.child, bool(row.role), row.server.id


def with_spending(costs: Costs, spending: Mapping[str, Spending]) -> Costs:
    """The same, with what gateways have counted; the servers beside a child's own have no gateway that counts."""
    rows = (replace(row, spending=None if row.role else spending.get(row.child)) for row in costs.rows)
    return replace(costs, rows=tuple(rows))


def sums(rows: Iterable[ServerCost], by: str) -> list[CostSum]:
    """One for each child, group or region, in their order."""
    found = dict[str, list[ServerCost]]()
    for row in rows:
        found.setdefault(KEYS[by](row), []).append(row)
    return [_sum(key, of_key) for key, of_key in sorted(found.items())]


def in_all(rows: Iterable[ServerCost]) -> CostSum:
    return _sum("in all", list(rows))


def _sum(key: str, rows: list[ServerCost]) -> CostSum:
    return CostSum(key, len(rows), total(row.monthly for row in rows), total(row.traffic for row in rows))


def _row(fleet: Fleet, name: str, server: Server, role: str, catalog: Catalog) -> ServerCost:
    where = catalog, server.server_type, server.region
    machine = cost(*where, ipv4=False, backups=False)
    alone = cost(*where, ipv4=True, backups=False) if server.ipv4 else machine
    whole = cost(*where, ipv4=server.ipv4, backups=server.backups)
    spec = fleet.children.get(name)
    return ServerCost(
        child=name,
        server=server,
        group=(spec.group or "") if spec else "",
        machine=machine,
        ipv4=_difference(alone, machine),
        backups=_difference(whole, alone),
        traffic=_traffic(server, catalog),
        role=role,
    )


def _role(fleet: Fleet, name: str, found: Owned, server: Server) -> str:
    if server.is_throwaway:
        return "a throw-away of a drill"
    if found.server is None or server.id != found.server.id:
        return "left of a replacement"
    return "" if name in fleet.children else "not in the fleet file"


def _traffic(server: Server, catalog: Catalog) -> Decimal | None:
    over = server.outgoing - server.included
    if over <= 0:
        return ZERO
    kind = catalog.types.get(server.server_type)
    price = kind.traffic.get(server.region) if kind else None
    return None if price is None else (Decimal(price) * Decimal(over) / TEBIBYTE).quantize(CENT, ROUND_HALF_UP)


def _typical(fleet: Fleet, catalog: Catalog) -> tuple[str, str, Decimal] | None:
    """One more child as most are: None without any, or without a price."""
    kinds = Counter(
        (*next(candidates(spec, catalog), (spec.server_types[0], spec.regions[0])), spec.ipv4, spec.backups)
        for _, spec in sorted(fleet.children.items())
    )
    for (server_type, region, ipv4, backups), _ in kinds.most_common(1):
        amount = cost(catalog, server_type, region, ipv4=ipv4, backups=backups)
        return None if amount is None else (server_type, region, amount)
    return None


def _difference(more: Decimal | None, less: Decimal | None) -> Decimal | None:
    return None if more is None or less is None else more - less
