"""Drills in memory: what is proven, what is not, and that a throw-away reaches nobody and stays nowhere."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from reconciler import drilling, stepping
from reconciler.api import FleetClient
from reconciler.commands.summary import SUMMARY
from reconciler.errors import CloudUnavailable, HostTimedOut, VaultError
from reconciler.keeper import Keeper
from reconciler.manifests import name_trial, read_trial
from reconciler.model import Backup, Drill, Event, Policy, Secret, Server, Trial
from reconciler.ports import Ports
from reconciler.steps.proving import differences, losses
from reconciler.steps.quarantine import mark_of, set_mark
from reconciler.store import DirectoryStore
from reconciler.vaults.directory import DirectoryVault
from tests.fakes.command_line import CommandLine
from tests.fakes.fleets import FakeFleet
from tests.fakes.host import FakeHost

DOG: Final = "my dog is called Bello"
STATE: Final = "/var/lib/openclaw/.openclaw/state/openclaw.sqlite"
CONFIG: Final = "/var/lib/openclaw/.openclaw/openclaw.json"
DATABASE: Final = ".openclaw/state/openclaw.sqlite"


@pytest.fixture
def world(state: Path) -> FakeFleet:
    made = FakeFleet(state, ("alice", "bob")).applied()
    made.host("alice").gateway.remember(DOG)
    return made


def backed_up(world: FakeFleet, *names: str) -> list[Backup]:
    made = [outcome.backup for outcome in world.client().keeper().create(names or ("alice",))]
    return [backup for backup in made if backup is not None]


def drilled(world: FakeFleet, *names: str) -> list[Drill]:
    client = world.client()
    with client.lock("fleet drill"):
        return client.drill(names or ("alice",))


def throwaways(world: FakeFleet) -> list[Server]:
    return [server for server in world.cloud.by_id.values() if server.name.startswith("demo-drill-")]


def watched(world: FakeFleet, see: Callable[[str], None]) -> FleetClient:
    """`see` hears of each step of throw-aways when it has ended."""

    def progress(child: str, step: str, seconds: float) -> None:
        if child.startswith("drill-"):
            see(step)

    return FleetClient(world.fleet(), replace(world.ports(), progress=progress))


def drill_hosts(world: FakeFleet) -> list[FakeHost]:
    """Of throw-aways, also of those whose servers are gone."""
    there = {world.host(name).gateway for name in ("alice", "bob")}
    return [host for host in world.dialer.hosts.values() if host.gateway not in there]


def rewritten(world: FakeFleet, backup: Backup) -> None:
    """The note of alice's backup says that it holds this, with a MAC that is right."""
    keeper = world.client().keeper()
    shelf = keeper._shelf(keeper._settings("alice"))
    sealed = world.state.parent / "again.age"
    shelf.take(backup, sealed)
    shelf.keep(backup, sealed)


def test_a_backup_that_can_be_restored_is_proven_and_its_server_is_gone(world: FakeFleet) -> None:
    [backup] = backed_up(world)
    world.clock.sleep(3600)
    [found] = drilled(world)
    assert (found.problem, found.left, found.backup) == ("", "", backup)
    assert found.age is not None
    assert 3600 <= found.age < 3700
    assert 0 < found.seconds < 600
    assert throwaways(world) == []
    assert world.planned() == []
    assert [record for record in world.store.records() if record.startswith("drill-")] == []
    assert world.host("alice").gateway.memory == [DOG]
    names = [event.event for event in world.events() if event.event.startswith("drill-")]
    assert names == ["drill-started", "drill-proven"]


def test_another_runner_sees_the_proof(world: FakeFleet) -> None:
    [backup] = backed_up(world)
    drilled(world)
    found, problems = world.client().keeper().trials(["alice", "bob"])
    assert problems == []
    assert [(trial.backup, trial.is_proven) for trial in found["alice"]] == [(backup.id, True)]
    assert found["bob"] == ()


def test_a_throw_away_has_no_bot_no_key_and_no_channel_whatever_its_backup_says(world: FakeFleet) -> None:
    host = world.host("alice")
    config: Any = host.config()
    config["channels"] |= {"discord": {"enabled": True, "token": "inline"}}
    config |= {"cron": {"enabled": True}, "hooks": {"enabled": True}}
    config["plugins"]["entries"]["wakes-by-itself"] = {"enabled": True}
    host.files[CONFIG].content = json.dumps(config).encode()
    world.change("alice", config={"channels": {"telegram": {"streaming": "off"}}, "cron": {"enabled": True}})
    backed_up(world)
    assert host.gateway.polls
    token, model_key = host.content("/etc/openclaw/telegram.token"), host.content("/etc/openclaw/model.key")
    assert [it.problem for it in drilled(world)] == [""]
    [tried] = drill_hosts(world)
    assert tried.gateway.memory == [DOG]
    assert tried.gateway.starts == 1
    assert tried.gateway.polls is None
    assert token not in {file.content for file in tried.files.values()}
    assert model_key not in {file.content for file in tried.files.values()}
    found: Any = tried.config()
    assert found["channels"] == {"telegram": {"enabled": False}}
    assert found["cron"] == {"enabled": False}
    assert found["plugins"] == {"entries": {"admin-http-rpc": {"enabled": True}}}
    assert "hooks" not in found


def test_a_boot_starts_no_gateway_of_a_throw_away_and_its_fence_stands_again(world: FakeFleet) -> None:
    backed_up(world)
    starts: list[int] = []

    def reboot(step: str) -> None:
        if step == "memory":  # as the backup has it: nothing is silenced yet
            [host] = drill_hosts(world)
            host.boot()
            starts.append(host.gateway.starts)
            assert not host.kernel.lets_out("openclaw")

    assert [it.problem for it in watched(world, reboot).drill(["alice"])] == [""]
    assert starts == [0]
    [host] = drill_hosts(world)
    assert host.systemd.file_state("openclaw-gateway.service") == "disabled"


def test_no_copy_of_a_configuration_is_there_when_the_gateway_starts(world: FakeFleet) -> None:
    host = world.host("alice")
    for end in (".bak", ".bak.1", ".last-good", ".clobbered.2026-11-22T12-00-00", ".rejected.1"):
        host.files[f"{CONFIG}{end}"] = replace(host.files[CONFIG])
    host.write_config({**host.config(), "meta": {"touched": True}})
    backed_up(world)
    seen: list[list[str]] = []

    def look(step: str) -> None:
        if step in ("memory", "config"):
            [tried] = drill_hosts(world)
            seen.append([path for path in tried.files if path.startswith(f"{CONFIG}.")])
            assert tried.gateway.starts == 0

    assert [it.problem for it in watched(world, look).drill(["alice"])] == [""]
    assert [len(copies) for copies in seen] == [5, 0]
    assert len([path for path in world.host("alice").files if path.startswith(f"{CONFIG}.")]) == 5


def test_before_its_memory_is_there_nothing_of_a_throw_aways_gateway_gets_out(world: FakeFleet) -> None:
    backed_up(world)
    fenced: list[str] = []

    def look(step: str) -> None:
        [*hosts] = drill_hosts(world)
        if hosts and not hosts[0].kernel.lets_out("openclaw"):
            fenced.append(step)
            assert hosts[0].kernel.lets_out("openclaw-build")

    assert [it.problem for it in watched(world, look).drill(["alice"])] == [""]
    assert fenced[0] == "metadata closed"
    assert fenced.index("fence") < fenced.index("memory") < fenced.index("start")
    assert world.host("alice").kernel.lets_out("openclaw")


def test_a_host_that_does_not_fence_its_gateway_gets_no_memory(world: FakeFleet) -> None:
    backed_up(world)

    def unfence(step: str) -> None:
        if step == "unit":
            drill_hosts(world)[0].kernel.tables.clear()

    [found] = watched(world, unfence).drill(["alice"])
    assert "what may leave drill-" in found.problem
    assert found.left == ""
    [host] = drill_hosts(world)
    assert (host.gateway.memory, host.gateway.starts) == ([], 0)


def test_rules_that_cannot_be_loaded_end_a_drill(world: FakeFleet) -> None:
    backed_up(world)

    def remove_program(step: str) -> None:
        if step == "account":
            drill_hosts(world)[0].packages.discard("nftables")

    [found] = watched(world, remove_program).drill(["alice"])
    assert "metadata closed" in found.problem
    assert drill_hosts(world)[0].gateway.starts == 0
    assert throwaways(world) == []


def test_the_server_is_labelled_from_its_first_moment_and_has_no_bot(world: FakeFleet) -> None:
    backed_up(world)
    spec = drilling.throwaway_of(replace(world.specs["alice"], protect=True), "drill-1", backed_up(world)[0])
    assert (spec.protect, spec.is_throwaway, spec.version) == (False, True, "2026.9.6")
    seen: list[Server] = []
    client = watched(world, lambda step: seen.extend(throwaways(world)) if step == "server" else None)
    assert client.drill(["alice"])[0].is_proven
    [server] = seen
    assert server.is_throwaway
    assert server.bot is None
    assert not server.is_protected


def test_one_flipped_byte_is_found_before_a_server_is_made(world: FakeFleet) -> None:
    [backup] = backed_up(world)
    [sealed] = (world.state.parent / "backups").rglob("*.age")
    data = bytearray(sealed.read_bytes())
    data[len(data) // 2] ^= 1
    sealed.write_bytes(data)
    made = len(world.dialer.hosts)
    [found] = drilled(world)
    assert f"the backup {backup.id} of alice is damaged: it is not what was kept in" in found.problem
    assert found.backup == backup
    assert len(world.dialer.hosts) == made
    assert world.events()[-1].event == "drill-failed"
    [trial] = world.client().keeper().trials(["alice"])[0]["alice"]
    assert not trial.is_proven


def test_a_row_that_is_missing_is_said_with_its_table(world: FakeFleet) -> None:
    [backup] = backed_up(world)
    holds: Any = {**backup.holds, "databases": {DATABASE: {"transcript_events": 2}}}
    rewritten(world, replace(backup, holds=holds))
    [found] = drilled(world)
    assert f"{DATABASE} transcript_events: 1 rows, not 2 rows" in found.problem
    assert throwaways(world) == []
    assert drill_hosts(world)[0].gateway.starts == 0
    assert world.planned() == []


def test_of_a_gateway_that_runs_what_it_has_just_written_counts_too(tmp_path: Path) -> None:
    writer = sqlite3.connect(tmp_path / "s.sqlite")
    begin = "PRAGMA journal_mode=wal", "CREATE TABLE t(x)", "PRAGMA wal_checkpoint(truncate)"
    for text in (*begin, "INSERT INTO t VALUES(1)"):
        writer.execute(text)
        writer.commit()
    try:
        told = {
            mode: json.loads(subprocess.check_output([sys.executable, "-I", "-c", SUMMARY, str(tmp_path), mode]))
            for mode in ("", "live")
        }
    finally:
        writer.close()
    assert told["live"]["databases"] == {"s.sqlite": {"t": 1}}
    assert told[""]["databases"] == {"s.sqlite": {"t": 0}}


def test_tables_that_are_too_many_to_be_noted_are_told_by_their_sum(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "s.sqlite") as writer:
        for number in range(5000):
            writer.execute(f"CREATE TABLE a_table_with_a_long_name_{number}(x)")
        writer.execute("INSERT INTO a_table_with_a_long_name_7 VALUES(1), (2), (3)")
    writer.close()
    told = json.loads(subprocess.check_output([sys.executable, "-I", "-c", SUMMARY, str(tmp_path), ""]))
    assert told["databases"] == {"all 1 databases": {"rows of all 5000 tables": 3}}


def test_what_its_owner_has_closed_to_himself_is_no_reason_to_count_nothing(tmp_path: Path) -> None:
    for name in ("open", "closed"):
        (tmp_path / "workspace" / name).mkdir(parents=True)
        (tmp_path / "workspace" / name / "file").write_text("once upon a time")
    (tmp_path / "workspace/closed").chmod(0o600)
    powerless = ("setpriv", "--bounding-set=-all") if os.geteuid() == 0 else ()  # an owner like any other
    told = json.loads(subprocess.check_output([*powerless, sys.executable, "-I", "-c", SUMMARY, str(tmp_path), ""]))
    (tmp_path / "workspace/closed").chmod(0o700)
    assert told["workspace"]["files"] == 1


def test_a_gateway_that_forgets_at_its_start_is_not_proven() -> None:
    before: Any = {"databases": {"a": {"transcript_events": 3, "state_leases": 1}}}
    after: Any = {"databases": {"a": {"transcript_events": 2, "state_leases": 0, "new": 1}}}
    assert list(losses(before, after)) == ["a transcript_events: 2 rows, not 3 rows"]
    assert list(losses(before, before)) == []
    assert list(losses(before, {})) == ["a transcript_events: no such table, not 3 rows"]


def test_differences_are_told_table_by_table() -> None:
    before: Any = {"databases": {"a": {"x": 1, "gone": 2}}, "workspace": {"files": 1, "digest": "0"}}
    after: Any = {"databases": {"a": {"x": 1, "new": 0}}, "workspace": {"files": 1, "digest": "1"}}
    assert list(differences(before, after)) == [
        "a gone: no such table, not 2 rows",
        "a new: 0 rows, not no such table",
        "workspace: files of other content",
    ]
    assert list(differences(before, before)) == []
    assert list(differences({"workspace": {"files": 1}}, {"workspace": {"files": 0}})) == ["workspace: 0 files, not 1"]


def test_what_a_killed_drill_has_left_goes_with_the_next_apply_and_counts_nowhere(world: FakeFleet) -> None:
    backed_up(world)
    for _ in range(9):
        world.cloud.fail_next("delete_server", CloudUnavailable("503"))
    [found] = drilled(world)
    assert found.is_proven
    assert "503" in found.left
    [server] = throwaways(world)
    world.policy = Policy(max_destroys=0, max_children=2)
    planned = world.client().plan()
    assert not planned.plan.is_refused
    [action] = planned.plan.actions
    assert action.child == server.child
    assert action.reason.text == "left by a drill that was cut off, and serves nobody; its server is deleted"
    assert not any("last copy" in note or "kept as backups" in note for note in action.notes)
    bill = world.client().plan(["alice"]).plan.total
    world.dialer.silent[server.id] = HostTimedOut("no answer")
    for _ in range(4):
        world.apply()
    assert throwaways(world) == []
    assert world.client().plan(["alice"]).plan.total == bill
    assert world.planned() == []


def test_a_drill_that_ctrl_c_ends_leaves_nothing(world: FakeFleet) -> None:
    backed_up(world)

    def interrupt(step: str) -> None:
        if step == "start":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watched(world, interrupt).drill(["alice"])
    assert throwaways(world) == []
    assert world.client().keeper().trials(["alice"])[0]["alice"] == ()


def main_thread_waits() -> None:
    """Returns a little after the main thread has begun to wait for the other ones."""
    main = threading.main_thread().ident or 0
    for _ in range(200):
        time.sleep(0.05)
        if sys._current_frames()[main].f_code.co_name == "wait":
            break
    time.sleep(0.05)


class Interrupting(DirectoryStore):
    """Ctrl-C comes with each of these events, and the thread that tells of one goes on when `go_on` is set."""

    def __init__(self, world: FakeFleet, *at: str) -> None:
        super().__init__(world.state, world.clock)
        self.at, self.go_on, self.before = at, threading.Event(), {*threading.enumerate()}

    def append(self, event: Event, durable: bool) -> None:
        super().append(event, durable)
        if event.event in self.at:
            main_thread_waits()  # a signal just before that is noticed when it ends
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            self.go_on.wait(60)

    def let_go(self) -> None:
        """What the interrupt has left behind comes to its end."""
        self.go_on.set()
        for thread in threading.enumerate():
            if thread.name.startswith("ThreadPoolExecutor") and thread not in self.before:
                thread.join(60)


def test_what_is_about_to_be_made_when_ctrl_c_comes_is_not_made_after_the_last_look(world: FakeFleet) -> None:
    backed_up(world)
    world.store = store = Interrupting(world, "create-intended")
    with pytest.raises(KeyboardInterrupt):
        world.client().drill(["alice"])
    store.let_go()
    assert "the run was interrupted" in str(world.events()[-1].fields)
    assert throwaways(world) == []


def test_what_is_not_up_yet_when_ctrl_c_comes_is_waited_for_and_destroyed(world: FakeFleet) -> None:
    backed_up(world)
    world.store = store = Interrupting(world, "created")
    with pytest.raises(KeyboardInterrupt) as ended:
        world.client().drill(["alice"])
    assert throwaways(world) == []
    store.let_go()
    assert throwaways(world) == []
    assert not hasattr(ended.value, "__notes__")


def test_what_ctrl_c_leaves_is_said_by_name_with_what_deletes_it(
    world: FakeFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet = CommandLine(world, capsys)
    backed_up(world)
    for _ in range(stepping.TRIES):
        world.cloud.fail_next("delete_server", CloudUnavailable("503"))
    world.store = store = Interrupting(world, "created")
    said = fleet("drill", "alice")
    store.let_go()
    assert said.code == 130
    [server] = throwaways(world)
    assert f"Warning: the throw-away server {server.name} may still be there" in said.err
    assert "503" in said.err
    command = f"fleet destroy {server.child}"
    assert f"Delete it: {command};" in said.err
    assert fleet(*command.split()[1:], "--yes").code == 0
    assert throwaways(world) == []


def test_of_a_second_ctrl_c_the_same_is_said(world: FakeFleet, capsys: pytest.CaptureFixture[str]) -> None:
    fleet = CommandLine(world, capsys)
    backed_up(world)
    world.store = store = Interrupting(world, "created", "delete-intended")
    said = fleet("drill", "alice")
    [server] = throwaways(world)
    store.let_go()
    assert said.code == 130
    assert f"{server.name} may still be there: nobody has looked since the drill was cut off" in said.err


def test_a_fleet_as_large_as_its_policy_allows_is_drilled(world: FakeFleet) -> None:
    backed_up(world)
    world.policy = Policy(max_children=2, max_destroys=0)
    assert [(it.problem, it.left) for it in drilled(world)] == [("", "")]


def test_several_go_at_once_and_one_that_has_no_backup_fails_alone(world: FakeFleet) -> None:
    backed_up(world)
    found = {it.child: it for it in drilled(world, "alice", "bob")}
    assert found["alice"].is_proven
    assert "bob has no backup in" in found["bob"].problem
    backed_up(world, "bob")
    assert [it.problem for it in drilled(world, "alice", "bob")] == ["", ""]
    assert throwaways(world) == []


def test_a_sample_takes_those_who_were_tried_the_longest_ago(world: FakeFleet) -> None:
    backed_up(world, "alice", "bob")
    client = world.client()
    assert client.sample(["alice", "bob"], 5) == ("alice", "bob")
    drilled(world, "alice")
    assert client.sample(["alice", "bob"], 1) == ("bob",)
    world.clock.sleep(60)
    drilled(world, "bob")
    assert client.sample(["alice", "bob"], 1) == ("alice",)


def test_one_listing_tells_of_all_and_nothing_is_read(world: FakeFleet) -> None:
    backed_up(world, "alice", "bob")
    drilled(world, "alice", "bob")
    asked: list[str] = []

    class Counting(DirectoryVault):
        def names(self, prefix: str) -> list[str]:
            asked.append(f"names {prefix}")
            return super().names(prefix)

        def get(self, name: str, target: Path) -> None:
            asked.append(f"get {name}")

    ports = replace(world.ports(), vault=lambda place: Counting(world.state.parent / str(place)))
    found, _ = Keeper(world.fleet(), ports).trials(["alice", "bob"])
    assert all(found.values())
    assert asked == ["names demo/_drills/"]


def test_a_name_that_somebody_else_has_written_says_nothing(world: FakeFleet) -> None:
    key, other = Secret("00" * 32), Secret("11" * 32)
    trial = Trial("alice", world.clock.now().replace(microsecond=0), "20261126T184500Z", 90, is_proven=True)
    name = name_trial("demo", trial, key)
    assert read_trial(name, "demo", key) == trial
    assert read_trial(name, "demo", other) is None
    assert read_trial(name.replace("alice", "bob"), "demo", key) is None
    assert read_trial(name.replace("-90-", "-10-"), "demo", key) is None
    assert read_trial(name.replace("proven", "failed"), "demo", key) is None
    assert read_trial(re.sub(r"\d{8}T", "99999999T", name, count=1), "demo", key) is None


def test_only_the_last_drill_and_the_last_proof_are_kept(world: FakeFleet) -> None:
    [backup] = backed_up(world)
    drilled(world)
    world.clock.sleep(60)
    rewritten(world, replace(backup, holds={}))
    drilled(world)
    world.clock.sleep(60)
    drilled(world)
    assert [trial.is_proven for trial in world.client().keeper().trials(["alice"])[0]["alice"]] == [True, False]
    rewritten(world, backup)
    world.clock.sleep(60)
    drilled(world)
    assert [trial.is_proven for trial in world.client().keeper().trials(["alice"])[0]["alice"]] == [True]


def test_the_command_says_how_old_how_long_and_how_it_ended(
    world: FakeFleet, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet = CommandLine(world, capsys)
    assert fleet("drill").code == 64
    assert fleet("drill", "alice").code == 1
    [backup] = backed_up(world)
    assert "PROVEN" in fleet("status").out  # the drill that failed
    partly = fleet("drill", "--all", "--json")
    assert partly.code == 3
    told = {row["child"]: row for row in json.loads(partly.out)}
    assert (told["alice"]["proven"], told["alice"]["backup"], told["alice"]["left"]) == (True, backup.id, None)
    assert told["alice"]["rto_seconds"] > 0
    assert (told["bob"]["proven"], told["bob"]["rto_seconds"]) == (False, None)
    assert fleet("drill", "alice").code == 0
    assert "last drill failed" in fleet("status").out
    [row] = json.loads(fleet("status", "alice", "--json").out)
    assert row["last_proven"]["backup"] == backup.id
    assert row["last_proven"] == row["last_drill"]


class Unlisted(DirectoryVault):
    def names(self, prefix: str) -> list[str]:
        raise VaultError("cannot list nowhere", "mount it")


class FarAway(FakeFleet):
    """A fleet whose backups are where nobody can look now."""

    def ports(self) -> Ports:
        return replace(super().ports(), vault=lambda place: Unlisted(Path(str(place))))


def test_a_place_that_cannot_be_listed_is_said_and_status_still_tells_the_rest(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = CommandLine(FarAway(state).applied(), capsys)("status", "--json")
    assert said.code == 0
    assert "nobody can tell when a backup was last proven: cannot list nowhere" in said.err
    assert "last_proven" not in said.out


def test_a_backup_of_a_version_that_is_quarantined_is_tried_all_the_same(world: FakeFleet) -> None:
    """As it wakes: what has written a memory reads it."""
    backed_up(world)
    world.client().clear_quarantine("2026.9.6")
    mark = mark_of(world.clock.now(), "bob", "prove healthy")
    set_mark(world.fleet(), world.ports(), "2026.9.6", mark)
    assert "2026.9.6" in world.client().quarantined()
    [drill] = drilled(world)
    assert (drill.problem, throwaways(world)) == ("", [])
