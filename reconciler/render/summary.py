"""A plan in a few sentences: how many of each kind, what it costs, what it takes. For every format but JSON."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Final

from reconciler.model import Action, Kind, Plan, Severity
from reconciler.render.text import count_text

ORDER: Final = tuple(Kind)
WORST_FIRST: Final = (Severity.ERROR, Severity.REFUSED, Severity.WARNING, Severity.NOTE)
REFUSED: Final = "The fleet's policy refuses this plan: nothing of it will be applied."


def counts(plan: Plan) -> str:
    """`2 to create, 1 firewall to make`."""
    numbers = {kind: sum(action.kind is kind for action in plan.actions) for kind in ORDER}
    parts = [f"{number} to {kind}" for kind, number in numbers.items() if number]
    if plan.shared:
        parts.append(_firewalls(plan))
    return ", ".join(parts)


def shared_kind(plan: Plan) -> Kind:
    """What happens to the fleet's firewalls, where it is the same for all that change; else they are updated."""
    if all(change.before is None for change in plan.shared):
        return Kind.CREATE
    return Kind.DESTROY if all(change.after is None for change in plan.shared) else Kind.UPDATE


def nothing_to_do(plan: Plan) -> str:
    """Said instead of actions."""
    if any(found.severity is not Severity.NOTE for found in plan.diagnostics):
        return "No changes planned; see above for what stands in the way."
    return f"No changes: {count_text(len(plan.sync), 'child', 'children')} as the fleet file says."


def monthly(action: Action, plan: Plan) -> str | None:
    """`+5.99 EUR a month`; None where an action changes nothing about it."""
    if action.monthly is None:
        return "? a month: its price is not known"
    amount = Decimal(action.monthly)
    return None if amount == 0 else f"{amount:+} {plan.currency} a month"


def costs(plan: Plan) -> str:
    """The fleet's bill of a month and what the plan changes in it. What is not known is said, and is never 0."""
    if plan.currency is None:
        return "Costs: ? (the cloud's prices could not be read)."
    total = "?" if plan.total is None else f"{plan.total} {plan.currency}"
    basis = ["list prices, net"]
    if plan.total is None or (plan.actions and plan.monthly is None):
        basis.append("? where the cloud names no price")
    if plan.old_prices:
        basis.append(f"{count_text(plan.old_prices, 'older server')} may cost less")
    return f"Costs: {total} a month{_change(plan)} ({'; '.join(basis)})."


def in_batches(plan: Plan) -> str:
    """How another version goes through the fleet; empty where it does so in one batch."""
    sizes = Counter(action.batch for action in plan.actions if action.batch)
    if len(sizes) < 2:
        return ""
    first, rest = sizes[1], [size for batch, size in sizes.items() if batch > 1]
    how = f"in {len(rest)} batches of up to {max(rest)}" if len(rest) > 1 else f"to {rest[0]} more"
    first_ones = count_text(first, "child", "children")
    return f"Another version goes to {first_ones} first, then {how}, as long as it proves healthy."


def takes(plan: Plan) -> str:
    return f"Takes about {count_text(plan.requests, 'API request')}."


def _firewalls(plan: Plan) -> str:
    """Those that are made or removed are one change each; one that is mended may be several."""
    kind = shared_kind(plan)
    if kind is Kind.UPDATE:
        return "the fleet's firewalls to mend"
    number = count_text(len(plan.shared), "firewall", "firewalls")
    return f"{number} to {'make' if kind is Kind.CREATE else 'remove'}"


def _change(plan: Plan) -> str:
    if plan.is_empty:
        return ""
    if plan.monthly is None:
        return " after this, ? more or less"
    change = Decimal(plan.monthly)
    return ", as before" if change == 0 else f" after this, {change:+}"
