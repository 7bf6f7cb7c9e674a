"""What templates may take: every step of one is counted, and so are those of all together. Pure.

Time and memory are one: whatever is made or looked through is paid for by its size, so nothing big comes of small.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from reconciler.fleet.functions import MAX_NUMBER, MAX_TEXT, TooBig, is_number

MAX_STEPS: Final = 100_000  # of one template for one child
_CHARACTERS_PER_STEP: Final = 64


class TemplateProblem(Exception):
    """A template that cannot be filled in: why, and at which line of it (from 1)."""

    def __init__(self, summary: str, line: int) -> None:
        super().__init__(summary)
        self.summary = summary
        self.line = line


class Missing(TemplateProblem):
    """A value that is not there, which `default` and `is defined` take."""


class TooMuchForAll(Exception):
    """All templates together take more than a fleet may."""


@dataclass(slots=True)
class Work:
    """The steps that are left to all templates of a fleet."""

    steps: int

    def take(self, steps: int) -> None:
        self.steps -= steps
        if self.steps < 0:
            raise TooMuchForAll("the templates of all children take too many steps")


@dataclass(slots=True)
class Effort:
    """One template being filled in: the steps that are left to it, and the line that it is at."""

    work: Work
    steps: int = MAX_STEPS
    line: int = 1

    def at(self, node: Any) -> None:
        self.line = node.lineno
        self.take(1)

    def take(self, steps: int) -> None:
        self.steps -= steps
        if self.steps < 0:
            raise self.problem(f"it takes more than {MAX_STEPS:,} steps")
        self.work.take(steps)

    def problem(self, summary: str) -> TemplateProblem:
        return TemplateProblem(summary, self.line)

    def weighed(self, value: Any) -> Any:
        """The value, paid for by its size: a list of lists of lists may be much bigger than it looks."""
        if isinstance(value, str):
            if len(value) > MAX_TEXT:
                raise self.problem(f"a text has more than {MAX_TEXT:,} characters")
            self.take(len(value) // _CHARACTERS_PER_STEP)
        elif isinstance(value, list | tuple):
            self.take(len(value))
            for item in value:
                self.weighed(item)
        elif isinstance(value, Mapping):
            self.take(len(value))
            for key, item in value.items():
                self.weighed(key)
                self.weighed(item)
        elif is_number(value) and abs(value) > MAX_NUMBER:
            raise self.problem("a number is too big")
        return value

    def done(self, what: str, function: Callable[..., Any], /, *values: Any, **named: Any) -> Any:
        """What a function of ours makes of the values. Its objections become problems of the template."""
        line = self.line
        for value in (*values, *named.values()):
            self.weighed(value)
        try:
            return self.weighed(function(*values, **named))
        except TooBig as error:
            raise TemplateProblem(f"a text has more than {MAX_TEXT:,} characters", line) from error
        except LookupError as error:
            raise Missing(f"{what} finds nothing", line) from error
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            raise TemplateProblem(f"{what} cannot be used like this", line) from error
