"""What the emulator needs of whatever boots its servers: real nspawn machines, simulated ones, or a fake in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """A machine to boot. `id` is the emulator's server id and names everything we make for it (`fsb-<id>`)."""

    id: int
    hostname: str
    address: str  # IPv4 inside the sandbox's subnet
    image: str  # a sandbox image name: "debian-12", or one that `snapshot` was given
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

    def rebuild(self, machine_id: int, image: str, user_data: str | None) -> None:
        """A fresh disk from the image and a first boot on it, same address. None: the user data that it had.

        Raises SandboxError.
        """

    def resize(self, machine_id: int, memory_mb: int) -> None:
        """From its next boot on."""

    def snapshot(self, machine_id: int, image: str) -> None:
        """Keep what its disk holds now as an image of this name, without what is one machine's alone.

        Raises SandboxError.
        """

    def remove_image(self, image: str) -> None:
        """Gone, or it was not there. Machines made from it keep their disks."""

    def is_running(self, machine_id: int) -> bool: ...

    def at(self, address: str) -> MachineSpec | None:
        """The machine with this address, as it was ordered."""
