"""The drift-and-health pass: the same look and the same planner as an apply's, and what is wrong.

One listing of the cloud and one SSH trip for each child. It resolves no secret and changes nothing; heeding.py tells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from reconciler import keys
from reconciler.checks import judge
from reconciler.diagnosis import Case
from reconciler.errors import CloudError, FleetError
from reconciler.ids import moment_of
from reconciler.keeper import Keeper
from reconciler.maintenance import running
from reconciler.model import (
    ANSWERS,
    Cause,
    Child,
    Diagnosis,
    Finding,
    Fleet,
    Level,
    Pass,
    PlanOptions,
    Row,
    Server,
    Silence,
    SlowLook,
    Sync,
    Trouble,
)
from reconciler.observe import Observation, observe
from reconciler.planner import plan
from reconciler.ports import Host, OnEach, Ports
from reconciler.reaching import Lines
from reconciler.redaction import without_secrets
from reconciler.slowly import FLEET, Manner, look_at_node, look_slowly, with_slow
from reconciler.steps.comparison import differences
from reconciler.steps.retention import made_last
from reconciler.steps.work import CONNECT_TIMEOUT, address_of
from reconciler.watching import Watched, look_at, sighting_of
from reconciler.watching.measures import measures_of

LONGEST: Final = 300  # characters of what is said of one thing
SHOWN: Final = 5  # paths
FIRST_APPLY: Final = timedelta(minutes=30)  # of a server's life: what is not finished by then, nobody is at any more
# What a change of version takes beside its starts and its soak; a host that was left goes back in three.
UPDATE: Final = timedelta(minutes=10)
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
        looked_up=seen.looked_up,
    )


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
        sync = planned.sync.get(name, Sync.UNKNOWN)
        yield Row(
            name,
            health,
            sync,
            diagnosis,
            findings,
            troubles,
            sighting_of(it, health, (diagnosis, findings, troubles), _excuse(it, now)),
            measures_of(it),
            it.drift,
            is_asleep=diagnosis.cause is None and (child.server is None or not case.is_wanted),
        )


def _excuse(it: Watched, now: datetime) -> str:
    """Why nothing of this child counts in this pass."""
    if window := running(it.limits.maintenance, now):
        return f"maintenance: {window.cron}"
    child = it.case.child
    is_new = child.server is not None and now - child.server.created < FIRST_APPLY
    if is_new and child.is_unfinished:
        return "its first apply is under way"
    return "an update of it is under way" if _is_going_over(child, now) else ""


def _is_going_over(child: Child, now: datetime) -> bool:
    """Its version is being changed, for no longer than that may take; who goes back has failed."""
    switch = child.facts.switch if child.facts else None
    began = moment_of(switch.checkpoint) if switch else None
    if switch is None or switch.is_undone or began is None or child.spec is None:
        return False
    within = timedelta(seconds=2 * child.spec.update.ready_within + child.spec.update.soak)
    return abs(now - began) < UPDATE + within


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
            made = made_last(keeper.kept(name).backups, ports.clock.now())
            proven = [it.at for it in trials.get(name, ()) if it.is_proven]
            found[name] = (True, made, max(proven, default=None))
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
