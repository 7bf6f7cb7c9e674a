"""What the highest rungs need: the plan that leads a child back to a checkpoint, or to another server.

They are planned as if a person had asked for each by its own command, and say what is lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final, Protocol

from reconciler.errors import Refused
from reconciler.model import POLICY, Child, Diagnosis, Diagnostic, Fleet, Outcome, Rung, Secret, Server, Severity
from reconciler.planner.versions import last_way_back
from reconciler.planning import Planned
from reconciler.ports import Clock
from reconciler.steps.rungs import TRIED, moments

Looked = tuple[Planned | None, list[Diagnosis]]
VISIT: Final = timedelta(minutes=15)  # from when a doctor was called to the copy that is made before


class Hands(Protocol):
    """What is needed of a fleet: a close look, plans, and somebody to run them. The caller holds its lock."""

    fleet: Fleet

    @property
    def clock(self) -> Clock: ...

    def look_closely(self, names: Iterable[str]) -> Looked: ...

    def plan_rollback(self, names: Iterable[str], to: str | None = None) -> Planned: ...

    def plan_rebuild(
        self, names: Iterable[str], without_copy: Iterable[str] = (), identity: Secret | None = None
    ) -> Planned: ...

    def apply(self, planned: Planned, workers: int) -> list[Outcome]: ...


def against(planned: Planned, name: str) -> Diagnostic | None:
    """What keeps this from being done, as a whole or for this child."""
    found = [it for it in planned.plan.diagnostics if it.severity in (Severity.REFUSED, Severity.ERROR)]
    return next((it for it in found if it.address == name or it.address.startswith(f"{POLICY}.")), None)


def plan_of(hands: Hands, child: Child, rung: Rung, identity: Secret | None) -> Planned:
    """A checkpoint of before it was ill, or another server. Raises FleetError where there is none."""
    if rung is Rung.CHECKPOINT:
        known = child.facts.checkpoints if child.facts is not None else ()
        ill = {it.id for it in known if _is_ill(it.id, child.server)}
        back = last_way_back(child.facts, ill) if child.facts is not None else None
        if back is None:
            raise Refused(f"{child.name} has no checkpoint of before", "fleet backup list, and fleet restore, may help")
        return hands.plan_rollback([child.name], back.id)
    is_silent = child.facts is None
    planned = hands.plan_rebuild([child.name], [child.name] if is_silent else [], identity)
    if is_silent and planned.options.rebuild.get(child.name) is None:
        raise Refused(
            f"{child.name} has no backup, and its host cannot be asked for its memory",
            f"without its memory: fleet rebuild {child.name} --no-backup {child.name}",
        )
    return planned


def _is_ill(checkpoint: str, server: Server | None) -> bool:
    """It was taken before a doctor came, and is of what was ill by then."""
    at = moments(checkpoint)[0]
    visits = moments(server.labels.get(TRIED + Rung.DOCTOR, "")) if server is not None else []
    return at is not None and any(visit is not None and visit <= at <= visit + VISIT for visit in visits)
