"""What a fleet costs in a month, server by server."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from reconciler.model.cloud import Server


@dataclass(frozen=True, slots=True)
class Spending:
    """What a child's gateway has counted of its model in this calendar month, in US dollars; or why nobody knows.

    `limit` is what the fleet file allows. Not `is_complete`: it still counts.
    """

    amount: Decimal | None = None
    limit: Decimal | None = None
    is_complete: bool = True
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ServerCost:
    """One server's list price in a month, net, in the account's currency; None is unknown, and never 0.

    `backups` is what the cloud's backups of it cost, `traffic` what it has sent beyond what is included until now.
    `role` says why it is there where that is not as the child of the fleet file: "" for that.
    """

    child: str
    server: Server
    group: str
    machine: Decimal | None
    ipv4: Decimal | None
    backups: Decimal | None
    traffic: Decimal | None
    role: str = ""
    spending: Spending | None = None

    @property
    def monthly(self) -> Decimal | None:
        """What it costs whatever it does."""
        parts = (self.machine, self.ipv4, self.backups)
        return None if None in parts else sum((part for part in parts if part is not None), Decimal("0.00"))


@dataclass(frozen=True, slots=True)
class CostSum:
    """Of several servers: `key` is the child, group or region that they share."""

    key: str
    servers: int
    monthly: Decimal | None
    traffic: Decimal | None


@dataclass(frozen=True, slots=True)
class Besides:
    """What costs something in the project and is no server: of whomever, for nothing of this tool makes any.

    `kind` is a snapshot, volume, primary IP or floating IP; `at` the server that it is attached to, by id.
    """

    kind: str
    id: int
    name: str
    region: str = ""
    size_gb: Decimal | None = None
    monthly: Decimal | None = None
    at: int | None = None


@dataclass(frozen=True, slots=True)
class Costs:
    """`typical` is one more child as most of the fleet file's are: its server type and region, and its price.

    `besides` is None where nobody has asked for it; `budget` is what the fleet file allows in a month.
    """

    currency: str
    rows: tuple[ServerCost, ...]
    typical: tuple[str, str, Decimal] | None = None
    besides: tuple[Besides, ...] | None = None
    besides_problem: str = ""  # why nobody can tell
    budget: Decimal | None = None
