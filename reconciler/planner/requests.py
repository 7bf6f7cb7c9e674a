"""How many API requests an apply takes, about: the look that it begins with, and what its steps ask. Pure."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Final

from reconciler.model import Action, Change, Kind
from reconciler.steps.requests import FIREWALL, MARK, RUN, SHARED, requests_of

LOOK: Final = 8  # servers, firewalls, and what the catalogue is read from
SERVERS_OF_A_PAGE: Final = 50  # Hetzner's largest page
MAKES_SERVERS: Final = (Kind.CREATE, Kind.REPLACE)


def requests_of_apply(actions: Sequence[Action], shared: Sequence[Change], servers: int, sleepers: Set[str]) -> int:
    """0 when there is nothing to apply. Polls are left out, as in `requests_of`. Of `sleepers`, who is made wakes."""
    if not actions and not shared:
        return 0
    look = LOOK + servers // SERVERS_OF_A_PAGE
    makes_servers = any(action.kind in MAKES_SERVERS for action in actions)
    common = SHARED + FIREWALL * len(shared) if shared or makes_servers else 0
    waking = MARK * sum(action.kind is Kind.CREATE and action.child in sleepers for action in actions)
    return look + common + RUN * makes_servers + waking + sum(requests_of(action.kind) for action in actions)
