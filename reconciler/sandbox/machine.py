"""Real machines: systemd-nspawn over an overlay of a Debian image, behind the `Machines` port.

Nothing is remembered here: what there is lies in the machine's folder, its control group and its power lock, so any
process (the daemon, its successor, `down`) sees the same.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from pathlib import Path

from reconciler.errors import SandboxError
from reconciler.sandbox import cgroups, network, process, snapshots
from reconciler.sandbox.disk import Description, make_disk, remove_disk
from reconciler.sandbox.paths import MachinePaths, Paths
from reconciler.sandbox.ports import MachineSpec
from reconciler.sandbox.supervisor import forget_in_nspawn

# What systemd as PID 1 of a container takes for the power button and for ctrl-alt-del.
ACPI_POWER = signal.SIGRTMIN + 4
ACPI_REBOOT = signal.SIGRTMIN + 5

_POWER_OFF_TIMEOUT = 15.0  # seconds


@dataclass(frozen=True, slots=True)
class NspawnMachines:
    """Implements sandbox/ports.Machines. `apt_sources` are the one-line entries that each machine's apt gets."""

    paths: Paths
    subnet: IPv4Network
    apt_sources: Sequence[str] = ()

    def create(self, machine: MachineSpec) -> None:
        layers = snapshots.layers_of(self.paths, machine.image)
        folder = self.paths.machine(machine.id)
        if folder.folder.exists():
            raise SandboxError(f"machine {machine.id} exists already in {folder.folder}", "Delete it first.")
        try:
            make_disk(folder, machine, self.subnet, self.apt_sources)
            _describe(machine, layers).to_file(folder.description)
            network.machine_up(machine.id)
            self.power_on(machine.id)
        except BaseException:
            self.destroy(machine.id)
            raise

    def destroy(self, machine_id: int) -> None:
        if not self.paths.machine(machine_id).folder.exists():
            return
        self.power_off(machine_id)
        network.machine_down(machine_id)
        remove_disk(self.paths.machine(machine_id))
        snapshots.sweep(self.paths)

    def power_on(self, machine_id: int) -> None:
        machine = self._existing(machine_id)
        with machine.lock.open("a") as lock:
            if cgroups.is_populated(self._trees(), _group(machine_id)) or not process.take(lock.fileno()):
                return  # it has power
            # It counts as running from this moment, because the supervisor inherits the lock.
            process.start(
                "reconciler.sandbox.supervisor", str(machine_id), lock=lock.fileno(), log=machine.supervisor_log,
                trees=self._trees(), env=self._environment(),
            )  # fmt: skip

    def power_off(self, machine_id: int) -> None:
        machine = self._existing(machine_id)
        machine.boot_again.unlink(missing_ok=True)
        self._end(machine_id)
        cgroups.kill(self._trees(), _group(machine_id))
        forget_in_nspawn(machine_id)

    def shutdown(self, machine_id: int) -> None:
        self._signal(machine_id, ACPI_POWER)

    def reboot(self, machine_id: int) -> None:
        if process.is_held(self._existing(machine_id).lock):
            self._signal(machine_id, ACPI_REBOOT)
        else:  # its supervisor was killed: nobody would boot it again
            self.reset(machine_id)

    def reset(self, machine_id: int) -> None:
        machine = self._existing(machine_id)
        if not process.is_held(machine.lock):
            self.power_off(machine_id)
            self.power_on(machine_id)
            return
        machine.boot_again.touch()
        cgroups.end_all(self._trees(), _group(machine_id))

    def rebuild(self, machine_id: int, image: str, user_data: str | None) -> None:
        layers = snapshots.layers_of(self.paths, image)
        folder = self._existing(machine_id)
        before = self._spec(folder)
        machine = replace(before, image=image, user_data=before.user_data if user_data is None else user_data)
        self.power_off(machine_id)
        make_disk(folder, machine, self.subnet, self.apt_sources)
        _describe(machine, layers).to_file(folder.description)
        self.power_on(machine_id)
        snapshots.sweep(self.paths)

    def resize(self, machine_id: int, memory_mb: int) -> None:
        file = self._existing(machine_id).description
        replace(Description.from_file(file), memory_mb=memory_mb).to_file(file)

    def snapshot(self, machine_id: int, image: str) -> None:
        """A running machine is frozen meanwhile (10 s for a disk with an OpenClaw release)."""
        folder = self._existing(machine_id)
        with cgroups.frozen(self._trees(), _group(machine_id)):
            snapshots.take(self.paths, folder, image)

    def remove_image(self, image: str) -> None:
        snapshots.remove(self.paths, image)

    def is_running(self, machine_id: int) -> bool:
        machine = self.paths.machine(machine_id)
        if not machine.folder.is_dir():
            return False
        return process.is_held(machine.lock) or cgroups.is_populated(self._trees(), _group(machine_id))

    def memory_mb(self, machine_id: int) -> int:
        """What the machine uses now, page cache included."""
        return cgroups.memory_mb(self._trees(), _group(machine_id))

    def at(self, address: str) -> MachineSpec | None:
        """The machine with this address, as it was ordered."""
        for machine_id in self.paths.machine_ids():
            machine = self.paths.machine(machine_id)
            with contextlib.suppress(FileNotFoundError):  # it is just being made or removed
                if Description.from_file(machine.description).address == address:
                    return self._spec(machine)
        return None

    def _spec(self, machine: MachinePaths) -> MachineSpec:
        found, user_data = Description.from_file(machine.description), machine.user_data.read_text()
        return MachineSpec(found.id, found.hostname, found.address, found.image, user_data, found.memory_mb)

    def _environment(self) -> dict[str, str]:
        """Nothing of the operator's gets near a machine."""
        return {"PATH": process.SYSTEM_PATH, "OPENCLAW_DEPLOY_CACHE": str(self.paths.cache)}

    def _existing(self, machine_id: int) -> MachinePaths:
        machine = self.paths.machine(machine_id)
        if not machine.folder.is_dir():
            raise SandboxError(f"there is no machine {machine_id} in this sandbox", "See `fleet sandbox status`.")
        return machine

    def _trees(self) -> dict[str, Path]:
        return cgroups.load_trees(self.paths.cgroups)

    def _signal(self, machine_id: int, number: int) -> None:
        """Press a button; a machine that has no init yet, or is off, does not notice."""
        self._existing(machine_id)
        for pid in cgroups.processes(self._trees(), _group(machine_id)):
            if _is_init(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)

    def _end(self, machine_id: int) -> None:
        """Kill until it is off: a machine that was just rebooting comes back once."""
        deadline = time.monotonic() + _POWER_OFF_TIMEOUT
        while self.is_running(machine_id):
            if time.monotonic() > deadline:
                raise SandboxError(
                    f"machine {machine_id} does not end", f"See `fleet sandbox logs {machine_id}`; try again."
                )
            cgroups.end_all(self._trees(), _group(machine_id))
            time.sleep(0.01)


def _describe(machine: MachineSpec, layers: str) -> Description:
    return Description(
        id=machine.id,
        hostname=machine.hostname,
        address=machine.address,
        image=machine.image,
        image_folder=layers,
        memory_mb=machine.memory_mb,
        uuid=uuid.uuid4().hex,
    )


def _group(machine_id: int) -> str:
    return network.machine_namespace(machine_id)


def _is_init(pid: int) -> bool:
    """Whether this is PID 1 of a machine: the last number of NSpid is its number in its own namespace."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    numbers = next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [])
    return len(numbers) > 1 and numbers[-1] == "1"
