"""Reads POST /servers: references by id or name in either type, limits, and what this sandbox cannot do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reconciler.model import Json
from reconciler.sandbox.emulator import bodies, catalogue, errors
from reconciler.sandbox.emulator.resources import ServerOrder
from reconciler.sandbox.emulator.world import World

_MOST_USER_DATA = 32 * 1024


def read_order(world: World, body: Mapping[str, Json]) -> tuple[ServerOrder, list[int]]:
    """The order, and the ids of the firewalls it names. Raises ApiError with the field at fault."""
    name = bodies.text(body, "name")
    if not bodies.HOSTNAME.fullmatch(name):
        raise errors.invalid_input("name", "must be a valid hostname")
    _refuse_what_is_missing(body)
    kind = _resolve(catalogue.server_types(), body, "server_type")
    location = _resolve(catalogue.locations(), body, "location")["name"] if body.get("location") else "hel1"
    image = _image(world, body, str(kind["architecture"]))
    for key in bodies.items(body, "ssh_keys"):
        _check_ssh_key(world, key)
    order = ServerOrder(
        name,
        str(kind["name"]),
        str(location),
        image,
        _user_data(body),
        bodies.labels(body),
        bodies.flag(body, "start_after_create", True),
    )
    return order, _firewalls(world, body)


def _resolve(rows: Sequence[dict[str, Json]], body: Mapping[str, Json], field: str) -> dict[str, Json]:
    wanted = bodies.reference(body, field)
    for row in rows:
        if wanted in {str(row["id"]), row["name"]}:
            return row
    raise errors.invalid_input(field, f"{field} {wanted} not found")


def _image(world: World, body: Mapping[str, Json], architecture: str) -> int:
    fitting = [image for image in catalogue.images() if image["architecture"] == architecture]
    row = _resolve(catalogue.images() if bodies.reference(body, "image").isdigit() else fitting, body, "image")
    if row["architecture"] != architecture:
        raise errors.unsupported("image architecture does not match the server type")
    if row["name"] not in world.bootable or architecture != "x86":
        has = ", ".join(world.bootable)
        raise errors.unsupported(
            f"this sandbox has no disk for image {row['name']} ({architecture}); it has: {has} (x86)"
        )
    return int(str(row["id"]))


def _user_data(body: Mapping[str, Json]) -> str:
    value = body.get("user_data") or ""
    if not isinstance(value, str) or len(value.encode()) > _MOST_USER_DATA:
        raise errors.invalid_input("user_data", "must be a text of at most 32 KiB")
    return value


def _check_ssh_key(world: World, reference: Json) -> None:
    if not any(str(reference) in {str(key.id), key.name} for key in world.ssh_keys.by_id.values()):
        raise errors.invalid_input("ssh_keys", f"SSH key {reference} not found")


def _firewalls(world: World, body: Mapping[str, Json]) -> list[int]:
    wanted: list[int] = []
    for entry in bodies.items(body, "firewalls"):
        identifier = entry.get("firewall") if isinstance(entry, dict) else None
        if not isinstance(identifier, int) or identifier not in world.firewalls.by_id:
            raise errors.invalid_input("firewalls", "firewall not found")
        wanted.append(identifier)
    return wanted


def _refuse_what_is_missing(body: Mapping[str, Json]) -> None:
    for field in ("volumes", "networks", "placement_group"):
        if body.get(field):
            raise errors.unsupported(f"this sandbox has no {field}")
    match body.get("public_net"):
        case {"enable_ipv4": False}:
            raise errors.unsupported("this sandbox's servers need an IPv4 address")
        case {"ipv4": int()} | {"ipv6": int()}:
            raise errors.unsupported("this sandbox gives out addresses itself")
