"""What servers cost in a month, net, from the catalogue's list prices. Pure, in Decimal; unknown is None and never 0.

Each server is rounded to the cent, as on a bill, and all else are sums and differences of such: so what a person reads
adds up, and the total that a plan announces is the one that the next plan finds.
A server that is off costs as much as one that runs (Hetzner bills it in full).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from reconciler.model import Action, Catalog, Child, ChildSpec, Kind, Server
from reconciler.steps.comparison import BACKUPS_PATH

# From this day on Hetzner charges more for new orders and rescales; servers ordered before keep their old price, and
# the API shows list prices only (facts from Hetzner's announcement as quoted by cloudtally.eu, 2026-05-28).
PRICE_RISE: Final = datetime(2026, 6, 15, tzinfo=UTC)
CENT: Final = Decimal("0.01")
ZERO: Final = Decimal("0.00")


def cost(catalog: Catalog | None, server_type: str, region: str, *, ipv4: bool, backups: bool) -> Decimal | None:
    """A server's list price in a month with its IPv4 and the cloud's backups, to the cent; None when a part of it is
    unknown.
    """
    kind = catalog.types.get(server_type) if catalog else None
    price = kind.monthly.get(region) if kind else None
    address = catalog.ipv4_monthly.get(region) if catalog and ipv4 else "0"
    if catalog is None or price is None or address is None:
        return None
    factor = 1 + Decimal(catalog.backup_percent) / 100 if backups else Decimal(1)
    return (Decimal(price) * factor + Decimal(address)).quantize(CENT, ROUND_HALF_UP)


def server_cost(catalog: Catalog | None, server: Server) -> Decimal | None:
    return cost(catalog, server.server_type, server.region, ipv4=server.ipv4, backups=server.backups)


def difference(action: Action, child: Child, catalog: Catalog | None) -> Decimal | None:
    """What this action changes in the bill of a month."""
    if not _is_about_money(action, child):
        return ZERO  # also where the price is unknown: it stays what it is
    servers = (*([child.server] if child.server else []), *child.leftovers)
    before = total(server_cost(catalog, server) for server in servers)
    after = _cost_afterwards(action, child, catalog)
    return None if before is None or after is None else after - before


def has_backups_afterwards(action: Action, spec: ChildSpec, server: Server | None) -> bool:
    """As the file says, or as they are where that is left to a person."""
    return server.backups if server and BACKUPS_PATH in action.left_alone else spec.backups


def keeps_old_price(server: Server) -> bool:
    """Whether it may cost less than the list says, as long as it is neither resized nor made anew."""
    return server.created < PRICE_RISE


def total(costs: Iterable[Decimal | None]) -> Decimal | None:
    """The sum; None as soon as one of them is unknown."""
    result = ZERO
    for amount in costs:
        if amount is None:
            return None
        result += amount
    return result


def as_text(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)


def _is_about_money(action: Action, child: Child) -> bool:
    moves = action.kind in (Kind.REPLACE, Kind.RESIZE, Kind.HIBERNATE, Kind.DESTROY)
    if moves or child.server is None or child.spec is None:
        return True
    if child.leftovers and action.kind is not Kind.STOP:
        return True
    return child.server.backups != has_backups_afterwards(action, child.spec, child.server)


def _cost_afterwards(action: Action, child: Child, catalog: Catalog | None) -> Decimal | None:
    spec, server = child.spec, child.server
    if action.kind in (Kind.HIBERNATE, Kind.DESTROY) or spec is None:
        return ZERO
    new = server is None or action.kind is Kind.REPLACE
    server_type = action.server_type or (server.server_type if server else spec.server_types[0])
    region = action.region or (server.region if server else spec.regions[0])
    ipv4 = spec.ipv4 if new or server is None else server.ipv4
    backups = has_backups_afterwards(action, spec, server)
    return cost(catalog, server_type, region, ipv4=ipv4, backups=backups)
