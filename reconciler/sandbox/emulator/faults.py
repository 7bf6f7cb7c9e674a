"""Faults on request, so that tests can see what the product does about them. Set in-process, used up one by one."""

from __future__ import annotations

from reconciler.sandbox.emulator.errors import ApiError


class Faults:
    """A request is named `METHOD /path` without `/v1`; a fault matches every request that starts with its `match`."""

    def __init__(self) -> None:
        self._refusals: list[tuple[str, ApiError]] = []
        self._drops: list[str] = []
        self._failing: list[tuple[str, tuple[str, str]]] = []

    def refuse_next(self, match: str, error: ApiError, times: int = 1) -> None:
        """Answer with this error, and do nothing."""
        self._refusals += [(match, error)] * times

    def drop_next(self, match: str, times: int = 1) -> None:
        """Do what is asked, then break the connection off instead of answering."""
        self._drops += [match] * times

    def fail_action(self, command: str, code: str, message: str, times: int = 1) -> None:
        """Accept the request; its action ends in this error."""
        self._failing += [(command, (code, message))] * times

    def refusal(self, request: str) -> ApiError | None:
        for fault in self._refusals:
            if request.startswith(fault[0]):
                self._refusals.remove(fault)
                return fault[1]
        return None

    def drops(self, request: str) -> bool:
        for match in self._drops:
            if request.startswith(match):
                self._drops.remove(match)
                return True
        return False

    def action_error(self, command: str) -> tuple[str, str] | None:
        for fault in self._failing:
            if fault[0] == command:
                self._failing.remove(fault)
                return fault[1]
        return None
