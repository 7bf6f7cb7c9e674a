"""systemd as far as the product uses it: unit files, what is loaded of them, what is enabled, what runs.

A unit runs by the text that was loaded, not by what lies on the disk now. Programs are few (`_run`); the gateway's is
the simulated gateway.
"""

from __future__ import annotations

import functools
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from reconciler.sandbox.simulated.calls import Fails
from reconciler.sandbox.simulated.disk import is_program

if TYPE_CHECKING:
    from reconciler.sandbox.simulated.host import SimulatedHost

UNITS: Final = "/etc/systemd/system/"
SUFFIXES: Final = (".service", ".timer")
GATEWAY: Final = ("openclaw.mjs", "gateway", "run")


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit file, read: each setting with its values in order."""

    text: bytes
    settings: dict[str, tuple[str, ...]]

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


@functools.lru_cache(maxsize=256)
def read_unit(text: bytes) -> Unit:
    settings: dict[str, tuple[str, ...]] = {}
    for line in text.decode("utf-8", "replace").splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith(("#", ";", "[")):
            settings[name.strip()] = (*settings.get(name.strip(), ()), value.strip())
    return Unit(text, settings)


class Systemd:
    """Implements systemctl's verbs. Each raises Fails with systemctl's exit code and words."""

    def __init__(self, host: SimulatedHost) -> None:
        self.enabled = host.disk.enabled
        self.loaded: dict[str, Unit] = {}
        self._states: dict[str, str] = {}
        self._host = host

    def state(self, name: str) -> str:
        """Its ActiveState."""
        gateway = self._host.gateway
        return gateway.active if name == gateway.unit_name else self._states.get(name, "inactive")

    def is_known(self, name: str) -> bool:
        return f"{UNITS}{name}" in self._host.files or name in self.loaded

    def reload(self) -> None:
        """daemon-reload."""
        found = {path.removeprefix(UNITS): file for path, file in self._host.files.items() if _is_unit(path)}
        kept = {name: unit for name, unit in self.loaded.items() if self.state(name) == "active"}
        self.loaded = kept | {name: read_unit(file.content) for name, file in found.items()}

    def enable(self, name: str) -> None:
        if f"{UNITS}{name}" not in self._host.files:
            raise Fails(f"Failed to enable unit: Unit file {name} does not exist.")
        self.enabled.add(name)
        self.reload()

    def disable(self, name: str) -> None:
        self.enabled.discard(name)
        self.reload()

    def start(self, name: str) -> None:
        unit = self._known(name)
        if self.state(name) == "active":
            return
        for required in unit.words("Requires"):
            try:
                self.start(required)
            except Fails as failure:
                raise Fails(f"A dependency job for {name} failed. See 'journalctl -xe' for details.") from failure
        self._launch(name, unit)

    def stop(self, name: str) -> None:
        if not self.is_known(name):
            raise Fails(f"Failed to stop {name}: Unit {name} not loaded.", 5)
        self._end(name)
        for dependent in self._dependents(name):
            self._end(dependent)

    def restart(self, name: str) -> None:
        self._known(name)
        running = self._dependents(name)
        self.stop(name)
        for started in (name, *running):
            self.start(started)

    def reload_or_restart(self, name: str) -> None:
        """By ExecReload= while it is active, so that what requires it goes on."""
        unit = self._known(name)
        if self.state(name) != "active" or "ExecReload" not in unit.settings:
            return self.restart(name)
        self._all(name, unit.settings["ExecReload"])
        return None

    def reset_failed(self, name: str) -> None:
        if self.state(name) == "failed":
            self._end(name)

    def boot(self) -> None:
        """All that is enabled is started; what cannot be stays failed."""
        self._states.clear()
        self.loaded = {}
        self.reload()
        for name in sorted(self.enabled):
            if self.is_known(name):
                try:
                    self.start(name)
                except Fails:
                    continue

    def run(self, line: str) -> None:
        """One line of Exec…=. Raises Fails."""
        words = shlex.split(line.lstrip("+-!@:"))
        program = words[0]
        if program == "/usr/sbin/nft" and words[1:2] == ["-f"] and "nftables" in self._host.packages:
            self._host.kernel.load(words[2])
        elif program == "/usr/bin/false":
            raise Fails("exited with status 1")
        elif is_program(self._host, program):
            self._host.gateway.run_stamp(program, words[1:])
        elif program not in ("/usr/bin/true", "/usr/bin/sleep"):
            raise Fails(f"Unable to locate executable '{program}': No such file or directory", 203)

    def _known(self, name: str) -> Unit:
        if name not in self.loaded and f"{UNITS}{name}" in self._host.files:
            self.loaded[name] = read_unit(self._host.content(f"{UNITS}{name}"))
        if name not in self.loaded:
            raise Fails(f"Failed to start {name}: Unit {name} not found.", 5)
        return self.loaded[name]

    def _launch(self, name: str, unit: Unit) -> None:
        if unit.is_gateway:
            self._host.gateway.start(unit.text, name)
            return
        self._states[name] = "failed"
        self._all(name, (*unit.settings.get("ExecStartPre", ()), *unit.settings.get("ExecStart", ())))
        stays = unit.last("Type", "simple") != "oneshot" or unit.last("RemainAfterExit") == "yes"
        self._states[name] = "active" if stays else "inactive"

    def _all(self, name: str, lines: tuple[str, ...]) -> None:
        for line in lines:
            try:
                self.run(line)
            except Fails as failure:
                self._states[name] = "failed"
                text = f"Job for {name} failed because the control process exited with error code."
                raise Fails(text) from failure

    def _end(self, name: str) -> None:
        if name == self._host.gateway.unit_name:
            self._host.gateway.stop()
        self._states.pop(name, None)

    def _dependents(self, name: str) -> list[str]:
        """What runs and Requires= this unit: it is stopped and started with it."""
        return [
            other for other, unit in self.loaded.items()
            if name in unit.words("Requires") and self.state(other) == "active"
        ]  # fmt: skip


def _is_unit(path: str) -> bool:
    return path.startswith(UNITS) and path.endswith(SUFFIXES) and "/" not in path.removeprefix(UNITS)
