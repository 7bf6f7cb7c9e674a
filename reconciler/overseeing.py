"""What FleetClient has of passes: a look at everything, who is told, of whom nothing is; and the journal's lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from reconciler import heeding, keys, monitor
from reconciler.kept import KeptDialer, room_for_lines
from reconciler.model import Event, Fleet, Json, Level, Pass, Quiet, SecretRef, SlowLook
from reconciler.planning import Planning
from reconciler.ports import Ports
from reconciler.steps import silences
from reconciler.steps.runs import fleet_firewalls


class Overseeing(Planning):
    """Watches one fleet."""

    def __init__(self, fleet: Fleet, ports: Ports) -> None:
        super().__init__(fleet, ports)
        self._looking = ports

    @property
    def has_probe_key(self) -> bool:
        """It can look, and nothing else."""
        return keys.is_probe_key(self._ports.fleet_key)

    def note(self, event: str, **fields: Json) -> None:
        """A line in the journal, with who asks for it."""
        self._note(event, False, by=self._ports.operator, **fields)

    def events(self) -> list[Event]:
        """All that was done from this working directory, oldest first."""
        return list(self._ports.store.events())

    def stay_connected(self) -> None:
        """From now on the lines of passes are kept open from one to the next. Whoever acts has lines of their own."""
        self._looking = replace(self._ports, dialer=KeptDialer(self._ports.dialer, self._ports.clock, room_for_lines()))

    def watch(self, names: Iterable[str] | None, kept: Mapping[str, SlowLook], *, remembers: bool) -> Pass:
        """One pass of the monitor over these children, or all."""
        return monitor.look(self.fleet, self._looking, names, kept, remembers=remembers)

    def heed(
        self, found: Pass, before: heeding.State, *, remembers: bool, is_silent: bool, is_late: bool = False
    ) -> tuple[list[str], heeding.State, list[str]]:
        """People are told what a pass comes to; see `heeding.heed`."""
        teller = self._ports.teller
        return heeding.heed(
            found, before, self.fleet, teller, remembers=remembers, is_silent=is_silent, is_late=is_late
        )

    def tell(self, place: SecretRef, title: str, body: str, level: Level | None) -> str:
        """Why a message could not be delivered; empty where it was."""
        return self._ports.teller.tell(place, title, body, level)

    def silences(self) -> list[Quiet]:
        """What is silenced now, by child. Raises CloudError."""
        now = self._ports.clock.now()
        return [it for it in silences.silences(self.fleet, fleet_firewalls(self.fleet, self._ports)) if it.until > now]

    def be_silent(self, names: Iterable[str], until: datetime, cause: str) -> None:
        """Nothing is told of these until then. The caller holds the lock. Raises CloudError."""
        names = tuple(names)
        silences.silence(self.fleet, self._ports, names, until, cause)
        self.note("silenced", children=[*names], until=until.isoformat(timespec="seconds"), cause=cause or None)

    def speak(self, names: Iterable[str]) -> list[str]:
        """All is told again of these; who of them was silenced. The caller holds the lock. Raises CloudError."""
        found = silences.speak(self.fleet, self._ports, names)
        self.note("silence-ended", children=[*found])
        return found

    def _note(self, event: str, durable: bool = False, **fields: Json) -> None:
        clock = self._ports.clock
        self._ports.store.append(Event(event, clock.now().isoformat(), clock.token(), fields), durable)
