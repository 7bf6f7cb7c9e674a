"""What the emulator needs of whatever boots its servers: real nspawn machines, or a fake in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """A machine to boot. `id` is the emulator's server id and names everything we make for it (`fsb-<id>`)."""

    id: int
    hostname: str
    address: str  # IPv4 inside the sandbox's subnet
    image: str  # a sandbox image name: "debian-12"
    user_data: str
    memory_mb: int


class Machines(Protocol):
    """Blocking calls; each returns when the effect has been started, `is_running` tells how it is now."""

    def create(self, machine: MachineSpec) -> None:
        """Disk, network and cgroup made, and the machine booting. Raises SandboxError."""

    def destroy(self, machine_id: int) -> None:
        """Everything of it gone; nothing to do when it is not there."""

    def power_on(self, machine_id: int) -> None: ...

    def power_off(self, machine_id: int) -> None:
        """At once, as pulling the plug."""

    def shutdown(self, machine_id: int) -> None:
        """The ACPI button: the machine may take its time."""

    def reboot(self, machine_id: int) -> None:
        """The ACPI way."""

    def reset(self, machine_id: int) -> None:
        """Plug pulled and put back."""

    def is_running(self, machine_id: int) -> bool: ...
