"""Runs the emulator's actions: one at a time per server, in the order they were asked for.

Everything but the machines' own work happens in the event loop's thread, so no state here needs a lock.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import replace

from reconciler.errors import SandboxError
from reconciler.sandbox.emulator.faults import Faults
from reconciler.sandbox.emulator.resources import Action


class ActionError(Exception):
    """Ends an action with status `error`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Actions:
    """`by_id` is every action ever started. `pace` is how many seconds each one takes at least."""

    def __init__(self, faults: Faults, stamp: Callable[[], str], pace: float, changed: Callable[[], None]) -> None:
        self.by_id: dict[int, Action] = {}
        self.pace = pace
        self._faults = faults
        self._stamp = stamp
        self._changed = changed
        self._queues: defaultdict[int | None, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._busy: Counter[int | None] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(
        self, number: int, command: str, resources: tuple[tuple[str, int], ...], work: Callable[[], Awaitable[None]]
    ) -> Action:
        """Register an action that is running from now on; `work` begins when its server's earlier ones are done."""
        action = Action(number, command, "running", self._stamp(), resources)
        self.by_id[action.id] = action
        self._busy[action.server_id] += 1
        task = asyncio.get_running_loop().create_task(self._run(action, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return action

    def is_locked(self, server_id: int) -> bool:
        return self._busy[server_id] > 0

    def is_running(self, command: str, *resources: tuple[str, int]) -> bool:
        """Whether an unfinished action of this command concerns all of these resources."""
        return any(
            action.status == "running" and action.command == command and set(resources) <= set(action.resources)
            for action in self.by_id.values()
        )

    def finish(self, action_id: int, error: tuple[str, str] | None = None) -> None:
        status = "success" if error is None else "error"
        self.by_id[action_id] = replace(self.by_id[action_id], status=status, finished=self._stamp(), error=error)

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
                await asyncio.sleep(self.pace)
                await self._attempt(action, work)
        finally:
            self._busy[action.server_id] -= 1
        self._changed()

    async def _attempt(self, action: Action, work: Callable[[], Awaitable[None]]) -> None:
        if error := self._faults.action_error(action.command):
            return self.finish(action.id, error)
        try:
            await work()
        except ActionError as failed:
            return self.finish(action.id, (failed.code, failed.message))
        except SandboxError as failed:
            return self.finish(action.id, ("action_failed", failed.summary))
        except Exception as failed:
            self.finish(action.id, ("server_error", f"the sandbox failed: {failed!r}"))
            raise  # asyncio logs it with its traceback
        return self.finish(action.id)
