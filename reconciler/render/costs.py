"""What a fleet costs, for people, spreadsheets and machines."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Final

from rich.text import Text

from reconciler.costs import TEBIBYTE, in_all, sums
from reconciler.model import Besides, Costs, CostSum, Json, ServerCost, ServerStatus, Spending
from reconciler.planner.money import as_text, keeps_old_price
from reconciler.render.table import NO_CELL, Sheet
from reconciler.render.text import harmless

UNKNOWN: Final = "?"
FLEETS: Final = (1, 10, 100)
_SERVERS: Final = ("CHILD", "TYPE", "MONTH", "IPV4", "BACKUPS", "TRAFFIC", "REGION", "STATE")
_FIELDS: Final = (
    *("child", "server", "id", "group", "region", "type", "status", "role"),
    *("machine", "ipv4", "backups", "monthly", "traffic", "currency", "model_usd", "model_limit_usd"),
    *("sent_tib", "included_tib"),
)


def server_table(costs: Costs) -> Sheet:
    """A row for each server, and one for all of them."""
    counts = any(row.spending for row in costs.rows)
    columns = (*_SERVERS[:6], *(("MODEL (USD)",) if counts else ()), *_SERVERS[6:])
    rows = [_row(row, with_spending=counts) for row in costs.rows]
    every = in_all(costs.rows)
    last = [every.key, NO_CELL, _amount(every.monthly), "", "", _amount(every.traffic)]
    last += [_spent_in_all(costs.rows)] if counts else []
    return Sheet(columns, (*rows, tuple(Text(cell) for cell in (*last, "", ""))))


def sum_table(costs: Costs, by: str) -> Sheet:
    """A row for each child, group or region, and one for all."""
    found = [*sums(costs.rows, by), in_all(costs.rows)]
    return Sheet((by.upper(), "SERVERS", "MONTH", "TRAFFIC"), tuple(map(_sum_row, found)))


def notes(costs: Costs) -> Iterator[str]:
    """What a person should know of these numbers."""
    yield f"A month at the list prices of now, net, in {costs.currency}; IPV4 and BACKUPS are in MONTH."
    yield "TRAFFIC is what was sent this month beyond what is included."
    most = max(costs.rows, key=lambda row: row.server.outgoing / max(1, row.server.included), default=None)
    if most is not None and most.server.included:
        share = f"{_tebibytes(most.server.outgoing)} of the {_tebibytes(most.server.included)} TiB that are included"
        yield f"Nearest to that is {harmless(most.child)}: it has sent {share}."
    off = [row.child for row in costs.rows if row.server.status is ServerStatus.OFF and not row.role]
    if off:
        names = ", ".join(map(harmless, off))
        yield f"Off, and just as dear: {names}. `fleet hibernate` ends that, and keeps the memory."
    for row in costs.rows:
        if row.role:
            name = f"{harmless(row.server.name)} ({row.server.id})"
            yield f"{name}, {as_text(row.monthly) or UNKNOWN} a month, is {row.role}."
    old = sum(keeps_old_price(row.server) for row in costs.rows)
    if old:
        yield f"{old} of them were ordered before the prices rose, and may cost less."
    yield from _besides(costs)
    yield from _budget(costs)
    if costs.typical is not None:
        kind, region, each = costs.typical
        yield f"Children as most in the fleet file are ({harmless(kind)} in {harmless(region)}):"
        yield from (f"  {count:>3}: {each * count:.2f} a month, {each * count * 12:.2f} a year" for count in FLEETS)


def _besides(costs: Costs) -> Iterator[str]:
    if costs.besides_problem:
        yield f"What the project has besides is not known: {harmless(costs.besides_problem)}"
    if not costs.besides:
        return
    amounts = [it.monthly for it in costs.besides]
    known = sum((it for it in amounts if it is not None), Decimal("0.00"))
    more = " and more" if None in amounts else ""
    yield f"In the project besides, whoever it is of, for {known}{more} a month:"
    for it in sorted(costs.besides, key=lambda it: (it.kind, it.id)):
        size = f", {it.size_gb:.1f} GB" if it.size_gb is not None else ""
        loose = "" if it.kind == "snapshot" else ", attached to nothing"
        place = loose if it.at is None else f", at server {it.at}"
        name = f" {harmless(it.name)}" if it.name else ""
        yield f"  {it.kind}{name} ({it.id}){size}{place}: {as_text(it.monthly) or UNKNOWN}"


def _budget(costs: Costs) -> Iterator[str]:
    if costs.budget is None:
        return
    now = in_all(costs.rows).monthly
    over = " It is more than that: nothing that raises it is applied." if now is not None and now > costs.budget else ""
    yield f"The fleet file allows {costs.budget} a month for its servers (policy: max_monthly).{over}"


def cost_json(costs: Costs, by: str) -> dict[str, Json]:
    kind = costs.typical
    return {
        "currency": costs.currency,
        "servers": [dict(_fields(row, costs.currency)) for row in costs.rows],
        "by": by,
        "sums": [_sum_json(found) for found in sums(costs.rows, by)],
        "in_all": _sum_json(in_all(costs.rows)),
        "budget": as_text(costs.budget),
        "besides": None if costs.besides is None else [_besides_json(it) for it in costs.besides],
        "typical": None if kind is None else {"type": kind[0], "region": kind[1], "monthly": str(kind[2])},
    }


def cost_csv(costs: Costs) -> str:
    """A line for each server, with a heading. No cell begins as what a spreadsheet takes for a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_FIELDS)
    for row in costs.rows:
        writer.writerow(_cell(value) for value in _fields(row, costs.currency).values())
    return text.getvalue()


def _besides_json(it: Besides) -> dict[str, Json]:
    return {
        "kind": it.kind, "id": it.id, "name": it.name, "region": it.region, "at": it.at,
        "size_gb": as_text(it.size_gb), "monthly": as_text(it.monthly),
    }  # fmt: skip


def _fields(row: ServerCost, currency: str) -> dict[str, Json]:
    server, spending = row.server, row.spending or Spending()
    values: tuple[Json, ...] = (
        *(
            row.child,
            server.name,
            server.id,
            row.group,
            server.region,
            server.server_type,
            str(server.status),
            row.role,
        ),
        *map(as_text, (row.machine, row.ipv4, row.backups, row.monthly, row.traffic)),
        *(currency, as_text(spending.amount), as_text(spending.limit)),
        *(_tebibytes(server.outgoing), _tebibytes(server.included)),
    )
    return dict(zip(_FIELDS, values, strict=True))


def _tebibytes(size: int) -> str:
    return f"{size / TEBIBYTE:.3f}"


def _cell(value: Json) -> str:
    text = "" if value is None else harmless(str(value))
    return f"'{text}" if text[:1] in {"=", "+", "-", "@"} else text


def _sum_json(found: CostSum) -> dict[str, Json]:
    return {
        "key": found.key,
        "servers": found.servers,
        "monthly": as_text(found.monthly),
        "traffic": as_text(found.traffic),
    }


def _row(row: ServerCost, *, with_spending: bool) -> tuple[Text, ...]:
    server = row.server
    cells = [harmless(row.child), harmless(server.server_type), *map(_amount, (row.monthly, row.ipv4, row.backups))]
    cells += [_amount(row.traffic)]
    cells += [_spent(row.spending)] if with_spending else []
    return tuple(Text(cell) for cell in (*cells, harmless(server.region), row.role or str(server.status)))


def _sum_row(found: CostSum) -> tuple[Text, ...]:
    cells = (harmless(found.key), str(found.servers), _amount(found.monthly), _amount(found.traffic))
    return tuple(map(Text, cells))


def _spent(spending: Spending | None) -> str:
    if spending is None:
        return NO_CELL
    if spending.amount is None:
        return UNKNOWN
    limit = f" of {spending.limit}" if spending.limit is not None else ""
    return f"{spending.amount:.2f}{limit}{'' if spending.is_complete else ', counting'}"


def _spent_in_all(rows: Iterable[ServerCost]) -> str:
    known = [row.spending.amount for row in rows if row.spending is not None]
    amounts = [amount for amount in known if amount is not None]
    return f"{sum(amounts, Decimal(0)):.2f}{'' if len(amounts) == len(known) else ' and more'}"


def _amount(amount: Decimal | None) -> str:
    return as_text(amount) or UNKNOWN
