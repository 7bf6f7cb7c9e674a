"""How many API requests an apply takes, about. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from reconciler.model import Action, Change, Kind

# Counted in the steps: each look, each write, and the polls until the cloud has done it. A test counts them again.
REQUESTS: Final[Mapping[Kind, int]] = {
    Kind.CREATE: 5,
    Kind.UPDATE: 2,
    Kind.RESIZE: 18,
    Kind.RESTART: 0,
    Kind.START: 2,
    Kind.STOP: 6,
    Kind.REPLACE: 15,
    Kind.DESTROY: 3,
}
LOOK: Final = 8  # servers, firewalls, and what the catalogue is read from
SERVERS_OF_A_PAGE: Final = 50  # Hetzner's largest page
SHARED: Final = 4  # firewalls before and after, the servers, the key
FIREWALL: Final = 3  # a change of one
MAKES_SERVERS: Final = (Kind.CREATE, Kind.REPLACE)


def requests_of_apply(actions: Sequence[Action], shared: Sequence[Change], servers: int) -> int:
    """With the look that every apply begins with; 0 when there is nothing to apply."""
    if not actions and not shared:
        return 0
    look = LOOK + servers // SERVERS_OF_A_PAGE
    touches_shared = shared or any(action.kind in MAKES_SERVERS for action in actions)
    common = SHARED + FIREWALL * len(shared) if touches_shared else 0
    return look + common + sum(REQUESTS[action.kind] for action in actions)
