"""Faults on request, so that tests and people can see what the product does about them.

One value, Fault, says all of them; RULES says what each kind takes. Faults are forgotten when the sandbox goes down.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from reconciler.sandbox.emulator import catalogue
from reconciler.sandbox.emulator.errors import REFUSALS, ApiError
from reconciler.sandbox.emulator.figures import LIMITS, REAL_SECONDS


class FaultKind(StrEnum):
    REFUSE = "refuse"
    DROP = "drop"
    DROP_BEFORE = "drop-before"
    FAIL = "fail"
    VANISH = "vanish"
    SLOW = "slow"
    LOCK = "lock"
    STOCK = "stock"
    LIMIT = "limit"
    BUDGET = "budget"
    SPEED = "speed"


class Stock(StrEnum):
    SOLD_OUT = "sold-out"
    UNSUPPORTED = "unsupported"
    HIDDEN = "hidden"


@dataclass(frozen=True, slots=True)
class Fault:
    """`on` is what it is about, `times` how often it strikes (None: until it is cleared).

    `status` and `message` are filled in for a refusal and for an action that fails.
    """

    kind: FaultKind
    on: str
    value: str = ""
    times: int | None = None
    status: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a kind of fault does and takes; `on` and `value` are (for people, pattern).

    `once`: it strikes once unless told otherwise; all others last.
    """

    does: str
    on: tuple[str, str]
    value: tuple[str, str] = ("", "")
    once: bool = False


_ERROR = "|".join((*REFUSALS, "502", "503", "504"))
_REQUEST = ('"METHOD /path"', r"(GET|POST|PUT|DELETE) /\S*")
_COMMAND = (f"one of {', '.join(sorted(REAL_SECONDS))}", "|".join(REAL_SECONDS))
_TYPES = "|".join(str(kind["name"]) for kind in catalogue.server_types())
_LOCATIONS = "|".join(str(place["name"]) for place in catalogue.locations())
_NUMBER = ("a number", r"\d+(\.\d+)?")
_COUNT = ("a whole number", r"\d{1,9}")

RULES: dict[FaultKind, Rule] = {
    FaultKind.REFUSE: Rule(
        "requests that begin so are answered with this error, or with a bare 502, 503 or 504, and do nothing",
        _REQUEST, (f"one of {_ERROR.replace('|', ', ')}", _ERROR), once=True,
    ),
    FaultKind.DROP: Rule("the request is carried out, its connection cut instead of an answer", _REQUEST, once=True),
    FaultKind.DROP_BEFORE: Rule("the connection is cut before anything is done", _REQUEST, once=True),
    FaultKind.FAIL: Rule(
        "the action is accepted, ends in this error and does nothing",
        _COMMAND, ("an error code, action_failed if none", r"[a-z_]*"), once=True,
    ),
    FaultKind.VANISH: Rule(
        "the new server is seen for a while, its creation fails, and it is gone", ("create_server", "create_server"),
        once=True,
    ),
    FaultKind.SLOW: Rule("the action takes this many seconds", _COMMAND, _NUMBER),
    FaultKind.LOCK: Rule("the server is locked, without any action", ("a server's name", r"\S+")),
    FaultKind.STOCK: Rule(
        "sold-out: shown, and refused with 412; unsupported: refused with 422; hidden: not shown, refused with 412",
        ("TYPE@LOCATION, either may be '*'", rf"(\*|{_TYPES})@(\*|{_LOCATIONS})"), ("|".join(Stock), "|".join(Stock)),
    ),
    FaultKind.LIMIT: Rule(
        "the project may have this many",
        (f"one of {', '.join(LIMITS)}", "|".join(LIMITS)), _COUNT,
    ),
    FaultKind.BUDGET: Rule(
        "so many requests an hour: of GET /actions (actions), of all others (requests)",
        ("requests or actions", "requests|actions"), ("a whole number from 1 on", r"[1-9]\d{0,8}"),
    ),
    FaultKind.SPEED: Rule(
        "how many times faster than real: actions take their real time divided by it, budgets are refilled faster",
        ("actions or budget", "actions|budget"), ("a number above 0", r"0*[1-9]\d*(\.\d+)?|0*\.\d*[1-9]\d*"),
    ),
}  # fmt: skip


def checked(kind: str, on: str, value: str = "", times: int | None = None) -> Fault:
    """A fault as somebody typed it. Raises ValueError that says what would be right."""
    if kind not in RULES:
        raise ValueError(f"there is no fault {kind!r}; there are: {', '.join(RULES)}")
    rule = RULES[FaultKind(kind)]
    if not re.fullmatch(rule.on[1], on):
        raise ValueError(f"{kind}: ON must be {rule.on[0]}, not {on!r}")
    if not re.fullmatch(rule.value[1], value):
        raise ValueError(f"{kind}: VALUE must be {rule.value[0] or 'left out'}, not {value!r}")
    if times is not None and times < 1:
        raise ValueError(f"times must be 1 or more, not {times}")
    return _complete(Fault(FaultKind(kind), on, value, 1 if times is None and rule.once else times))


class Faults:
    """What is set, oldest first. A request is named `METHOD /path` without `/v1`."""

    def __init__(self) -> None:
        self.all: list[Fault] = []

    def set(self, fault: Fault) -> None:
        """A fault that lasts takes the place of the one on the same thing; others queue up."""
        if not RULES[fault.kind].once:
            self.clear(fault.kind, fault.on)
        self.all.append(fault)

    def clear(self, kind: FaultKind | None = None, on: str | None = None) -> int:
        """How many were taken away: all, of one kind, or on one thing."""
        kept = [fault for fault in self.all if (kind and fault.kind is not kind) or (on and fault.on != on)]
        cleared, self.all = len(self.all) - len(kept), kept
        return cleared

    def refuse_next(self, match: str, error: ApiError, times: int = 1) -> None:
        self.set(Fault(FaultKind.REFUSE, match, error.code, times, error.status, error.message))

    def drop_next(self, match: str, times: int = 1) -> None:
        self.set(Fault(FaultKind.DROP, match, times=times))

    def fail_action(self, command: str, code: str, message: str, times: int = 1) -> None:
        self.set(Fault(FaultKind.FAIL, command, code, times, message=message))

    def take(self, kind: FaultKind, strikes: Callable[[str], bool]) -> Fault | None:
        """The first fault of the kind whose `on` it strikes, one of its times used up."""
        for place, fault in enumerate(self.all):
            if fault.kind is kind and strikes(fault.on):
                if fault.times == 1:
                    del self.all[place]
                elif fault.times:
                    self.all[place] = replace(fault, times=fault.times - 1)
                return fault
        return None

    def value(self, kind: FaultKind, on: str) -> str | None:
        """What is set on this thing; uses nothing up."""
        return next((fault.value for fault in self.all if fault.kind is kind and fault.on == on), None)

    def number(self, kind: FaultKind, on: str, default: float) -> float:
        value = self.value(kind, on)
        return default if value is None else float(value)

    def stock(self, server_type: str, location: str) -> Stock | None:
        """How this type cannot be had there, if so. The one set last counts."""
        for fault in reversed(self.all):
            wanted = fault.on.split("@")
            if fault.kind is FaultKind.STOCK and wanted[0] in {"*", server_type} and wanted[1] in {"*", location}:
                return Stock(fault.value)
        return None


def _complete(fault: Fault) -> Fault:
    """With the status and the text that go with its code."""
    if fault.kind is FaultKind.FAIL:
        return replace(fault, value=fault.value or "action_failed", message="the action failed")
    if fault.kind is FaultKind.REFUSE and fault.value not in REFUSALS:
        return replace(fault, status=int(fault.value))
    if fault.kind is FaultKind.REFUSE:
        status, message = REFUSALS[fault.value]
        return replace(fault, status=status, message=message)
    return fault
