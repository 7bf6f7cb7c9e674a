"""How many API requests an action takes, for plans. Pure; tests/contract/test_requests.py counts the real ones.

Polls of actions are left out: they are shared by all that wait, and the cloud takes them from another budget. So are
the two by which the first installation of a version ever is noted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from reconciler.model import Kind

SHARED: Final = 3  # firewalls at the beginning and at the end, and the fleet's key
RUN: Final = 3  # where servers are made: the run is noted at the default firewall, and in the end no more
FIREWALL: Final = 3  # one that differs: a listing for a server that answers, a look by its name, the change
MARK: Final = 2  # that a child sleeps, or no more: a look at the default firewall, its labels

# Of what plans have; neither a rung nor a written configuration ever is in one.
_OF_KIND: Final[Mapping[Kind, int]] = {
    Kind.CREATE: 1,  # the server with its labels
    Kind.UPDATE: 1,  # a look at its labels
    Kind.RESIZE: 6,  # a look, the power button, a look whether it worked, the change, power, a look at its labels
    Kind.RESTART: 0,
    Kind.START: 2,  # of a server: power, a look at its labels; of a unit: none
    Kind.STOP: 4,  # a look, the power button, a look whether it worked, a look at its labels
    # a look and the new server, two looks before the memory moves; a look and a label for each of the two, and one more
    # for the new one when that is proven; two looks and the deletion; a look and the name
    Kind.REPLACE: 14,
    Kind.HIBERNATE: 5,  # a look before its memory is copied, a mark that it sleeps, a look and the deletion
    Kind.DESTROY: 3,  # a look before its memory is copied, a look and the deletion
}


def requests_of(kind: Kind) -> int:
    """For one child where all goes well: the first candidate is had, and nothing is locked."""
    return _OF_KIND[kind]
