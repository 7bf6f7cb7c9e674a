"""What two runs are compared by, field by field: everything that is now, but for what must differ between two runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final

from reconciler.model import HostFacts, Json
from tests.fakes.fleets import FakeFleet

STRAYS: Final = "notes directory.strays"
# Two runs of a create give a child two uids, and these follow from it.
OF_ONE_UID: Final = frozenset({"login key", "host key", "host key file", "gateway token", "bot token", "model key"})
OF_A_RETURN: Final = frozenset({"starts", "main_pid"})  # a host that has gone back has started the gateway for that

Untouched = tuple[int, str, int, int]


def outcome(world: FakeFleet) -> dict[str, Any]:
    """Times and what derives from a uid are left out; how often a gateway has started, and in which boot, is not."""
    planned = world.client().plan()
    return {
        "to do": [f"{action.kind} {action.child}" for action in planned.plan.actions],
        "shared": [change.path for change in planned.plan.shared],
        "firewalls": {
            name: (wall.rules, wall.selectors, lasting(wall.labels)) for name, wall in world.cloud.walls.items()
        },
        "keys": {name: key.public_key for name, key in world.cloud.keys.items()},
        "servers": {server.name: _server(world, server.id) for server in world.cloud.by_id.values()},
        "facts": {name: comparable(child.facts) for name, child in planned.children.items()},
        "memory": {name: world.host(name).gateway.memory for name in world.specs if planned.children[name].facts},
        "asleep": {name: child.asleep and child.asleep.is_waking for name, child in planned.children.items()},
        "kept": kept(world),
        "bots": dict(world.channel.profiles),
        "in force": {name: _in_force(world, name) for name in world.specs if planned.children[name].facts},
    }


def kept(world: FakeFleet) -> dict[str, Json]:
    """What the newest backup of each child holds. It opens: an error where it does not."""
    keeper, found = world.client().keeper(), {}
    for name in sorted({*world.names, *world.specs}):
        newest = next(iter(keeper.kept(name).backups), None)
        if newest is not None:
            assert keeper.verify(name, newest), f"nobody can open {newest.id} of {name}"
            found[name] = newest.holds["databases"]
    return found


def differences(found: object, wanted: object, path: str = "") -> Iterator[str]:
    """Each field that differs, with its path."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in {**found, **wanted}:
            yield from differences(found.get(key), wanted.get(key), f"{path}.{key}")
    elif found != wanted:
        yield f"{path[1:]} is {found!r}, not {wanted!r}"


def field_of(difference: str) -> set[str]:
    """The names in its path."""
    return set(difference.partition(" is ")[0].split("."))


def untouched(world: FakeFleet, name: str) -> Untouched | None:
    """What changes as soon as anybody restarts, reboots or replaces a child: id, boot id, starts, PID."""
    if name not in world.specs:
        return None
    facts = world.client().plan([name]).children[name].facts
    assert facts is not None
    return world.server(name).id, facts.boot_id, facts.gateway.starts, facts.gateway.main_pid


def lasting(labels: Mapping[str, str]) -> dict[str, str]:
    """A firewall's labels without open runs: who has lost state/ cannot know for two hours that one is dead.

    Of a quarantine only that there is one: it says since when, too. Who sleeps is told apart elsewhere.
    """
    kept = {name: value for name, value in labels.items() if "/run-" not in name and "/asleep-" not in name}
    return {name: "" if "/quarantine-" in name else value for name, value in kept.items()}


def comparable(facts: HostFacts | None) -> dict[str, Any]:
    if facts is None:
        return {}
    value = asdict(facts)
    value.pop("clock")
    value["applied"].pop("at")
    value["applied"]["spec_digest"] = bool(value["applied"]["spec_digest"])  # that is all that anybody asks
    # Paths; the rest are times. A half-written note of ours is a stray, and the next apply clears it away.
    value["applied"]["repairs"] = sorted(set(value["applied"]["repairs"]) - {STRAYS})
    value["applied"]["digests"].pop(STRAYS, None)
    value["gateway"].pop("channel_activity")
    # A host that goes back by itself leaves the copy, and the next apply takes another one.
    value.pop("asides")
    value.pop("noted")  # what is held is compared: by the host itself, or, where it has gone back alone, by the fleet
    value["checkpoints"] = sorted({checkpoint["version"] for checkpoint in value["checkpoints"]})
    value["held"] = value["held"] and value["held"]["version"]
    for name in OF_ONE_UID:
        value["managed"].pop(name)
    digests = value["applied"]["digests"]  # by managed thing, and by each path that was mended of late
    value["applied"]["digests"] = {key: it for key, it in digests.items() if key.partition(".")[0] not in OF_ONE_UID}
    return value


def _server(world: FakeFleet, number: int) -> dict[str, Any]:
    server = world.cloud.by_id[number]
    labels = {key: value for key, value in server.labels.items() if not key.endswith(("/uid", "/nonce"))}
    return {
        "status": server.status,
        "type": server.server_type,
        "region": server.region,
        "backups": server.backups,
        "labels": labels,
    }


def _in_force(world: FakeFleet, name: str) -> dict[str, Json]:
    """What the host works by, whatever lies on its disk."""
    host = world.host(name)
    return {
        "sshd": host.sshd_config.decode(),
        "metadata rules": host.metadata_rules.decode(),
        "unit": (host.gateway.unit or b"").decode(),
        "starts": host.gateway.starts,
        "first boot": "first boot is over" in host.ran,
        "tables": list(host.kernel.tables),
        "firewall": str(host.firewall),
    }
