"""The emulated project's ssh keys: unique by name and by fingerprint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from reconciler.sandbox.emulator import errors
from reconciler.sandbox.emulator.resources import SshKey
from reconciler.sandbox.emulator.tables import Table

if TYPE_CHECKING:
    from reconciler.sandbox.emulator.world import World


class SshKeys:
    """Raises ApiError 409 for a name or a key that is there already."""

    def __init__(self, world: World) -> None:
        self.by_id: Table[SshKey] = Table()
        self._world = world

    def add(self, name: str, public_key: str, fingerprint: str, labels: Mapping[str, str]) -> SshKey:
        self._check_name(name)
        if any(key.fingerprint == fingerprint for key in self.by_id.values()):
            raise errors.uniqueness("public_key", "SSH key with the same fingerprint already exists")
        self._world.check_limit("ssh_keys", len(self.by_id))
        return self.by_id.put(SshKey(self._world.new_id(), name, self._world.stamp(), public_key, fingerprint, labels))

    def update(self, key: SshKey, name: str | None, labels: Mapping[str, str] | None) -> SshKey:
        if name is not None and name != key.name:
            self._check_name(name)
        labels = key.labels if labels is None else labels
        return self.by_id.put(replace(key, name=name or key.name, labels=labels))

    def remove(self, key: SshKey) -> None:
        self.by_id.remove(key.id)

    def _check_name(self, name: str) -> None:
        if self.by_id.named(name):
            raise errors.uniqueness("name", "SSH key with the same name already exists")
