"""The Teller in memory: what was told where, and pings."""

from __future__ import annotations

from dataclasses import dataclass, field

from reconciler.model import Level, SecretRef


@dataclass
class FakeTeller:
    """`fails` is what each delivery ends with, `deaf` by place."""

    told: list[tuple[str, str, str, Level | None]] = field(default_factory=list)
    pings: list[str] = field(default_factory=list)
    fails: str = ""
    deaf: dict[str, str] = field(default_factory=dict)

    def tell(self, place: SecretRef, title: str, body: str, level: Level | None) -> str:
        problem = self.fails or self.deaf.get(str(place), "")
        if not problem:
            self.told.append((str(place), title, body, level))
        return problem

    def ping(self, place: SecretRef) -> str:
        self.pings.append(str(place))
        return ""
