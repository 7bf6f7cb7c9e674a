"""Machines in memory, for the emulator in tests: they boot at once, or fail when told to."""

from __future__ import annotations

from reconciler.errors import SandboxError
from reconciler.sandbox.ports import MachineSpec


class FakeMachines:
    """`machines` is what exists now, `running` which of them are on. `fails` makes the next create fail."""

    def __init__(self) -> None:
        self.machines: dict[int, MachineSpec] = {}
        self.running: set[int] = set()
        self.fails = False

    def create(self, machine: MachineSpec) -> None:
        if self.fails:
            self.fails = False
            raise SandboxError("no space left for the machine's disk")
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

    def is_running(self, machine_id: int) -> bool:
        return machine_id in self.running
