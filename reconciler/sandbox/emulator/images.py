"""The emulated project's own images: snapshots, and backups, which are bound to their server and go with it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from reconciler.errors import SandboxError
from reconciler.model import Json
from reconciler.sandbox.emulator import catalogue, errors
from reconciler.sandbox.emulator.resources import Action, Image, Server
from reconciler.sandbox.emulator.tables import number_in
from reconciler.sandbox.emulator.world import World


def find(world: World, reference: str, architecture: str | None = None) -> Mapping[str, Json] | Image | None:
    """An image of the catalogue or the project, by id or by name; names exist once per architecture."""
    if identifier := number_in(reference):
        return catalogue.image(identifier) or world.images.get(identifier)
    named = (image for image in catalogue.images() if image["name"] == reference)
    return next((image for image in named if image["architecture"] == architecture), None)


def machine_image(world: World, identifier: int) -> str:
    """What the sandbox's machines call it."""
    system = catalogue.image(identifier)
    return _machine_name(identifier) if system is None else str(system["name"])


def create(
    world: World, server: Server, kind: str, description: str, labels: Mapping[str, str]
) -> tuple[Image, Action]:
    """A "snapshot" or a "backup" of the server as it is now. Raises ApiError at the limit of snapshots."""
    if kind == "snapshot":
        world.check_limit("snapshots", sum(image.type == "snapshot" for image in world.images.values()))
    began_as = catalogue.image(server.image)
    image = Image(
        id=world.new_id(),
        type=kind,
        status="creating",
        created=world.stamp(),
        description=description,
        created_from=(server.id, server.name),
        bound_to=server.id if kind == "backup" else None,
        disk=server.disk,
        architecture=catalogue.architecture(server.server_type),
        system=str(began_as["name"]) if began_as else world.images[server.image].system,
        labels=labels,
    )
    world.images.put(image)
    about = ("server", server.id), ("image", image.id)
    return image, world.start("create_image", lambda: _copy(world, server, image), *about)


def change(world: World, image: Image, **changes: object) -> Image:
    return world.images.put(replace(world.images[image.id], **changes))  # type: ignore[arg-type]


def protect(world: World, image: Image, delete: bool) -> Action:
    async def work() -> None:
        change(world, image, protected=delete)

    return world.start("change_protection", work, ("image", image.id))


async def remove(world: World, image: Image) -> None:
    """Raises ApiError for a protected one."""
    if image.protected:
        raise errors.protected("image")
    await _drop(world, image)


async def remove_backups(world: World, server: Server) -> None:
    for image in [image for image in world.images.values() if image.bound_to == server.id]:
        await _drop(world, image)


def forget_unfinished(world: World) -> None:
    """What an earlier process did not finish is no image."""
    for image in [image for image in world.images.values() if image.status == "creating"]:
        world.images.remove(image.id)


async def _copy(world: World, server: Server, image: Image) -> None:
    try:
        await asyncio.to_thread(world.machines.snapshot, server.id, _machine_name(image.id))
    except SandboxError:
        world.images.remove(image.id)
        raise
    if image.id in world.images:
        change(world, image, status="available")


async def _drop(world: World, image: Image) -> None:
    world.images.remove(image.id)
    await asyncio.to_thread(world.machines.remove_image, _machine_name(image.id))


def _machine_name(identifier: int) -> str:
    return f"snapshot-{identifier}"
