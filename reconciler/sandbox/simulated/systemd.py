"""systemd as far as the product uses it: what is loaded of the unit files, what is enabled, what runs.

A unit runs by the text that was loaded, not by what lies on the disk now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from reconciler.model import Json
from reconciler.sandbox.simulated.calls import Fails
from reconciler.sandbox.simulated.disk import exists
from reconciler.sandbox.simulated.programs import run_line
from reconciler.sandbox.simulated.units import Unit, read_unit

if TYPE_CHECKING:
    from reconciler.sandbox.simulated.host import SimulatedHost

UNITS: Final = "/etc/systemd/system/"
SUFFIXES: Final = (".service", ".timer")


@dataclass(frozen=True, slots=True)
class Run:
    """How a unit is, in the words of `systemctl show`; `journal` is why it failed."""

    active: str = "inactive"
    sub: str = "dead"
    result: str = "success"
    main_pid: int = 0
    exit_status: int = 0
    journal: str = ""


IDLE: Final = Run()


class Systemd:
    """Implements systemctl's verbs. Each raises Fails with systemctl's exit code and words."""

    def __init__(self, host: SimulatedHost) -> None:
        self.enabled = host.disk.enabled
        self.loaded: dict[str, Unit] = {}
        self.runs: dict[str, Run] = {}
        self._forks = 0
        self._host = host

    def state(self, name: str) -> Run:
        return self.runs.get(name, IDLE)

    def is_active(self, name: str) -> bool:
        return self.state(name).active == "active"

    def is_known(self, name: str) -> bool:
        return f"{UNITS}{name}" in self._host.files or name in self.loaded

    def file_state(self, name: str) -> str:
        """UnitFileState: "" for a unit whose file is gone."""
        if f"{UNITS}{name}" not in self._host.files:
            return ""
        if name in self.enabled:
            return "enabled"
        return "disabled" if read_unit(self._host.content(f"{UNITS}{name}")).can_be_enabled else "static"

    def reload(self) -> None:
        """daemon-reload. Only what is wanted or runs stays in memory; the rest is read when it is asked for."""
        kept = {name: unit for name, unit in self.loaded.items() if self.is_active(name)}
        known = {path.removeprefix(UNITS) for path in self._host.files if _is_unit(path)}
        fresh = {name for name in known if name in self.enabled or name in self.runs}
        self.loaded = kept | {name: self._on_disk(name) for name in fresh}

    def drop_ins(self, name: str) -> list[str]:
        """The files that are added to a unit, in their order."""
        found = [path for path in self._host.files if path.endswith(".conf") and path.startswith(_additions(name))]
        return sorted(found, key=lambda path: path.rpartition("/")[2])

    def show_loaded(self, name: str) -> Json:
        """FragmentPath, DropInPaths and NeedDaemonReload; None for a unit that is not there."""
        if not self.is_known(name):
            return None
        unit, now = self.loaded.get(name), self._on_disk(name)
        return {
            "from": f"{UNITS}{name}",
            "drop_ins": [*(unit or now).drop_ins],
            "outdated": unit is not None and unit != now,
        }

    def enable(self, name: str) -> None:
        if f"{UNITS}{name}" not in self._host.files:
            raise Fails(f"Failed to enable unit: Unit file {name} does not exist.")
        self.enabled.add(name)
        self.reload()

    def disable(self, name: str) -> None:
        if f"{UNITS}{name}" not in self._host.files:
            raise Fails(f"Failed to disable unit: Unit file {name} does not exist.")
        self.enabled.discard(name)
        self.reload()

    def start(self, name: str) -> None:
        unit = self._known(name)
        if self.is_active(name) or not self._may_start(unit):
            return
        for required in unit.words("Requires"):
            try:
                self.start(required)
            except Fails as failure:
                raise Fails(f"A dependency job for {name} failed. See 'journalctl -xe' for details.") from failure
        self.launch(name, unit)

    def stop(self, name: str) -> None:
        if not self.is_known(name):
            raise Fails(f"Failed to stop {name}: Unit {name} not loaded.", 5)
        for ended in (*self._dependents(name), name):
            self.end(ended)

    def restart(self, name: str) -> None:
        self._known(name)
        running = self._dependents(name)
        self.stop(name)
        for started in (name, *running):
            self.start(started)

    def reload_or_restart(self, name: str) -> None:
        """By ExecReload= while it is active, so that what requires it goes on."""
        unit = self._known(name)
        if not self.is_active(name) or "ExecReload" not in unit.settings:
            self.restart(name)
            return
        self._run_all(name, unit.settings["ExecReload"])

    def reset_failed(self, name: str) -> None:
        if self.state(name).active == "failed":
            self.end(name)

    def boot(self) -> None:
        """All that is enabled is started; what cannot be stays failed."""
        self.runs.clear()
        self.loaded.clear()
        self._forks = 0
        self.reload()
        for name in sorted(self.enabled & set(self.loaded)):
            try:
                self.start(name)
            except Fails:
                continue  # as at a real boot: the journal has it

    def launch(self, name: str, unit: Unit) -> None:
        """Start it by this text, whatever it requires."""
        self._run_all(name, unit.settings.get("ExecStartPre", ()))
        if unit.is_gateway:
            failure = self._host.gateway.begin(name, unit)
            self.runs[name] = Run("failed", "failed", *failure) if failure else self._running()
            return
        self._run_all(name, unit.settings.get("ExecStart", ()))
        if unit.last("Type", "simple") != "oneshot":
            self.runs[name] = self._running()
        else:
            stays = unit.last("RemainAfterExit") == "yes"
            self.runs[name] = Run("active", "exited") if stays else IDLE

    def end(self, name: str) -> None:
        """It stops; a failure is forgotten."""
        self.runs.pop(name, None)
        if name not in self.enabled:
            self.loaded.pop(name, None)

    def _on_disk(self, name: str) -> Unit:
        """The unit's file with what is added to it."""
        added = self.drop_ins(name)
        return read_unit(b"\n".join(self._host.content(path) for path in (f"{UNITS}{name}", *added)), tuple(added))

    def _known(self, name: str) -> Unit:
        if name not in self.loaded and f"{UNITS}{name}" in self._host.files:
            self.loaded[name] = self._on_disk(name)
        if name not in self.loaded:
            raise Fails(f"Failed to start {name}: Unit {name} not found.", 5)
        return self.loaded[name]

    def _may_start(self, unit: Unit) -> bool:
        """As its conditions say: where they do not hold, nothing is started, and that is no failure."""
        paths = unit.words("ConditionPathExists")
        return all(exists(self._host, path.lstrip("!")) is not path.startswith("!") for path in paths)

    def _running(self) -> Run:
        self._forks += 1
        return Run("active", "running", main_pid=1000 * self._host.boots + self._forks)

    def _run_all(self, name: str, lines: tuple[str, ...]) -> None:
        for line in lines:
            try:
                run_line(self._host, line)
            except Fails as failure:
                self.runs[name] = Run("failed", "failed", "exit-code", 0, failure.exit_code, str(failure))
                text = f"Job for {name} failed because the control process exited with error code."
                raise Fails(text) from failure

    def _dependents(self, name: str) -> list[str]:
        """What runs and Requires= this unit: it is stopped and started with it."""
        return [
            other for other, unit in self.loaded.items()
            if name in unit.words("Requires") and self.is_active(other)
        ]  # fmt: skip


def _additions(name: str) -> tuple[str, ...]:
    return tuple(f"{directory}{name}.d/" for directory in (UNITS, "/run/systemd/system/"))


def _is_unit(path: str) -> bool:
    return path.startswith(UNITS) and path.endswith(SUFFIXES) and "/" not in path.removeprefix(UNITS)
