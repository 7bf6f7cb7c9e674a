"""The Teller in memory: what was told where, and pings."""

from __future__ import annotations

from dataclasses import dataclass, field

from reconciler.model import Level, SecretRef


@dataclass
class FakeTeller:
    """`fails` is what each delivery ends with."""

    told: list[tuple[str, str, str, Level | None]] = field(default_factory=list)
    pings: list[str] = field(default_factory=list)
    fails: str = ""

    def tell(self, place: SecretRef, title: str, body: str, level: Level | None) -> str:
        if not self.fails:
            self.told.append((str(place), title, body, level))
        return self.fails

    def ping(self, place: SecretRef) -> str:
        self.pings.append(str(place))
        return ""
