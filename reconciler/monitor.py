"""The drift-and-health pass: the same look and the same planner as an apply's, then what is wrong, and whom it wakes.

One listing of the cloud and one SSH trip for each child. It resolves no secret but the addresses of those it tells, and
changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from reconciler import keys
from reconciler.alerting import advance
from reconciler.checks import judge
from reconciler.diagnosis import Case
from reconciler.errors import CloudError, FleetError
from reconciler.history import History
from reconciler.keeper import Keeper
from reconciler.maintenance import running
from reconciler.model import (
    ANSWERS,
    WARNING,
    AlertRules,
    Book,
    Cause,
    Child,
    Diagnosis,
    Finding,
    Fleet,
    Level,
    Monitoring,
    Notice,
    Pass,
    PlanOptions,
    Row,
    Server,
    Sighting,
    Silence,
    SlowLook,
    Sync,
    Trouble,
    Undelivered,
)
from reconciler.observe import LOOK_UPS, Observation, observe
from reconciler.planner import plan
from reconciler.ports import Clock, Host, OnEach, Ports, Teller
from reconciler.reaching import Lines
from reconciler.redaction import without_secrets
from reconciler.render.alerts import notice_text
from reconciler.slowly import FLEET, Manner, look_at_node, look_slowly, with_slow
from reconciler.steps.comparison import differences
from reconciler.steps.work import CONNECT_TIMEOUT, address_of
from reconciler.telling import tell_all
from reconciler.watching import Watched, look_at, sighting_of
from reconciler.watching.measures import measures_of

SECONDS_PER_REQUEST: Final = 3.0  # a third of the 3,600 an hour that Hetzner allows
CATALOGUE: Final = 4  # requests more for types, locations, images and prices
CATALOGUE_KEPT: Final = 30.0  # seconds, in which passes share one
JITTER: Final = 0.2
LONGEST: Final = 300  # characters of what is said of one thing
SHOWN: Final = 5  # paths
# With fewer silent hosts than this nobody blames the own network.
_OWN_FROM: Final = 3
# What a diagnosis names is for who has the fleet key.
_MENDS_OF_PROBE: Final = {
    Cause.WRONG_HOST_KEY: "it shows another key than its server's label says: fleet apply, where the fleet key is",
    Cause.LOGIN_REFUSED: "its host does not know this probe key: fleet apply, where the fleet key is",
    Cause.HOST_BROKEN: "this tool may be newer than its host's program: fleet apply with this version, where the "
    "fleet key is; else look there: fleet ssh {name}",
}
_ALL_KEYS: Final = frozenset[str]({ANSWERS, *Cause})


@dataclass(frozen=True, slots=True)
class State:
    """What is remembered from pass to pass."""

    book: Book
    slow: Mapping[str, SlowLook]
    waiting: tuple[Undelivered, ...] = ()  # what some place has not taken yet

    @property
    def since(self) -> dict[tuple[str, str], datetime]:
        """By child and key, since when a trouble lasts."""
        return {key: it.since for key, it in self.book.states.items() if it.failures > 0}


def begin(history: History) -> State:
    """What the pass before has left. Raises StateError."""
    return State(*history.remembered())


def wait_for(clock: Clock, every: float, found: Pass) -> None:
    """Until the next pass: not quite regularly, and so that passes take at most a third of what the cloud allows."""
    spread = (int(clock.token()[:4], 16) / 0xFFFF - 0.5) * JITTER
    clock.sleep(max(1.0, pause(found, every) * (1 + spread) - found.seconds))


def pause(found: Pass, every: float) -> float:
    """Seconds from the begin of a pass to that of the next, so that they take a third of what the cloud allows."""
    least, catalogue = found.requests * SECONDS_PER_REQUEST, CATALOGUE * SECONDS_PER_REQUEST
    return max(every, min(least + catalogue, least / (1 - catalogue / CATALOGUE_KEPT)))


def heed(
    found: Pass, before: State, fleet: Fleet, teller: Teller, *, remembers: bool, is_silent: bool, is_late: bool = False
) -> tuple[list[str], State, list[str]]:
    """People are told what this pass comes to: what was said, what is remembered then, and what went wrong with it.

    What a place does not take waits for the next pass. `is_late`: it is about some children of a pass that was heeded.
    """
    book, notices = told(found, before.book, fleet, remembers=remembers, tells=not is_silent, is_late=is_late)
    if is_silent:
        return [], State(book, found.kept, before.waiting), []
    problems, waiting = tell_all(fleet, notices, before.waiting, teller, found.at)
    pings = fleet.alerts.ping is not None and not found.is_blind and not is_late
    if pings and fleet.alerts.ping is not None and (problem := teller.ping(fleet.alerts.ping)):
        problems.append(f"the dead man's switch could not be told that all goes on: {problem}")
    said = [notice_text(fleet.name, notice, found.at)[0] for notice in notices]
    return said, State(book, found.kept, waiting), problems


def preview_of(found: Pass, fleet: Fleet) -> list[tuple[str, str]]:
    """Title and body of all that would be said, if nothing had been said yet. Pure."""
    _, notices = told(found, Book(), fleet, remembers=False)
    return [notice_text(fleet.name, notice, found.at) for notice in notices]


def look(
    fleet: Fleet,
    ports: Ports,
    names: Iterable[str] | None,
    kept: Mapping[str, SlowLook],
    *,
    remembers: bool = True,
) -> Pass:
    """One pass over these children, or all. That the cloud does not answer is trouble and no error.

    `kept` is what passes before have asked slowly; where nothing `remembers`, all of that is asked at once.
    """
    began, clock = ports.clock.now(), ports.clock.monotonic()
    everyone = frozenset(fleet.children)
    try:
        seen = observe(fleet, ports, names, watches=True)
    except CloudError as error:
        mend = "look at the token and at https://status.hetzner.com"
        told = Trouble("", Cause.CLOUD_SILENT, Level.CRITICAL, "api", error.summary, mend)
        return Pass(began, ports.clock.monotonic() - clock, fleet=(told,), everyone=everyone, kept=kept)
    children = {name: child for name, child in seen.children.items() if child.spec is not None}
    manner = Manner(at_once=not remembers, by_word=keys.is_probe_key(ports.fleet_key))
    slow = look_slowly(children, _on_each(fleet, ports, children), ports, kept, manner)
    slow[FLEET] = look_at_node(ports, kept, began)
    children = {name: with_slow(child, slow[name]) if name in slow else child for name, child in children.items()}
    own = _own_network(children) or (_unknown_key(children) if manner.by_word else None)
    shared = _shared_drift(seen)
    rows = tuple(_rows(fleet, ports, seen, children, began, slow[FLEET].node))
    if own is not None:  # then nobody knows of anybody
        rows = tuple(replace(row, sighting=replace(row.sighting, unknown=_ALL_KEYS)) for row in rows)
    return Pass(
        began,
        ports.clock.monotonic() - clock,
        rows,
        tuple(filter(None, (own, shared))),
        everyone,
        seen.quiets,
        {**kept, **slow},
        looked_up=min(LOOK_UPS, sum(child.server is None for child in children.values())),
    )


def told(
    found: Pass, book: Book, fleet: Fleet, *, remembers: bool = True, tells: bool = True, is_late: bool = False
) -> tuple[Book, tuple[Notice, ...]]:
    """What is remembered after this pass, and what is to be said; nothing where nobody `tells`. Pure.

    Where nothing `remembers`, each pass is the first: then what is wrong is told at once.
    """
    sightings = [row.sighting for row in found.rows]
    given_up = {row.child for row in found.rows if row.is_given_up}
    sightings += [] if is_late else [Sighting("", troubles=found.fleet)]

    def rules_of(name: str) -> AlertRules:
        spec = fleet.children.get(name)
        wanted = spec.monitoring if spec is not None else Monitoring()
        return AlertRules(
            fire_after=wanted.fire_after if remembers and name not in given_up else 1,
            clear_after=wanted.clear_after if remembers else 1,
            repeat=fleet.alerts.repeat,
            levels=frozenset(Level) if WARNING in wanted.alert_on else frozenset({Level.CRITICAL}),
            group_from=fleet.alerts.group_from,
        )

    return advance(book, sightings, found.everyone, rules_of, found.quiets, found.at, tells=tells)


def _rows(
    fleet: Fleet,
    ports: Ports,
    seen: Observation,
    children: Mapping[str, Child],
    now: datetime,
    node_fixes: tuple[str, ...] | None,
) -> Iterable[Row]:
    options = PlanOptions(partial=True)
    planned = plan(fleet, seen.children, seen.catalog, now, options, seen.shared, seen.others, seen.quarantined)
    newest = _newest(fleet, ports, children)
    for name, child in children.items():
        sees, made, proven = newest.get(name, (False, None, None))
        case = Case(child, child.examined)
        it = Watched(case, now, _drift(child), made, proven, sees_backups=sees, node_fixes=node_fixes)
        health, _ = judge(child)
        diagnosis, findings, troubles = _plain(*look_at(it))
        if keys.is_probe_key(ports.fleet_key):
            troubles = tuple(replace(one, mend=_mend_of_probe(one)) for one in troubles)
        window = running(it.limits.maintenance, now)
        excuse = f"maintenance: {window.cron}" if window else ""
        sync = planned.sync.get(name, Sync.UNKNOWN)
        yield Row(
            name,
            health,
            sync,
            diagnosis,
            findings,
            troubles,
            sighting_of(it, health, (diagnosis, findings, troubles), excuse),
            measures_of(it),
            it.drift,
            is_asleep=diagnosis.cause is None and (child.server is None or not case.is_wanted),
        )


def _on_each(fleet: Fleet, ports: Ports, children: Mapping[str, Child]) -> OnEach:
    """Asks hosts by the listing that there is: another one is none of a pass."""

    def connect(server: Server) -> Host:
        return ports.dialer.connect(address_of(server, fleet, ports), CONNECT_TIMEOUT)

    def ask(names: Iterable[str], question: Callable[[str, Host], Any]) -> Mapping[str, Any | FleetError]:
        servers = {name: child.server for name, child in children.items()}
        with Lines(lambda: servers, connect, ports.clock, kept=False) as lines:
            return lines.ask(names, question)

    return ask


def _plain(
    diagnosis: Diagnosis, findings: tuple[Finding, ...], troubles: tuple[Trouble, ...]
) -> tuple[Diagnosis, tuple[Finding, ...], tuple[Trouble, ...]]:
    """Without what looks like a secret: hosts say it, and no secret was resolved that it could be compared with."""

    def line(text: str) -> str:
        return without_secrets(text, ())[:LONGEST]

    found = tuple(replace(it, text=line(it.text)) for it in diagnosis.findings)
    return (
        replace(diagnosis, findings=found, evidence=line(diagnosis.evidence)),
        tuple(replace(it, text=line(it.text)) for it in findings),
        tuple(replace(it, text=line(it.text)) for it in troubles),
    )


def _drift(child: Child) -> tuple[str, ...]:
    return tuple(change.path for change in differences(child) if change.drift)


def _newest(
    fleet: Fleet, ports: Ports, children: Mapping[str, Child]
) -> dict[str, tuple[bool, datetime | None, datetime | None]]:
    """Of whom somebody wants that: whether it can be seen, when the newest backup was made, when one was proven last.

    Of backups in a directory; a bucket's keys are secrets, which a pass does not resolve.
    """
    wanted = [
        name
        for name, child in children.items()
        if child.spec is not None
        and isinstance(child.spec.backup.to, str)
        and (child.spec.backup.every is not None or child.spec.monitoring.drill_within is not None)
    ]
    keeper, found = Keeper(fleet, ports), dict[str, tuple[bool, datetime | None, datetime | None]]()
    trials = keeper.trials(wanted)[0] if wanted else {}
    for name in wanted:
        try:
            made = [datetime.fromisoformat(it.at) for it in keeper.kept(name).backups if not it.is_beside]
            proven = [it.at for it in trials.get(name, ()) if it.is_proven]
            found[name] = (True, max(made, default=None), max(proven, default=None))
        except FleetError:
            found[name] = (False, None, None)
    return found


def _shared_drift(seen: Observation) -> Trouble | None:
    """The firewall of all children is not as it shall be. What a run has left there is no drift."""
    found = [change for change in seen.shared if change.drift]
    if not found:
        return None
    text = f"the fleet's firewall is not as it was made: {', '.join(change.path for change in found[:SHOWN])}"
    return Trouble("", Cause.DRIFTED, Level.WARNING, "firewall", text, "fleet plan, then fleet apply")


def _mend_of_probe(trouble: Trouble) -> str:
    return _MENDS_OF_PROBE.get(trouble.cause, trouble.mend).replace("{name}", trouble.child)


def _unknown_key(children: Mapping[str, Child]) -> Trouble | None:
    """Where no host takes a probe key, it is the key, and not the hosts."""
    asked = [child for child in children.values() if child.facts is not None or child.silence is not None]
    if not asked or any(child.silence is not Silence.LOGIN_REFUSED for child in asked):
        return None
    text = f"none of {len(asked)} hosts takes this probe key"
    mend = "where the fleet key is: fleet apply, then fleet key export --read-only gives the one that hosts take"
    return Trouble("", Cause.LOGIN_REFUSED, Level.CRITICAL, "ssh", text, mend)


def _own_network(children: Mapping[str, Child]) -> Trouble | None:
    """Where no host answers at all, it is rather ours than everybody's."""
    asked = [child for child in children.values() if child.facts is not None or child.silence is not None]
    if len(asked) < _OWN_FROM or any(child.silence is not Silence.TIMED_OUT for child in asked):
        return None
    regions = {child.server.region for child in asked if child.server is not None}
    where = f", and all are in {regions.pop()}" if len(regions) == 1 else ""
    text = f"none of {len(asked)} hosts answers in time{where}"
    mend = "it is rather the network of whoever watches: look again from elsewhere"
    more = "; or that region's: https://status.hetzner.com" if where else ""
    return Trouble("", Cause.OWN_NETWORK, Level.CRITICAL, "network", text, f"{mend}{more}")
