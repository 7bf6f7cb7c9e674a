"""What two runs over the wire are compared by, field by field, and what of a machine may not change unasked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from reconciler.commands.switching import ASIDES, CHECKPOINTS
from reconciler.model import HostFacts
from reconciler.sandbox.simulated.host import SimulatedHost
from tests.crash.comparing import comparable, lasting
from tests.kills.scene import Scene

OF_ONE_MACHINE: Final = ("boot_id", "disk_free_mb", "memory_free_mb", "bot")
OF_ONE_PROCESS: Final = ("main_pid", "starts", "restarts")
LABELS_OF_ONE_CHILD: Final = ("/child", "/uid", "/nonce", "/bot")


class Marks(NamedTuple):
    """They change as soon as anybody replaces, reboots or restarts a child."""

    server: int
    boot_id: str
    starts: int
    main_pid: int


def outcome(scene: Scene) -> dict[str, Any]:
    """Everything that is now, but for what differs between any two runs and any two children."""
    planned = scene.look()
    cloud = scene.stage.cloud
    return {
        "to do": [f"{action.kind} {action.child}" for action in planned.plan.actions],
        "said": [found.summary for found in planned.plan.diagnostics],
        "facts": {name: comparable_facts(child.facts) for name, child in planned.children.items()},
        "hosts": {name: scene.ask(name, _host) for name in scene.servers()},
        "servers": {name: _server(row) for name, row in scene.servers().items()},
        "keys": sorted(key.name for key in cloud.ssh_keys.by_id.values()),
        "firewalls": {
            wall.name: (wall.rules, wall.selectors, lasting(wall.labels)) for wall in cloud.firewalls.by_id.values()
        },
        "addresses": len(cloud.primary_ips),
    }


def marks(scene: Scene) -> dict[str, Marks]:
    """By child, read without asking its machine over the network."""
    return {
        name: Marks(row.id, *scene.ask(name, lambda host: (host.boot_id, host.gateway.starts, _pid(host))))
        for name, row in scene.servers().items()
    }


def comparable_facts(facts: HostFacts | None) -> dict[str, Any]:
    """What is equal on the hosts of two children of which the file says the same."""
    found = comparable(facts)
    if found:
        for name in OF_ONE_MACHINE:
            found.pop(name)
        for name in OF_ONE_PROCESS:
            found["gateway"].pop(name)
        found["applied"].pop("bot")
    return found


def _pid(host: SimulatedHost) -> int:
    return host.systemd.state(host.gateway.unit_name).main_pid


def _host(host: SimulatedHost) -> dict[str, Any]:
    """What the host works by, and every path on its disk."""
    return {
        "sshd": host.sshd_config.decode(),
        "unit": (host.gateway.unit or b"").decode(),
        "tables": dict(host.kernel.tables),
        "firewall": dict(host.firewall),
        "reverts": [host.firewall_before, host.access_before],
        "enabled": sorted(host.systemd.enabled),
        "packages": sorted(host.packages),
        "accounts": dict(host.accounts),
        "files": {_place(path): f"{file.owner} {file.mode}" for path, file in _kept(host.files)},
        "directories": {_place(path): rights for path, rights in _kept(host.directories)},
        "links": {_place(path): target for path, target in _kept(host.links)},
    }


def _kept(found: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """All but the states that were given up by going back: there is one for each time that was interrupted."""
    return ((path, value) for path, value in found.items() if not path.startswith(ASIDES))


def _place(path: str) -> str:
    """Checkpoints are named by the time."""
    return re.sub(rf"^{CHECKPOINTS}/[0-9TZ]+", f"{CHECKPOINTS}/one", path)


def _server(row: Any) -> dict[str, Any]:
    labels = {key: value for key, value in row.labels.items() if not key.endswith(LABELS_OF_ONE_CHILD)}
    return {
        "status": row.status,
        "region": row.location,
        "type": row.server_type,
        "backups": row.backup_window is not None,
        "labels": labels,
    }
