"""All children of a version run the same tree: the first installation decides, and another one is drift."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from itertools import count
from pathlib import Path
from threading import Barrier, Event
from typing import Final

import pytest

from reconciler.errors import CommandFailed, HostError
from reconciler.managed import files
from reconciler.model import Child, Command, Completed, Firewall, HostAddress, Json, Outcome, OutcomeCode
from reconciler.sandbox.simulated.releases import CONTENT, note_content, note_tree
from reconciler.steps.trees import holders, is_lockfile, known_trees, mark_name, wanted_tree
from tests.fakes.dialer import FakeDialer
from tests.fakes.fleets import FakeFleet
from tests.fakes.host import FakeFile, FakeHost
from tests.fakes.worlds import make_child, make_fleet, make_spec

VERSION: Final = "2026.9.6"
RELEASE: Final = f"{files.RELEASES}/{VERSION}"
LABEL: Final = f"openclaw-deploy/tree-{VERSION}_x86_64"
DEPENDENCY: Final = f"{RELEASE}/node_modules/dependency/package.json"
DIGEST: Final = "5a" * 20


class LivelyRegistry(FakeDialer):
    """Whoever comes to a host finds that a package was published since. On the first `broken` hosts npm fails."""

    def __init__(self, world: FakeFleet, broken: int = 0) -> None:
        super().__init__(world.cloud, world.clock)
        self.hosts, self.broken = world.dialer.hosts, broken
        self._numbers = count(1)

    def connect(self, address: HostAddress, timeout: float) -> FakeHost:
        host = super().connect(address, timeout)
        host.dependency = f"1.0.{next(self._numbers)}"
        if self.broken and RELEASE not in host.releases and not host.fails:
            self.broken -= 1
            host.fails.append(("install OpenClaw", CommandFailed("npm error")))
        return host


@pytest.fixture
def world(state: Path) -> FakeFleet:
    """Alice has all that she needs; bob is yet to be made."""
    made = fleet_of(state, "alice")
    assert codes(made.apply()) == [OutcomeCode.DONE]
    made.specs["bob"] = make_spec("bob", server_type="cpx22")
    return made


def fleet_of(state: Path, *names: str, broken: int = 0) -> FakeFleet:
    made = FakeFleet(state, names)
    made.dialer = LivelyRegistry(made, broken)
    return made


def codes(outcomes: list[Outcome]) -> list[OutcomeCode]:
    return [outcome.code for outcome in outcomes]


def tree(world: FakeFleet, name: str) -> str:
    return world.host(name).content(f"{RELEASE}/{CONTENT}").decode().strip()


def label(world: FakeFleet) -> str | None:
    return world.cloud.walls["demo"].labels.get(LABEL)


def set_label(world: FakeFleet, value: str | None) -> None:
    wall = world.cloud.walls["demo"]
    kept = {name: text for name, text in wall.labels.items() if name != LABEL}
    world.cloud.walls["demo"] = replace(wall, labels=kept if value is None else {**kept, LABEL: value})


def reinstall_by_hand(host: FakeHost, dependency: str = "9.9.9") -> None:
    """Somebody has run npm there, and has made it look like an installation of ours."""
    host.files[DEPENDENCY] = FakeFile(json.dumps({"version": dependency}).encode())
    note_content(host, RELEASE)


def forget_digest(host: FakeHost) -> None:
    """As an older version of this tool has left it."""
    del host.files[f"{RELEASE}/{CONTENT}"]
    note_tree(host, RELEASE)


# --- the first one decides ----------------------------------------------------------------------------------------


def test_the_first_installation_decides_for_all_that_come_later(world: FakeFleet) -> None:
    assert label(world) == tree(world, "alice")
    assert world.store.lockfile(VERSION) == world.host("alice").content(f"{RELEASE}/package-lock.json")
    world.apply()
    assert tree(world, "bob") == tree(world, "alice")
    assert world.planned() == []


class Gathering(LivelyRegistry):
    """Who installs anew gives others time to do so too; who installs from a lock file waits for all `others`."""

    def __init__(self, world: FakeFleet, others: int) -> None:
        super().__init__(world)
        self.anew: list[str] = []
        self._second, self._others = Event(), Barrier(others)

    def connect(self, address: HostAddress, timeout: float) -> FakeHost:
        host = super().connect(address, timeout)
        original = type(host).run

        def run(command: Command) -> Completed:
            if command.name.startswith("install OpenClaw"):
                self._gather(host, command)
            return original(host, command)

        host.run = run  # type: ignore[method-assign]
        return host

    def _gather(self, host: FakeHost, command: Command) -> None:
        if command.stdin:
            self._others.wait(timeout=20)
            return
        self.anew.append(host.name)
        if len(self.anew) > 1:
            self._second.set()
        self._second.wait(0.2)


def test_of_children_that_are_made_at_once_one_decides_and_the_others_wait_and_then_go_on_together(state: Path) -> None:
    names = tuple(f"child{number}" for number in range(8))
    world = FakeFleet(state, names)
    world.dialer = dialer = Gathering(world, others=7)
    assert codes(world.apply(workers=8)) == [OutcomeCode.DONE] * 8
    assert len(dialer.anew) == 1
    assert {tree(world, name) for name in names} == {label(world)}


def test_where_the_first_one_fails_the_next_one_decides(state: Path) -> None:
    names = ("alice", "bob", "carol")
    world = fleet_of(state, *names, broken=1)
    assert sorted(codes(world.apply(workers=3))) == [OutcomeCode.DONE, OutcomeCode.DONE, OutcomeCode.FAILED]
    assert codes(world.apply()) == [OutcomeCode.DONE]
    assert {tree(world, name) for name in names} == {label(world)}


def test_where_it_fails_on_three_nobody_waits_for_the_others_to_fail(state: Path) -> None:
    names = tuple(f"child{number}" for number in range(5))
    world = fleet_of(state, *names, broken=5)
    errors = sorted(outcome.error for outcome in world.apply(workers=5))
    assert [error for error in errors if "npm error" in error] == ["release: npm error"] * 3
    assert len([error for error in errors if "not tried, OpenClaw 2026.9.6 could not be installed on" in error]) == 2


# --- what was lost ------------------------------------------------------------------------------------------------


def test_without_state_the_lock_file_is_read_from_a_host_that_has_the_right_tree(world: FakeFleet) -> None:
    shutil.rmtree(world.state)
    world.apply()
    assert tree(world, "bob") == tree(world, "alice")
    assert world.store.lockfile(VERSION) == world.host("alice").content(f"{RELEASE}/package-lock.json")


def test_a_host_with_another_tree_is_not_asked_for_its_lock_file(world: FakeFleet) -> None:
    shutil.rmtree(world.state)
    reinstall_by_hand(world.host("alice"))
    outcome = next(outcome for outcome in world.apply(workers=1) if outcome.action.child == "bob")
    assert outcome.code is OutcomeCode.FAILED
    assert "the fleet's is" in outcome.error


def test_without_the_label_the_tree_that_is_there_decides_again(world: FakeFleet) -> None:
    set_label(world, None)
    shutil.rmtree(world.state)
    assert world.planned() == ["create bob: declared"]
    world.apply()
    assert {tree(world, "alice"), tree(world, "bob")} == {label(world)}
    assert world.planned() == []


def test_without_the_label_the_lock_file_in_state_gives_way_to_that_of_a_release_that_is_there(
    world: FakeFleet,
) -> None:
    kept = world.state / "releases" / f"{VERSION}.lock.json"
    kept.write_bytes(kept.read_bytes().replace(b"1.0.", b"3.0."))
    set_label(world, None)
    world.change("alice", labels={"team": "red"})
    bob = world.specs.pop("bob")
    world.apply()
    world.specs["bob"] = bob
    assert codes(world.apply()) == [OutcomeCode.DONE]
    assert {tree(world, "alice"), tree(world, "bob")} == {label(world)}


def test_another_tree_than_the_fleets_is_not_installed_and_it_is_said_what_to_do(world: FakeFleet) -> None:
    """Nobody has the lock file any more."""
    specs, world.specs = {"bob": world.specs["bob"]}, {}
    world.apply()
    shutil.rmtree(world.state)
    world.specs = specs
    [outcome] = world.apply()
    assert RELEASE not in world.host("bob").releases
    assert f"and the fleet's is {(label(world) or '')[:12]}" in outcome.error
    assert f"take the label {LABEL} from the firewall demo" in outcome.advice
    set_label(world, None)
    assert codes(world.apply()) == [OutcomeCode.DONE]
    assert label(world) == tree(world, "bob")


def test_a_lock_file_in_state_that_is_not_the_fleets_installs_nothing_and_goes_by_hand(world: FakeFleet) -> None:
    kept = world.state / "releases" / f"{VERSION}.lock.json"
    kept.write_bytes(kept.read_bytes().replace(b"1.0.", b"3.0."))
    [outcome] = world.apply()
    assert f"delete releases/{VERSION}.lock.json in the state directory" in outcome.advice
    assert RELEASE not in world.host("bob").releases
    kept.unlink()
    assert codes(world.apply()) == [OutcomeCode.DONE]
    assert tree(world, "bob") == tree(world, "alice")


@pytest.mark.parametrize("damage", [b"", b'{"packages": {"": {"depend', b"{}", b"[]", b"\xff"])
def test_a_damaged_lock_file_in_state_is_read_again_from_a_host(world: FakeFleet, damage: bytes) -> None:
    (world.state / "releases" / f"{VERSION}.lock.json").write_bytes(damage)
    world.apply()
    assert tree(world, "bob") == tree(world, "alice")
    assert is_lockfile(world.store.lockfile(VERSION) or b"", VERSION)


def test_a_run_that_another_one_was_quicker_than_gives_way_to_it(state: Path) -> None:
    world = fleet_of(state, "alice", "bob")
    world.apply()
    set_label(world, None)
    world.change("alice", labels={"team": "red"})
    planned = world.client().plan()
    set_label(world, DIGEST)
    [outcome] = world.client().apply(planned)
    assert (outcome.code, label(world)) == (OutcomeCode.FAILED, DIGEST)
    assert f"the fleet's is {DIGEST[:12]}" in outcome.error


def test_whoever_asks_for_one_child_without_the_firewall_gets_it_all_the_same(world: FakeFleet) -> None:
    del world.cloud.walls["demo"]
    world.change("alice", labels={"team": "red"})
    client = world.client()
    assert codes(client.apply(client.plan(["alice"]))) == [OutcomeCode.DONE]
    assert [event.fields["error"] for event in world.events() if event.event == "tree-not-noted"] == [
        "firewall demo is gone"
    ]


# --- another tree is drift ----------------------------------------------------------------------------------------


def test_another_tree_of_the_same_version_is_drift_and_is_installed_again(world: FakeFleet) -> None:
    world.apply()
    host = world.host("bob")
    reinstall_by_hand(host)
    [action] = world.client().plan().plan.actions
    assert [(change.path, change.drift, change.after) for change in action.reason.changes] == [
        ("release.tree", True, label(world))
    ]
    assert codes(world.apply()) == [OutcomeCode.DONE]
    assert (tree(world, "bob"), host.gateway.starts) == (label(world), 2)
    assert world.planned() == []


def test_another_tree_that_comes_back_again_and_again_is_left_alone(world: FakeFleet) -> None:
    world.apply()
    for _ in range(3):
        reinstall_by_hand(world.host("bob"))
        assert world.planned() == ["update bob: drifted"]
        world.apply()
    reinstall_by_hand(world.host("bob"))
    assert world.planned() == []
    world.change("bob", labels={"team": "red"})
    assert codes(world.apply()) == [OutcomeCode.DONE]
    assert tree(world, "bob") != label(world)


def test_a_release_that_is_left_alone_is_not_touched_to_learn_its_tree(world: FakeFleet) -> None:
    world.apply()
    program = world.host("bob").files[f"{RELEASE}/node_modules/openclaw/openclaw.mjs"]
    for _ in range(3):
        program.content += b"// theirs"
        world.apply()
        program = world.host("bob").files[f"{RELEASE}/node_modules/openclaw/openclaw.mjs"]
    program.content += b"// theirs"
    set_label(world, None)
    world.change("bob", labels={"team": "red"})
    assert codes(world.apply()) == [OutcomeCode.DONE]
    assert (world.host("bob").content(f"{RELEASE}/node_modules/openclaw/openclaw.mjs"), label(world)) == (
        b"// theirs",
        None,
    )


def test_another_version_is_not_told_by_its_tree(world: FakeFleet) -> None:
    world.change("alice", version="2026.9.7")
    action = next(action for action in world.client().plan().plan.actions if action.child == "alice")
    assert sorted(change.path for change in action.reason.changes) == ["release.link", "release.version"]


def test_what_an_older_version_of_this_tool_installed_is_digested_when_it_is_looked_after(state: Path) -> None:
    world = fleet_of(state, "alice", "bob")
    world.apply()
    set_label(world, None)
    shutil.rmtree(world.state)
    for name in world.names:
        forget_digest(world.host(name))
    assert world.planned() == []
    world.change("alice", labels={"team": "red"})
    world.apply()
    assert label(world) == tree(world, "alice")
    assert [action.child for action in world.client().plan().plan.actions] == ["bob"]
    world.apply()
    assert tree(world, "bob") == label(world)
    assert (world.host("alice").gateway.starts, world.host("bob").gateway.starts) == (1, 1)
    assert world.planned() == []


def test_what_an_older_version_of_this_tool_installed_otherwise_is_installed_again(state: Path) -> None:
    world = fleet_of(state, "alice", "bob")
    world.apply()
    reinstall_by_hand(world.host("bob"))
    forget_digest(world.host("bob"))
    assert [action.child for action in world.client().plan().plan.actions] == ["bob"]
    world.apply()
    assert (tree(world, "bob"), world.host("bob").gateway.starts) == (label(world), 2)
    assert world.planned() == []


# --- labels -------------------------------------------------------------------------------------------------------


def test_only_what_we_write_counts_as_a_tree() -> None:
    right, strange = (
        f"tree-{VERSION}_aarch64",
        {
            f"tree-{VERSION}": DIGEST,
            f"tree-{VERSION}_": DIGEST,
            f"tree-{VERSION}_x86_64": DIGEST[:-1],
            "tree-2026.9.7_x86_64": DIGEST.upper(),
            "tree-latest_x86_64": DIGEST,
            "tree-2026.9.6_../x": DIGEST,
        },
    )
    labels = {f"openclaw-deploy/{name}": value for name, value in {**strange, right: DIGEST}.items()}
    walls = [Firewall(1, "demo", labels, (), ()), Firewall(2, "other", {f"openclaw-deploy/{right}": "0" * 40}, (), ())]
    assert known_trees(make_fleet({}), walls) == {(VERSION, "aarch64"): DIGEST}


@pytest.mark.parametrize("said", [b"", b"made", b"../x made", b"5a made", DIGEST.upper().encode() + b" made"])
def test_what_a_host_says_is_no_label_unless_it_is_a_digest(world: FakeFleet, said: bytes) -> None:
    set_label(world, None)
    host, original = world.host("alice"), world.host("alice").run

    def run(command: Command) -> Completed:
        answer = original(command)
        return replace(answer, stdout=said) if command.name.startswith("install OpenClaw") else answer

    host.run = run  # type: ignore[method-assign]
    del world.specs["bob"]
    world.change("alice", labels={"team": "red"})
    [outcome] = world.apply()
    assert "its digest is none" in outcome.error
    assert label(world) is None


@pytest.mark.parametrize(("version", "architecture"), [("../x", "x86_64"), (VERSION, "x86_64/.."), (VERSION, "")])
def test_no_label_is_named_after_what_a_host_made_up(version: str, architecture: str) -> None:
    with pytest.raises(HostError, match="no label can be named after"):
        mark_name(version, architecture)


# --- two architectures --------------------------------------------------------------------------------------------


def child_with(name: str, tree: str | None, architecture: str, **release: Json) -> Child:
    child = make_child(name, {"spec": {}, "live": {"release": {"tree": tree, **release}}})
    assert child.facts is not None
    return replace(child, facts=replace(child.facts, architecture=architecture))


def test_each_architecture_has_a_tree_of_its_own() -> None:
    known = {(VERSION, "x86_64"): DIGEST}
    for architecture, wanted in (("x86_64", DIGEST), ("aarch64", "0b" * 20)):
        assert wanted_tree(VERSION, child_with("alice", "0b" * 20, architecture).facts, known) == wanted


def test_a_lock_file_is_taken_from_who_has_the_fleets_tree_whole() -> None:
    children = (
        child_with("another-tree", "0b" * 20, "x86_64"),
        child_with("other-machine-code", DIGEST, "aarch64"),
        child_with("not-digested", None, "x86_64"),
        child_with("touched", DIGEST, "x86_64", intact=False),
        child_with("another-version", DIGEST, "x86_64", version="2026.9.7"),
        child_with("right", DIGEST, "x86_64"),
        Child("absent"),
    )
    assert [child.name for child in holders(VERSION, children, {(VERSION, "x86_64"): DIGEST})] == ["right"]
    of_any = ["another-tree", "other-machine-code", "not-digested", "right"]
    assert [child.name for child in holders(VERSION, children, {("2026.9.7", "x86_64"): DIGEST})] == of_any
