"""A mutant: one rule of the source taken away, or turned round."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """`module` below reconciler/, without .py; `rule` must stand there exactly once."""

    module: str
    rule: str
    instead: str

    def __str__(self) -> str:
        return f"{self.module}: {' '.join(self.rule.split())[:60]} -> {' '.join(self.instead.split())[:20]}"

    @property
    def path(self) -> str:
        return f"reconciler/{self.module}.py"


def of(module: str, *pairs: tuple[str, str]) -> tuple[Mutant, ...]:
    return tuple(Mutant(module, *pair) for pair in pairs)
