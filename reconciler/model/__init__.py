"""The value types everything speaks in: frozen, slotted, without behaviour that could touch the outside."""

from __future__ import annotations

from reconciler.model.cloud import (
    LABEL_PREFIX,
    SETTLED,
    Catalog,
    FirewallSpec,
    Server,
    ServerRequest,
    ServerStatus,
    ServerType,
)
from reconciler.model.decision import (
    Action,
    Change,
    Diagnostic,
    Finding,
    Health,
    Kind,
    Plan,
    Reason,
    ReasonCode,
    Severity,
    Sync,
    Verdict,
)
from reconciler.model.execution import Command, Completed, Event, HostAddress, Outcome, OutcomeCode
from reconciler.model.host import Applied, Child, GatewayFacts, HostFacts, Record, Silence
from reconciler.model.json import Json
from reconciler.model.secret import Secret, SecretRef
from reconciler.model.wanted import (
    AccessPolicy,
    ChildSpec,
    Endpoints,
    Fleet,
    ModelSettings,
    NodeDistribution,
    Provider,
    Users,
)

__all__ = [
    "LABEL_PREFIX",
    "SETTLED",
    "AccessPolicy",
    "Action",
    "Applied",
    "Catalog",
    "Change",
    "Child",
    "ChildSpec",
    "Command",
    "Completed",
    "Diagnostic",
    "Endpoints",
    "Event",
    "Finding",
    "FirewallSpec",
    "Fleet",
    "GatewayFacts",
    "Health",
    "HostAddress",
    "HostFacts",
    "Json",
    "Kind",
    "ModelSettings",
    "NodeDistribution",
    "Outcome",
    "OutcomeCode",
    "Plan",
    "Provider",
    "Reason",
    "ReasonCode",
    "Record",
    "Secret",
    "SecretRef",
    "Server",
    "ServerRequest",
    "ServerStatus",
    "ServerType",
    "Severity",
    "Silence",
    "Sync",
    "Users",
    "Verdict",
]
