"""`fleet resuscitate`: each fault by the lowest rung that mends it, and nothing lower, or higher, than it has to be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from reconciler import commands
from reconciler.errors import CloudUnavailable, HostRefused, HostTimedOut
from reconciler.ids import later_id
from reconciler.managed import files
from reconciler.model import LABEL_PREFIX, Completed, Policy, ServerStatus
from reconciler.sandbox.simulated.disk import File
from tests.fakes.command_line import CommandLine
from tests.fakes.fleets import FakeFleet
from tests.fakes.host import FakeHost

NAMES: Final = ("alice", "bob")
UNIT: Final = "openclaw-gateway.service"
STRANGER: Final = {"pid": 77, "name": "python3", "is_ours": False}
SILENT: Final = HostTimedOut("no answer within 10 s")


@pytest.fixture
def fleet(state: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(FakeFleet(state, NAMES).applied(), capsys)


def tried(said: Any, child: str = "alice") -> list[str]:
    return [it["rung"] for it in json.loads(said.out)[child]["tries"]]


def break_config(host: FakeHost) -> None:
    host.gateway.refuses = ("surprise",)
    host.files[f"{files.CONFIG_PATH}.last-good"] = File(host.content(files.CONFIG_PATH), "openclaw:openclaw", "0600")
    host.files[files.CONFIG_PATH].content = json.dumps({**host.config(), "surprise": 1}).encode()
    restart(host)


def break_config_without_a_copy(host: FakeHost) -> None:
    break_config(host)
    del host.files[f"{files.CONFIG_PATH}.last-good"]


def take_the_port(host: FakeHost) -> None:
    host.closer = {"listeners": [STRANGER]}
    restart(host)


def fill_the_disk(host: FakeHost) -> None:
    host.disk_free_mb, host.clearable_mb = 50, 4_000


def lose_a_secret(host: FakeHost) -> None:
    del host.files[files.MODEL_KEY_PATH]


def break_what_a_doctor_mends(host: FakeHost) -> None:
    host.gateway.flawed = {str(host.gateway.version): "exits"}
    host.doctor_mends = (str(host.gateway.version),)
    restart(host)


def suppress(host: FakeHost) -> None:
    host.gateway.suppressed = ["telegram"]


def stop_polling(host: FakeHost) -> None:
    host.gateway.until_channel = {"channel_activity": host.now() - 300}


def stop_polling_for_good(host: FakeHost) -> None:
    host.gateway.until_start = {"channel_activity": host.now() - 300}


def fall_silent(host: FakeHost) -> None:
    host.gateway.until_start = {"ready": None, "version": None, "token_accepted": None, "channel_connected": None}


def restart(host: FakeHost) -> None:
    host.gateway.stop()
    host.gateway.start()


FAULTS: Final[list[tuple[str, Callable[[FakeHost], None], list[str]]]] = [
    ("its channels are held back", suppress, ["channel"]),
    ("its poller is stuck", stop_polling, ["channel"]),
    ("its poller is stuck, and its channel does not help", stop_polling_for_good, ["channel", "restart"]),
    ("its gateway is stopped", lambda host: host.gateway.stop(), ["restart"]),
    ("its gateway answers nobody", fall_silent, ["restart"]),
    ("its configuration is refused, and there is a copy", break_config, ["config"]),
    ("its configuration is refused, and there is none", break_config_without_a_copy, ["config"]),
    ("its disk is full", fill_the_disk, ["disk"]),
    ("somebody has its port", take_the_port, ["port"]),
    ("a secret is gone", lose_a_secret, ["reinstall"]),
    ("its doctor mends it", break_what_a_doctor_mends, ["restart", "doctor"]),
]


@pytest.mark.parametrize(("fault", "strike", "rungs"), FAULTS, ids=[fault for fault, _, _ in FAULTS])
def test_a_fault_is_mended_by_the_lowest_rung(
    fleet: CommandLine, fault: str, strike: Callable[[FakeHost], None], rungs: list[str]
) -> None:
    host = fleet.world.host("alice")
    host.gateway.remember("the cat is called Mia")
    strike(host)
    said = fleet("resuscitate", "alice", "--yes", "--json")
    assert (said.code, tried(said)) == (0, rungs), said
    assert (fleet("diagnose", "alice").code, host.gateway.memory) == (0, ["the cat is called Mia"])
    noted = [(it.fields["child"], it.fields["rung"]) for it in fleet.world.events() if it.event == "rung-intended"]
    assert noted == [("alice", rung) for rung in rungs]


def test_who_is_well_is_left_alone(fleet: CommandLine) -> None:
    events, requests = len(fleet.world.events()), len(fleet.world.cloud.requests)
    said = fleet("resuscitate", "--all")
    assert (said.code, said.out.count("Nothing is wrong that can be seen.")) == (0, 2), said
    assert (len(fleet.world.events()), len(fleet.world.cloud.requests)) == (events, requests)


def test_a_dry_run_says_what_would_be_tried_and_does_nothing(fleet: CommandLine) -> None:
    fleet.world.host("alice").gateway.stop()
    events = len(fleet.world.events())
    said = fleet("resuscitate", "alice", "--dry-run")
    assert said.code == 2
    assert "Cause:      stopped" in said.out
    assert "To try:     restart, doctor, reinstall, checkpoint (asks), reboot, rebuild (asks)" in said.out
    assert (len(fleet.world.events()), fleet("diagnose", "alice").code) == (events, 2)
    said = fleet("resuscitate", "alice", "--dry-run", "--json", "--up-to", "doctor")
    assert json.loads(said.out)["alice"]["rungs"] == ["restart", "doctor"]


def test_nothing_is_done_that_nobody_has_agreed_to(fleet: CommandLine) -> None:
    fleet.world.host("alice").gateway.stop()
    said = fleet("resuscitate", "alice")
    assert (said.code, "give --yes to go ahead" in said.err) == (4, True), said
    assert not [it for it in fleet.world.events() if it.event == "rung-intended"]


def test_the_configuration_that_was_refused_is_kept(fleet: CommandLine) -> None:
    host = fleet.world.host("alice")
    break_config(host)
    before = host.content(files.CONFIG_PATH)
    assert fleet("resuscitate", "alice", "--yes").code == 0
    kept = [path for path in host.files if path.startswith(f"{files.CONFIG_PATH}.refused-")]
    assert before in [host.content(path) for path in kept]
    assert "surprise" not in host.config()


def test_a_start_that_is_refused_is_never_tried_blindly(fleet: CommandLine) -> None:
    """Exit code 78: the next start would end the same."""
    host = fleet.world.host("alice")
    break_config(host)
    starts = host.gateway.starts
    assert fleet("resuscitate", "alice", "--yes", "--up-to", "restart").code == 1
    assert host.gateway.starts == starts


def test_an_off_server_is_switched_on(fleet: CommandLine) -> None:
    server = fleet.world.server("alice")
    fleet.world.cloud.wait(fleet.world.cloud.power_off(server.id), 10)
    said = fleet("resuscitate", "alice", "--yes", "--json")
    assert (said.code, tried(said)) == (0, ["restart"]), said
    assert fleet.world.server("alice").status is ServerStatus.RUNNING


@pytest.mark.parametrize(
    ("error", "deaf", "rungs"),
    [
        (SILENT, False, ["reboot"]),
        (SILENT, True, ["reboot", "reset"]),
        (HostRefused("nothing listens"), False, ["reboot"]),
    ],
)
def test_a_silent_host_is_booted_gently_first(fleet: CommandLine, error: Any, deaf: bool, rungs: list[str]) -> None:
    server = fleet.world.server("alice")
    fleet.world.dialer.hang(server.id, error)
    if deaf:
        fleet.world.cloud.deaf.add(server.id)
    said = fleet("resuscitate", "alice", "--yes", "--json")
    assert (said.code, tried(said)) == (0, rungs), said
    assert fleet("diagnose", "alice").code == 0


def test_of_several_silent_hosts_one_is_booted_first(fleet: CommandLine) -> None:
    """It may be our own network: then the others are left alone."""
    for name in NAMES:
        fleet.world.dialer.silent[fleet.world.server(name).id] = SILENT
    said = fleet("resuscitate", "--all", "--yes", "--json", "--up-to", "reset")
    assert said.code == 1
    assert tried(said, "alice") == ["reboot", "reset"]
    assert (tried(said, "bob"), "several are silent at once" in json.loads(said.out)["bob"]["rest"]) == ([], True)


def test_nobody_is_booted_where_nobody_else_answers(fleet: CommandLine) -> None:
    """Nor where only one was named: the gateway may be well, and our way to it broken."""
    for name in NAMES:
        fleet.world.dialer.silent[fleet.world.server(name).id] = SILENT
    said = fleet("resuscitate", "alice", "--yes", "--json")
    assert (said.code, tried(said)) == (1, [])
    assert "bob does not answer either" in json.loads(said.out)["alice"]["rest"]
    assert not fleet.world.cloud.power_ons


def test_several_silent_hosts_come_back_one_after_the_other(fleet: CommandLine) -> None:
    for name in NAMES:
        fleet.world.dialer.hang(fleet.world.server(name).id, SILENT)
    said = fleet("resuscitate", "--all", "--yes", "--json", "--up-to", "reset")
    assert (said.code, tried(said, "alice"), tried(said, "bob")) == (0, ["reboot"], ["reboot"]), said


def test_one_that_needs_a_reset_keeps_the_others_waiting_and_not_back(fleet: CommandLine) -> None:
    for name in NAMES:
        fleet.world.dialer.hang(fleet.world.server(name).id, SILENT)
    fleet.world.cloud.deaf.add(fleet.world.server("alice").id)
    said = fleet("resuscitate", "--all", "--yes", "--json", "--up-to", "reset")
    assert (said.code, tried(said, "alice"), tried(said, "bob")) == (0, ["reboot", "reset"], ["reboot"]), said


def test_a_host_that_never_comes_back_is_rebuilt_from_its_backup_where_that_was_named(fleet: CommandLine) -> None:
    fleet.world.host("alice").gateway.remember("the cat is called Mia")
    assert fleet("backup", "create", "alice").code == 0
    before = fleet.world.server("alice")
    fleet.world.dialer.silent[before.id] = SILENT
    said = fleet("resuscitate", "alice", "--yes", "--json")
    assert (said.code, tried(said)[:2]) == (1, ["reboot", "reset"])
    assert json.loads(said.out)["alice"]["tries"][2]["problem"] == "nobody has agreed to it"
    said = fleet("resuscitate", "alice", "--yes", "--json", "--up-to", "rebuild")
    assert (said.code, tried(said)) == (0, ["reboot", "reset", "rebuild"]), said
    after = fleet.world.server("alice")
    assert (after.id != before.id, fleet.world.host("alice").gateway.memory) == (True, ["the cat is called Mia"])
    assert [len(after.labels[f"{LABEL_PREFIX}tried-{rung}"].split("-")) for rung in ("reboot", "reset", "rebuild")] == [
        2, 2, 1,
    ], "what was tried is known there too"  # fmt: skip


def test_nobody_is_rebuilt_without_a_memory(fleet: CommandLine) -> None:
    fleet.world.dialer.silent[fleet.world.server("alice").id] = SILENT
    said = fleet("resuscitate", "alice", "--yes", "--up-to", "rebuild")
    assert (said.code, "it has no backup" in said.out or "has no backup" in said.out) == (1, True), said
    assert len(fleet.world.cloud.by_id) == len(NAMES)


def test_a_checkpoint_is_gone_back_to_where_that_was_named(fleet: CommandLine) -> None:
    host = fleet.world.host("alice")
    host.gateway.remember("the cat is called Mia")
    old = str(host.gateway.version)
    for spec in fleet.world.specs:
        fleet.world.change(spec, version="2026.9.7")
    assert fleet("apply", "--yes").code == 0
    host.gateway.remember("the dog is called Rex")
    host.gateway.flawed = {"2026.9.7": "exits"}
    restart(host)
    said = fleet("resuscitate", "alice", "--yes", "--json", "--up-to", "checkpoint")
    assert (said.code, tried(said)) == (0, ["restart", "doctor", "reinstall", "checkpoint"]), said
    assert (host.gateway.version, host.gateway.memory) == (old, ["the cat is called Mia"])


def test_what_has_not_lasted_twice_is_not_tried_a_third_time_in_a_day(fleet: CommandLine) -> None:
    """By a label: another runner, with a state directory of its own, knows it as well."""
    host = fleet.world.host("alice")
    for _ in range(2):
        host.gateway.stop()
        assert tried(fleet("resuscitate", "alice", "--yes", "--json")) == ["restart"]
        fleet.world.clock.sleep(600)
    host.gateway.stop()
    said = fleet("resuscitate", "alice", "--dry-run")
    assert "Left out:   restart: tried twice within a day (--again)" in said.out, said
    said = fleet("resuscitate", "alice", "--yes", "--json", "--up-to", "restart")
    assert (said.code, tried(said), "resuscitate alice --again" in json.loads(said.out)["alice"]["rest"]) == (
        1,
        [],
        True,
    )
    assert tried(fleet("resuscitate", "alice", "--yes", "--json", "--again")) == ["restart"]
    host.gateway.stop()
    fleet.world.clock.sleep(86_500)
    assert tried(fleet("resuscitate", "alice", "--yes", "--json")) == ["restart"]


@pytest.mark.parametrize("label", ["x", "2026", "20261128T081000Z-x", "99999999T999999Z"])
def test_a_count_that_nobody_can_read_is_one_too_many(fleet: CommandLine, label: str) -> None:
    server = fleet.world.server("alice")
    fleet.world.cloud.set_labels(server.id, {**server.labels, f"{LABEL_PREFIX}tried-restart": label})
    fleet.world.host("alice").gateway.stop()
    assert "Left out:   restart" in fleet("resuscitate", "alice", "--dry-run").out
    assert fleet("resuscitate", "alice", "--yes", "--again").code == 0


def test_a_gateway_is_never_ended_without_warning_a_third_time_in_five_minutes(fleet: CommandLine) -> None:
    host, clock = fleet.world.host("alice"), fleet.world.clock
    times = []
    for _ in range(3):
        fall_silent(host)
        assert fleet("resuscitate", "alice", "--yes", "--again").code == 0
        times.append(clock.now())
    killed = fleet.world.server("alice").labels[f"{LABEL_PREFIX}killed"].split("-")
    assert len(killed) == 2
    assert (times[2] - times[0]).total_seconds() >= 299
    assert [it.event for it in fleet.world.events()].count("waits-for-breaker") == 1


@pytest.mark.parametrize("error", ["401: Unauthorized", "409: Conflict"])
def test_what_only_a_person_can_mend_is_left_to_one(fleet: CommandLine, error: str) -> None:
    host = fleet.world.host("alice")
    host.gateway.channel_error = error
    starts = host.gateway.starts
    said = fleet("resuscitate", "alice", "--yes")
    assert (said.code, "To mend:" in said.out, "fleet bot token alice" in said.out) == (1, True, True), said
    assert host.gateway.starts == starts


def test_nothing_is_tried_while_the_cloud_is_silent(fleet: CommandLine) -> None:
    for _ in range(6):
        fleet.world.cloud.fail_next("servers", CloudUnavailable("503 Service Unavailable"))
    said = fleet("resuscitate", "alice", "--yes")
    assert (said.code, "cloud-silent" in said.out, "Traceback" in said.err) == (1, True, False), said


def test_one_that_cannot_be_helped_keeps_nobody_from_it(fleet: CommandLine) -> None:
    fleet.world.host("alice").gateway.stop()
    fleet.world.host("bob").gateway.channel_error = "401: Unauthorized"
    said = fleet("resuscitate", "--all", "--yes")
    assert (said.code, "Resuscitated: 1 of 2." in said.out) == (3, True), said
    assert "alice: restart helped" in said.out


def test_a_port_that_somebody_keeps_is_said(fleet: CommandLine) -> None:
    host = fleet.world.host("alice")
    host.closer = {"listeners": [{**STRANGER, "name": "stubborn"}]}
    restart(host)
    said = fleet("resuscitate", "alice", "--yes", "--up-to", "port")
    assert (said.code, "alice: port did not help: port: it does not end: stubborn, pid 77" in said.out) == (1, True), (
        said
    )


def test_the_state_is_copied_before_the_doctor_comes(fleet: CommandLine) -> None:
    host = fleet.world.host("alice")
    break_what_a_doctor_mends(host)
    assert fleet("resuscitate", "alice", "--yes").code == 0
    facts = fleet.world.client().checkpoints(["alice"])["alice"].facts
    assert facts is not None
    assert [checkpoint.version for checkpoint in facts.checkpoints] == ["2026.9.6"]


def test_nobody_is_resuscitated_without_a_name(fleet: CommandLine) -> None:
    assert (fleet("resuscitate").code, fleet("resuscitate", "zora").code) == (64, 64)
    assert fleet("resuscitate", "alice", "--up-to", "heaven").code == 64


@pytest.mark.parametrize("up_to", ["reboot", "reset", "rebuild"])
def test_a_yes_agrees_to_nothing_below_what_it_names(fleet: CommandLine, up_to: str) -> None:
    host = fleet.world.host("alice")
    for name in NAMES:
        fleet.world.change(name, version="2026.9.7")
    assert fleet("apply", "--yes").code == 0
    host.gateway.remember("the dog is called Rex")
    host.gateway.flawed = {"2026.9.7": "exits"}
    restart(host)
    said = fleet("resuscitate", "alice", "--yes", "--json", "--up-to", up_to)
    [asked] = [it for it in json.loads(said.out)["alice"]["tries"] if it["rung"] == "checkpoint"]
    assert (asked["problem"], "the dog is called Rex" in fleet.world.host("alice").gateway.memory) == (
        "nobody has agreed to it", True,
    )  # fmt: skip


def test_a_copy_of_what_is_ill_is_no_way_back(fleet: CommandLine) -> None:
    """A run before this one has called the doctor, and copied the state before."""
    host = fleet.world.host("alice")
    host.gateway.remember("the cat is called Mia")
    for name in NAMES:
        fleet.world.change(name, version="2026.9.7")
    assert fleet("apply", "--yes").code == 0
    host.gateway.flawed = {"2026.9.7": "exits"}
    restart(host)
    said = fleet("resuscitate", "alice", "--yes")
    assert "to do it: fleet resuscitate alice --up-to" in said.out
    fleet.world.clock.sleep(3600)
    said = fleet("resuscitate", "alice", "--yes", "--up-to", "checkpoint")
    assert (said.code, host.gateway.version) == (0, "2026.9.6"), said


def give_good_copy(host: FakeHost) -> None:
    break_config(host)
    path = f"{files.CONFIG_PATH}.last-good"
    host.files[path].content = json.dumps({**json.loads(host.content(path)), "ui": {"theme": "dark"}}).encode()


@pytest.mark.parametrize("code", [124, 127, 137])
def test_a_check_that_is_killed_is_no_verdict(fleet: CommandLine, code: int) -> None:
    host = fleet.world.host("alice")
    give_good_copy(host)
    run, before = host.run, host.content(files.CONFIG_PATH)
    host.run = lambda command: (  # type: ignore[method-assign]
        Completed(code, b"", b"Killed") if command.name.startswith("validate") else run(command)
    )
    said = fleet("resuscitate", "alice", "--yes", "--up-to", "config", "--json")
    assert (said.code, host.content(files.CONFIG_PATH)) == (1, before), said


def test_a_cut_between_setting_aside_and_writing_loses_no_key(fleet: CommandLine) -> None:
    host = fleet.world.host("alice")
    give_good_copy(host)
    host.fails = [(f"write {files.CONFIG_PATH}", HostTimedOut("cut"))]
    assert fleet("resuscitate", "alice", "--yes").code == 0
    assert host.config()["ui"] == {"theme": "dark"}


def test_a_clock_of_somebody_elses_keeps_nobody_waiting(fleet: CommandLine) -> None:
    server, began = fleet.world.server("alice"), fleet.world.clock.now()
    wrong = "20991231T000000Z-20991231T000100Z"
    fleet.world.cloud.set_labels(server.id, {**server.labels, f"{LABEL_PREFIX}killed": wrong})
    fall_silent(fleet.world.host("alice"))
    assert fleet("resuscitate", "alice", "--yes").code == 0
    assert (fleet.world.clock.now() - began).total_seconds() < 600


def test_two_in_any_day_are_two(fleet: CommandLine) -> None:
    """Not two before midnight and two after it."""
    host, found = fleet.world.host("alice"), []
    for seconds in (0, 85_000, 1_000, 1_000, 600):
        fleet.world.clock.sleep(seconds)
        host.gateway.stop()
        found.append(tried(fleet("resuscitate", "alice", "--yes", "--json", "--up-to", "restart")))
    assert found == [["restart"], ["restart"], [], ["restart"], []]


def test_a_plan_that_is_refused_ends_nobody_elses_rescue(fleet: CommandLine) -> None:
    assert fleet("backup", "create", "alice").code == 0
    fleet.world.policy = Policy(max_destroys=0)
    fleet.world.dialer.silent[fleet.world.server("alice").id] = SILENT
    fleet.world.host("bob").gateway.stop()
    said = fleet("resuscitate", "--all", "--yes", "--up-to", "rebuild")
    assert (said.code, "Resuscitated: 1 of 2." in said.out, "this plan deletes 1 server" in said.out) == (3, True, True)


def test_a_reason_and_what_to_do_are_said_of_each_rung(fleet: CommandLine) -> None:
    fleet.world.dialer.silent[fleet.world.server("alice").id] = SILENT
    said = fleet("resuscitate", "alice", "--yes", "--up-to", "rebuild")
    assert "without its memory: fleet rebuild alice --no-backup alice" in said.out


@pytest.mark.parametrize("printed", [b"", b"[]", b"{}", b'{"freed_mb": "x", "free_mb": "y"}', b'{"free_mb": null}'])
def test_a_host_that_talks_nonsense_is_no_bug(fleet: CommandLine, printed: bytes) -> None:
    host = fleet.world.host("alice")
    host.disk_free_mb = 50
    host.says = {"clear space": printed}
    said = fleet("resuscitate", "alice", "--yes", "--up-to", "disk")
    assert (said.code, "does not say what it has done" in said.out, "bug" in said.out) == (1, True, False), said


def test_json_asks_nobody(fleet: CommandLine) -> None:
    assert fleet("resuscitate", "alice", "--json").code == 64
    assert json.loads(fleet("resuscitate", "alice", "--json", "--dry-run").out)["alice"]["cause"] is None


def test_one_that_is_well_and_one_that_is_not_are_some(fleet: CommandLine) -> None:
    fleet.world.host("bob").gateway.channel_error = "401: Unauthorized"
    assert (fleet("resuscitate", "--all", "--yes").code, fleet("resuscitate", "bob", "--yes").code) == (3, 1)


def test_a_memory_is_given_up_child_by_child(fleet: CommandLine) -> None:
    """As by `fleet rebuild --no-backup`: no glob and no --all can; and what that means is said."""
    assert fleet("backup", "create", "--all").code == 0
    fleet.world.dialer.silent[fleet.world.server("alice").id] = SILENT
    for arguments in (("--all",), ("ali*",)):
        said = fleet("resuscitate", *arguments, "--yes", "--up-to", "rebuild", "--again")
        assert "alice: rebuild did not help: nobody has agreed to it" in said.out, said
        assert "alice: rebuild:" in said.err
    said = fleet("resuscitate", "alice", "--yes", "--up-to", "rebuild", "--again")
    assert (said.code, "alice: rebuild:" in said.err) == (0, True), said


def test_a_host_that_goes_back_by_itself_is_no_case_for_a_person(fleet: CommandLine) -> None:
    host, checkpoint = fleet.world.host("alice"), later_id(fleet.world.clock.now(), ())
    host.run(commands.begin_switch(checkpoint, "2026.9.6", "2026.9.7"))
    said = fleet("resuscitate", "alice", "--yes")
    assert ("at once: fleet apply alice" in said.out, "only a person" in said.out) == (True, False)
    found = json.loads(fleet("resuscitate", "alice", "--yes", "--json").out)
    assert "only a person" not in json.dumps(found)
