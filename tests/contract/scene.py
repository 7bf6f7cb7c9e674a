"""A project with one of everything, made once over HTTP; each test starts from a copy of its state file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reconciler.model import Json
from tests.contract.conftest import Emulator
from tests.contract.test_cloud_contract import KEY
from tests.fakes.machines import FakeMachines

RULE: dict[str, Json] = {"direction": "in", "protocol": "tcp", "port": "22", "source_ips": ["0.0.0.0/0", "::/0"]}
SELECTED: Json = [{"type": "label_selector", "label_selector": {"selector": "env=prod"}}]
SUBNETS: Json = [
    {"type": "cloud", "network_zone": "eu-central", "ip_range": "10.0.1.0/24"},
    {"type": "cloud", "network_zone": "eu-central", "ip_range": "10.0.2.0/24"},
]
ROUTES: Json = [{"destination": "10.100.1.0/24", "gateway": "10.0.1.1"}]
WHERE: dict[str, Json] = {"server_type": "cpx22", "image": "debian-12", "location": "fsn1"}


@dataclass(frozen=True)
class Scene:
    """`ids` of what was made: key, pg, net, ip (assigned to nothing), fw (applied to nothing), wall (to env=prod), web

    (running, labelled env=prod, in net and pg), idle (off, without IPv4), ip6 (idle's), snap (of web), action (any).
    Beside them cpx22 and fsn1 of the catalogue, and nothing, an id that nobody has.
    """

    directory: Path
    ids: Mapping[str, int]
    machines: FakeMachines


def furnish(emulator: Emulator) -> dict[str, int]:
    """Make it all; the ids."""
    ids = {"cpx22": 109, "fsn1": 1, "nothing": 999_999}

    def make(name: str, path: str, body: dict[str, Json]) -> None:
        answer = emulator.client.post(path, json=body)
        assert answer.status_code == 201, answer.text
        ids[name] = next(shown["id"] for key, shown in answer.json().items() if key not in {"action", "actions"})
        emulator.settle()

    make("key", "/ssh_keys", {"name": "key", "public_key": KEY, "labels": {"a": "b"}})
    make("fw", "/firewalls", {"name": "fw", "rules": [RULE]})
    make("wall", "/firewalls", {"name": "wall", "apply_to": SELECTED})
    make("pg", "/placement_groups", {"name": "pg", "type": "spread"})
    make("net", "/networks", {"name": "net", "ip_range": "10.0.0.0/16", "subnets": SUBNETS, "routes": ROUTES})
    make("ip", "/primary_ips", {"name": "ip", "type": "ipv4", "location": "fsn1"})
    attached: dict[str, Json] = {"networks": [ids["net"]], "placement_group": ids["pg"], "labels": {"env": "prod"}}
    make("web", "/servers", {**WHERE, "name": "web", **attached})
    off: dict[str, Json] = {"start_after_create": False, "public_net": {"enable_ipv4": False}}
    make("idle", "/servers", {**WHERE, "name": "idle", **off})
    make("snap", f"/servers/{ids['web']}/actions/create_image", {"type": "snapshot", "labels": {"of": "web"}})
    ids["action"] = next(iter(emulator.world.actions.by_id))
    ids["ip6"] = emulator.world.servers[ids["idle"]].ipv6 or 0
    return ids
