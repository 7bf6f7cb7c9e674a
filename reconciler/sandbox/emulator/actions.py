"""Runs the emulator's actions: one at a time per server, in the order they were asked for.

Everything but the machines' own work happens in the event loop's thread, so no state here needs a lock.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import replace

from reconciler.errors import SandboxError
from reconciler.sandbox.emulator.errors import ApiError
from reconciler.sandbox.emulator.faults import FaultKind, Faults
from reconciler.sandbox.emulator.figures import REAL_SECONDS
from reconciler.sandbox.emulator.resources import Action
from reconciler.sandbox.emulator.tables import Table


class ActionError(Exception):
    """Ends an action with status `error`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Actions:
    """`by_id` is every action ever started. `pace` is how many seconds each one takes at least, without a fault."""

    def __init__(self, faults: Faults, stamp: Callable[[], str], pace: float, changed: Callable[[], None]) -> None:
        self.by_id: Table[Action] = Table()
        self.pace = pace
        self._faults = faults
        self._stamp = stamp
        self._changed = changed
        self._queues: defaultdict[int | None, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._of: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
        self._running_of: defaultdict[int | None, set[int]] = defaultdict(set)
        self._tasks: set[asyncio.Task[None]] = set()

    def start(
        self, number: int, command: str, resources: tuple[tuple[str, int], ...], work: Callable[[], Awaitable[None]]
    ) -> Action:
        """Register an action that is running from now on; `work` begins when its server's earlier ones are done."""
        action = self.by_id.put(Action(number, command, "running", self._stamp(), resources))
        self.index(action)
        self._running_of[action.server_id].add(action.id)
        task = asyncio.get_running_loop().create_task(self._run(action, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return action

    def index(self, action: Action) -> None:
        """Make it findable by what it is about."""
        for resource in action.resources:
            self._of[resource].append(action.id)

    def of(self, kind: str, identifier: int | None = None) -> list[Action]:
        """Those about one resource, or about any of the kind; oldest first."""
        if identifier is not None:
            return [self.by_id[number] for number in self._of[kind, identifier]]
        return [action for action in self.by_id.values() if any(known == kind for known, _ in action.resources)]

    def is_locked(self, server_id: int) -> bool:
        return bool(self._running_of[server_id])

    def is_running(self, command: str, *resources: tuple[str, int]) -> bool:
        """Whether an unfinished action of this command concerns all of these resources, a server among them."""
        server_id = dict(resources)["server"]
        running = (self.by_id[number] for number in self._running_of[server_id])
        return any(action.command == command and set(resources) <= set(action.resources) for action in running)

    def finish(self, action_id: int, error: tuple[str, str] | None = None) -> None:
        status = "success" if error is None else "error"
        self.by_id.put(replace(self.by_id[action_id], status=status, finished=self._stamp(), error=error))

    async def stop(self) -> None:
        """Cancel what still runs; the next start settles it."""
        for task in list(self._tasks):
            task.cancel()
        for task in list(self._tasks):
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self, action: Action, work: Callable[[], Awaitable[None]]) -> None:
        try:
            async with self._queues[action.server_id]:
                await asyncio.sleep(self._seconds(action.command))
                await self._attempt(action, work)
        finally:
            self._running_of[action.server_id].discard(action.id)
        self._changed()

    def _seconds(self, command: str) -> float:
        speed = self._faults.number(FaultKind.SPEED, "actions", 0)
        usual = REAL_SECONDS[command] / speed if speed else self.pace
        return self._faults.number(FaultKind.SLOW, command, usual)

    async def _attempt(self, action: Action, work: Callable[[], Awaitable[None]]) -> None:
        if fault := self._faults.take(FaultKind.FAIL, lambda command: command == action.command):
            return self.finish(action.id, (fault.value, fault.message))
        try:
            await work()
        except ActionError as failed:
            return self.finish(action.id, (failed.code, failed.message))
        except ApiError as refused:  # it fitted when it was asked for, and does no longer
            return self.finish(action.id, (refused.code, refused.message))
        except SandboxError as failed:
            return self.finish(action.id, ("action_failed", failed.summary))
        except Exception as failed:
            self.finish(action.id, ("server_error", f"the sandbox failed: {failed!r}"))
            raise  # asyncio logs it with its traceback
        return self.finish(action.id)
