"""The Machines port on simulated machines: all of them in one thread of this process.

They live as long as this process does, and so do their images.
"""

from __future__ import annotations

import asyncio
import resource
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Final, TypeVar

from reconciler.errors import SandboxError
from reconciler.sandbox.ports import MachineSpec
from reconciler.sandbox.simulated.disk import Disk
from reconciler.sandbox.simulated.first_boot import HOST_KEY
from reconciler.sandbox.simulated.host import SimulatedHost
from reconciler.sandbox.simulated.machine import Machine
from reconciler.sandbox.simulated.trouble import Trouble

SSH_PORT: Final = 22
PATIENCE: Final = 60.0  # seconds in which the thread must have answered

T = TypeVar("T")


class SimulatedMachines:
    """Implements sandbox/ports.Machines. `listen(address, port)` gives a listening socket that may lie anywhere.

    A context manager: its end is the end of all machines.
    """

    def __init__(
        self,
        listen: Callable[[str, int], socket.socket],
        *,
        port: int = SSH_PORT,
        boot_seconds: float = 0.3,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._listen, self._port, self._boot_seconds, self._now = listen, port, boot_seconds, now
        self._machines: dict[int, Machine] = {}
        self._images: dict[str, Disk] = {}
        self._made = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="simulated machines", daemon=True)

    def started(self) -> SimulatedMachines:
        """For a process whose end is theirs."""
        _allow_many_sockets()
        self._thread.start()
        return self

    def __enter__(self) -> SimulatedMachines:
        return self.started()

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._remove_all(), self._loop).result(PATIENCE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def thread_id(self) -> int:
        """Whose CPU time is that of all machines."""
        assert self._thread.ident is not None, "entered first"
        return self._thread.ident

    # --- the port ---------------------------------------------------------------------------------------------

    def create(self, machine: MachineSpec) -> None:
        self._do(lambda: self._create(machine))

    def destroy(self, machine_id: int) -> None:
        self._do(lambda: self._destroy(machine_id))

    def power_on(self, machine_id: int) -> None:
        self._do(lambda: self._existing(machine_id).power_on())

    def power_off(self, machine_id: int) -> None:
        self._do(lambda: self._existing(machine_id).power_off())

    def shutdown(self, machine_id: int) -> None:
        self.power_off(machine_id)

    def reboot(self, machine_id: int) -> None:
        self.reset(machine_id)

    def reset(self, machine_id: int) -> None:
        self._do(lambda: self._existing(machine_id).reset())

    def rebuild(self, machine_id: int, image: str, user_data: str | None) -> None:
        self._do(lambda: self._rebuild(machine_id, image, user_data))

    def resize(self, machine_id: int, memory_mb: int) -> None:
        self._do(lambda: self._resize(machine_id, memory_mb))

    def snapshot(self, machine_id: int, image: str) -> None:
        self._do(lambda: self._snapshot(machine_id, image))

    def remove_image(self, image: str) -> None:
        self._do(lambda: self._images.pop(image, None))

    def is_running(self, machine_id: int) -> bool:
        machine = self._machines.get(machine_id)
        return machine is not None and machine.powered

    # --- what else is asked of machines -----------------------------------------------------------------------

    def specs(self) -> tuple[MachineSpec, ...]:
        return self._do(lambda: tuple(machine.spec for machine in self._machines.values()))

    def at(self, address: str) -> MachineSpec | None:
        """The machine with this address."""
        return next((spec for spec in self.specs() if spec.address == address), None)

    def make_trouble(self, machine_id: int, trouble: Trouble) -> None:
        """From now on; `Trouble()` ends it."""
        self._do(lambda: self._existing(machine_id).make_trouble(trouble))

    def trouble(self, machine_id: int) -> Trouble:
        """What is left of it: an interruption that was met is gone, and a cut network stays."""
        return self._do(lambda: self._existing(machine_id).trouble)

    def ask(self, machine_id: int, question: Callable[[SimulatedHost], T]) -> T:
        """What a test wants to know of a host; nothing else happens to it meanwhile."""
        return self._do(lambda: question(self._existing(machine_id).host))

    def objections(self) -> dict[int, list[str]]:
        """What was asked of each machine and should not have been; tests assert that it is empty."""
        found = self._do(lambda: {number: list(m.host.objections) for number, m in self._machines.items()})
        return {number: texts for number, texts in found.items() if texts}

    def commands_run(self) -> int:
        """How many the machines that there are have got so far, all together."""
        return self._do(lambda: sum(machine.commands_run for machine in self._machines.values()))

    # --- on the loop ------------------------------------------------------------------------------------------

    def _create(self, spec: MachineSpec) -> None:
        if spec.id in self._machines:
            raise SandboxError(f"machine {spec.id} exists already", "Delete it first.")
        machine = Machine(
            spec, self._new_host(spec), lambda: self._listen(spec.address, self._port), self._boot_seconds
        )
        self._machines[spec.id] = machine
        machine.first_boot()

    def _destroy(self, machine_id: int) -> None:
        machine = self._machines.pop(machine_id, None)
        if machine is not None:
            machine.remove()

    def _rebuild(self, machine_id: int, image: str, user_data: str | None) -> None:
        machine = self._existing(machine_id)
        before = machine.spec
        spec = replace(before, image=image, user_data=before.user_data if user_data is None else user_data)
        host = self._new_host(spec)
        machine.power_off()
        machine.spec, machine.host = spec, host
        machine.first_boot()

    def _resize(self, machine_id: int, memory_mb: int) -> None:
        machine = self._existing(machine_id)
        machine.spec = replace(machine.spec, memory_mb=memory_mb)

    def _snapshot(self, machine_id: int, image: str) -> None:
        disk = self._existing(machine_id).host.disk.copy()
        for path in (HOST_KEY, f"{HOST_KEY}.pub"):
            disk.files.pop(path, None)
        self._images[image] = disk

    def _new_host(self, spec: MachineSpec) -> SimulatedHost:
        """A name of its own for each disk: boot ids never come twice."""
        self._made += 1
        disk = self._images[spec.image].copy() if spec.image in self._images else None
        return SimulatedHost(f"{spec.id} {self._made}", spec.user_data, self._now, disk)

    def _existing(self, machine_id: int) -> Machine:
        if machine_id not in self._machines:
            raise SandboxError(f"there is no machine {machine_id} in this sandbox", "See `fleet sandbox status`.")
        return self._machines[machine_id]

    async def _remove_all(self) -> None:
        """Until nothing of any connection is left."""
        machines = list(self._machines.values())
        self._machines.clear()
        await asyncio.gather(*(machine.end() for machine in machines))

    def _do(self, work: Callable[[], T]) -> T:
        """Do it on the loop's thread, where all that happens to machines happens."""
        outcome: Future[T] = Future()

        def run() -> None:
            try:
                outcome.set_result(work())
            except BaseException as error:
                outcome.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return outcome.result(PATIENCE)


def _allow_many_sockets() -> None:
    """A listener and some connections per machine are more than the usual 1,024 files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 65_536)), hard))
