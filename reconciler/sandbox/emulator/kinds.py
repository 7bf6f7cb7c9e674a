"""Every kind of resource: where its rows are, how one is shown, and what its list can be filtered by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.sandbox.emulator import catalogue, wire
from reconciler.sandbox.emulator.handling import Kind
from reconciler.sandbox.emulator.listing import Listing

SERVERS = Kind("server", Listing("servers", ("name", "status")), lambda world: world.servers, wire.server)
SSH_KEYS = Kind(
    "ssh_key", Listing("ssh_keys", ("name", "fingerprint")), lambda world: world.ssh_keys.by_id, wire.ssh_key
)
FIREWALLS = Kind("firewall", Listing("firewalls"), lambda world: world.firewalls.by_id, wire.firewall)
PLACEMENT_GROUPS = Kind(
    "placement_group",
    Listing("placement_groups", ("name", "type")),
    lambda world: world.placement_groups,
    wire.placement_group,
)
NETWORKS = Kind("network", Listing("networks"), lambda world: world.networks, wire.network)
PRIMARY_IPS = Kind(
    "primary_ip", Listing("primary_ips", ("name", "ip")), lambda world: world.primary_ips, wire.primary_ip
)
OWN_IMAGES = Kind("image", Listing("images"), lambda world: world.images, wire.image)
IMAGES = Kind(
    "image",
    Listing("images", ("name", "type", "status", "bound_to", "architecture")),
    lambda world: _by_id(catalogue.images()) | world.images,
    wire.image,
)
SERVER_TYPES = Kind(
    "server_type",
    Listing("server_types", has_labels=False),
    lambda world: _by_id(catalogue.server_types()),
    wire.server_type,
)
LOCATIONS = Kind(
    "location",
    Listing("locations", has_labels=False),
    lambda world: _by_id(catalogue.locations()),
    lambda world, row: dict(row),
)

# What this sandbox has none of: their lists are empty.
NOTHING = tuple(
    Kind(name.removesuffix("s"), Listing(name, has_labels=labelled), lambda world: {}, lambda world, row: dict(row))
    for name, labelled in (
        ("volumes", True),
        ("load_balancers", True),
        ("load_balancer_types", False),
        ("floating_ips", True),
        ("certificates", True),
        ("isos", False),
    )
)


def _by_id(rows: tuple[Mapping[str, Any], ...]) -> dict[int, Any]:
    return {row["id"]: row for row in rows}
