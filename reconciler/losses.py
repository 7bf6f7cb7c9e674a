"""What is lost by going back, in numbers: asked of the host alone that goes back, for it costs a trip."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from reconciler import commands
from reconciler.errors import HostError
from reconciler.model import Action, Child, Fleet, Plan
from reconciler.parallel import in_parallel
from reconciler.planner.versions import left_for
from reconciler.ports import Ports
from reconciler.steps.work import CONNECT_TIMEOUT, address_of

WORKERS: Final = 32


def with_losses(plan: Plan, children: Mapping[str, Child], fleet: Fleet, ports: Ports) -> Plan:
    """The same, where each action that goes back to a checkpoint says how much was said since."""
    return replace(
        plan, actions=tuple(in_parallel(lambda it: _told(it, children[it.child], fleet, ports), plan.actions, WORKERS))
    )


def _told(action: Action, child: Child, fleet: Fleet, ports: Ports) -> Action:
    checkpoint = left_for(action, child)
    is_a_backup = action.rollback is not None and action.rollback.backup_of != ""  # not on this host yet
    if checkpoint is None or child.server is None or child.facts is None or is_a_backup:
        return action
    try:
        host = ports.dialer.connect(address_of(child.server, fleet, ports), CONNECT_TIMEOUT)
        try:
            counted = json.loads(host.run(commands.count_entries(checkpoint.id)).stdout)
            entries = counted["now"] - counted["then"]
        finally:
            host.close()
    except (HostError, ValueError, TypeError, KeyError):  # nobody can tell: the minutes are said all the same
        return action
    if entries <= 0:
        return action
    lost = f"{entries} {'entry' if entries == 1 else 'entries'} of its conversations came since, and will be set aside"
    return replace(action, notes=(*action.notes, lost))
