"""Reads POST /servers: references by id or name in either type, limits, and what this sandbox cannot do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reconciler.model import Json
from reconciler.sandbox.emulator import bodies, catalogue, errors, images
from reconciler.sandbox.emulator.resources import Image, ServerOrder
from reconciler.sandbox.emulator.world import World

_MOST_USER_DATA = 32 * 1024


def read_order(world: World, body: Mapping[str, Json]) -> ServerOrder:
    """Raises ApiError with the field at fault."""
    kind = catalogued(catalogue.server_types(), body, "server_type")
    location = catalogued(catalogue.locations(), body, "location")["name"] if "location" in body else "hel1"
    bodies.rows(body, "ssh_keys", world.ssh_keys.by_id)
    bodies.flag(body, "automount", False)
    if bodies.items(body, "volumes"):
        raise errors.unsupported("this sandbox has no volumes")
    networks = tuple(dict.fromkeys(network.id for network in bodies.rows(body, "networks", world.networks)))
    start = bodies.flag(body, "start_after_create", True)
    ipv4, ipv6 = _public_net(world, body)
    if start and ipv4 is False and ipv6 is False and not networks:
        raise errors.invalid_input("public_net", "a server needs an interface to be started")
    return ServerOrder(
        name=hostname(body),
        server_type=str(kind["name"]),
        location=str(location),
        image=image(world, body, str(kind["architecture"])),
        user_data=user_data(body),
        labels=bodies.labels(body),
        start=start,
        ipv4=ipv4,
        ipv6=ipv6,
        firewalls=_firewalls(world, body),
        networks=networks,
        placement_group=bodies.row(body, "placement_group", world.placement_groups).id
        if body.get("placement_group") is not None
        else None,
    )


def hostname(body: Mapping[str, Json]) -> str:
    name = bodies.text(body, "name")
    if not bodies.HOSTNAME.fullmatch(name):
        raise errors.invalid_input("name", "must be a valid hostname")
    return name


def catalogued(rows: Sequence[dict[str, Json]], body: Mapping[str, Json], field: str) -> dict[str, Json]:
    """The catalogue's row that a required field names by id or name."""
    wanted = bodies.reference(body, field)
    for row in rows:
        if wanted in {str(row["id"]), row["name"]}:
            return row
    raise errors.invalid_input(field, f"{field} {wanted} not found")


def image(world: World, body: Mapping[str, Json], architecture: str) -> int:
    """The id of an image that a machine of this architecture can boot from."""
    wanted = bodies.reference(body, "image")
    row = images.find(world, wanted, architecture)
    if row is None or (isinstance(row, Image) and row.status != "available"):
        raise errors.invalid_input("image", f"image {wanted} not found")
    own = isinstance(row, Image)
    name, has = (row.system, row.architecture) if isinstance(row, Image) else (row["name"], row["architecture"])
    if has != architecture:
        raise errors.unsupported("image architecture does not match the server type")
    if not own and (name not in world.bootable or architecture not in world.architectures):
        known = ", ".join(f"{image} ({processor})" for image in world.bootable for processor in world.architectures)
        raise errors.unsupported(f"this sandbox has no disk for image {name} ({architecture}); it has: {known}")
    return row.id if isinstance(row, Image) else int(str(row["id"]))


def user_data(body: Mapping[str, Json]) -> str:
    value = "" if body.get("user_data") is None else body["user_data"]
    if not isinstance(value, str) or len(value.encode()) > _MOST_USER_DATA:
        raise errors.invalid_input("user_data", "must be a text of at most 32 KiB")
    return value


def _firewalls(world: World, body: Mapping[str, Json]) -> tuple[int, ...]:
    entries = bodies.items(body, "firewalls")
    named = [entry.get("firewall") if isinstance(entry, dict) else None for entry in entries]
    known = bodies.rows({"firewalls": named}, "firewalls", world.firewalls.by_id)
    return tuple(dict.fromkeys(wall.id for wall in known))


def _public_net(world: World, body: Mapping[str, Json]) -> tuple[int | bool, int | bool]:
    """For each version: a primary IP's id, or whether a new one is wanted."""
    wanted = body.get("public_net")
    if wanted is None:
        return True, True
    if not isinstance(wanted, dict):
        raise errors.invalid_input("public_net", "must be an object")
    return _version(world, wanted, "ipv4"), _version(world, wanted, "ipv6")


def _version(world: World, wanted: Mapping[str, Json], version: str) -> int | bool:
    if not bodies.flag(wanted, f"enable_{version}", True):
        return False
    return bodies.row(wanted, version, world.primary_ips).id if wanted.get(version) is not None else True
