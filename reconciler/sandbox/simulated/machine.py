"""One simulated machine: a host, its power, its SSH port, and whatever trouble a test makes for it.

Everything here runs on the one event loop of SimulatedMachines.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import asyncssh

from reconciler.model import Completed
from reconciler.sandbox.ports import MachineSpec
from reconciler.sandbox.simulated.host import SimulatedHost
from reconciler.sandbox.simulated.server import TIMED_OUT, options_for, serve
from reconciler.sandbox.simulated.socket_filter import drop_packets, pass_packets
from reconciler.sandbox.simulated.table import execute, execute_half
from reconciler.sandbox.simulated.trouble import Answer, Fate, Interruption, Moment, Trouble


class Machine:
    """`listen` makes its listening socket; `boot_seconds` pass between power and the first accepted connection."""

    def __init__(
        self, spec: MachineSpec, host: SimulatedHost, listen: Callable[[], socket.socket], boot_seconds: float
    ) -> None:
        self.spec = spec
        self.host = host
        self.powered = False
        self.connections: set[asyncssh.SSHServerConnection] = set()
        self.trouble = Trouble()
        self.commands_run = 0
        self._listen = listen
        self._boot_seconds = boot_seconds
        self._booting: asyncio.TimerHandle | None = None
        self._listener: socket.socket | None = None
        self._silent: set[socket.socket] = set()  # accepted, and never spoken to
        self._options: tuple[bytes, asyncssh.SSHServerConnectionOptions] | None = None
        self._work: set[asyncio.Task[None]] = set()

    # --- power ------------------------------------------------------------------------------------------------

    def first_boot(self) -> None:
        """The host is just made, and has booted by that."""
        self.powered = True
        self._port(Answer.REFUSES)
        self._booting = asyncio.get_running_loop().call_later(self._boot_seconds, self._booted)

    def power_on(self) -> None:
        if not self.powered:
            self.host.boot()
            self.first_boot()

    def power_off(self) -> None:
        """As pulling the plug: nothing that runs gets to its end."""
        self.powered = False
        if self._booting:
            self._booting.cancel()
        for task in self._work - {asyncio.current_task()}:
            task.cancel()
        self.hang_up()
        self._port(Answer.VANISHES)

    def reset(self) -> None:
        self.power_off()
        self.power_on()

    def remove(self) -> None:
        self.power_off()
        self._port(Answer.REFUSES)

    async def end(self) -> None:
        """Removed, and nothing of it is at work any more."""
        connections, work = list(self.connections), list(self._work)
        self.remove()
        await asyncio.gather(*work, *(connection.wait_closed() for connection in connections), return_exceptions=True)
        await asyncio.sleep(0)  # transports close one turn of the loop later

    # --- trouble ----------------------------------------------------------------------------------------------

    def make_trouble(self, trouble: Trouble) -> None:
        self.trouble = trouble
        if self.powered and (self._booting is None):
            self._port(trouble.answer)

    def hang_up(self) -> None:
        for connection in list(self.connections):
            connection.abort()
        self.connections.clear()
        for sock in self._silent:
            sock.close()
        self._silent.clear()

    # --- commands ---------------------------------------------------------------------------------------------

    async def run(self, line: str, stdin: bytes, timeout: float) -> Completed | None:
        self.commands_run += 1
        if self.trouble.slow:
            await asyncio.sleep(min(self.trouble.slow, timeout))
            if self.trouble.slow >= timeout:
                return Completed(TIMED_OUT, b"", b"")
        interruption = self._interruption()
        if interruption is None:
            completed = execute(self.host, line, stdin)
            return None if self.trouble.answer is Answer.VANISHES else completed
        if interruption.moment is Moment.WITHIN:
            execute_half(self.host, line, stdin)
        elif interruption.moment is Moment.AFTER:
            execute(self.host, line, stdin)
        self._meet(interruption.fate)
        return None

    def keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    def _interruption(self) -> Interruption | None:
        """The one that is due; each command brings it nearer."""
        planned = self.trouble.interruption
        if planned is None:
            return None
        is_due = planned.commands <= 0
        later = None if is_due else replace(planned, commands=planned.commands - 1)
        self.trouble = replace(self.trouble, interruption=later)
        return planned if is_due else None

    def _meet(self, fate: Fate) -> None:
        match fate:
            case Fate.HANGS_UP:
                self.hang_up()
            case Fate.REBOOTS:
                self.reset()
            case Fate.VANISHES:
                self.make_trouble(replace(self.trouble, answer=Answer.VANISHES))

    # --- its SSH port -----------------------------------------------------------------------------------------

    def _booted(self) -> None:
        self._booting = None
        self._port(self.trouble.answer)

    def _port(self, answer: Answer) -> None:
        """From now on new connections meet this."""
        if answer is Answer.REFUSES:
            self._close()
            return
        if self._listener is None:
            self._listener = self._listen()
            self._listener.setblocking(False)
            asyncio.get_running_loop().add_reader(self._listener, self._accept)
        for sock in (self._listener, *self._sockets()):
            (drop_packets if answer is Answer.VANISHES else pass_packets)(sock)

    def _close(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def _sockets(self) -> list[socket.socket]:
        """A connection that is just closing has none any more."""
        found = (connection.get_extra_info("socket") for connection in self.connections)
        return [sock for sock in found if sock is not None]

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            sock, (source, *_) = self._listener.accept()
        except OSError:
            return
        self.host.tick()
        if self.trouble.answer is Answer.HANGS or not self.host.answers(source):
            self._silent.add(sock)
            return
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.keep(serve(self, self._ssh_options(), sock))

    def _ssh_options(self) -> asyncssh.SSHServerConnectionOptions:
        """Made anew only when the host shows another key."""
        if self._options is None or self._options[0] != self.host.private_key:
            self._options = self.host.private_key, options_for(self)
        return self._options[1]
