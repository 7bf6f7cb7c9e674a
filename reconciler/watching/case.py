"""What a watch of one child is judged by: its last look, what the file thinks wrong, and what is known beside. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from reconciler.diagnosis.case import Case
from reconciler.model import Examination, GatewayFacts, HostFacts, Monitoring


@dataclass(frozen=True, slots=True)
class Watched:
    """`drift` are paths that were changed outside. Of `backup_at` and `proven_at` None means that there is none.

    `sees_backups`: somebody could look at where they are kept.
    """

    case: Case
    now: datetime
    drift: tuple[str, ...] = ()
    backup_at: datetime | None = None
    proven_at: datetime | None = None
    sees_backups: bool = False
    node_fixes: tuple[str, ...] | None = None  # releases of Node.js that have mended something insecure

    @property
    def limits(self) -> Monitoring:
        spec = self.case.child.spec
        return spec.monitoring if spec is not None else Monitoring()

    @property
    def facts(self) -> HostFacts | None:
        return self.case.child.facts

    @property
    def examined(self) -> Examination | None:
        return self.case.examined

    @property
    def gateway(self) -> GatewayFacts:
        return self.case.gateway
