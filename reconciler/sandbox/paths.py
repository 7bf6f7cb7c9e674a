"""Where the sandbox keeps its things, all in one value. Makes and removes nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Paths:
    """`run` is gone after `down` or a reboot, `data` holds the machines' disks, `cache` outlives both."""

    run: Path = Path("/run/openclaw-deploy-sandbox")
    data: Path = Path("/var/lib/openclaw-deploy-sandbox")
    cache: Path = Path("/var/cache/openclaw-deploy")

    @classmethod
    def default(cls) -> Paths:
        """The usual places; `OPENCLAW_DEPLOY_CACHE` moves the cache."""
        cache = os.environ.get("OPENCLAW_DEPLOY_CACHE")
        return cls(cache=Path(cache)) if cache else cls()

    @property
    def info(self) -> Path:
        return self.run / "sandbox.json"

    @property
    def token(self) -> Path:
        return self.run / "token"

    @property
    def read_only_token(self) -> Path:
        return self.run / "token.read-only"

    @property
    def control(self) -> Path:
        return self.run / "control.sock"

    @property
    def daemon_lock(self) -> Path:
        return self.run / "daemon.lock"

    @property
    def daemon_log(self) -> Path:
        return self.run / "daemon.log"

    @property
    def cloud_log(self) -> Path:
        """Every request that the emulator got."""
        return self.run / "cloud.log"

    @property
    def cgroups(self) -> Path:
        """Which cgroups are ours, one path a line."""
        return self.run / "cgroups"

    @property
    def namespaces_before(self) -> Path:
        """How `up` found the directory of named network namespaces."""
        return self.run / "netns-before"

    @property
    def emulator_state(self) -> Path:
        return self.data / "emulator.sqlite"

    @property
    def machines(self) -> Path:
        return self.data / "machines"

    @property
    def snapshots(self) -> Path:
        return self.data / "snapshots"

    @property
    def images(self) -> Path:
        return self.cache / "images"

    def machine(self, machine_id: int) -> MachinePaths:
        return MachinePaths(self.machines / str(machine_id))

    def machine_ids(self) -> tuple[int, ...]:
        """Every machine that has a disk, lowest first."""
        if not self.machines.is_dir():
            return ()
        return tuple(sorted(int(folder.name) for folder in self.machines.iterdir() if folder.name.isdigit()))


@dataclass(frozen=True, slots=True)
class MachinePaths:
    """The folder of one machine; `upper` is its disk, `root` where its supervisor alone sees it mounted."""

    folder: Path

    @property
    def description(self) -> Path:
        return self.folder / "machine.json"

    @property
    def user_data(self) -> Path:
        return self.folder / "user-data"

    @property
    def upper(self) -> Path:
        return self.folder / "upper"

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def lock(self) -> Path:
        """Held by the supervisor for as long as the machine has power."""
        return self.folder / "power.lock"

    @property
    def boot_again(self) -> Path:
        """There when the next end of the machine is a reset and not the end."""
        return self.folder / "boot-again"

    @property
    def console(self) -> Path:
        return self.folder / "console.log"

    @property
    def supervisor_log(self) -> Path:
        return self.folder / "supervisor.log"
