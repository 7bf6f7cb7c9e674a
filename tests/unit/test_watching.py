"""Each cause that a watch finds before a user does, by a fault that yields it, and by one beside it that must not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest

from reconciler.diagnosis import Case
from reconciler.diagnosis.case import STARTING
from reconciler.model import ANSWERS, BackupSettings, Cause, Child, Health, Level, Monitoring, Sighting, SlowLook
from reconciler.watching import CHECKS, Watched, look_at, sighting_of
from tests.fakes.worlds import NOW, make_child
from tests.unit.test_diagnosis import CLOCK, DOWN, WELL

ELSEWHERE: Final = {Cause.OWN_NETWORK}  # of all children at once: test_cli_monitor.py
DAILY: Final = BackupSettings(every=timedelta(days=1))


def child(gateway: dict[str, Any] | None = None, facts: dict[str, Any] | None = None, **spec: Any) -> Child:
    found = make_child("alice", {"spec": spec, "gateway": {"errors": 0, **(gateway or {})}})
    return replace(found, facts=replace(found.facts, **facts)) if facts and found.facts else found


def watched(it: Child | None = None, *, examined: dict[str, Any] | None = None, **more: Any) -> Watched:
    closely = replace(WELL, **{"open_ports": (22,), "load": 0.1, **(examined or {})})
    return Watched(Case(it or child(), closely), NOW, **{"sees_backups": True, **more})


def spending(spent: float) -> Child:
    return child({"spent": spent, "spent_complete": True}, model=replace(child().spec.model, spend_limit=10))  # type: ignore[union-attr]


def exposed(name: str, **found: str) -> Watched:
    """With other rights on a managed thing than were applied, which is drift, too."""
    it = child()
    assert it.facts is not None
    there = it.facts.managed[name]
    assert isinstance(there, dict)
    facts = replace(it.facts, managed={**it.facts.managed, name: {**there, **found}})
    return watched(replace(it, facts=facts), drift=(name,) if found else ())


def waiting(updates: int, *, since: timedelta = timedelta(0), asked: timedelta = timedelta(0)) -> Watched:
    slow = SlowLook(
        updates=updates, updates_since=CLOCK - since.total_seconds(), lists_at=CLOCK - asked.total_seconds()
    )
    return watched(examined={"slow": slow, "clock": CLOCK})


ALLOWING: Final = child(monitoring=Monitoring(open_ports=(9100,)))
UNHEARD: Final = {"token_accepted": None, "channel_connected": None, "channel_activity": None}
FAULTS: Final[list[tuple[Cause, Watched]]] = [
    (Cause.ANSWER_UNKNOWN, watched(child(UNHEARD), examined={"up_for": STARTING + 1})),
    (Cause.DISK_LOW, watched(child(facts={"disk_free_mb": 499}))),
    (Cause.DISK_LOW, watched(examined={"disk_free_mb": 499})),
    (Cause.INODES_LOW, watched(examined={"inodes_free": 4999})),
    (Cause.MEMORY_LOW, watched(child(facts={"memory_free_mb": 149}))),
    (Cause.MEMORY_LOW, watched(examined={"killed": 1})),
    (Cause.LOAD_HIGH, watched(examined={"load": 4.1})),
    (Cause.CLOCK_WRONG, watched(examined={"skew": 5.1})),
    (Cause.CLOCK_WRONG, watched(examined={"skew": -5.1})),
    (Cause.RESTARTING, watched(child({"restarts": 3}), examined={"up_for": 599.0})),
    (Cause.LOG_ERRORS, watched(child({"errors": 21}))),
    (Cause.PORT_OPEN, watched(examined={"open_ports": (22, 8080)})),
    (Cause.SECRETS_EXPOSED, exposed("gateway token", mode="0444")),
    (Cause.SECRETS_EXPOSED, exposed("model key", owner="fleet:fleet")),
    (Cause.SECRETS_EXPOSED, exposed("secrets directory", mode="0755")),
    (Cause.WEBHOOK_SET, watched(examined={"slow": SlowLook(bot="200", webhook="collector.example")})),
    (Cause.UPDATES_DUE, waiting(1, since=timedelta(days=3, minutes=1))),
    (Cause.UPDATES_DUE, waiting(0, asked=timedelta(days=7, minutes=1))),
    (Cause.NODE_INSECURE, watched(node_fixes=("24.16.0", "24.22.0", "26.1.0"))),
    (Cause.NEXT_START, watched(examined={"config_problem": "Unrecognized key"})),
    (Cause.DRIFTED, watched(drift=("config.tools",))),
    (Cause.BACKUP_LATE, watched(child(backup=DAILY), backup_at=NOW - timedelta(hours=49))),
    (Cause.BACKUP_LATE, watched(child(backup=DAILY))),
    (Cause.DRILL_LATE, watched(child(monitoring=Monitoring(drill_within=timedelta(days=7))))),
    (
        Cause.DRILL_LATE,
        watched(child(monitoring=Monitoring(drill_within=timedelta(days=7))), proven_at=NOW - timedelta(days=8)),
    ),
    (Cause.SPEND_OVER, watched(spending(10.5))),
    (Cause.REBOOT_DUE, watched(examined={"reboot_due": True})),
]
HARMLESS: Final[list[tuple[str, Watched]]] = [
    ("all is well", watched()),
    ("a gateway that has just started and says nothing", watched(child(UNHEARD), examined={"up_for": STARTING - 1})),
    ("just enough room", watched(child(facts={"disk_free_mb": 500, "memory_free_mb": 150}))),
    ("just enough inodes", watched(examined={"inodes_free": 5000})),
    ("a load for a while", watched(examined={"load": 4.0})),
    ("a clock that is nearly right", watched(examined={"skew": 5.0})),
    ("restarts of long ago", watched(child({"restarts": 9}), examined={"up_for": 601.0})),
    ("one restart", watched(child({"restarts": 2}), examined={"up_for": 599.0})),
    ("some errors", watched(child({"errors": 20}))),
    (
        "a port that the file allows",
        watched(child(monitoring=Monitoring(open_ports=(9100,))), examined={"open_ports": (9100,)}),
    ),
    (
        "a door that was open an hour ago, or of whoever is in between",
        watched(examined={"slow": SlowLook(reached=(80,))}),
    ),
    ("a door that the file allows", watched(ALLOWING, examined={"slow": SlowLook(reached=(9100,))})),
    ("secrets that are the gateway's alone", exposed("bot token")),
    ("a bot that is fetched for", watched(examined={"slow": SlowLook(bot="200")})),
    ("a bot that nobody could ask for", watched(examined={"slow": SlowLook(bot="ConnectionRefusedError")})),
    ("updates of today", waiting(4, since=timedelta(days=2))),
    ("no updates", waiting(0)),
    ("Node.js that is the newest, or of another line", watched(node_fixes=("24.16.0", "24.21.0", "26.1.0"))),
    ("a backup that is one pass late", watched(child(backup=DAILY), backup_at=NOW - timedelta(hours=47))),
    ("no backups wanted by the clock", watched()),
    ("a drill of this week", watched(child(monitoring=Monitoring(drill_within=timedelta(days=7))), proven_at=NOW)),
    ("spending within its limit", watched(spending(9.5))),
]


@pytest.mark.parametrize(("cause", "it"), FAULTS, ids=[str(cause) for cause, _ in FAULTS])
def test_a_fault_is_a_warning_with_its_cause(cause: Cause, it: Watched) -> None:
    warnings = [trouble for trouble in look_at(it)[2] if trouble.layer in {check.NAME for check in CHECKS}]
    assert [(trouble.cause, trouble.level) for trouble in warnings] == [(cause, Level.WARNING)]
    assert warnings[0].mend
    assert "{" not in warnings[0].mend.replace("{open_ports", "").replace("{spend_limit", "")


@pytest.mark.parametrize(("what", "it"), HARMLESS, ids=[what for what, _ in HARMLESS])
def test_what_is_no_fault_is_no_trouble(what: str, it: Watched) -> None:
    assert look_at(it)[2] == (), what


def test_every_cause_of_a_watch_has_a_fault() -> None:
    assert {cause for cause, _ in FAULTS} == {check.CAUSE for check in CHECKS}


def test_what_nobody_could_ask_is_unknown_and_never_well() -> None:
    """Of a host that is silent nothing is known, and of the causes above that nothing is told either way."""
    it = Watched(Case(make_child("alice", {"silence": "timed out"})), NOW)
    sighting = seen(it, Health.UNREACHABLE)
    assert [trouble.cause for trouble in sighting.troubles] == [Cause.HOST_SILENT]
    never = {Cause.BACKUP_LATE, Cause.DRILL_LATE}  # nobody wants these of it
    assert {check.CAUSE for check in CHECKS} - never <= sighting.unknown | {Cause.SPEND_OVER}


def seen(it: Watched, health: Health = Health.HEALTHY) -> Sighting:
    return sighting_of(it, health, look_at(it))


def test_an_outage_is_critical_and_what_keeps_nobody_from_an_answer_is_not() -> None:
    out = look_at(watched(child({"channel_connected": False})))[2]
    assert [(trouble.cause, trouble.level) for trouble in out] == [(Cause.TELEGRAM_SILENT, Level.CRITICAL)]
    runs = look_at(watched(examined={"config_problem": "Unrecognized key"}))[2]
    assert [(trouble.cause, trouble.level) for trouble in runs] == [(Cause.NEXT_START, Level.WARNING)]


def test_what_the_file_does_not_want_to_hear_is_not_told() -> None:
    wanted = Monitoring(alert_on=("unreachable",))
    it = watched(child({"channel_connected": False}, monitoring=wanted), examined={"reboot_due": True})
    assert seen(it, Health.DEGRADED).muted == {ANSWERS, Cause.REBOOT_DUE}
    assert len(look_at(it)[2]) == 2  # and is shown all the same


def test_a_gateway_that_has_just_started_is_excused() -> None:
    young = child(
        {"ready": None, "version": None, "token_accepted": None, "anonymous_refused": None, "channel_connected": None}
    )
    assert seen(watched(young, examined={"up_for": STARTING - 1})).excuse
    assert not seen(watched(young, examined={"up_for": STARTING + 1})).excuse
    assert not seen(watched(child(DOWN), examined={"up_for": None})).excuse


def test_nobody_can_tell_is_no_success() -> None:
    it = watched(child({"channel_connected": None, "channel_activity": None}))
    assert ANSWERS in seen(it).unknown
    assert ANSWERS not in seen(watched(child({"channel_activity": CLOCK - 10}))).unknown
