"""What a child costs in a month, to the cent, added up by hand from the price list of cases.py. None is what nobody
knows.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from reconciler.model import Action, Kind
from tests.properties.recipes import BACKUPS, Recipe

PRICES: Final = {"cx23": "5.49", "cx33": "8.49", "cx43": "15.99", "cpx22": "19.49", "cax11": "5.99", "cpx11": "5.49"}
IPV4: Final = Decimal("0.50")
DEARER: Final = {"hel1": 1}


def of_server(server_type: str, region: str, *, ipv4: bool = True, backups: bool = False) -> Decimal | None:
    if server_type not in PRICES or (ipv4 and region == "fsn1"):
        return None
    price = Decimal(PRICES[server_type]) + DEARER.get(region, 0)
    amount = price * (Decimal("1.2") if backups else 1) + (IPV4 if ipv4 else 0)
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)


def as_it_is(recipe: Recipe, prices: bool) -> Decimal | None:
    """Every server is in nbg1 and has an IPv4."""
    if not recipe.there:
        return Decimal(0)
    return of_server(recipe.server_type, "nbg1", backups=recipe.server_backups) if prices else None


def difference(action: Action, recipe: Recipe, prices: bool) -> Decimal | None:
    """A start of a unit changes nothing, and nothing else does where server and backups stay what they are."""
    moves = action.kind in (Kind.HIBERNATE, Kind.DESTROY, Kind.REPLACE, Kind.RESIZE) or not recipe.there
    is_changed = recipe.backups != recipe.server_backups and BACKUPS not in action.left_alone
    backs_up = applies(action, recipe) and is_changed
    if not moves and not backs_up:
        return Decimal(0)
    before, after = as_it_is(recipe, prices), _afterwards(action, recipe) if prices else None
    return _less(after, before)


def applies(action: Action, recipe: Recipe) -> bool:
    """Of what is running the unit alone is started; of a server that was off everything is brought to the file."""
    return action.kind not in (Kind.START, Kind.RESTART) or (action.kind is Kind.START and recipe.status == "off")


def added_up(parts: Iterable[Decimal | None]) -> Decimal | None:
    total = Decimal(0)
    for part in parts:
        if part is None:
            return None
        total += part
    return total


def in_cents(amount: Decimal | None) -> str | None:
    """With two decimals, also where it is nothing; no price has more."""
    return None if amount is None else f"{amount:.2f}"


def in_words(recipe: Recipe, prices: bool, backups: bool) -> str:
    """What its server costs with or without backups."""
    amount = of_server(recipe.server_type, "nbg1", backups=backups) if prices else None
    return "its full price (which is not known now)" if amount is None else f"{in_cents(amount)} EUR a month"


def _afterwards(action: Action, recipe: Recipe) -> Decimal | None:
    if action.kind in (Kind.HIBERNATE, Kind.DESTROY):
        return Decimal(0)
    is_new = not recipe.there or action.kind is Kind.REPLACE
    server_type, region = (action.server_type or recipe.server_type), (action.region or "nbg1")
    backups = recipe.server_backups if BACKUPS in action.left_alone else recipe.backups
    return of_server(server_type, region, ipv4=recipe.ipv4 or not is_new, backups=backups)


def _less(amount: Decimal | None, other: Decimal | None) -> Decimal | None:
    return None if amount is None or other is None else amount - other
