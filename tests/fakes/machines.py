"""Machines in memory, for the emulator in tests: they boot at once, or fail when told to."""

from __future__ import annotations

from dataclasses import replace

from reconciler.errors import SandboxError
from reconciler.sandbox.ports import MachineSpec


class FakeMachines:
    """`machines` is what exists now, `running` which of them are on, `images` the snapshots kept.

    `fails` makes the next create, rebuild or snapshot fail.
    """

    def __init__(self) -> None:
        self.machines: dict[int, MachineSpec] = {}
        self.running: set[int] = set()
        self.images: set[str] = set()
        self.fails = False

    def create(self, machine: MachineSpec) -> None:
        self._need_space()
        self.machines[machine.id] = machine
        self.running.add(machine.id)

    def destroy(self, machine_id: int) -> None:
        self.machines.pop(machine_id, None)
        self.running.discard(machine_id)

    def power_on(self, machine_id: int) -> None:
        if machine_id not in self.machines:
            raise SandboxError(f"there is no machine {machine_id}")
        self.running.add(machine_id)

    def power_off(self, machine_id: int) -> None:
        self.running.discard(machine_id)

    def shutdown(self, machine_id: int) -> None:
        self.running.discard(machine_id)

    def reboot(self, machine_id: int) -> None:
        self.power_on(machine_id)

    def reset(self, machine_id: int) -> None:
        self.power_on(machine_id)

    def rebuild(self, machine_id: int, image: str, user_data: str | None) -> None:
        self._need_space()
        before = self.machines[machine_id]
        again = before.user_data if user_data is None else user_data
        self.machines[machine_id] = replace(before, image=image, user_data=again)
        self.running.add(machine_id)

    def resize(self, machine_id: int, memory_mb: int) -> None:
        self.machines[machine_id] = replace(self.machines[machine_id], memory_mb=memory_mb)

    def snapshot(self, machine_id: int, image: str) -> None:
        self._need_space()
        self.images.add(image)

    def remove_image(self, image: str) -> None:
        self.images.discard(image)

    def is_running(self, machine_id: int) -> bool:
        return machine_id in self.running

    def at(self, address: str) -> MachineSpec | None:
        return next((machine for machine in self.machines.values() if machine.address == address), None)

    def _need_space(self) -> None:
        if self.fails:
            self.fails = False
            raise SandboxError("no space left for the machine's disk")
