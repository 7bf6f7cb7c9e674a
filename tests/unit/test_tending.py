"""What a watch does by itself for who gives no answer: when it may, when it must not, and that it gives up."""

from __future__ import annotations

import re
import threading
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.errors import CloudUnavailable, HostTimedOut
from reconciler.heeding import begin
from reconciler.history import FILE as FILE_OF_PASSES
from reconciler.history import History
from reconciler.managed import files
from reconciler.mending import Mender
from reconciler.model import (
    ANSWERS,
    AlertPlace,
    AlertSettings,
    Book,
    Command,
    Completed,
    DriftPolicy,
    Maintenance,
    Monitoring,
    Pass,
    Rung,
    SecretRef,
    SelfHelp,
)
from reconciler.tending import Tended
from tests.fakes.command_line import CommandLine, Said
from tests.fakes.fleets import FakeFleet

SLACK = SecretRef("env", "FLEET_SECRET_SLACK")
NAMES = ("alice", "bob", "carol", "dave")
HELP = Monitoring(resuscitate=SelfHelp())


@pytest.fixture
def fleet(state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.delenv("CI", raising=False)
    world = FakeFleet(state, NAMES).applied()
    for name in NAMES:
        world.change(name, monitoring=HELP)
    world.clock.sleep(3600)
    return CommandLine(world, capsys, {"alerts": AlertSettings(to=(AlertPlace(SLACK),))})


def passes(fleet: CommandLine, count: int, *words: str) -> Said:
    said = Said(0, "", "")
    for _ in range(count):
        fleet.world.clock.sleep(60)
        said = fleet("monitor", *words)
    return said


def titles(fleet: CommandLine) -> list[str]:
    return [title for _, title, _, _ in fleet.world.teller.told]


def hang(fleet: CommandLine, *names: str) -> None:
    """Their channel is dead until their gateway is started anew."""
    for name in names:
        fleet.world.host(name).gateway.until_start = {"channel_connected": False}


def tried(fleet: CommandLine, name: str) -> list[str]:
    """The rungs, by the journal."""
    return [
        str(it.fields["rung"])
        for it in fleet.world.events()
        if it.event == "rung-intended" and it.fields.get("child") == name
    ]


def test_who_gives_no_answer_in_two_passes_is_brought_back_and_nobody_is_woken(fleet: CommandLine) -> None:
    hang(fleet, "alice")
    assert passes(fleet, 1).code == 2
    assert tried(fleet, "alice") == []
    assert "alice: telegram-silent: well again; tried: channel" in passes(fleet, 1).err
    assert tried(fleet, "alice")[-1] == "restart"
    assert passes(fleet, 5).code == 0
    assert titles(fleet) == []
    assert tried(fleet, "bob") == []


def test_who_is_brought_back_is_that_also_where_nobody_is_told(fleet: CommandLine) -> None:
    hang(fleet, "alice")
    assert "alice: telegram-silent: well again" in passes(fleet, 2, "--no-alerts").err


def test_who_is_brought_back_wakes_nobody_also_where_the_second_pass_would_tell(fleet: CommandLine) -> None:
    fleet.world.change("alice", monitoring=replace(HELP, fire_after=2))
    fleet.world.change("bob", monitoring=Monitoring(fire_after=2, drift={"*": DriftPolicy.FIX}))
    hang(fleet, "alice")
    fleet.world.host("bob").files[files.SSHD_PATH].content = b"Port 23\n"
    said = passes(fleet, 2)
    assert ("alice: telegram-silent: well again" in said.err, "bob: put back: sshd" in said.err) == (True, True)
    assert (passes(fleet, 3).code, titles(fleet)) == (0, [])


def test_who_cannot_be_brought_back_is_told_at_once_with_what_was_tried_and_once(fleet: CommandLine) -> None:
    fleet.world.host("alice").gateway.wrong = {"channel_connected": False}
    said = passes(fleet, 2)
    assert "still without an answer; tried: channel" in said.err
    assert titles(fleet) == ["[demo] CRITICAL: alice gives no answer: telegram-silent"]
    [(_, _, body, _)] = fleet.world.teller.told
    assert "by itself: channel, restart; " in body
    passes(fleet, 20)
    assert len(tried(fleet, "alice")) == 3
    assert len(titles(fleet)) == 1


def test_the_budget_is_known_to_any_machine(fleet: CommandLine, state: Path) -> None:
    fleet.world.host("alice").gateway.wrong = {"channel_connected": False}
    passes(fleet, 5)
    History(state)._path.unlink()
    passes(fleet, 5)
    assert len(tried(fleet, "alice")) == 3
    fleet.world.clock.sleep(timedelta(days=1).total_seconds())
    passes(fleet, 3)
    assert len(tried(fleet, "alice")) > 3


def test_nothing_is_tried_beyond_the_rung_of_the_file(fleet: CommandLine) -> None:
    fleet.world.change("alice", monitoring=Monitoring(resuscitate=SelfHelp(Rung.CHANNEL, 9)))
    hang(fleet, "alice")
    passes(fleet, 6)
    assert set(tried(fleet, "alice")) == {"channel"}
    assert "by itself: channel; nothing is left up to channel" in fleet.world.teller.told[0][2]


def test_who_was_stopped_by_hand_stays_stopped(fleet: CommandLine) -> None:
    assert fleet("stop", "alice", "--yes").code == 0
    passes(fleet, 5)
    assert fleet.world.host("alice").gateway.active != "active"
    assert tried(fleet, "alice") == []


def test_nobody_is_touched_whom_the_file_does_not_name(fleet: CommandLine) -> None:
    fleet.world.change("alice", monitoring=Monitoring())
    hang(fleet, "alice")
    passes(fleet, 5)
    assert tried(fleet, "alice") == []


def test_nobody_is_touched_while_somebody_works_on_it(fleet: CommandLine) -> None:
    hang(fleet, "alice", "bob")
    fleet("silence", "alice", "--for", "1h")
    window = Maintenance("* * * * *", timedelta(hours=1))
    fleet.world.change("bob", monitoring=replace(HELP, maintenance=(window,)))
    passes(fleet, 5)
    assert (tried(fleet, "alice"), tried(fleet, "bob")) == ([], [])


def test_a_pass_may_be_told_to_look_only(fleet: CommandLine) -> None:
    hang(fleet, "alice")
    passes(fleet, 5, "--only-look")
    assert tried(fleet, "alice") == []


def test_where_several_have_one_cause_nobody_is_started_anew(fleet: CommandLine) -> None:
    hang(fleet, "alice", "bob", "carol")
    passes(fleet, 5)
    assert [tried(fleet, name) for name in NAMES] == [[], [], [], []]
    assert titles(fleet) == ["[demo] CRITICAL: 3 children in nbg1: telegram-silent"]


def test_where_the_fleet_is_in_trouble_nobody_is_touched(fleet: CommandLine) -> None:
    for name in NAMES:
        fleet.world.change(name, monitoring=Monitoring(resuscitate=SelfHelp(Rung.RESET)))
        fleet.world.dialer.silent[fleet.world.server(name).id] = HostTimedOut("no answer")
    passes(fleet, 4)
    hang(fleet, "alice")
    for _ in range(3):
        fleet.world.cloud.fail_next("servers", CloudUnavailable("503"))
        passes(fleet, 1)
    assert [tried(fleet, name) for name in NAMES] == [[], [], [], []]


def test_while_another_run_holds_the_lock_it_waits(fleet: CommandLine) -> None:
    hang(fleet, "alice")
    passes(fleet, 1)
    with fleet.world.store.lock("fleet apply"):
        said = passes(fleet, 1)
    assert ("nothing more is tried for alice this time" in said.err, tried(fleet, "alice")) == (True, [])
    assert "alice: telegram-silent: well again" in passes(fleet, 1).err


def test_what_only_a_person_can_mend_is_not_tried(fleet: CommandLine) -> None:
    fleet.world.host("alice").closer = {"probe_problem": "401 Unauthorized"}
    fleet.world.host("alice").gateway.wrong = {"channel_connected": False, "channel_error": "401 Unauthorized"}
    passes(fleet, 2)
    assert (tried(fleet, "alice"), titles(fleet)) == ([], [])
    passes(fleet, 1)
    assert titles(fleet) == ["[demo] CRITICAL: alice gives no answer: bot-token-refused"]


def test_a_first_pass_does_nothing_of_itself(fleet: CommandLine, state: Path) -> None:
    """Without anything remembered, it is the first that anybody hears of it."""
    hang(fleet, "alice")
    found = fleet.world.client().watch(None, {}, remembers=True)
    assert fleet.world.client().tend(found, begin(History(state)).book, ["alice", "bob"]).lines == ()


# --- drift ----------------------------------------------------------------------------------------------------------


def drifting(fleet: CommandLine, **policies: str) -> None:
    """Alice's sshd has another configuration; `policies` by patterns, with _ for *."""
    wanted = {pattern.replace("_", "*"): DriftPolicy(word) for pattern, word in policies.items()}
    fleet.world.change("alice", monitoring=Monitoring(drift=wanted))
    change(fleet)


def change(fleet: CommandLine) -> None:
    fleet.world.host("alice").files[files.SSHD_PATH].content = b"Port 23\n"


def is_changed(fleet: CommandLine) -> bool:
    return fleet.world.host("alice").content(files.SSHD_PATH) == b"Port 23\n"


def test_drift_that_may_be_fixed_is_put_back_by_the_second_pass(fleet: CommandLine) -> None:
    drifting(fleet, sshd_="fix")
    assert (passes(fleet, 1).code, is_changed(fleet)) == (2, True)
    said = passes(fleet, 1)
    assert ("alice: put back: sshd" in said.err, is_changed(fleet)) == (True, False)
    assert (passes(fleet, 3).code, titles(fleet)) == (0, [])


def test_drift_is_put_back_three_times_a_day_and_then_told(fleet: CommandLine) -> None:
    drifting(fleet, _="fix")
    for _ in range(3):
        passes(fleet, 3)
        assert not is_changed(fleet)
        change(fleet)
    said = passes(fleet, 4)
    assert (is_changed(fleet), "drift stays" in said.err) == (True, True)
    assert titles(fleet) == ["[demo] WARNING: alice needs somebody: drifted"]


def test_drift_is_only_told_where_the_file_says_no_more(fleet: CommandLine) -> None:
    drifting(fleet)
    passes(fleet, 4)
    assert (is_changed(fleet), titles(fleet)) == (True, ["[demo] WARNING: alice needs somebody: drifted"])


def test_drift_that_is_to_be_ignored_is_not_told(fleet: CommandLine) -> None:
    drifting(fleet, sshd_="ignore")
    assert (passes(fleet, 4).code, titles(fleet), is_changed(fleet)) == (0, [], True)
    assert fleet("apply", "alice", "--yes").code == 0
    assert not is_changed(fleet)


def test_the_longest_pattern_counts(fleet: CommandLine) -> None:
    policies = Monitoring(drift={"*": DriftPolicy.FIX, "sshd*": DriftPolicy.IGNORE, "s*": DriftPolicy.WARN})
    assert policies.policy_of("sshd.sha256") is DriftPolicy.IGNORE
    assert policies.policy_of("sudoers") is DriftPolicy.WARN
    assert policies.policy_of("labels.team") is DriftPolicy.FIX
    assert Monitoring().policy_of("sshd") is DriftPolicy.WARN


def test_nothing_is_fixed_where_other_drift_would_go_with_it(fleet: CommandLine) -> None:
    drifting(fleet, sshd_="fix")
    fleet.world.host("alice").files[files.SUDOERS_PATH].content += b"# mine\n"
    passes(fleet, 4)
    assert is_changed(fleet)
    assert titles(fleet) == ["[demo] WARNING: alice needs somebody: drifted"]


def test_nothing_is_fixed_where_an_apply_would_do_more(fleet: CommandLine) -> None:
    drifting(fleet, _="fix")
    fleet.world.change("alice", labels={"team": "red"})
    said = passes(fleet, 2)
    assert ("alice: drift stays: an apply would do more than that" in said.err, is_changed(fleet)) == (True, True)
    passes(fleet, 2)
    assert titles(fleet) == ["[demo] WARNING: alice needs somebody: drifted"]
    assert "team" not in fleet.world.server("alice").labels


def test_drift_is_left_by_who_only_looks(fleet: CommandLine) -> None:
    drifting(fleet, _="fix")
    passes(fleet, 4, "--only-look")
    assert is_changed(fleet)


def test_what_is_to_be_adopted_is_in_the_fleet_file_then(
    fleet: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(FILE)
    monkeypatch.chdir(tmp_path)
    wanted = {"config.*": DriftPolicy.ADOPT}
    config = {"messages": {"ackReactionScope": "direct"}}
    fleet.world.change("alice", config=config)
    assert fleet("apply", "alice", "--yes").code == 0
    fleet.world.change("alice", monitoring=Monitoring(drift=wanted))
    host = fleet.world.host("alice")
    host.write_config({**host.config(), "messages": {"ackReactionScope": "all"}})
    said = passes(fleet, 1)
    assert "fleet adopt alice config" in said.out, said
    assert fleet("silence", "alice", "--for", "1h").code == 0
    assert "taken over" not in passes(fleet, 2).err  # somebody may be at work there
    assert fleet("silence", "alice", "--end").code == 0
    said = passes(fleet, 1)
    assert "alice: taken over into" in said.err, said
    assert "ackReactionScope: all" in file.read_text()


FILE = """\
fleet: demo
cloud: {provider: sandbox}
defaults:
  region: nbg1
  version: 2026.9.6
  model: {name: claude-sonnet-4-6, key: env:MODEL}
children:
  alice:
    bot: {token: env:ALICE}
    config:
      messages:
        ackReactionScope: direct
"""


class Watching:
    """A watch, pass by pass, whose rounds end when the test says so."""

    def __init__(self, fleet: CommandLine, state: Path) -> None:
        self.fleet, self.client = fleet, fleet.open(Path("fleet.yaml"), state, lambda *said: None)
        self.mender, self.may_end = Mender(fleet.world.clock), threading.Event()
        self.state = begin(History(state))
        self.lines: list[str] = []
        self.rounds: list[list[str]] = []

    def passes(self, count: int) -> None:
        for _ in range(count):
            self.fleet.world.clock.sleep(60)
            found, book = self.client.watch(None, self.state.slow, remembers=True), self.state.book
            found, lines = self.mender.after(found, book, self.client.to_tend(found, book), self._tend)
            _, self.state, _ = self.client.heed(found, self.state, remembers=True, is_silent=False)
            self.lines += lines

    def let_it_end(self) -> None:
        self.may_end.set()
        self.mender.close(lambda said: None)

    def _tend(self, found: Pass, book: Book, names: Collection[str]) -> Tended:
        assert self.may_end.wait(60)
        self.rounds.append(sorted(names))
        return self.client.tend(found, book, names)


def test_passes_go_on_beside_what_is_mended(fleet: CommandLine, state: Path) -> None:
    watch = Watching(fleet, state)
    hang(fleet, "alice")
    watch.passes(2)
    assert watch.lines == ["alice: being mended, and passes go on meanwhile"]
    watch.fleet.world.host("bob").gateway.stop()
    watch.passes(1)
    assert watch.mender.at_work_on == {"alice"}
    watch.let_it_end()
    watch.passes(3)
    assert "alice: telegram-silent: well again" in watch.lines[1]
    assert titles(fleet) == ["[demo] CRITICAL: bob gives no answer: stopped"]


def test_who_is_told_of_while_it_is_mended_is_told_of_again_with_what_was_tried(
    fleet: CommandLine, state: Path
) -> None:
    watch = Watching(fleet, state)
    fleet.world.host("alice").gateway.wrong = {"channel_connected": False}
    watch.passes(5)
    assert titles(fleet) == ["[demo] CRITICAL: alice gives no answer: telegram-silent"]
    watch.let_it_end()
    watch.passes(1)
    assert titles(fleet)[1:] == ["[demo] CRITICAL (still firing): alice gives no answer: telegram-silent"]
    assert "by itself: channel, restart; " in fleet.world.teller.told[1][2]


def test_what_nobody_wants_to_hear_of_is_mended_all_the_same(fleet: CommandLine) -> None:
    fleet.world.change("alice", monitoring=replace(HELP, alert_on=("unreachable",)))
    fleet.world.change("bob", monitoring=Monitoring(alert_on=("unreachable",), drift={"*": DriftPolicy.FIX}))
    hang(fleet, "alice")
    fleet.world.host("bob").files[files.SSHD_PATH].content = b"Port 23\n"
    said = passes(fleet, 2)
    assert ("alice: telegram-silent: well again" in said.err, "bob: put back: sshd" in said.err) == (True, True)
    assert (passes(fleet, 3).code, titles(fleet)) == (0, [])


def test_people_are_told_of_others_before_somebody_is_brought_back(fleet: CommandLine) -> None:
    fleet.world.change("bob", monitoring=Monitoring(fire_after=2))
    hang(fleet, "alice")
    fleet.world.host("bob").gateway.stop()
    passes(fleet, 1)
    host, heard = fleet.world.host("alice"), list[str]()
    run = host.run

    def told_by_then(command: Command) -> Completed:
        if command.name.startswith("restart"):
            heard.extend(titles(fleet))
        return run(command)

    host.run = told_by_then  # type: ignore[method-assign]
    passes(fleet, 1)
    assert heard[0] == "[demo] CRITICAL: bob gives no answer: stopped"


class Killed(BaseException):
    """Nothing that anybody expects, or catches."""


def test_a_pass_that_is_killed_while_it_mends_hides_no_outage(fleet: CommandLine, state: Path) -> None:
    """As by a timer's or a workflow's limit, again and again: what it has told and remembered by then is all."""
    fleet.world.change("alice", monitoring=Monitoring(resuscitate=SelfHelp(budget=9)))
    fleet.world.host("alice").gateway.wrong = {"channel_connected": False}
    host, file, left, told = fleet.world.host("alice"), state / FILE_OF_PASSES, list[bytes](), list[int]()
    counted = list[int]()
    run = host.run

    def dies(command: Command) -> Completed:
        if command.name == "call channels.start":
            left.append(file.read_bytes())
            told.append(len(titles(fleet)))
            raise Killed
        return run(command)

    host.run = dies  # type: ignore[method-assign]
    passes(fleet, 1)
    for _ in range(3):
        with suppress(Killed):
            passes(fleet, 1)
        if left:
            file.write_bytes(left.pop())
            counted.append(begin(History(state)).book.states[("alice", ANSWERS)].failures)
            del fleet.world.teller.told[told.pop() :]
    assert (counted, titles(fleet)) == ([2, 3], ["[demo] CRITICAL: alice gives no answer: telegram-silent"])


def test_who_cannot_be_tried_is_told_all_the_same(fleet: CommandLine, state: Path) -> None:
    hang(fleet, "alice")
    (state / "lock").unlink()
    (state / "lock").mkdir()
    said = passes(fleet, 2)
    assert ("nothing more is tried for alice this time" in said.err, titles(fleet)) == (True, []), said
    passes(fleet, 1)
    assert titles(fleet) == ["[demo] CRITICAL: alice gives no answer: telegram-silent"]


def test_one_pass_counts_once_also_where_it_mends(fleet: CommandLine) -> None:
    fleet.world.change("alice", monitoring=Monitoring(fire_after=4, drift={"*": DriftPolicy.FIX}), labels={"a": "b"})
    change(fleet)
    fleet.world.host("alice").disk_free_mb = 400
    passes(fleet, 3)
    assert titles(fleet) == []
    passes(fleet, 1)
    assert len(titles(fleet)) == 2


def test_a_bug_in_a_round_ends_neither_the_watch_nor_what_it_tells(fleet: CommandLine, state: Path) -> None:
    watch = Watching(fleet, state)
    fleet.world.host("alice").gateway.wrong = {"channel_connected": False}
    watch.client.tend = lambda found, book, names: 1 // 0  # type: ignore[method-assign,assignment,return-value]
    watch.may_end.set()
    for _ in range(5):
        watch.passes(1)
        watch.let_it_end()
    said = next(line for line in watch.lines if line.startswith("nothing more is tried for alice this time"))
    assert re.search(r": ZeroDivisionError in test_tending\.py, line [0-9]+: this is a bug in fleet \(run it ", said)
    assert titles(fleet) == ["[demo] CRITICAL: alice gives no answer: telegram-silent"]


def test_who_could_not_be_tried_before_makes_nobody_else_wait_less(fleet: CommandLine, state: Path) -> None:
    drifting(fleet, _="fix")
    fleet.world.change("alice", labels={"team": "red"})
    fleet.world.change("bob", monitoring=replace(HELP, fire_after=2))
    watch = Watching(fleet, state)
    watch.may_end.set()
    watch.passes(2)
    watch.let_it_end()
    hang(fleet, "bob")
    watch.passes(1)  # alice's round came to nothing
    watch.let_it_end()
    watch.may_end.clear()
    watch.passes(1)
    assert "bob: being mended, and passes go on meanwhile" in watch.lines
    assert "bob" not in str(titles(fleet))
    watch.let_it_end()


def test_what_a_round_came_to_is_said_at_the_end_of_a_watch(fleet: CommandLine, state: Path) -> None:
    watch, said = Watching(fleet, state), list[str]()
    hang(fleet, "alice")
    watch.passes(2)
    watch.may_end.set()
    watch.mender.close(said.append)
    assert "alice: telegram-silent: well again" in said[-1]


def test_a_round_that_takes_long_hides_no_outage(fleet: CommandLine, state: Path) -> None:
    watch = Watching(fleet, state)
    hang(fleet, "alice")
    watch.passes(4)
    assert titles(fleet) == []
    watch.passes(1)  # four minutes after it was seen first
    assert titles(fleet) == ["[demo] CRITICAL: alice gives no answer: telegram-silent"]
    watch.let_it_end()
    watch.passes(3)
    assert titles(fleet)[1:] == ["[demo] RESOLVED: alice is well again: telegram-silent"]


def test_while_somebody_else_has_the_lock_nothing_is_hidden(fleet: CommandLine, state: Path) -> None:
    watch = Watching(fleet, state)
    watch.may_end.set()
    hang(fleet, "alice")
    with fleet.world.ports().store.lock("fleet apply"):
        for _ in range(5):
            watch.passes(1)
            watch.mender.close(lambda said: None)
    assert titles(fleet) == ["[demo] CRITICAL: alice gives no answer: telegram-silent"]
    assert watch.lines[0] == "alice: being mended, and passes go on meanwhile"
    assert watch.lines[1].startswith("nothing more is tried for alice this time")
    watch.passes(2)
    watch.mender.close(lambda said: None)
    watch.passes(3)
    assert titles(fleet)[1:] == ["[demo] RESOLVED: alice is well again: telegram-silent"], watch.lines


def test_what_goes_wrong_in_a_round_is_not_lost(fleet: CommandLine, state: Path) -> None:
    watch = Watching(fleet, state)
    hang(fleet, "alice")
    watch.passes(2)
    connect, fleet.world.dialer.connect = fleet.world.dialer.connect, None  # type: ignore[assignment,method-assign]
    watch.let_it_end()
    fleet.world.dialer.connect = connect  # type: ignore[method-assign]
    watch.passes(1)
    assert any("TypeError" in line and "alice" in line for line in watch.lines), watch.lines


def test_a_round_is_for_those_alone_that_it_was_begun_for(fleet: CommandLine, state: Path) -> None:
    """alice's round ends without success in the pass in which bob's begins."""
    watch = Watching(fleet, state)
    watch.may_end.set()
    fleet.world.host("alice").gateway.wrong = {"channel_connected": False}
    watch.passes(1)
    hang(fleet, "bob")
    watch.passes(1)
    watch.let_it_end()
    rungs = tried(fleet, "alice")
    watch.passes(1)
    watch.let_it_end()
    assert watch.rounds == [["alice"], ["bob"]]
    assert (tried(fleet, "alice"), tried(fleet, "bob")[-1:]) == (rungs, ["restart"])


def test_two_who_cannot_be_tried_are_told_as_soon_as_others(fleet: CommandLine, state: Path) -> None:
    """Somebody else has the lock all the while, and bob falls ill a pass later."""
    watch = Watching(fleet, state)
    watch.may_end.set()
    hang(fleet, "alice")
    with fleet.world.ports().store.lock("fleet apply"):
        for at in range(5):
            watch.passes(1)
            watch.mender.close(lambda said: None)
            if at == 0:
                hang(fleet, "bob")
    assert titles(fleet) == [f"[demo] CRITICAL: {name} gives no answer: telegram-silent" for name in ("alice", "bob")]


def test_a_watch_that_is_ended_waits_for_what_it_is_mending(
    fleet: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C comes while the third pass is waited for."""
    clock, nap, naps = fleet.world.clock, fleet.world.clock.sleep, list[float]()

    def sleep(seconds: float) -> None:
        if threading.current_thread() is threading.main_thread():
            naps.append(seconds)
            if len(naps) == 2:
                raise KeyboardInterrupt
        nap(seconds)

    monkeypatch.setattr(clock, "sleep", sleep)
    hang(fleet, "alice")
    said = fleet("monitor", "--watch", "60")
    assert "alice: being mended, and passes go on meanwhile" in said.err
    assert tried(fleet, "alice")[-1] == "restart"
