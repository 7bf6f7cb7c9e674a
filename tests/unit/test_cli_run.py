"""`fleet restart`, `start`, `stop`: gateways end and start, each proven before the next."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from reconciler.errors import CloudUnavailable, HostTimedOut
from tests.fakes.command_line import CommandLine
from tests.fakes.fleets import FakeFleet
from tests.fakes.host import FakeFile

NAMES = ("alice", "bob", "carol", "dora")


@pytest.fixture
def fleet(state: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(FakeFleet(state, NAMES).applied(), capsys)


def starts(fleet: CommandLine) -> dict[str, int]:
    return {name: fleet.world.host(name).gateway.starts for name in NAMES}


def test_a_gateway_starts_anew_and_nothing_else_changes(fleet: CommandLine) -> None:
    before = starts(fleet)
    said = fleet("restart", "alice", "--yes")
    assert (said.code, "alice: restart done in" in said.out) == (0, True)
    assert starts(fleet) == {**before, "alice": before["alice"] + 1}
    assert fleet("plan", "--detailed-exitcode").code == 0


def test_nobody_is_restarted_without_consent_or_a_name(fleet: CommandLine) -> None:
    before = starts(fleet)
    assert (fleet("restart", "alice").code, fleet("restart", "--yes").code, fleet("stop", "alice").code) == (4, 64, 4)
    assert starts(fleet) == before


def test_all_are_restarted_a_few_at_a_time(fleet: CommandLine) -> None:
    before = starts(fleet)
    said = fleet("restart", "--all", "--max-parallel", "2", "--yes")
    assert (said.code, starts(fleet)) == (0, {name: count + 1 for name, count in before.items()})


def test_where_one_is_not_healthy_the_rest_stays_as_it_is(fleet: CommandLine) -> None:
    before = starts(fleet)
    gateway = fleet.world.host("bob").gateway
    gateway.flawed[str(gateway.version)] = "never ready"
    said = fleet("restart", "--all", "--max-parallel", "1", "--yes")
    assert (said.code, said.err) == (3, "Not begun: carol, dora\n")
    assert "bob: restart failed: prove healthy: the gateway was not healthy within" in said.out, said
    assert starts(fleet) == {**before, "alice": before["alice"] + 1, "bob": before["bob"] + 1}


def test_who_has_more_to_do_is_named_and_left_alone(fleet: CommandLine) -> None:
    before = starts(fleet)
    fleet.world.change("alice", labels={"team": "red"})
    fleet.world.change("bob", enabled=False)
    del fleet.world.cloud.by_id[fleet.world.server("carol").id]
    said = fleet("restart", "--all", "--yes")
    assert said.code == 3
    assert "alice is left as it is: there is more to do, update: fleet apply alice" in said.out
    assert "bob is left as it is: there is more to do, stop" in said.out
    assert "carol is left as it is: there is more to do, create" in said.out
    assert fleet.world.host("dora").gateway.starts == before["dora"] + 1
    assert fleet.world.host("alice").gateway.starts == before["alice"]


def test_who_does_not_answer_is_named(fleet: CommandLine) -> None:
    fleet.world.dialer.silent[fleet.world.server("alice").id] = HostTimedOut("no answer")
    said = fleet("restart", "alice", "--yes")
    assert (said.code, "alice is left as it is: " in said.out) == (1, True)


def test_who_is_stopped_is_started_again(fleet: CommandLine) -> None:
    said = fleet("stop", "alice", "bob", "--yes")
    assert (said.code, said.out) == (0, "alice: stopped\nbob: stopped\n")
    assert [fleet.world.host(name).gateway.active for name in NAMES] == ["inactive", "inactive", "active", "active"]
    before = starts(fleet)
    said = fleet("start", "--all", "--yes")
    assert (said.code, [fleet.world.host(name).gateway.active for name in NAMES]) == (0, ["active"] * 4)
    assert starts(fleet) == {**before, "alice": before["alice"] + 1, "bob": before["bob"] + 1}
    assert fleet("start", "--all", "--yes").code == 0
    events = [it.event for it in fleet.world.ports().store.events()]
    assert events.count("gateway-stopped") == 2


def test_who_cannot_be_stopped_keeps_nobody_else_from_it(fleet: CommandLine) -> None:
    fleet.world.dialer.silent[fleet.world.server("alice").id] = HostTimedOut("no answer\x1b")
    said = fleet("stop", "alice", "bob", "--yes")
    assert (said.code, said.out) == (3, "alice: not stopped: no answer\\x1b\nbob: stopped\n")


def boots(fleet: CommandLine) -> dict[str, int]:
    return {name: fleet.world.host(name).boots for name in NAMES}


def needs_reboot(fleet: CommandLine, child: str, *packages: str) -> None:
    files = {"/run/reboot-required": "", "/run/reboot-required.pkgs": "".join(f"{name}\n" for name in packages)}
    fleet.world.host(child).files |= {path: FakeFile(text.encode()) for path, text in files.items()}


def test_a_server_boots_anew_and_its_gateway_is_proven(fleet: CommandLine) -> None:
    before = boots(fleet)
    said = fleet("reboot", "alice", "--yes")
    assert (said.code, "alice: restart done in" in said.out) == (0, True), said
    assert "its server boots anew" in said.out
    assert boots(fleet) == {**before, "alice": before["alice"] + 1}
    assert fleet("plan", "--detailed-exitcode").code == 0


def test_those_alone_boot_anew_that_need_it(fleet: CommandLine) -> None:
    before = boots(fleet)
    needs_reboot(fleet, "bob", "linux-image-amd64")
    said = fleet("reboot", "--all", "--if-required", "--yes")
    assert (said.code, "bob needs it: an update asks for it: linux-image-amd64" in said.out) == (0, True), said
    assert boots(fleet) == {**before, "bob": before["bob"] + 1}
    said = fleet("reboot", "--all", "--if-required", "--yes")
    assert (said.code, said.out) == (0, "No host says that it needs it.\n")
    assert boots(fleet) == {**before, "bob": before["bob"] + 1}


def test_who_cannot_be_asked_whether_it_needs_that_is_named(fleet: CommandLine) -> None:
    fleet.world.dialer.silent[fleet.world.server("carol").id] = HostTimedOut("no answer")
    needs_reboot(fleet, "bob")
    said = fleet("reboot", "--all", "--if-required", "--yes")
    assert said.code == 3
    assert "carol: nobody knows whether it needs that: no answer" in said.err
    said = fleet("reboot", "--all", "--if-required", "--yes")
    assert (said.code, said.out) == (3, "No host that answers says that it needs it.\n")


def test_where_one_does_not_come_back_the_rest_stays_as_it_is(fleet: CommandLine) -> None:
    before = boots(fleet)
    bob = fleet.world.host("bob")
    bob.boot = lambda: None  # type: ignore[method-assign]
    said = fleet("reboot", "--all", "--max-parallel", "1", "--yes")
    assert (said.code, said.err) == (3, "Not begun: carol, dora\n")
    assert "bob: restart failed: reboot: it has not booted anew in 300 s" in said.out
    assert boots(fleet) == {**before, "alice": before["alice"] + 1}


def test_no_server_boots_without_consent_or_a_name(fleet: CommandLine) -> None:
    before = boots(fleet)
    assert (fleet("reboot", "alice").code, fleet("reboot", "--yes").code) == (4, 64)
    assert boots(fleet) == before


def test_a_server_boots_once_though_nobody_hears_that_its_button_was_pressed(fleet: CommandLine) -> None:
    before = boots(fleet)
    cloud = fleet.world.cloud
    waited, failures = cloud.wait, [CloudUnavailable("no answer")]

    def wait(actions: Sequence[int], timeout: float) -> None:
        waited(actions, timeout)
        if failures:
            raise failures.pop()

    cloud.wait = wait  # type: ignore[method-assign,assignment]
    assert fleet("reboot", "alice", "--yes").code == 0
    assert boots(fleet) == {**before, "alice": before["alice"] + 1}


def test_what_is_stopped_is_in_the_journal_before_it_is(fleet: CommandLine) -> None:
    assert fleet("stop", "alice", "--yes", "--max-parallel", "2").code == 0
    events = [(event.event, event.fields["child"]) for event in fleet.world.events() if "stop" in event.event]
    assert events == [("stop-of-gateway-intended", "alice"), ("gateway-stopped", "alice")]


def test_for_machines_it_is_one_object_with_the_plan_and_its_end(fleet: CommandLine) -> None:
    gateway = fleet.world.host("bob").gateway
    gateway.flawed[str(gateway.version)] = "never ready"
    said = fleet("restart", "--all", "--max-parallel", "1", "--yes", "--json")
    found = json.loads(said.out)
    assert said.code == 3
    assert [(it["child"], it["kind"], it["done"]) for it in found["outcomes"]] == [
        ("alice", "restart", True),
        ("bob", "restart", False),
    ]
    assert found["not_begun"] == ["carol", "dora"]
    assert [it["child"] for it in found["plan"]["actions"]] == [*NAMES]
    assert "not healthy within" in found["outcomes"][1]["error"]


def test_for_machines_nothing_to_do_is_said_too(fleet: CommandLine) -> None:
    said = fleet("start", "--all", "--yes", "--json")
    assert (said.code, json.loads(said.out)["outcomes"]) == (0, [])
    said = fleet("reboot", "--all", "--if-required", "--yes", "--json")
    assert (said.code, json.loads(said.out)["outcomes"]) == (0, [])
    fleet.world.dialer.silent[fleet.world.server("bob").id] = HostTimedOut("no answer")
    said = fleet("stop", "alice", "bob", "--yes", "--json")
    ended = [(it["child"], it["done"], it["error"]) for it in json.loads(said.out)["outcomes"]]
    assert (said.code, ended[0], ended[1][:2]) == (3, ("alice", True, ""), ("bob", False))
    assert "no answer" in ended[1][2]


@pytest.mark.parametrize(
    "verb", ["restart", "start", "stop", "reboot", "apply", "destroy", "rollback", "restore", "hibernate", "rebuild"]
)
def test_for_machines_nobody_is_asked(fleet: CommandLine, verb: str) -> None:
    said = fleet(verb, "alice", "--json")
    assert (said.code, said.out, "give --yes with it" in said.err) == (64, "", True)


def test_an_apply_and_a_destroy_are_one_object_too(fleet: CommandLine) -> None:
    assert json.loads(fleet("apply", "--yes", "--json").out)["outcomes"] == []
    fleet.world.change("alice", labels={"team": "red"})
    found = json.loads(fleet("apply", "--yes", "--json").out)
    assert [(it["child"], it["done"]) for it in found["outcomes"]] == [("alice", True)]
    assert found["plan"]["actions"][0]["child"] == "alice"
    found = json.loads(fleet("destroy", "alice", "--yes", "--json").out)
    assert [(it["child"], it["kind"]) for it in found["outcomes"]] == [("alice", "destroy")]
    assert json.loads(fleet("destroy", "alice", "--yes", "--json").out)["outcomes"] == []


def test_whatever_brings_a_child_elsewhere_is_one_object_too(fleet: CommandLine) -> None:
    assert fleet("backup", "create", "alice").code == 0
    for verb, kind in (("restore", "update"), ("rebuild", "replace"), ("hibernate", "hibernate")):
        said = fleet(verb, "alice", "--yes", "--json")
        found = json.loads(said.out)
        assert [(it["child"], it["kind"], it["done"]) for it in found["outcomes"]] == [("alice", kind, True)], said
    assert json.loads(fleet("hibernate", "alice", "--yes", "--json").out)["outcomes"] == []


def test_a_refusal_goes_with_the_plan_that_it_speaks_of(fleet: CommandLine) -> None:
    fleet.world.dialer.silent[fleet.world.server("alice").id] = HostTimedOut("no answer")
    for verb in ("destroy", "hibernate", "rebuild"):
        said = fleet(verb, "alice", "--yes", "--json")
        assert said.code == 4, said
        told = json.loads(said.out)
        assert [it["severity"] for it in told["plan"]["diagnostics"] if it["address"] == "alice"], verb
        assert told["outcomes"] == []


def test_who_sleeps_is_no_failure_of_what_all_are_asked(fleet: CommandLine) -> None:
    assert fleet("hibernate", "bob", "--yes").code == 0
    said = fleet("reboot", "--all", "--if-required", "--yes")
    assert (said.code, "for want of a server: bob" in said.err) == (0, True), said
    said = fleet("stop", "--all", "--yes")
    assert (said.code, "for want of a server: bob" in said.err, "not stopped" in said.out) == (0, True, False), said
