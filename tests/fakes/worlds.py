"""Makes Child values for planner cases: a world in which all is well, and what a case changes in it."""

from __future__ import annotations

import functools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from reconciler import keys
from reconciler.diff import apply_patch
from reconciler.managed import Materials, digests, wanted_values
from reconciler.managed.config import free_keys
from reconciler.managed.workspace import files_of_mode
from reconciler.model import (
    LATEST,
    Applied,
    Catalog,
    Child,
    ChildSpec,
    Diagnostic,
    Endpoints,
    FileMode,
    Fleet,
    GatewayFacts,
    HostFacts,
    Json,
    ModelSettings,
    Percent,
    Policy,
    Provider,
    Record,
    Secret,
    SecretRef,
    Server,
    ServerStatus,
    ServerType,
    Severity,
    Silence,
    Users,
    WorkspaceFile,
)
from reconciler.steps.comparison import noted_digests
from reconciler.steps.sides import config_digests

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
FLEET_KEY = keys.make_key(bytes(range(32)))
UID = "00112233aabbccdd"


def make_spec(name: str, **changes: Any) -> ChildSpec:
    """A complete spec; `users` and each of `files` are given as mappings, `region` and `server_type` as words too."""
    for key, plural in (("region", "regions"), ("server_type", "server_types")):
        if key in changes:
            value = changes.pop(key)
            changes[plural] = (value,) if isinstance(value, str) else tuple(value)
    if "files" in changes:
        files = changes["files"].items()
        changes["files"] = {path: WorkspaceFile(file["content"], FileMode(file["mode"])) for path, file in files}
    if "users" in changes:
        changes["users"] = Users(**changes["users"])
    values: dict[str, Any] = {
        "regions": ("nbg1",),
        "server_types": ("cx23",),
        "image": "debian-12",
        "version": "2026.9.6",
        "bot_token": SecretRef("env", f"{name.upper()}_BOT_TOKEN"),
        "model": ModelSettings("anthropic", "claude-sonnet-4-6", SecretRef("env", "ANTHROPIC_API_KEY")),
    }
    return ChildSpec(name=name, **(values | changes))


@functools.cache
def make_materials(name: str, bot_token: str = "", tree: str | None = None) -> Materials:
    host_key = keys.host_key(FLEET_KEY, UID, 1)
    return Materials(
        login_public_key=keys.public_key(keys.login_key(FLEET_KEY, UID, 1)),
        host_private_key=host_key,
        host_public_key=keys.public_key(host_key),
        gateway_token=keys.gateway_token(FLEET_KEY, UID, 1),
        bot_token=Secret(bot_token or f"{name}-bot-token"),
        model_key=Secret("model-key"),
        digest_key=keys.digest_key(FLEET_KEY, UID),
        endpoints=Endpoints(node={}),
        tree=tree,
    )


def make_server(child: str, **changes: Any) -> Server:
    labels = {
        "openclaw-deploy/fleet": "demo",
        "openclaw-deploy/child": child,
        "openclaw-deploy/uid": UID,
    } | changes.pop("labels", {})
    values: dict[str, Any] = {
        "id": 1000,
        "status": ServerStatus.RUNNING,
        "region": "nbg1",
        "server_type": "cx23",
        "image": "debian-12",
        "address": "192.0.2.10",
        "created": NOW,
    }
    if "status" in changes:
        changes["status"] = ServerStatus(changes["status"])
    kept = {key: value for key, value in labels.items() if value is not None}
    return Server(labels=kept, **({"name": f"demo-{child}"} | values | changes))


def make_facts(
    values: dict[str, Json], live: Json = None, gateway: dict[str, Any] | None = None, **changes: Any
) -> HostFacts:
    """Facts of a host on which all is as wanted, but for the merge patch `live` and the gateway's fields given."""
    healthy: dict[str, Any] = {
        "active": "active",
        "sub": "running",
        "main_pid": 321,
        "starts": 1,
        "version": "2026.9.6",
        "ready": True,
        "token_accepted": True,
        "anonymous_refused": True,
        "loopback_only": True,
        "channel_connected": True,
        "channel_activity": NOW.timestamp() - 5,
    }
    fields = healthy | (gateway or {})
    for name in ("failing", "suppressed", "stale", "journal"):
        fields[name] = tuple(fields.get(name, ()))
    managed = apply_patch(values, live or {})
    assert isinstance(managed, dict)
    defaults: dict[str, Any] = {
        "boot_id": "b0",
        "clock": NOW.timestamp(),
        "architecture": "x86_64",
        "disk_free_mb": 30_000,
        "memory_free_mb": 2_000,
    }
    if "applied" not in changes:
        defaults["applied"] = Applied("0.1.0", "spec", digests(values), "2026-11-01T00:00:00+00:00")
    return HostFacts(managed=managed, gateway=GatewayFacts(**fields), **(defaults | changes))


def make_child(name: str, case: dict[str, Any]) -> Child:
    """A child of a table case.

    Keys: spec, applied_spec, server, live, gateway, applied, applied_tool, repairs, begun, silence, record, bot_token,
    tree and obstacle.
    `spec` absent or null means undeclared; `server` null means that there is none; `applied_spec` is what the last
    apply was told, where that differs from `spec`; `repairs` maps managed paths to hours ago; `begun` is an apply that
    did not end; `tree` is the one that the fleet knows of its release, since after the last apply; `obstacle` is what
    the look found wrong.
    """
    spec = make_spec(name, **case["spec"]) if case.get("spec") is not None else None
    server = make_server(name, **(case.get("server") or {})) if case.get("server", {}) is not None else None
    record = (
        Record(name, 1000, "192.0.2.10", "", "2026.9.6", None, "", "done", "2026-11-01") if case.get("record") else None
    )
    obstacle = Diagnostic(Severity.ERROR, case["obstacle"], "mend it", name) if "obstacle" in case else None
    if server is None or obstacle is not None:
        return Child(name, spec=spec, server=server, record=record, obstacle=obstacle)
    before = make_spec(name, **(case["spec"] or {} if spec else {}) | case.get("applied_spec", {}))
    applied_values = wanted_values(before, make_materials(name))
    materials = make_materials(name, case.get("bot_token", ""), case.get("tree"))
    wanted = wanted_values(_pinned(spec, before), materials) if spec else {}
    if case.get("silence"):
        return Child(name, spec, server, silence=Silence(case["silence"]), silence_detail="no answer", wanted=wanted)
    if server.status is not ServerStatus.RUNNING or server.is_unfinished:
        return Child(name, spec, server, wanted=wanted, record=record)
    applied = Applied(
        tool=case.get("applied_tool", "0.1.0"),
        spec_digest="" if case.get("begun") else "spec",
        digests=noted_digests(before, applied_values, case.get("repairs", {})),
        at="2026-11-01T00:00:00+00:00",
        version=before.version,
        repairs={path: _hours_ago(hours) for path, hours in case.get("repairs", {}).items()},
        labels=tuple(before.labels),
        config_keys=free_keys(before.config),
        config_digests=config_digests(before, applied_values),
        managed_files=files_of_mode(before, FileMode.MANAGED),
        seeded_files=files_of_mode(before, FileMode.SEED),
    )
    noted = None if case.get("applied", True) is None else applied
    facts = make_facts(applied_values, case.get("live"), case.get("gateway"), applied=noted)
    return Child(name, spec, server, facts, wanted=wanted, record=record)


def make_fleet(children: dict[str, Child], policy: dict[str, Any] | None = None) -> Fleet:
    """`policy` as the fleet file says it; a share in percent as `{value: 10}`."""
    specs = {name: child.spec for name, child in children.items() if child.spec}
    limits: dict[str, Any] = dict(policy or {})
    for key in ("regions", "server_types", "versions"):
        limits[key] = tuple(limits.get(key, ()))
    if isinstance(limits.get("max_destroys"), dict):
        limits["max_destroys"] = Percent(**limits["max_destroys"])
    token = SecretRef("env", "HCLOUD_TOKEN")
    return Fleet("demo", Provider.HETZNER, token, None, 1, specs, "fleet.yaml", Policy(**limits))


def make_catalog() -> Catalog:
    """Three regions. cx23, cx33, cpx22 and cax11 are sold in all of them, cx43 is sold out, cpx11 is retired."""
    regions = ("nbg1", "fsn1", "hel1")
    images = {"debian-12": frozenset({"x86", "arm"}), "debian-13": frozenset({"x86"})}
    kinds = (
        _type("cx23", "x86", 40, "5.4900000000", regions),
        _type("cx33", "x86", 80, "8.4900000000", regions),
        _type("cx43", "x86", 160, "15.9900000000", ()),
        _type("cpx22", "x86", 80, "19.4900000000", regions),
        _type("cax11", "arm", 40, "5.9900000000", regions),
        _type("cpx11", "x86", 40, "5.4900000000", (), retired=regions),
    )
    ipv4 = dict.fromkeys(regions, "0.5000000000")
    return Catalog({kind.name: kind for kind in kinds}, regions, images, "EUR", ipv4, NOW)


def _type(
    name: str, architecture: str, disk: int, price: str, sold: tuple[str, ...], retired: tuple[str, ...] = ()
) -> ServerType:
    regions = {region: region in sold for region in ("nbg1", "fsn1", "hel1")}
    return ServerType(name, architecture, 2, 4, regions, dict.fromkeys(regions, price), frozenset(retired), disk)


def _pinned(spec: ChildSpec, before: ChildSpec) -> ChildSpec:
    """As a look has it: `latest` is what the last apply brought the child to."""
    return replace(spec, version=before.version) if spec.version == LATEST else spec


def _hours_ago(hours: list[float]) -> tuple[str, ...]:
    return tuple((NOW - timedelta(hours=number)).isoformat() for number in hours)
