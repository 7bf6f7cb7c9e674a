"""A unit file, read as far as simulated machines need it. Pure."""

from __future__ import annotations

import functools
import shlex
from dataclasses import dataclass
from typing import Final

GATEWAY: Final = ("openclaw.mjs", "gateway", "run")


@dataclass(frozen=True, slots=True)
class Unit:
    """Each setting with its values in order, whatever its section."""

    text: bytes
    settings: dict[str, tuple[str, ...]]
    drop_ins: tuple[str, ...] = ()

    def words(self, setting: str) -> list[str]:
        return [word for value in self.settings.get(setting, ()) for word in value.split()]

    def last(self, setting: str, default: str = "") -> str:
        return self.settings.get(setting, (default,))[-1]

    def environment(self) -> dict[str, str]:
        values = [word for value in self.settings.get("Environment", ()) for word in shlex.split(value)]
        return dict(value.split("=", 1) for value in values if "=" in value)

    @property
    def main(self) -> list[str]:
        """The words of ExecStart=."""
        return shlex.split(self.last("ExecStart"))

    @property
    def is_gateway(self) -> bool:
        words = self.main
        return len(words) >= 4 and (words[-3].rpartition("/")[2], *words[-2:]) == GATEWAY

    @property
    def can_be_enabled(self) -> bool:
        return any(name in self.settings for name in ("WantedBy", "RequiredBy", "Alias", "Also"))


@functools.lru_cache(maxsize=256)
def read_unit(text: bytes, drop_ins: tuple[str, ...] = ()) -> Unit:
    """`text` is the file's, with that of its drop-ins behind it."""
    settings: dict[str, tuple[str, ...]] = {}
    for line in text.decode("utf-8", "replace").splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith(("#", ";", "[")):
            settings[name.strip()] = (*settings.get(name.strip(), ()), value.strip())
    return Unit(text, settings, drop_ins)
