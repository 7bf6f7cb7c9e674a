"""How many API requests an apply takes, about. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from reconciler.model import Action, Change, Kind

# Counted in the steps: each write, the look before it, and the polls until the cloud has done it. Polls of many
# servers share a request, so these are what a single child takes.
REQUESTS: Final[Mapping[Kind, int]] = {
    Kind.CREATE: 6,
    Kind.UPDATE: 2,
    Kind.RESIZE: 15,
    Kind.RESTART: 0,
    Kind.START: 3,
    Kind.STOP: 6,
    Kind.REPLACE: 15,
    Kind.DESTROY: 4,
}
LOOK: Final = 8  # servers, firewalls, and the catalogue
SERVERS_OF_A_PAGE: Final = 50  # Hetzner's largest page
FIREWALL: Final = 4  # the listing, the change, and what proves that nobody is locked out


def requests_of_apply(actions: Sequence[Action], shared: Sequence[Change], servers: int) -> int:
    """With the look that every apply begins with; 0 when there is nothing to apply."""
    if not actions and not shared:
        return 0
    look = LOOK + servers // SERVERS_OF_A_PAGE
    return look + FIREWALL * len(shared) + sum(REQUESTS[action.kind] for action in actions)
