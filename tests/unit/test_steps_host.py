"""What a host has beside its gateway, on a host in memory: the way in, its firewall, its files, what is noted on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler import commands
from reconciler.api import FleetClient
from reconciler.errors import CommandFailed, HostError, HostTimedOut, LoginRefused
from reconciler.managed import files
from reconciler.managed.config import NOBODY
from reconciler.model import (
    LATEST,
    Command,
    Completed,
    FileMode,
    Fleet,
    HostAddress,
    Kind,
    Outcome,
    OutcomeCode,
    PlanOptions,
    WorkspaceFile,
)
from reconciler.ports import Dialer, Session
from reconciler.steps.finish import with_repairs
from reconciler.steps.release import ensure_release
from reconciler.steps.repairs import REPAIRS
from reconciler.steps.versions import pinned
from reconciler.steps.work import Work
from tests.fakes.clock import START
from tests.fakes.fleets import FakeFleet
from tests.fakes.host import FakeFile, FakeHost
from tests.fakes.worlds import make_facts, make_spec

SOUL, SKILL = f"{files.WORKSPACE}/SOUL.md", f"{files.WORKSPACE}/skills/x/SKILL.md"


@pytest.fixture
def world(state: Path) -> FakeFleet:
    return FakeFleet(state, ("alice",)).applied()


@pytest.fixture
def host(world: FakeFleet) -> FakeHost:
    return world.host("alice")


def note(host: FakeHost) -> Any:
    return json.loads(host.content(files.APPLIED_PATH))


# --- the way in ---------------------------------------------------------------------------------------------------


@dataclass
class Watched:
    """A connection on which something happens right after a command has run."""

    host: Session
    then: Callable[[Command], None]

    def run(self, command: Command) -> Completed:
        done = self.host.run(command)
        self.then(command)
        return done

    def interact(self) -> int:
        return self.host.interact()

    def forwarding(self, here: int, there: int) -> AbstractContextManager[None]:
        return self.host.forwarding(here, there)

    def expect_within(self, seconds: float) -> None:
        self.host.expect_within(seconds)

    @property
    def is_open(self) -> bool:
        return self.host.is_open

    def close(self) -> None:
        self.host.close()


@dataclass
class WatchedDialer:
    dialer: Dialer
    then: Callable[[Command], None]

    def connect(self, address: HostAddress, timeout: float) -> Session:
        return Watched(self.dialer.connect(address, timeout), self.then)


class Watching(FakeFleet):
    """A fleet on whose hosts something happens in the middle of an apply, and whose keys may get a new generation."""

    generation = 1

    def fleet(self) -> Fleet:
        return replace(super().fleet(), ssh_generation=self.generation)

    def apply_while(self, then: Callable[[Command], None]) -> Outcome:
        ports = self.ports()
        client = FleetClient(self.fleet(), replace(ports, dialer=WatchedDialer(ports.dialer, then)))
        with client.lock("fleet apply"):
            (outcome,) = client.apply(client.plan())
        return outcome


@pytest.mark.parametrize("last", ["replace the host key", "reload sshd"])
def test_a_change_of_the_way_in_takes_itself_back_when_nobody_gets_in(state: Path, last: str) -> None:
    world = Watching(state, ("alice",))
    world.applied()
    host = world.host("alice")
    login = host.content(files.AUTHORIZED_KEYS_PATH)
    shown = host.shown_key
    world.generation = 2

    def cut_off(command: Command) -> None:
        if command.name == last:
            world.dialer.silent[world.server("alice").id] = HostTimedOut("cut off")

    assert world.apply_while(cut_off).code is OutcomeCode.FAILED
    world.clock.sleep(61)
    host.tick()
    assert host.content(files.AUTHORIZED_KEYS_PATH) == login
    assert (host.shown_key == shown) == (last == "replace the host key"), "a confirmed change stays"
    world.dialer.silent.clear()
    world.applied()
    assert world.planned() == []
    assert host.content(files.AUTHORIZED_KEYS_PATH) != login


def test_a_foreign_login_key_locks_us_out_for_a_minute_only(world: FakeFleet, host: FakeHost) -> None:
    host.run(commands.arm_access())
    host.run(commands.set_authorized_keys(files.LOGIN_USER, "ssh-ed25519 AAAAtheirs\n"))
    client = world.client()
    server = world.server("alice")
    with pytest.raises(LoginRefused):
        client.connect(server)
    world.clock.sleep(61)
    client.connect(server).close()
    assert world.planned() == []


def test_ssh_is_let_in_from_where_the_file_says(world: FakeFleet, host: FakeHost) -> None:
    world.change("alice", ssh_from=("198.51.100.0/24", "2001:db8::/32"))
    world.applied()
    assert host.firewall["rules"] == ["22/tcp from 198.51.100.0/24", "22/tcp from 2001:db8::/32"]
    assert world.planned() == []
    world.change("alice", ssh_from=())
    world.applied()
    assert host.firewall["rules"] == ["22/tcp"]


# --- what the gateway runs on -------------------------------------------------------------------------------------


def test_a_release_that_somebody_touched_is_installed_again_and_started(world: FakeFleet, host: FakeHost) -> None:
    program = f"{host.links[files.CURRENT]}/node_modules/openclaw/openclaw.mjs"
    installed = host.content(program)
    host.files[program].content += b"// theirs"
    assert world.planned() == ["update alice: drifted"]
    world.applied()
    assert (host.content(program), host.gateway.starts) == (installed, 2)
    assert world.planned() == []


def test_an_addition_to_the_unit_is_set_aside_and_no_longer_in_force(world: FakeFleet, host: FakeHost) -> None:
    path = f"{files.UNIT_PATH}.d/theirs.conf"
    host.files[path] = FakeFile(b"[Service]\nEnvironment=HOME=/tmp\n")
    host.run(commands.daemon_reload())
    assert world.planned() == ["update alice: drifted"]
    world.applied()
    assert (path in host.files, f"{path}.off" in host.files) == (False, True)
    assert (host.gateway.starts, world.planned()) == (2, [])


def test_what_does_not_belong_into_our_directories_goes(world: FakeFleet, host: FakeHost) -> None:
    host.files[f"{files.SECRETS_DIRECTORY}/theirs"] = FakeFile(b"")
    host.files["/etc/systemd/system/openclaw-theirs.service"] = FakeFile(b"[Service]\nExecStart=/bin/true\n")
    assert world.planned() == ["update alice: drifted"]
    world.applied()
    assert not [path for path in host.files if "theirs" in path]
    assert (host.gateway.starts, world.planned()) == (1, [])


# --- files in the workspace ---------------------------------------------------------------------------------------


def declare(world: FakeFleet, **contents: tuple[str, FileMode]) -> None:
    paths = {"soul": "SOUL.md", "skill": "skills/x/SKILL.md"}
    world.change("alice", files={paths[name]: WorkspaceFile(*content) for name, content in contents.items()})


def test_a_seed_is_sown_once_and_then_the_agents(world: FakeFleet, host: FakeHost) -> None:
    declare(world, soul=("mine", FileMode.SEED))
    world.applied()
    assert host.content(SOUL) == b"mine"
    host.files[SOUL].content = b"the agent's"
    assert world.planned() == []
    del host.files[SOUL]
    assert world.planned() == []
    declare(world, soul=("other words", FileMode.SEED))
    assert world.planned() == []


def test_a_seed_never_replaces_what_is_there(world: FakeFleet, host: FakeHost) -> None:
    host.files[SOUL] = FakeFile(b"the agent's", "openclaw:openclaw", "0600")
    declare(world, soul=("mine", FileMode.SEED))
    world.applied()
    assert host.content(SOUL) == b"the agent's"
    del host.files[SOUL]
    assert world.planned() == [], "it counts as sown"
    declare(world, soul=("mine", FileMode.MANAGED))
    world.applied()
    assert host.content(SOUL) == b"mine"


def test_a_managed_file_is_put_back_and_goes_with_its_declaration(world: FakeFleet, host: FakeHost) -> None:
    declare(world, skill=("v1", FileMode.MANAGED), soul=("s", FileMode.SEED))
    world.applied()
    host.files[SKILL].content = b"theirs"
    assert world.planned() == ["update alice: drifted"]
    world.applied()
    assert host.content(SKILL) == b"v1"
    declare(world)
    assert world.planned() == ["update alice: changed"]
    world.applied()
    assert SKILL not in host.files
    assert SOUL in host.files
    assert world.planned() == []


@pytest.mark.parametrize("thing", ["file", "link", "circle"])
def test_what_the_agent_put_in_the_way_of_a_file_is_moved_aside(world: FakeFleet, host: FakeHost, thing: str) -> None:
    place = f"{files.WORKSPACE}/skills"
    host.directories |= dict.fromkeys((files.WORKSPACE, "/var/lib/openclaw/elsewhere"), ("openclaw:openclaw", "0700"))
    if thing == "file":
        host.files[place] = FakeFile(b"the agent's", "openclaw:openclaw", "0600")
    else:
        host.links[place] = {"link": "/var/lib/openclaw/elsewhere", "circle": "skills"}[thing]
    declare(world, skill=("v1", FileMode.MANAGED))
    world.applied()
    assert (host.content(SKILL), world.planned()) == (b"v1", [])
    assert host.files.get(f"{place}.aside", FakeFile(b"the agent's")).content == b"the agent's"
    assert {f"{place}.aside"} & {*host.files, *host.links}


def test_a_directory_in_the_place_of_a_file_is_moved_aside_with_all_that_is_in_it(
    world: FakeFleet, host: FakeHost
) -> None:
    declare(world, soul=("mine", FileMode.MANAGED))
    world.applied()
    host.files[f"{SOUL}/diary.md"] = host.files.pop(SOUL)
    host.directories[SOUL] = "openclaw:openclaw", "0700"
    assert world.planned() == ["update alice: drifted"]
    world.applied()
    assert (host.content(SOUL), host.content(f"{SOUL}.aside/diary.md")) == (b"mine", b"mine")
    assert world.planned() == []


def test_a_workspace_that_has_become_a_file_is_moved_aside(world: FakeFleet, host: FakeHost) -> None:
    declare(world, soul=("mine", FileMode.MANAGED))
    host.files[files.WORKSPACE] = FakeFile(b"the agent's", "openclaw:openclaw", "0600")
    world.applied()
    assert (host.content(SOUL), host.content(f"{files.WORKSPACE}.aside")) == (b"mine", b"the agent's")


def test_what_the_agent_put_in_the_place_of_a_file_outlives_its_declaration(world: FakeFleet, host: FakeHost) -> None:
    declare(world, skill=("v1", FileMode.MANAGED), soul=("mine", FileMode.MANAGED))
    world.applied()
    host.files[f"{SOUL}/diary.md"] = host.files.pop(SOUL)
    host.directories[SOUL] = "openclaw:openclaw", "0700"
    del host.files[SKILL]
    host.links[SKILL.rpartition("/")[0]] = "/nowhere"
    host.directories.pop(SKILL.rpartition("/")[0])
    declare(world)
    world.applied()
    assert (host.content(f"{SOUL}/diary.md"), world.planned()) == (b"mine", [])


def test_a_managed_file_that_became_a_seed_is_the_agents(world: FakeFleet, host: FakeHost) -> None:
    declare(world, soul=("v1", FileMode.MANAGED))
    world.applied()
    declare(world, soul=("v2", FileMode.SEED))
    world.applied()
    host.files[SOUL].content = b"what the agent has learnt"
    assert world.planned() == []
    declare(world)
    world.applied()
    assert host.content(SOUL) == b"what the agent has learnt"


def test_a_managed_file_is_a_seed_from_the_beginning_of_the_apply_that_is_told_so(
    world: FakeFleet, host: FakeHost
) -> None:
    declare(world, soul=("v1", FileMode.MANAGED))
    world.applied()
    host.fails = [(f"write {SKILL}", CommandFailed("no space"))]
    declare(world, soul=("v1", FileMode.SEED), skill=("s", FileMode.MANAGED))
    assert [outcome.code for outcome in world.apply()] == [OutcomeCode.FAILED]
    declare(world)
    world.applied()
    assert host.content(SOUL) == b"v1"


def test_what_is_gone_with_its_declaration_already_is_not_ours_when_it_comes_again(
    world: FakeFleet, host: FakeHost
) -> None:
    declare(world, soul=("v1", FileMode.MANAGED))
    world.applied()
    declare(world)
    del host.files[SOUL]
    world.applied()
    host.files[SOUL] = FakeFile(b"the agent's", "openclaw:openclaw", "0600")
    assert world.planned() == []


# --- keys that only the fleet file names --------------------------------------------------------------------------


def test_a_free_form_key_goes_with_its_declaration_and_nothing_else(world: FakeFleet, host: FakeHost) -> None:
    world.change("alice", config={"messages": {"ackReactionScope": "all"}, "tools": {"deny": ["exec"]}})
    world.applied()
    config = host.config()
    config["messages"]["theirs"] = 1
    host.write_config(config)
    assert world.planned() == []
    world.change("alice", config={})
    assert world.planned() == ["update alice: changed"]
    world.applied()
    assert host.config()["messages"] == {"theirs": 1}
    assert "deny" not in host.config()["tools"]
    assert (world.planned(), host.gateway.starts) == ([], 1)


def test_a_number_that_becomes_a_truth_is_a_change(world: FakeFleet, host: FakeHost) -> None:
    world.change("alice", config={"messages": {"ackReaction": 1}})
    world.applied()
    world.change("alice", config={"messages": {"ackReaction": True}})
    assert world.planned() == ["update alice: changed"]
    world.applied()
    assert host.config()["messages"]["ackReaction"] is True
    assert world.planned() == []


def test_what_was_as_the_file_says_when_it_was_declared_goes_with_its_declaration(
    world: FakeFleet, host: FakeHost
) -> None:
    declare(world, skill=("s", FileMode.SEED))
    server = world.applied().server("alice")
    world.cloud.by_id[server.id] = replace(server, labels={**server.labels, "team": "blue"})
    host.write_config({**host.config(), "messages": {"ackReaction": "x", "theirs": 1}})
    host.files[SOUL] = FakeFile(b"mine", "openclaw:openclaw", "0600")
    world.change("alice", labels={"team": "blue"}, config={"messages": {"ackReaction": "x"}})
    declare(world, soul=("mine", FileMode.MANAGED))
    assert world.planned() == ["update alice: changed"]
    world.applied()
    assert (world.planned(), host.gateway.starts) == ([], 1), "only a note was made"
    world.change("alice", labels={}, config={}, files={})
    world.applied()
    assert "team" not in world.server("alice").labels
    assert host.config()["messages"] == {"theirs": 1}
    assert SOUL not in host.files
    assert world.planned() == []


def test_what_has_to_be_started_comes_before_what_is_only_noted(world: FakeFleet, host: FakeHost) -> None:
    """So that a plan which only notes something never restarts anything."""
    declare(world, soul=("v1", FileMode.MANAGED))
    world.applied()
    declare(world, soul=("v1", FileMode.SEED))
    host.gateway.stop()
    assert world.planned() == ["start alice: stopped"]
    world.applied()
    assert world.planned() == ["update alice: changed"]
    world.applied()
    assert (world.planned(), host.gateway.starts) == ([], 2)


def test_null_takes_a_key_of_the_agents_away(world: FakeFleet, host: FakeHost) -> None:
    host.write_config({**host.config(), "tools": {"profile": "full", "deny": ["x"]}})
    world.change("alice", config={"tools": {"profile": None}})
    world.applied()
    assert host.config()["tools"] == {"deny": ["x"]}
    assert world.planned() == []


def test_a_key_of_an_apply_that_did_not_end_is_known_for_ours(world: FakeFleet, host: FakeHost) -> None:
    world.change("alice", config={"tools": {"deny": ["exec"]}})
    host.fails = [("write /var/lib/openclaw/workspace", CommandFailed("no space"))]
    declare(world, soul=("x", FileMode.SEED))
    assert [outcome.code for outcome in world.apply()] == [OutcomeCode.FAILED]
    assert host.config()["tools"] == {"deny": ["exec"]}
    world.change("alice", config={})
    world.applied()
    assert host.config()["tools"] == {}


def approve(host: FakeHost, sender: int) -> None:
    """As `openclaw pairing approve` (measured): the first sender becomes the owner where the configuration has none."""
    config = host.config()
    if not config["commands"].get("ownerAllowFrom"):
        host.write_config({**config, "commands": {**config["commands"], "ownerAllowFrom": [f"telegram:{sender}"]}})
    store = f"{files.HOME}/.openclaw/state/openclaw.sqlite"
    host.files[store] = FakeFile(f"telegram {sender}".encode(), "openclaw:openclaw", "0600")


def test_a_pairing_approved_gives_no_action_and_makes_nobody_an_owner(world: FakeFleet, host: FakeHost) -> None:
    approve(host, 4242)
    assert host.config()["commands"]["ownerAllowFrom"] == [NOBODY]
    assert world.planned() == []


def test_an_owner_whom_an_approval_has_made_is_one_no_more(world: FakeFleet, host: FakeHost) -> None:
    config = host.config()
    host.write_config({**config, "commands": {}})
    approve(host, 4242)
    assert host.config()["commands"]["ownerAllowFrom"] == ["telegram:4242"]
    assert world.planned() == ["update alice: drifted"]
    world.applied()
    assert host.config()["commands"]["ownerAllowFrom"] == [NOBODY]


AGENTS: dict[str, Any] = {
    "doctor --fix": {"wizard": {"lastRunCommand": "doctor"}, "plugins": {"entries": {"anthropic": {"enabled": True}}}},
    "a bump of meta": {"meta": {"lastTouchedVersion": "2026.9.7"}},
    "the agent's edit": {"tools": {"profile": "coding"}, "channels": {"telegram": {"streaming": "off"}}},
    "an agent of its own": {"agents": {"entries": {"main": {}}}},
}


@pytest.mark.parametrize("theirs", AGENTS.values(), ids=AGENTS)
def test_what_is_not_ours_gives_no_action(world: FakeFleet, host: FakeHost, theirs: Any) -> None:
    def merged(one: Any, other: Any) -> Any:
        both = isinstance(one, dict) and isinstance(other, dict)
        return {**one, **{key: merged(one.get(key), value) for key, value in other.items()}} if both else other

    host.write_config(merged(host.config(), theirs))
    assert world.planned() == []


# --- what is noted on the host ------------------------------------------------------------------------------------


def test_each_mended_drift_is_noted_with_its_time(world: FakeFleet, host: FakeHost) -> None:
    assert note(host)["repairs"] == {}
    for number in (1, 2, 3):
        host.files[files.SSHD_PATH].content += b"# theirs\n"
        world.clock.sleep(3600)
        world.applied()
        assert len(note(host)["repairs"]["sshd.sha256"]) == number
    world.change("alice", users=replace(world.specs["alice"].users, allowed=(1,)))
    world.applied()
    assert set(note(host)["repairs"]) == {"sshd.sha256"}, "a change of the file is no repair"


def test_what_was_mended_too_often_is_left_until_a_person_decides(world: FakeFleet, host: FakeHost) -> None:
    for _ in range(3):
        host.files[files.SSHD_PATH].content += b"# theirs\n"
        world.applied()
    host.files[files.SSHD_PATH].content += b"# theirs\n"
    assert world.planned() == []
    world.change("alice", users=replace(world.specs["alice"].users, allowed=(1,)))
    world.applied()
    assert b"# theirs" in host.content(files.SSHD_PATH), "an apply for another reason leaves it alone too"
    world.clock.sleep(25 * 3600)
    assert world.planned() == ["update alice: drifted"]


def cut_off(world: FakeFleet) -> None:
    """An apply that does all but the workspace file."""
    world.host("alice").fails = [("write /var/lib/openclaw/workspace", CommandFailed("no space"))]
    declare(world, soul=("x", FileMode.SEED))
    assert [outcome.code for outcome in world.apply()] == [OutcomeCode.FAILED]


def test_what_an_apply_has_mended_before_it_was_cut_off_is_noted_by_the_next(world: FakeFleet, host: FakeHost) -> None:
    host.files[files.SSHD_PATH].content += b"# theirs\n"
    cut_off(world)
    assert b"# theirs" not in host.content(files.SSHD_PATH)
    assert (note(host)["mending"], note(host)["repairs"]) == (["sshd.sha256"], {})
    world.applied()
    assert (note(host)["mending"], list(note(host)["repairs"])) == ([], ["sshd.sha256"])


def test_what_an_apply_has_left_half_done_is_nobodys_drift(world: FakeFleet, host: FakeHost) -> None:
    before = world.specs["alice"]
    world.change("alice", users=replace(before.users, allowed=(1,)))
    cut_off(world)
    assert host.config()["channels"]["telegram"]["allowFrom"] == ["1"]
    world.specs["alice"] = before
    world.applied()
    assert host.config()["channels"]["telegram"]["allowFrom"] == []
    assert note(host)["repairs"] == {}


Drift = Callable[[FakeFleet, str], None]
NAME = "anthropic/claude-4.5"


def write_soul(world: FakeFleet, words: str) -> None:
    world.host("alice").files[SOUL].content = words.encode()


def write_label(world: FakeFleet, words: str) -> None:
    server = world.server("alice")
    world.cloud.by_id[server.id] = replace(server, labels={**server.labels, "team.example/name": words})


def write_setting(world: FakeFleet, words: str) -> None:
    config = world.host("alice").config()
    config["agents"]["defaults"]["models"][NAME]["alias"] = words
    world.host("alice").write_config(config)


def take_backups(world: FakeFleet, words: str) -> None:
    del words
    server = world.server("alice")
    world.cloud.by_id[server.id] = replace(server, backups=True)


LEFT: dict[str, tuple[Drift, Callable[[FakeFleet], object], object]] = {
    "workspace files.SOUL.md": (write_soul, lambda world: world.host("alice").content(SOUL), b"theirs"),
    "labels.team.example/name": (
        write_label,
        lambda world: world.server("alice").labels["team.example/name"],
        "theirs",
    ),
    f"config.agents.defaults.models.{NAME}.alias": (
        write_setting,
        lambda world: world.host("alice").config()["agents"]["defaults"]["models"][NAME]["alias"],
        "theirs",
    ),
    "backups": (take_backups, lambda world: world.server("alice").backups, True),
}


@pytest.fixture
def full(world: FakeFleet) -> FakeFleet:
    """One whose names have dots."""
    declare(world, soul=("mine", FileMode.MANAGED))
    models: Any = {NAME: {"alias": "mine"}}
    world.change("alice", labels={"team.example/name": "mine"}, config={"agents": {"defaults": {"models": models}}})
    return world.applied()


def drift_again_and_again(world: FakeFleet, drift: Drift) -> None:
    for number in range(REPAIRS):
        drift(world, f"theirs {number}")
        world.applied()
    drift(world, "theirs")


@pytest.mark.parametrize("path", LEFT)
def test_whatever_the_plan_leaves_alone_the_apply_leaves_alone(full: FakeFleet, path: str) -> None:
    drift, now, theirs = LEFT[path]
    drift_again_and_again(full, drift)
    assert full.planned() == []
    full.change("alice", users=replace(full.specs["alice"].users, allowed=(1,)))
    [action] = full.client().plan().plan.actions
    assert action.left_alone == (path,)
    full.applied()
    assert now(full) == theirs
    assert full.planned() == []
    assert len(note(full.host("alice"))["repairs"][path]) == REPAIRS, "it was not mended once more"


@pytest.mark.parametrize("path", LEFT)
def test_what_else_the_file_changes_there_is_no_decision_about_it(full: FakeFleet, path: str) -> None:
    """Other settings, labels and files are noted in one digest with it."""
    drift, now, theirs = LEFT[path]
    drift_again_and_again(full, drift)
    spec = full.specs["alice"]
    skill = {"skills/x/SKILL.md": WorkspaceFile("new", FileMode.MANAGED)}
    full.change("alice", labels={**spec.labels, "more": "x"}, files={**spec.files, **skill})
    full.change("alice", config={**spec.config, "messages": {"ackReactionScope": "all"}})
    [action] = full.client().plan().plan.actions
    assert action.left_alone == (path,)
    full.applied()
    assert now(full) == theirs
    assert full.planned() == []


def test_a_new_value_in_the_file_is_a_persons_decision(full: FakeFleet, host: FakeHost) -> None:
    drift_again_and_again(full, write_soul)
    declare(full, soul=("better", FileMode.MANAGED))
    assert full.planned() == ["update alice: changed"]
    full.applied()
    assert host.content(SOUL) == b"better"


def test_a_new_server_has_nothing_of_what_was_left_alone_on_the_old_one(full: FakeFleet) -> None:
    drift_again_and_again(full, write_soul)
    full.change("alice", regions=("hel1",))
    allowed = PlanOptions(allow_replace=True)
    plan = full.client().plan(options=allowed).plan
    assert [(action.kind, action.left_alone) for action in plan.actions] == [(Kind.REPLACE, ())]
    assert not any("left alone" in found.detail for found in plan.diagnostics)
    full.apply(options=allowed)
    assert full.host("alice").content(SOUL) == b"mine"


def test_repairs_older_than_a_day_are_forgotten() -> None:
    old, young = ((START - timedelta(hours=hours)).isoformat() for hours in (25, 23))
    kept = with_repairs({"a": (old, young), "b": (old,)}, ["c", "a"], START)
    assert kept == {"a": (young, START.isoformat(timespec="seconds")), "c": (START.isoformat(timespec="seconds"),)}


def test_a_note_of_an_older_tool_is_read(world: FakeFleet, host: FakeHost) -> None:
    known = ("tool", "spec_digest", "digests", "at", "bot")
    older = {key: value for key, value in note(host).items() if key in known}
    host.files[files.APPLIED_PATH].content = json.dumps(older).encode()
    assert world.planned() == []


def test_an_apply_that_something_undoes_at_once_does_not_call_itself_done(state: Path) -> None:
    world = Watching(state, ("alice",))
    world.applied()
    stamp = world.host("alice").files[files.STAMP_PATH]
    stamp.content += b"# theirs\n"

    def undo(command: Command) -> None:
        if command.name == f"write {files.STAMP_PATH}":
            world.host("alice").files[files.STAMP_PATH].content += b"# again\n"

    outcome = world.apply_while(undo)
    assert outcome.code is OutcomeCode.FAILED
    assert "record: not as it shall be, although every step was done: stamp program" in outcome.error
    assert world.planned() == ["update alice: drifted"]


# --- the newest release -------------------------------------------------------------------------------------------


def test_latest_is_the_newest_when_a_child_is_made_and_no_reason_to_change_it(state: Path) -> None:
    world = FakeFleet(state, ("alice",))
    world.change("alice", version=LATEST)
    world.applied()
    host = world.host("alice")
    assert (note(host)["version"], host.gateway.version) == (host.newest_release, host.newest_release)
    host.newest_release = "2099.1.1"
    assert world.planned() == []
    world.change("alice", users=replace(world.specs["alice"].users, allowed=(1,)))
    world.applied()
    assert host.gateway.version != "2099.1.1"
    assert world.store.records()["alice"].version == host.gateway.version


@pytest.mark.parametrize(("without_copy", "version"), [(frozenset({"alice"}), "2026.9.6"), (frozenset(), "2026.9.5")])
def test_a_new_server_for_a_child_of_latest_gets_the_newest_of_that_moment_or_what_its_memory_is_of(
    state: Path, without_copy: frozenset[str], version: str
) -> None:
    world = FakeFleet(state, ("alice",))
    world.change("alice", version="2026.9.5")
    world.applied()
    world.change("alice", version=LATEST, image="debian-13")
    [outcome] = world.apply(options=PlanOptions(allow_replace=frozenset({"alice"}), without_copy=without_copy))
    assert (outcome.action.kind, outcome.code) == (Kind.REPLACE, OutcomeCode.DONE)
    assert note(world.host("alice"))["version"] == version


@pytest.mark.parametrize("said", ["", "latest", "2026.9.6/../..", "<html>", "2026.9.6\n2026.9.7"])
def test_an_answer_that_is_no_version_is_not_used(world: FakeFleet, host: FakeHost, said: str) -> None:
    spec, server = make_spec("alice", version=LATEST), world.server("alice")
    host.newest_release = said
    facts = make_facts({}, applied=None)
    work = Work(world.fleet(), "alice", spec, world.ports(), "run", print, server=server, host=host, facts=facts)
    with pytest.raises(HostError, match="does not say which OpenClaw is the newest"):
        ensure_release(work)


def test_latest_without_a_note_is_the_release_that_is_there() -> None:
    spec = make_spec("alice", version=LATEST)
    assert pinned(spec, None).version == LATEST
    assert pinned(spec, make_facts({"release": {"version": "2026.9.5"}}, applied=None)).version == "2026.9.5"
    assert pinned(make_spec("alice"), make_facts({"release": {"version": "2026.9.5"}})).version == "2026.9.6"
