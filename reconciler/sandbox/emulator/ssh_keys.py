"""The emulated project's ssh keys: unique by name and by fingerprint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from reconciler.sandbox.emulator import errors
from reconciler.sandbox.emulator.resources import SshKey

if TYPE_CHECKING:
    from reconciler.sandbox.emulator.world import World


class SshKeys:
    """Raises ApiError 409 for a name or a key that is there already."""

    def __init__(self, world: World) -> None:
        self.by_id: dict[int, SshKey] = {}
        self._world = world

    def add(self, name: str, public_key: str, fingerprint: str, labels: Mapping[str, str]) -> SshKey:
        self._check_name(name)
        if any(key.fingerprint == fingerprint for key in self.by_id.values()):
            raise errors.uniqueness("public_key", "SSH key with the same fingerprint already exists")
        key = SshKey(self._world.new_id(), name, self._world.stamp(), public_key, fingerprint, labels)
        self.by_id[key.id] = key
        return key

    def update(self, key: SshKey, name: str | None, labels: Mapping[str, str] | None) -> SshKey:
        if name is not None and name != key.name:
            self._check_name(name)
        changed = replace(key, name=name or key.name, labels=key.labels if labels is None else labels)
        self.by_id[key.id] = changed
        return changed

    def remove(self, key: SshKey) -> None:
        del self.by_id[key.id]

    def _check_name(self, name: str) -> None:
        if any(key.name == name for key in self.by_id.values()):
            raise errors.uniqueness("name", "SSH key with the same name already exists")
