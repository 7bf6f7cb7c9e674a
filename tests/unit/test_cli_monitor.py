"""`fleet monitor`, `silence`, `alert` and `history`: what is seen, whom it wakes and what is remembered."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler import commands
from reconciler.cli.main import run
from reconciler.commands.switching import SWITCH
from reconciler.errors import CloudUnavailable, HostTimedOut
from reconciler.heeding import begin, pause, wait_for
from reconciler.history import History
from reconciler.ids import later_id
from reconciler.managed import files
from reconciler.model import (
    AlertPlace,
    AlertSettings,
    Level,
    Maintenance,
    Monitoring,
    Pass,
    SecretRef,
    UpdateSettings,
)
from tests.extent import FULL
from tests.fakes.clock import FakeClock
from tests.fakes.command_line import CommandLine
from tests.fakes.fleets import FakeFleet
from tests.fakes.host import FakeFile
from tests.fakes.worlds import make_spec

SLACK, PAGER = SecretRef("env", "FLEET_SECRET_SLACK"), SecretRef("env", "FLEET_SECRET_PAGER")
PING = SecretRef("env", "FLEET_SECRET_PING")
NAMES = ("alice", "bob", "carol")


@pytest.fixture
def fleet(state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.delenv("CI", raising=False)
    world = FakeFleet(state, NAMES).applied()
    for name in NAMES:
        world.host(name).gateway.heard = {}
    world.clock.sleep(3600)
    return CommandLine(world, capsys, {"alerts": AlertSettings(to=(AlertPlace(SLACK),), ping=PING)})


def titles(fleet: CommandLine) -> list[str]:
    return [title for _, title, _, _ in fleet.world.teller.told]


def passes(fleet: CommandLine, count: int, *words: str) -> int:
    """The exit code of the last of these, a minute after each other."""
    code = 0
    for _ in range(count):
        fleet.world.clock.sleep(60)
        code = fleet("monitor", *words).code
    return code


def fall_silent(fleet: CommandLine, *names: str) -> None:
    for name in names:
        fleet.world.dialer.silent[fleet.world.server(name).id] = HostTimedOut("no answer within 10 s")


def test_a_fleet_that_is_well_wakes_nobody(fleet: CommandLine) -> None:
    said = fleet("monitor")
    assert (said.code, "3 HEALTHY" in said.out, titles(fleet)) == (0, True, []), said
    assert fleet.world.teller.pings == [str(PING)]
    assert fleet("monitor", "--quiet").out == ""


def test_many_passes_over_twenty_that_are_well_raise_no_false_alarm(state: Path) -> None:
    world = FakeFleet(state, tuple(f"child-{number:02}" for number in range(20))).applied()
    client, seen = world.client(), begin(History(state))
    for _ in range(500 if FULL else 40):
        world.clock.sleep(60)
        found = client.watch(None, seen.slow, remembers=True)
        told, seen, problems = client.heed(found, seen, remembers=True, is_silent=False)
        assert (found.is_well, told, problems) == (True, [], [])


def test_no_secret_is_resolved_and_telegram_is_not_asked(fleet: CommandLine) -> None:
    fleet.world.secrets = Unwilling()  # type: ignore[assignment]
    fleet.world.channel = None  # type: ignore[assignment]
    assert fleet("monitor").code == 0


class Unwilling:
    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"a pass asked for {name}")


def test_an_outage_is_told_once_with_its_cause_and_once_when_it_is_over(fleet: CommandLine) -> None:
    fleet.world.host("alice").gateway.wrong = {"channel_connected": False}
    assert passes(fleet, 2) == 2
    assert titles(fleet) == []
    assert passes(fleet, 10) == 2
    assert titles(fleet) == ["[demo] CRITICAL: alice gives no answer: telegram-silent"]
    [(place, _, body, level)] = fleet.world.teller.told
    assert (place, level, "README: cause-telegram-silent" in body) == (str(SLACK), Level.CRITICAL, True), body
    fleet.world.host("alice").gateway.wrong = {}
    assert passes(fleet, 5) == 0
    assert titles(fleet)[1:] == ["[demo] RESOLVED: alice is well again: telegram-silent"]


def test_many_that_fall_silent_are_one_alert_and_all_are_rather_our_own_network(fleet: CommandLine) -> None:
    fall_silent(fleet, *NAMES)
    assert passes(fleet, 4) == 2
    assert titles(fleet) == ["[demo] CRITICAL: the whole fleet: own-network"]


def test_a_cloud_that_is_silent_is_one_alert(fleet: CommandLine) -> None:
    for _ in range(4):
        fleet.world.cloud.fail_next("servers", CloudUnavailable("503 Service Unavailable"))
        assert passes(fleet, 1) == 2
    assert titles(fleet) == ["[demo] CRITICAL: the whole fleet: cloud-silent"]


def test_a_server_that_somebody_has_deleted_is_told(fleet: CommandLine) -> None:
    del fleet.world.cloud.by_id[fleet.world.server("bob").id]
    passes(fleet, 3)
    assert titles(fleet) == ["[demo] CRITICAL: bob gives no answer: no-server"]


def test_a_place_hears_what_it_wants(fleet: CommandLine) -> None:
    fleet.world.change("alice", group="paid")
    places = (AlertPlace(SLACK), AlertPlace(PAGER, (Level.CRITICAL,), ("pa*",)))
    fleet.changes["alerts"] = AlertSettings(to=places)
    fleet.world.host("alice").gateway.stop()
    fleet.world.host("bob").closer = {"reboot_due": True}
    passes(fleet, 3)
    told = sorted((place, title.partition(": ")[2]) for place, title, _, _ in fleet.world.teller.told)
    assert told == [
        (str(PAGER), "alice gives no answer: stopped"),
        (str(SLACK), "alice gives no answer: stopped"),
        (str(SLACK), "bob needs somebody: reboot-due"),
    ]


def test_what_could_not_be_told_is_told_by_the_next_pass(fleet: CommandLine) -> None:
    fleet.world.host("alice").gateway.stop()
    fleet.world.teller.fails = "the place did not take it"
    passes(fleet, 3)
    assert "did not reach env:FLEET_SECRET_SLACK: the place did not take it" in fleet("monitor").err
    fleet.world.teller.fails = ""
    passes(fleet, 2)
    assert titles(fleet) == ["[demo] CRITICAL: alice gives no answer: stopped"]


def test_a_place_that_hears_late_hears_all_of_it_in_order_and_the_others_hear_it_once(fleet: CommandLine) -> None:
    fleet.changes["alerts"] = AlertSettings(to=(AlertPlace(SLACK), AlertPlace(PAGER)))
    fleet.world.host("alice").gateway.wrong = {"channel_connected": False}
    fleet.world.teller.deaf = {str(PAGER): "503"}
    passes(fleet, 4)
    assert "did not reach env:FLEET_SECRET_PAGER: 503; the next pass tries again" in fleet("monitor").err
    fleet.world.host("alice").gateway.wrong = {}
    passes(fleet, 6)
    assert [place for place, _, _, _ in fleet.world.teller.told] == [str(SLACK)] * 2
    fleet.world.teller.deaf = {}
    passes(fleet, 2)
    late = [title for place, title, _, _ in fleet.world.teller.told if place == str(PAGER)]
    assert late == [
        "[demo] CRITICAL: alice gives no answer: telegram-silent",
        "[demo] RESOLVED: alice is well again: telegram-silent",
    ]
    assert len(fleet.world.teller.told) == 4


def test_what_waits_for_a_day_is_no_news_any_more(fleet: CommandLine) -> None:
    fleet.world.host("alice").gateway.wrong = {"channel_connected": False}
    fleet.world.teller.fails = "503"
    passes(fleet, 4)
    fleet.world.host("alice").gateway.wrong = {}
    passes(fleet, 3)
    fleet.world.clock.sleep(25 * 3600)
    fleet.world.teller.fails = ""
    passes(fleet, 1)
    assert titles(fleet) == []


def test_a_silence_is_known_to_any_machine_and_ends(fleet: CommandLine, tmp_path: Path) -> None:
    assert fleet("silence", "alice", "--for", "1h").code == 0
    assert "alice: until " in fleet("silence", "alice", "--list").out
    [quiet] = json.loads(fleet("silence", "--list", "--json").out)
    assert (quiet["child"], quiet["cause"]) == ("alice", None)
    fleet.world.host("alice").gateway.stop()
    passes(fleet, 5)
    assert titles(fleet) == []
    assert fleet("silence", "alice", "--end").out.startswith("Told again: alice")
    assert (fleet("silence", "--list").out, fleet("silence", "--list", "--json").out) == (
        "Nobody is silenced.\n",
        "[]\n",
    )
    passes(fleet, 1)
    assert titles(fleet) == ["[demo] CRITICAL: alice gives no answer: stopped"]
    assert [event.event for event in fleet.world.events() if "silence" in event.event] == ["silenced", "silence-ended"]


def test_a_silence_needs_a_time(fleet: CommandLine) -> None:
    assert fleet("silence", "alice").code == 64
    assert fleet("silence", "--for", "1h").code == 64
    assert fleet("silence", "alice", "--for", "soon").code == 64


def test_maintenance_wakes_nobody_and_is_shown(fleet: CommandLine) -> None:
    window = Maintenance("* * * * *", timedelta(hours=1), "Europe/Berlin")
    fleet.world.change("alice", monitoring=Monitoring(maintenance=(window,)))
    fleet.world.host("alice").gateway.stop()
    passes(fleet, 5)
    assert titles(fleet) == []
    assert "(maintenance: * * * * *)" in fleet("monitor").out


def test_drift_is_a_warning(fleet: CommandLine) -> None:
    host = fleet.world.host("alice")
    host.files[files.STAMP_PATH] = replace(host.files[files.STAMP_PATH], content=b"changed")
    said = fleet("monitor")
    assert (said.code, "changed outside: stamp program.sha256" in said.out) == (2, True), said


def test_a_secret_that_was_changed_on_its_host_is_drift_without_being_resolved(fleet: CommandLine) -> None:
    host = fleet.world.host("alice")
    host.files[files.MODEL_KEY_PATH] = replace(host.files[files.MODEL_KEY_PATH], content=b"another key of somebody")
    assert "model key" in fleet("monitor").out


def test_a_configuration_that_would_not_start_again_is_found_while_it_runs(fleet: CommandLine) -> None:
    host = fleet.world.host("alice")
    assert fleet("monitor").code == 0
    host.write_config({**host.config(), "surprise": 1})
    host.invalid_config = json.dumps({"valid": False, "issues": [{"path": "<root>", "message": "Unrecognized key"}]})
    fleet.world.clock.sleep(60)
    said = fleet("monitor")
    assert (said.code, "warning: next-start" in said.out) == (2, True), said


def test_the_model_is_asked_once_an_hour(fleet: CommandLine) -> None:
    def asked() -> int:
        return sum(host.ran.count("ask for models") for host in fleet.world.dialer.hosts.values())

    passes(fleet, 60)
    before = asked()
    passes(fleet, 60)
    assert asked() - before == len(NAMES)


def test_one_trip_and_few_requests_are_enough(fleet: CommandLine) -> None:
    fleet("monitor")
    fleet.world.dialer.met.clear()
    fleet.world.clock.sleep(60)
    fleet("monitor")
    assert len(fleet.world.dialer.met) == len(NAMES)


def test_where_nothing_is_remembered_it_is_told_at_once_and_said(
    fleet: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    fleet.world.host("alice").gateway.stop()
    said = fleet("monitor")
    assert "Nothing is remembered from pass to pass" in said.err
    assert titles(fleet) == ["[demo] CRITICAL: alice gives no answer: stopped"]


def test_no_alerts_tells_nobody(fleet: CommandLine) -> None:
    fleet.world.host("alice").gateway.stop()
    passes(fleet, 5, "--no-alerts")
    assert titles(fleet) == []


def test_a_pass_that_tells_nobody_counts_and_leaves_it_to_the_next_that_does(fleet: CommandLine) -> None:
    fleet.world.host("alice").gateway.stop()
    passes(fleet, 2, "--no-alerts")
    passes(fleet, 1)
    assert titles(fleet) == ["[demo] CRITICAL: alice gives no answer: stopped"]
    fleet.world.host("alice").gateway.start()
    passes(fleet, 4, "--no-alerts")
    assert len(titles(fleet)) == 1
    passes(fleet, 1)
    assert [title.partition(":")[0] for title in titles(fleet)[1:]] == ["[demo] RESOLVED"]
    passes(fleet, 2)
    assert len(titles(fleet)) == 2


def test_what_a_host_says_is_harmless(fleet: CommandLine) -> None:
    secret = "sk-ant-api03-" + "q" * 40
    fleet.world.host("alice").gateway.wrong = {
        "channel_connected": False,
        "channel_error": f"\x1b[2J{secret}\n::error::",
    }
    for words in ((), ("--json",), ("--verbose",)):
        said = fleet("monitor", *words)
        assert ("\x1b" in said.out, secret in said.out, "\n::error" in said.out) == (False, False, False), said
    passes(fleet, 3)
    assert secret not in str(fleet.world.teller.told)


def test_json_is_a_line_for_each_pass(fleet: CommandLine) -> None:
    fleet.world.host("alice").gateway.stop()
    told = json.loads(fleet("monitor", "--json").out)
    assert (told["well"], told["children"]["alice"]["troubles"][0]["cause"]) == (False, "stopped")
    assert told["children"]["bob"]["troubles"] == []


def test_a_watch_goes_on_as_often_as_is_said(fleet: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until Ctrl-C, which comes in the third pass."""
    for words, seconds in ((("--watch", "60"), 60), (("--watch",), 300)):
        sleeps = Interrupted(fleet.world.clock.sleep)
        monkeypatch.setattr(fleet.world.clock, "sleep", sleeps)
        said = fleet("monitor", "--json", *words)
        assert (said.code, len(said.out.splitlines())) == (130, 3), said
        assert all(0.85 * seconds < slept < 1.15 * seconds for slept in sleeps.slept)
        monkeypatch.undo()
    assert fleet("monitor", "--watch", "5").code == 64


def test_a_watch_follows_the_file_and_outlives_a_wrong_one(
    fleet: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child comes into it after the first pass; after the second it is no YAML any more."""
    monkeypatch.chdir(tmp_path)
    file, texts = tmp_path / "fleet.yaml", iter((FILE, "children: ["))
    file.write_text(FILE)
    del fleet.world.specs["carol"]

    def sleep(seconds: float) -> None:
        text = next(texts, None)
        if text is None:
            raise KeyboardInterrupt
        file.write_text(text)
        fleet.world.specs["carol"] = make_spec("carol")

    monkeypatch.setattr(fleet.world.clock, "sleep", sleep)
    said = fleet("monitor", "--json", "--watch", "60")
    assert [len(json.loads(line)["children"]) for line in said.out.splitlines()] == [2, 3, 3]
    assert "fleet.yaml is wrong by now, so it is watched as it was" in said.err


FILE = """\
fleet: demo
cloud: {provider: sandbox}
children: {}
"""


class Interrupted:
    """A sleep that Ctrl-C ends the third time."""

    def __init__(self, sleep: Callable[[float], None]) -> None:
        self._sleep, self.slept = sleep, list[float]()

    def __call__(self, seconds: float) -> None:
        if len(self.slept) == 2:
            raise KeyboardInterrupt
        self.slept.append(seconds)
        self._sleep(seconds)


def test_a_cloud_that_is_silent_is_told_also_where_some_are_chosen(fleet: CommandLine) -> None:
    for _ in range(4):
        for _ in range(2):  # who there is, and the look
            fleet.world.cloud.fail_next("servers", CloudUnavailable("503 Service Unavailable"))
        fleet.world.clock.sleep(60)
        assert fleet("monitor", "ali*").code == 2
    assert titles(fleet) == ["[demo] CRITICAL: the whole fleet: cloud-silent"]


def test_a_pass_by_hand_counts_in_a_watch_and_nobody_hears_twice(
    fleet: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else's passes are in the file, and the watch tells what they have not."""
    clock, nap, naps = fleet.world.clock, fleet.world.clock.sleep, list[float]()

    def sleep(seconds: float) -> None:
        nap(seconds)
        naps.append(seconds)
        if len(naps) == 1:
            assert run(["--state-dir", str(fleet.world.state), "monitor"], fleet.open) == 2
        if len(naps) == 4:
            raise KeyboardInterrupt

    fleet.world.host("alice").gateway.stop()
    monkeypatch.setattr(clock, "sleep", sleep)
    fleet("monitor", "--watch", "60")
    assert titles(fleet) == ["[demo] CRITICAL: alice gives no answer: stopped"]


def test_a_changed_firewall_is_a_warning_of_the_fleet_and_hides_nobody(fleet: CommandLine) -> None:
    name = next(iter(fleet.world.cloud.walls))
    fleet.world.cloud.change_wall(name, *fleet.world.cloud.walls[name].rules, "in tcp 1-65535 0.0.0.0/0")
    fleet.world.host("alice").gateway.stop()
    said = fleet("monitor")
    assert (said.code, "firewall" in said.out) == (2, True), said
    passes(fleet, 3)
    assert sorted(titles(fleet)) == [
        "[demo] CRITICAL: alice gives no answer: stopped", "[demo] WARNING: the whole fleet: drifted",
    ]  # fmt: skip


def test_an_update_that_is_under_way_wakes_nobody_and_one_that_takes_too_long_does(fleet: CommandLine) -> None:
    host, checkpoint = fleet.world.host("alice"), later_id(fleet.world.clock.now(), ())
    host.run(commands.begin_switch(checkpoint, "2026.9.6", "2026.9.7"))

    def goes_on(count: int) -> list[str]:
        for _ in range(count):
            host.run(commands.postpone_return())
            passes(fleet, 1)
        return titles(fleet)

    assert goes_on(14) == []
    assert goes_on(4) == ["[demo] CRITICAL: alice gives no answer: update-unfinished"]


def test_a_long_soak_wakes_nobody(fleet: CommandLine) -> None:
    fleet.world.change("alice", update=UpdateSettings(soak=1200))
    host, checkpoint = fleet.world.host("alice"), later_id(fleet.world.clock.now(), ())
    host.run(commands.begin_switch(checkpoint, "2026.9.6", "2026.9.7"))
    for _ in range(33):
        host.run(commands.postpone_return())
        passes(fleet, 1)
    assert titles(fleet) == []


def test_a_host_that_goes_back_and_does_not_come_to_its_end_is_told_as_soon_as_another(fleet: CommandLine) -> None:
    host, checkpoint = fleet.world.host("alice"), later_id(fleet.world.clock.now(), ())
    host.run(commands.begin_switch(checkpoint, "2026.9.6", "2026.9.7"))
    host.files[f"{SWITCH}/undone"] = FakeFile(b"")
    host.tick = lambda: None  # type: ignore[method-assign]
    passes(fleet, 3)
    assert titles(fleet) == ["[demo] CRITICAL: alice gives no answer: update-unfinished"]


def test_a_first_apply_that_is_under_way_wakes_nobody_and_one_that_was_left_does(fleet: CommandLine) -> None:
    server = fleet.world.server("alice")
    labels = {**server.labels, "openclaw-deploy/unfinished": "true"}
    fleet.world.cloud.by_id[server.id] = replace(server, labels=labels, created=fleet.world.clock.now())
    fleet.world.dialer.silent[server.id] = HostTimedOut("no answer")
    said = passes(fleet, 20)
    assert titles(fleet) == [], said
    passes(fleet, 15)
    assert titles(fleet) == ["[demo] CRITICAL: alice gives no answer: never-finished"]


def test_who_is_well_for_a_year_is_not_forgotten(fleet: CommandLine) -> None:
    for _ in range(3):
        passes(fleet, 1)
        fleet.world.clock.sleep(120 * 86400)
    passes(fleet, 1)
    assert fleet("history", "alice").code == 0


def test_who_shall_not_answer_is_counted_neither_well_nor_ill(fleet: CommandLine) -> None:
    fleet.world.change("alice", enabled=False)
    assert fleet("apply", "alice", "--yes").code == 0
    passes(fleet, 3)
    uptimes = json.loads(fleet("history", "alice", "--json").out)["uptime"]
    assert {(it["well"], it["ill"]) for it in uptimes.values() if it} == {(0, 0)}, uptimes


def test_who_may_read_a_secret_is_no_outage(fleet: CommandLine) -> None:
    host = fleet.world.host("alice")
    host.files[files.MODEL_KEY_PATH] = replace(host.files[files.MODEL_KEY_PATH], mode="0644")
    told = json.loads(fleet("monitor", "--json").out)["children"]["alice"]["troubles"]
    assert [(it["cause"], it["level"]) for it in told] == [("secrets-exposed", "warning")]


def test_history_says_how_it_was(fleet: CommandLine) -> None:
    passes(fleet, 2)
    fleet.world.host("alice").gateway.stop()
    passes(fleet, 2)
    said = fleet("history", "alice")
    assert [line.split()[2] for line in said.out.splitlines()[:2]] == ["HEALTHY", "OFFLINE"], said
    told = json.loads(fleet("history", "alice", "--json").out)
    assert [turn["cause"] for turn in told["changes"]] == ["", "stopped"]
    said = fleet("history", "alise")
    assert (said.code, "did you mean alice?" in said.err) == (64, True), said


def test_a_file_of_health_that_is_damaged_is_said(fleet: CommandLine) -> None:
    (fleet.world.state / "monitor.sqlite").write_bytes(b"no database at all, and longer than a header" * 10)
    said = fleet("monitor")
    assert (said.code, "cannot be read or written" in said.err) == (1, True), said


def test_a_test_and_a_preview(fleet: CommandLine) -> None:
    assert "env:FLEET_SECRET_SLACK: delivered" in fleet("alert", "test").out
    fleet.world.teller.told.clear()
    assert fleet("alert", "preview").out == "Nothing would be said.\n"
    fleet.world.host("alice").gateway.stop()
    assert "alice gives no answer: stopped" in fleet("alert", "preview").out
    assert titles(fleet) == []
    fleet.changes["alerts"] = AlertSettings()
    assert fleet("alert", "test").code == 64


@pytest.mark.parametrize(
    ("rows", "asleep", "every", "expected"),
    [(3, 0, 10, 10), (60, 0, 10, 15), (1000, 0, 60, 75), (1000, 0, 300, 300), (60, 50, 60, 171)],
)
def test_passes_take_a_third_of_the_requests(rows: int, asleep: int, every: int, expected: float) -> None:
    found = Pass(FakeClock().now(), 0.0, rows=(None,) * rows, looked_up=asleep)  # type: ignore[arg-type]
    seconds = pause(found, every)
    in_an_hour = 3600 / seconds * found.requests + 4 * min(3600 / seconds, 120)
    assert seconds == pytest.approx(expected)
    assert in_an_hour <= 1201


def test_large_fleets_are_looked_at_less_often_than_is_asked_for(state: Path) -> None:
    """A third of 3,600 requests an hour is what passes may take."""
    clock = FakeClock()
    for rows, least in ((10, 60.0), (1000, 60.0), (5000, 300.0)):
        before = clock.monotonic()
        wait_for(clock, 60, Pass(clock.now(), 0.0, rows=(None,) * rows))  # type: ignore[arg-type]
        assert clock.monotonic() - before >= least * 0.9
    assert begin(History(state)).book.states == {}
