"""`fleet config pull`, `push`, `edit`, `restore`: over what was seen, and only if it is taken."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from reconciler.errors import HostTimedOut
from reconciler.managed import files
from reconciler.model import AccessPolicy, Users
from reconciler.steps.configuring import UNDO_PATH
from tests.fakes.command_line import CommandLine
from tests.fakes.fleets import FakeFleet
from tests.fakes.host import FakeFile
from tests.unit.test_cli_config import write

KEY: Final = "sk-ant-api03-" + "q" * 40


@pytest.fixture
def fleet(
    state: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> CommandLine:
    monkeypatch.chdir(tmp_path)
    made = CommandLine(FakeFleet(state, ("alice", "bob")).applied(), capsys)
    write(made, lambda it: it.update(ui={"theme": "dark"}, meta={"touched": True}))
    return made


def config(fleet: CommandLine) -> dict[str, Any]:
    found: dict[str, Any] = fleet.world.host("alice").config()
    return found


def pulled(fleet: CommandLine, change: Callable[[dict[str, Any]], object] = lambda it: None) -> Path:
    """As a person does it: fetched, and then changed."""
    assert fleet("config", "pull", "alice").code == 0
    file = Path("alice.openclaw.json")
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
    return file


def light(content: dict[str, Any]) -> None:
    content["ui"]["theme"] = "light"


def test_what_is_pulled_is_for_its_owner_alone(fleet: CommandLine) -> None:
    assert fleet("config", "pull", "alice").code == 0
    file = Path("alice.openclaw.json")
    assert (file.stat().st_mode & 0o777, file.read_bytes()) == (
        0o600, fleet.world.host("alice").content(files.CONFIG_PATH),
    )  # fmt: skip


def test_what_was_changed_is_not_pulled_over(fleet: CommandLine) -> None:
    file = pulled(fleet, light)
    before = file.read_bytes()
    assert (fleet("config", "pull", "alice").code, file.read_bytes()) == (64, before)
    assert fleet("config", "pull", "alice", "--force").code == 0


def test_a_hot_key_comes_without_a_restart(fleet: CommandLine) -> None:
    starts = fleet.world.host("alice").gateway.starts
    pulled(fleet, light)
    said = fleet("config", "push", "alice", "--yes")
    assert (said.code, 'ui.theme: "dark" -> "light"' in said.out) == (0, True), said
    assert (config(fleet)["ui"]["theme"], fleet.world.host("alice").gateway.starts) == ("light", starts)
    assert fleet("diagnose", "alice").code == 0


def test_another_key_comes_with_a_restart(fleet: CommandLine) -> None:
    starts = fleet.world.host("alice").gateway.starts
    pulled(fleet, lambda it: it.update(browser={"enabled": False}))
    assert fleet("config", "push", "alice", "--yes").code == 0
    assert (config(fleet)["browser"], fleet.world.host("alice").gateway.starts) == ({"enabled": False}, starts + 1)


def test_who_is_stopped_is_said_to_be_started_by_it(fleet: CommandLine) -> None:
    file = pulled(fleet, light)
    assert "it is started" not in fleet("config", "push", "alice", str(file), "--dry-run").out
    fleet.world.host("alice").gateway.stop()
    said = fleet("config", "push", "alice", str(file), "--dry-run")
    assert (said.code, "Its gateway does not run: it is started with this." in said.out) == (2, True)


def test_machines_are_told_what_changes_and_how_it_ended(fleet: CommandLine) -> None:
    def push(*more: str) -> tuple[int, Any]:
        said = fleet("config", "push", "alice", "--json", *more)
        told = json.loads(said.out)
        return said.code, (told["state"], told["changes"], told["outcome"] and told["outcome"]["done"])

    pulled(fleet, light)
    theme = [{"path": "ui.theme", "before": "dark", "after": "light"}]
    assert push("--dry-run") == (2, ("differs", theme, None))
    assert push("--yes") == (0, ("given", theme, True))
    assert push("--yes") == (0, ("unchanged", [], None))
    assert fleet("config", "push", "alice", "--json").code == 64
    back = json.loads(fleet("config", "restore", "alice", "--yes", "--json").out)
    assert (back["state"], config(fleet)["ui"]["theme"]) == ("given", "dark")


def test_a_dry_run_changes_nothing(fleet: CommandLine) -> None:
    pulled(fleet, light)
    assert (fleet("config", "push", "alice", "--dry-run").code, config(fleet)["ui"]["theme"]) == (2, "dark")
    assert (fleet("config", "push", "alice").code, config(fleet)["ui"]["theme"]) == (4, "dark")  # nobody says yes


def test_what_was_changed_on_the_host_meanwhile_is_not_written_over(fleet: CommandLine) -> None:
    pulled(fleet, light)
    write(fleet, lambda it: it.update(tools={"profile": "full"}))
    said = fleet("config", "push", "alice", "--yes")
    assert (said.code, "changed on its host meanwhile" in said.err) == (4, True), said
    assert (config(fleet)["ui"]["theme"], config(fleet)["tools"]) == ("dark", {"profile": "full"})
    assert (fleet("config", "push", "alice", "--yes", "--force").code, config(fleet)["ui"]["theme"]) == (0, "light")


def test_a_change_in_the_last_moment_is_not_written_over(fleet: CommandLine) -> None:
    """The agent writes between the look that was shown and the step."""
    pulled(fleet, light)
    host = fleet.world.host("alice")
    reads = iter(range(100))
    run = host.run

    def meddled(command: Any) -> Any:
        if command.name == f"read {files.CONFIG_PATH}" and next(reads) == 2:
            write(fleet, lambda it: it.update(tools={"profile": "full"}))
        return run(command)

    host.run = meddled  # type: ignore[method-assign]
    said = fleet("config", "push", "alice", "--yes")
    assert (said.code, "was changed on the host meanwhile" in said.err) == (1, True), said
    assert (config(fleet)["ui"]["theme"], config(fleet)["tools"]) == ("dark", {"profile": "full"})


def writes_while_it_stops(fleet: CommandLine) -> None:
    """The agent, in the turn that is coming to its end."""
    host = fleet.world.host("alice")
    run = host.run

    def meddled(command: Any) -> Any:
        if command.name == f"stop {files.UNIT}":
            write(fleet, lambda it: it.update(tools={"profile": "full"}))
        return run(command)

    host.run = meddled  # type: ignore[method-assign]


def test_a_change_while_its_gateway_ends_is_not_written_over(fleet: CommandLine) -> None:
    pulled(fleet, lambda it: it.update(browser={"enabled": False}))
    writes_while_it_stops(fleet)
    said = fleet("config", "push", "alice", "--yes")
    assert (said.code, "while the gateway was stopped for it" in said.err) == (1, True), said
    assert (config(fleet)["tools"], "browser" in config(fleet)) == ({"profile": "full"}, False)
    assert fleet.world.host("alice").gateway.active == "active"


@pytest.mark.parametrize("change", [
    lambda it: it["gateway"].update(port=1), lambda it: it.pop("channels"), lambda it: it["tools"].update(profile="x"),
])  # fmt: skip
def test_what_the_fleet_sets_is_changed_there(fleet: CommandLine, change: Callable[[dict[str, Any]], object]) -> None:
    fleet.world.change("alice", config={"tools": {"profile": "minimal"}})
    fleet.world.apply()
    before = config(fleet)
    pulled(fleet, change)
    said = fleet("config", "push", "alice", "--yes")
    assert (said.code, "not yours to change here" in said.err, config(fleet)) == (1, True, before), said


def test_what_the_release_refuses_is_not_written(fleet: CommandLine) -> None:
    fleet.world.host("alice").gateway.refuses = ("surprise",)
    before = config(fleet)
    pulled(fleet, lambda it: it.update(surprise=KEY))
    said = fleet("config", "push", "alice", "--yes")
    assert (said.code, "does not accept it: <root>: Unrecognized key: surprise" in said.err) == (1, True), said
    assert (config(fleet), KEY in said.out + said.err) == (before, False)


def test_where_the_gateway_is_not_healthy_with_it_the_one_before_is_back(fleet: CommandLine) -> None:
    host = fleet.world.host("alice")
    before = config(fleet)
    pulled(fleet, lambda it: it.update(browser={"poison": True}))
    begin = host.gateway.begin

    def poisoned(name: str, unit: Any) -> Any:
        ended = begin(name, unit)
        return ("exit-code", 0, 1, "poisoned") if "browser" in host.config() else ended

    host.gateway.begin = poisoned  # type: ignore[method-assign]
    said = fleet("config", "push", "alice", "--yes")
    assert (said.code, "the one before is back, and it is healthy" in said.err) == (1, True), said
    assert (config(fleet), fleet("diagnose", "alice").code) == (before, 0)


def test_the_one_before_is_put_back_by_hand(fleet: CommandLine) -> None:
    before = config(fleet)
    pulled(fleet, lambda it: it.update(browser={"enabled": False}))
    assert fleet("config", "push", "alice", "--yes").code == 0
    assert (fleet("config", "restore", "alice", "--yes").code, config(fleet)) == (0, before)
    assert fleet("config", "restore", "alice", "--from", "last-good", "--yes").code == 4  # there is none


@pytest.mark.parametrize(("text", "code"), [("{", 64), ("[]", 64), ("\xff", 64), ("", 64)])
def test_what_is_no_configuration_is_said_before_anything_is_done(fleet: CommandLine, text: str, code: int) -> None:
    pulled(fleet).write_bytes(text.encode("latin-1"))
    said = fleet("config", "push", "alice", "--yes")
    assert (said.code, "Traceback" in said.err) == (code, False), said


def test_what_was_fetched_nowhere_is_not_pushed(fleet: CommandLine) -> None:
    Path("mine.json").write_text("{}")
    assert fleet("config", "push", "alice", "mine.json").code == 64
    assert fleet("config", "push", "alice", "none.json").code == 64
    assert fleet("config", "pull", "zora").code == 64


def test_an_editor_changes_it(fleet: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody says yes, what was written is kept, and can be pushed."""
    monkeypatch.setenv("VISUAL", "sed -i s/dark/light/")
    said = fleet("config", "edit", "alice")
    assert (said.code, "What you wrote is kept in alice.openclaw.json" in said.err) == (4, True), said
    assert fleet("config", "edit", "alice").code == 64, "what was written is not written over"
    assert (fleet("config", "push", "alice", "--yes").code, config(fleet)["ui"]["theme"]) == (0, "light")
    monkeypatch.setenv("VISUAL", "true")
    assert "Nothing was changed." in fleet("config", "edit", "alice").out
    assert not [*Path().glob("*.openclaw.json*")], "there may be secrets in it"


@pytest.mark.parametrize("editor", ["sed -i 's/dark/\\xff/'", "sh -c 'sed -i s/dark/light/ $0; exit 1'"])
def test_what_an_editor_leaves_is_kept_whatever_it_is(
    fleet: CommandLine, monkeypatch: pytest.MonkeyPatch, editor: str
) -> None:
    monkeypatch.setenv("VISUAL", editor)
    said = fleet("config", "edit", "alice")
    assert said.code != 0
    assert ("Traceback" in said.err, "kept in alice.openclaw.json" in said.err) == (False, True), said
    assert b"dark" not in Path("alice.openclaw.json").read_bytes()


def test_no_secret_is_in_what_is_shown(fleet: CommandLine) -> None:
    pulled(fleet, lambda it: it.update(skills={"entries": {"x": {"apiKey": KEY}}}))
    said = fleet("config", "push", "alice", "--yes")
    assert (said.code, KEY in said.out + said.err) == (0, False), said
    assert KEY not in "".join(str(event.fields) for event in fleet.world.events())


def poison(fleet: CommandLine, also: dict[str, Any] | None = None) -> None:
    """With this key its gateway ends at its start; and it, or the agent, has written something by then."""
    host = fleet.world.host("alice")
    begin = host.gateway.begin

    def poisoned(name: str, unit: Any) -> Any:
        ended = begin(name, unit)
        if "browser" not in host.config():
            return ended
        host.write_config({**host.config(), **(also or {})})
        return ("exit-code", 0, 1, "poisoned")

    host.gateway.begin = poisoned  # type: ignore[method-assign]


def test_after_a_push_that_failed_the_one_before_is_still_the_one_before(fleet: CommandLine) -> None:
    first = config(fleet)
    pulled(fleet, light)
    assert fleet("config", "push", "alice", "--yes").code == 0
    pulled(fleet, lambda it: it.update(browser={"poison": True}))
    poison(fleet)
    assert fleet("config", "push", "alice", "--yes").code == 1
    assert config(fleet)["ui"]["theme"] == "light"
    assert (fleet("config", "restore", "alice", "--yes").code, config(fleet)["ui"]) == (0, first["ui"])


def test_what_was_written_meanwhile_stays_where_a_push_is_taken_back(fleet: CommandLine) -> None:
    pulled(fleet, lambda it: it.update(browser={"poison": True}))
    poison(fleet, {"pairing": {"owner": "new"}})
    assert fleet("config", "push", "alice", "--yes").code == 1
    assert (config(fleet)["pairing"], "browser" in config(fleet)) == ({"owner": "new"}, False)


@pytest.mark.parametrize("broken", [b'{ "gateway": {', b"", b"[]", None])
def test_what_nobody_can_read_gives_way(fleet: CommandLine, broken: bytes | None) -> None:
    host = fleet.world.host("alice")
    pulled(fleet, light)
    assert fleet("config", "push", "alice", "--yes").code == 0
    pulled(fleet)
    if broken is None:
        del host.files[files.CONFIG_PATH]
    else:
        host.files[files.CONFIG_PATH].content = broken
    said = fleet("config", "restore", "alice", "--yes")
    assert (said.code, config(fleet)["ui"]["theme"]) == (0, "dark"), said
    host.files[files.CONFIG_PATH].content = broken or b""
    assert (fleet("config", "push", "alice", "--force", "--yes").code, config(fleet)["ui"]["theme"]) == (0, "light")
    assert fleet("diagnose", "alice").code == 0


def test_what_the_gateway_writes_after_a_push_is_in_the_file(fleet: CommandLine) -> None:
    file = pulled(fleet, light)
    assert fleet("config", "push", "alice", "--yes").code == 0
    assert json.loads(file.read_text()) == config(fleet)
    assert fleet("config", "pull", "alice").code == 0


def test_a_host_that_falls_silent_after_the_write_is_said_with_the_way_back(fleet: CommandLine) -> None:
    pulled(fleet, lambda it: it.update(browser={"enabled": False}))
    host, server = fleet.world.host("alice"), fleet.world.server("alice")
    run = host.run

    def silenced(command: Any) -> Any:
        done = run(command)
        if command.name == f"write {files.CONFIG_PATH}":
            fleet.world.dialer.silent[server.id] = HostTimedOut("no answer within 10 s")
            host.fails = [("", HostTimedOut("cut"))] * 5
        return done

    host.run = silenced  # type: ignore[method-assign]
    said = fleet("config", "push", "alice", "--yes")
    assert (said.code, "fleet config restore alice" in said.err) == (1, True), said


def test_comments_are_written_too(fleet: CommandLine) -> None:
    file = pulled(fleet)
    file.write_text(file.read_text() + "\n")
    assert fleet("config", "push", "alice", "--yes").code == 0


@pytest.mark.parametrize("secret", [KEY, "hunter2 the second"])
def test_what_a_release_repeats_of_a_refused_value_is_said_nowhere(fleet: CommandLine, secret: str) -> None:
    """Neither a key that looks like one, nor a password that looks like words; nor in the journal."""
    issue = {"path": "skills.entries.x", "message": f"Invalid value: {secret}"}
    pulled(fleet, lambda it: it.update(skills={"entries": {"x": {"password": secret}}}))
    fleet.world.host("alice").invalid_config = json.dumps({"valid": False, "issues": [issue]})
    said = fleet("config", "push", "alice", "--yes")
    assert (said.code, "skills.entries.x: Invalid value: ***" in said.err) == (1, True), said
    assert secret not in said.out + said.err + "".join(str(event.fields) for event in fleet.world.events())


def test_what_opens_a_gateway_is_not_set_by_hand_by_mistake(fleet: CommandLine) -> None:
    before = config(fleet)
    pulled(fleet, lambda it: it.update(hooks={"enabled": True}))
    said = fleet("config", "push", "alice", "--yes")
    assert (said.code, "hooks is closed to this" in said.err, config(fleet)) == (4, True, before), said
    assert fleet("config", "push", "alice", "--yes", "--closed").code == 0
    assert config(fleet)["hooks"] == {"enabled": True}


@pytest.mark.parametrize("there", [b'{"gateway": ', b"", b"[]"])
def test_over_a_file_that_nobody_can_read_the_keys_of_the_fleet_stay_its_own(fleet: CommandLine, there: bytes) -> None:
    """One of a stranger's as owner could be written over it, and the preview was cut."""
    whole = config(fleet)
    host = fleet.world.host("alice")
    host.files[files.CONFIG_PATH] = replace(host.files[files.CONFIG_PATH], content=there)
    assert fleet("config", "pull", "alice").code == 0
    for owner, code in ((["telegram:666"], 1), (whole["commands"]["ownerAllowFrom"], 0)):
        wanted = {**whole, "commands": {**whole["commands"], "ownerAllowFrom": owner}}
        Path("alice.openclaw.json").write_text(json.dumps(wanted))
        said = fleet("config", "push", "alice", "--yes")
        assert (said.code, "not yours to change here: commands.ownerAllowFrom" in said.err) == (code, code == 1), said
    assert config(fleet)["commands"]["ownerAllowFrom"] == whole["commands"]["ownerAllowFrom"]


def test_what_is_put_back_has_the_keys_of_the_fleet_as_they_are_now(fleet: CommandLine) -> None:
    pulled(fleet, light)
    assert fleet("config", "push", "alice", "--yes").code == 0
    fleet.world.change("alice", users=Users(AccessPolicy.ALLOWLIST, (4242, 4343), owner=4242))
    fleet.world.apply()
    said = fleet("config", "restore", "alice", "--yes")
    assert (said.code, "stay as they are now" in said.out) == (0, True), said
    assert config(fleet)["ui"]["theme"] == "dark"
    assert config(fleet)["channels"]["telegram"]["allowFrom"] == ["4242", "4343"]


def test_what_a_push_that_died_has_written_over_stays_what_there_is_to_go_back_to(fleet: CommandLine) -> None:
    pulled(fleet, lambda it: it.update(browser={"enabled": False}))
    host = fleet.world.host("alice")
    host.files[UNDO_PATH] = FakeFile(b'{"the": "good one"}')
    writes_while_it_stops(fleet)
    assert fleet("config", "push", "alice", "--yes").code == 1
    assert host.content(UNDO_PATH) == b'{"the": "good one"}'
