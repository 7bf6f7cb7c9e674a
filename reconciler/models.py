"""What gateways have spent on models in this calendar month, as they count it themselves."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from reconciler import commands
from reconciler.errors import FleetError, HostError
from reconciler.model import Fleet, Spending
from reconciler.ports import Host, OnEach

_MOST: Final = 10**9  # US dollars in a month


def spending(fleet: Fleet, names: Iterable[str], on_each: OnEach, now: datetime) -> dict[str, Spending]:
    """By child; what goes wrong with one is said of that one. Raises CloudError."""
    period = {"mode": "specific", "startDate": f"{now:%Y-%m}-01", "endDate": f"{now:%Y-%m-%d}", "agentScope": "all"}

    def ask(name: str, host: Host) -> Spending:
        limit = fleet.children[name].model.spend_limit
        try:
            said: Any = json.loads(host.run(commands.gateway_rpc("usage.cost", dict(period))).stdout)
            amount = _amount(said["payload"]["totals"]["totalCost"])
            is_complete = said["payload"]["cacheStatus"]["status"] == "fresh"
        except (ValueError, RecursionError, KeyError, TypeError) as error:
            raise HostError("its gateway does not say what it has spent", f"fleet status {name}") from error
        return Spending(amount, limit, is_complete)

    answers = on_each(names, ask)
    return {
        name: Spending(problem=answer.summary) if isinstance(answer, FleetError) else answer
        for name, answer in answers.items()
    }


def _amount(said: Any) -> Decimal:
    """US dollars; raises ValueError for what can be none."""
    if isinstance(said, bool) or not isinstance(said, int | float) or not 0 <= said < _MOST:
        raise ValueError("no amount")
    return Decimal(str(said))
