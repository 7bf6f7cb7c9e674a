"""What the templates of a fleet may take together, and what is said of one that cannot be filled in. Pure."""

from __future__ import annotations

from dataclasses import dataclass


class TemplateProblem(Exception):
    """A template that cannot be filled in: why, and at which line of it (from 1)."""

    def __init__(self, summary: str, line: int) -> None:
        super().__init__(summary)
        self.summary = summary
        self.line = line


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
