"""`fleet add`, `remove`, `update`, `adopt`: the fleet file says it, and keeps all else that it says."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

from reconciler.errors import HostTimedOut, LockHeld, Refused
from reconciler.fleet import load_fleet
from reconciler.fleetfile import FleetFile
from reconciler.wiring import open_store
from tests.fakes.command_line import CommandLine, Said
from tests.fakes.fleets import FakeFleet

FILE: Final = """\
# Our fleet
fleet: demo
cloud: {provider: sandbox}
defaults:
  region: nbg1
  server_type: cpx22 # the smallest that will do
  version: 2026.9.6
  model: {name: claude-sonnet-4-6, key: env:KEY}

children:
  # the first
  alice:
    bot: {token: env:ALICE}
    users: {allowed: [4242]}
  bob: # the second
    bot: {token: env:BOB}
include: more.yaml
"""
MORE: Final = "children:\n  carol: {bot: {token: env:CAROL}} # elsewhere\n"


class Operator:
    """Somebody with a fleet file."""

    def __init__(self, world: FakeFleet, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.world, self.file, self.more = world, directory / "fleet.yaml", directory / "more.yaml"
        self.file.write_text(FILE)
        self.more.write_text(MORE)
        self._line = CommandLine(world, capsys)
        self.read()

    def read(self) -> None:
        """The next command finds what the file says now."""
        self.world.specs = dict(load_fleet(self.file).children)

    def __call__(self, *arguments: str) -> Said:
        said = self.line(*arguments)
        self.read()
        return said

    def line(self, *arguments: str) -> Said:
        return self._line("--file", str(self.file), *arguments)

    @property
    def text(self) -> str:
        return self.file.read_text()


@pytest.fixture
def operator(state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Operator:
    made = Operator(FakeFleet(state, ("alice", "bob", "carol")), tmp_path, capsys)
    made.world.applied()
    return made


def test_a_child_more_is_at_the_end_of_the_children(operator: Operator) -> None:
    said = operator("add", "dora", "--region", "fsn1", "--region", "hel1", "--owner", "7")
    assert (said.code, "To give it its bot, its server and its user: fleet onboard dora" in said.out) == (0, True)
    added = """\
    bot: {token: env:BOB}
  dora:
    region: [fsn1, hel1]
    bot: {token: 'file:secrets/dora.token'}
    users:
      allowed: [7]
      owner: 7
"""
    assert operator.text == FILE.replace("    bot: {token: env:BOB}\n", added)
    assert operator.world.specs["dora"].regions == ("fsn1", "hel1")
    assert "+  dora:" in said.out


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        (("bob",), 64, "declares bob already"),
        (("carol",), 64, "more.yaml declares carol already"),
        (("Dora",), 1, "Dora"),
        (("dora", "--version", "banana"), 1, "banana"),
        (("dora", "--bot-token", "123456789:AAaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), 64, "is a secret itself"),
        (("dora", "--group", "nobody"), 1, "nobody"),
    ],
)
def test_what_would_not_be_valid_is_not_written(
    operator: Operator, arguments: tuple[str, ...], code: int, what: str
) -> None:
    said = operator("add", *arguments)
    assert (said.code, what in said.err, operator.text) == (code, True, FILE), said
    assert "AAaaaa" not in said.out + said.err


def test_for_machines_there_is_one_object(operator: Operator) -> None:
    added = operator("add", "dora", "--json")
    assert json.loads(added.out)["written"] == [str(operator.file)]
    assert "+  dora:" in json.loads(added.out)["diff"]
    assert "To give it its bot" in added.err
    tried = operator("remove", "dora", "bob", "--json", "--dry-run")
    assert (json.loads(tried.out)["children"], json.loads(tried.out)["written"]) == (["bob", "dora"], [])
    assert operator("remove", "dora", "bob", "--json").code == 64
    assert json.loads(operator("remove", "dora", "--json").out)["children"] == ["dora"]
    assert operator.text == FILE


def test_who_is_taken_out_leaves_the_others_as_they_were(operator: Operator) -> None:
    said = operator("remove", "bob")
    assert (said.code, "fleet plan" in said.out) == (0, True)
    assert operator.text == FILE.replace("  bob: # the second\n    bot: {token: env:BOB}\n", "")
    assert operator.world.cloud.by_id, "nothing is deleted yet"


def test_who_is_declared_elsewhere_is_changed_there(operator: Operator) -> None:
    operator.more.chmod(0o640)
    said = operator("remove", "carol")
    assert (said.code, operator.text, operator.more.read_text()) == (0, FILE, "children: {}\n"), said
    assert stat.S_IMODE(operator.more.stat().st_mode) == 0o640


def test_a_link_to_the_file_stays_one(operator: Operator) -> None:
    place = operator.file.with_name("elsewhere")
    place.mkdir()
    (place / "real.yaml").write_text(MORE)
    operator.more.unlink()
    operator.more.symlink_to("elsewhere/real.yaml")
    assert operator("remove", "carol").code == 0
    assert (operator.more.is_symlink(), (place / "real.yaml").read_text()) == (True, "children: {}\n")


@pytest.mark.parametrize("arguments", [("nobody",), (), ("--all", "bob")])
def test_nobody_is_taken_out_by_mistake(operator: Operator, arguments: tuple[str, ...]) -> None:
    assert (operator("remove", *arguments).code, operator.text) == (64, FILE)


def test_a_version_is_written_and_applied(operator: Operator) -> None:
    said = operator("update", "alice", "2026.9.7", "--yes")
    assert said.code == 0, said
    assert operator.text == FILE.replace("[4242]}\n", "[4242]}\n    version: 2026.9.7\n")
    assert operator.world.host("alice").gateway.version == "2026.9.7"
    assert operator.world.host("bob").gateway.version == "2026.9.6"
    assert operator("plan").code == 0
    assert operator("update", "alice", "2026.9.6", "--yes").code in (0, 4)


def test_for_machines_an_update_is_one_object(operator: Operator) -> None:
    said = operator("update", "alice", "2026.9.7", "--yes", "--json")
    ended = json.loads(said.out)
    assert [(it["child"], it["kind"], it["done"]) for it in ended["outcomes"]] == [("alice", "update", True)]
    assert ended["plan"]["actions"]
    assert ("+    version: 2026.9.7" in said.err, "Written: " in said.err) == (True, True)
    again = json.loads(operator("update", "alice", "2026.9.7", "--yes", "--json").out)
    assert (again["outcomes"], again["not_begun"]) == ([], [])
    assert operator("update", "alice", "2026.9.8", "--json").code == 64


def test_latest_is_written_as_what_it_is(operator: Operator) -> None:
    operator.world.host("alice").newest_release = "2026.9.8"
    said = operator("update", "alice", "carol", "latest", "--yes")
    assert said.code == 0, said
    assert "version: 2026.9.8" in operator.text
    assert "carol: {bot: {token: env:CAROL}, version: 2026.9.8} # elsewhere" in operator.more.read_text()


def test_who_has_the_version_already_is_left_as_it_is(operator: Operator) -> None:
    said = operator("update", "--all", "2026.9.6", "--yes")
    assert (said.code, "The fleet file says 2026.9.6 already." in said.out, operator.text) == (0, True, FILE)


def test_a_secret_in_a_comment_beside_it_is_not_shown(operator: Operator) -> None:
    token = "123456789:AAaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    operator.file.write_text(FILE.replace("  bob: # the second", f"  # was {token}\n  bob: # the second ##vso[x]"))
    said = operator("remove", "bob")
    assert (said.code, token in said.out, "##vso[" in said.out) == (0, False, False)


def test_nothing_is_written_without_consent(operator: Operator) -> None:
    said = operator("update", "alice", "2026.9.7")
    assert (said.code, operator.text, operator.more.read_text()) == (4, FILE, MORE)
    assert "+    version: 2026.9.7" in said.out
    assert operator.world.host("alice").gateway.version == "2026.9.6"


def test_a_version_that_is_none_is_refused(operator: Operator) -> None:
    said = operator("update", "alice", "banana", "--yes")
    assert (said.code, operator.text) == (1, FILE)


def test_a_file_that_was_changed_meanwhile_is_left_alone(operator: Operator) -> None:
    file = FleetFile(operator.file)
    file.put(["alice"], "version", "2026.9.7")
    operator.file.write_text(FILE + "# mine\n")
    with pytest.raises(Refused, match="changed meanwhile"):
        file.save()
    assert operator.text == FILE + "# mine\n"


def test_a_dry_run_writes_nothing(operator: Operator) -> None:
    for arguments in (("add", "dora"), ("remove", "bob")):
        said = operator(*arguments, "--dry-run")
        assert (said.code, "Nothing was written (--dry-run)" in said.out, operator.text) == (0, True, FILE)


def test_several_are_not_taken_out_without_consent(operator: Operator) -> None:
    said = operator("remove", "--all")
    assert (said.code, operator.text) == (4, FILE)
    assert operator("remove", "alice", "bob", "--yes").code == 0
    assert "children: {}" in operator.text


def test_who_is_protected_is_not_taken_out(operator: Operator) -> None:
    protected = FILE.replace("  bob: # the second\n", "  bob: # the second\n    protect: true\n")
    operator.file.write_text(protected)
    said = operator("remove", "bob")
    assert (said.code, "protected: bob" in said.err, operator.text) == (4, True, protected)


def test_an_owner_more_locks_nobody_of_the_group_out(operator: Operator) -> None:
    operator.file.write_text(FILE + "groups: {eu: {users: {policy: allowlist, allowed: [1, 2]}}}\n")
    assert operator("add", "dora", "--group", "eu", "--owner", "7").code == 0
    assert operator.world.specs["dora"].users.allowed == (1, 2, 7)


def test_who_is_adopted_locks_nobody_of_the_group_out(operator: Operator) -> None:
    operator.file.write_text(FILE.replace("  version: 2026", "  users: {allowed: [1, 2]}\n  version: 2026"))
    operator.read()
    operator.world.host("bob").gateway.is_asked(7007, "HDMC3TZP")
    assert operator("pairing", "approve", "HDMC3TZP", "--yes").code == 0
    assert operator("adopt", "bob", "users").code == 0
    assert operator.world.specs["bob"].users.allowed == (1, 2, 7007)


def test_the_files_of_a_fleet_are_changed_without_secrets_or_a_cloud(operator: Operator) -> None:
    assert operator("remove", "b*").code == 0
    said = operator("update", "alice", "banana", "--yes")
    assert (said.code, "Nothing was written" in said.err) == (1, True)


def test_users_who_were_let_in_come_into_the_file(operator: Operator) -> None:
    gateway = operator.world.host("alice").gateway
    for user, code in ((7007, "HDMC3TZP"), (7008, "QRST2345")):
        gateway.is_asked(user, code)
        assert operator("pairing", "approve", code, "--yes").code == 0
    said = operator("adopt", "alice", "users")
    assert said.code == 0, said
    assert operator.text == FILE.replace("[4242]", "[4242, 7007, 7008]")
    assert "names all whom alice lets in" in operator("adopt", "alice", "users").out
    assert operator("apply", "--yes").code == 0
    assert operator("pairing", "list").out == "Nobody asks.\n"


def test_a_host_that_cannot_be_asked_changes_no_file(operator: Operator) -> None:
    operator.world.host("alice").fails.append(("read pairings", HostTimedOut("no answer")))
    said = operator("adopt", "alice", "users")
    assert (said.code, "no answer" in said.err, operator.text) == (4, True, FILE)


def test_mode_and_owner_of_the_file_stay(operator: Operator) -> None:
    operator.file.chmod(0o664)
    os.chown(operator.file, 1234, 1235)
    assert operator("add", "dora").code == 0
    found = operator.file.stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (0o664, 1234, 1235)


def test_a_file_that_nobody_may_write_is_left_alone(operator: Operator) -> None:
    operator.file.chmod(0o444)
    said = operator("add", "dora")
    assert (said.code, "cannot be written: it is read-only" in said.err, operator.text) == (1, True, FILE)


@pytest.mark.parametrize("broken", ["children:\n- alice: {}\n", "children: |\n  text\n", "x: !ref y\n", "<<: x\n"])
def test_a_file_that_is_not_valid_is_mended_first(operator: Operator, broken: str) -> None:
    operator.file.write_text(f"fleet: demo\ncloud: {{provider: sandbox}}\n{broken}")
    before = operator.text
    said = operator.line("add", "dora")
    assert (said.code, "bug" in said.err, operator.text) == (1, False, before)


def test_a_pipe_is_not_changed(operator: Operator) -> None:
    operator.file.unlink()
    os.mkfifo(operator.file)
    assert operator.line("remove", "bob").code == 64


def test_of_two_who_write_at_once_both_are_heard(operator: Operator) -> None:
    with ThreadPoolExecutor(2) as pool:
        for number in range(10):
            names = [f"d{number}", f"e{number}"]
            list(pool.map(lambda name: until_written(operator.file, name), names))
    assert {f"{kind}{number}" for kind in "de" for number in range(10)} <= load_fleet(operator.file).children.keys()


def until_written(path: Path, name: str) -> None:
    """As a person does who is told to run it again."""
    while True:
        file = FleetFile(path)
        file.add(name, {"bot": {"token": f"env:{name}"}})
        with contextlib.suppress(Refused, LockHeld), open_store(path.parent / "state").lock("test"):
            file.save()
            return


def test_who_changes_the_file_is_in_the_journal(operator: Operator) -> None:
    operator("add", "dora")
    operator("remove", "bob")
    events = [(it.event, it.fields.get("children")) for it in operator.world.ports().store.events()]
    assert events[-2:] == [("child-added", ["dora"]), ("children-removed", ["bob"])]


def write_config(operator: Operator, **keys: Any) -> None:
    """Somebody changes openclaw.json on alice's host."""
    host = operator.world.host("alice")
    host.write_config({**host.config(), **keys})


def test_a_key_that_was_changed_on_the_host_is_taken_over(operator: Operator) -> None:
    operator.file.write_text(FILE.replace("[4242]}\n", "[4242]}\n    config: {tools: {profile: minimal}} # ours\n"))
    operator.read()
    operator.world.apply()
    write_config(operator, tools={"profile": "full"}, ui={"theme": "dark"})
    said = operator("adopt", "alice", "config")
    assert (said.code, "tools: {profile: full}" in operator.text, "theme" in operator.text) == (0, True, False), said
    assert "# ours" in operator.text
    assert operator.line("config", "diff", "alice").code == 0


def test_a_key_of_the_agent_is_taken_over_where_it_is_named(operator: Operator) -> None:
    write_config(operator, ui={"theme": "dark"})
    said = operator("adopt", "alice", "config")
    assert ("To take over a key of the agent" in said.out, operator.text) == (True, FILE)
    assert operator("adopt", "alice", "config", "--key", "ui.theme", "--dry-run").code == 0
    assert operator.text == FILE
    assert operator("adopt", "alice", "config", "--key", "ui.theme").code == 0
    assert operator.world.specs["alice"].config == {"ui": {"theme": "dark"}}


@pytest.mark.parametrize(
    "key", ["gateway.port", "gateway", "none.such", "ui.", "", "skills.apiKey", "meta", 'ui."a\\q"', 'ui."a\n"']
)
def test_what_is_not_to_be_taken_over_is_refused(operator: Operator, key: str) -> None:
    write_config(operator, skills={"apiKey": "sk-ant-api03-" + "q" * 40})
    said = operator("adopt", "alice", "config", "--key", key)
    assert (said.code, "qqqq" in said.out + said.err, operator.text) == (64, False, FILE), said


@pytest.mark.parametrize("so", ['expires: "2020-01-01"', "enabled: false"])
def test_an_update_or_an_onboarding_ends_nobody(operator: Operator, so: str) -> None:
    """--yes agreed to the end of a server that nobody had named for that."""
    operator.file.write_text(FILE.replace("[4242]}\n", f"[4242]}}\n    {so}\n"))
    operator.read()
    servers = dict(operator.world.cloud.by_id)
    sleeps = [["hibernate"]] if so.startswith("expires") else []  # who is only switched off may sleep as well
    for words in [["update", "2026.9.7"], ["rollback"], ["restore"], ["rebuild"], *sleeps]:
        said = operator(words[0], "alice", *words[1:], "--yes", "--json")
        has_plan = words[0] not in ("rollback", "restore")  # there is no checkpoint and no backup yet
        assert (said.code, '"plan": {' in said.out) == (4, has_plan), (words, said)
        assert operator.world.cloud.by_id == servers, words
    said = operator("update", "alice", "2026.9.7", "--yes")
    assert ("nothing was changed" in said.err, "fleet apply alice" in said.err) == (True, True), said
    said = operator("onboard", "alice", "--yes", "--user", "4242")
    assert (said.code, "alice gets no server" in said.err, operator.world.cloud.by_id) == (4, True, servers), said


def test_one_who_does_not_answer_keeps_nobody_else_from_another_version(operator: Operator) -> None:
    operator.world.dialer.silent[operator.world.server("bob").id] = HostTimedOut("no answer")
    said = operator("update", "--all", "2026.9.7", "--yes")
    assert (said.code, "bob" in said.out) == (3, True), said
    assert {spec.version for spec in operator.world.specs.values()} == {"2026.9.7"}
    linked = {name: operator.world.host(name).gateway.version for name in ("alice", "carol")}
    assert linked == dict.fromkeys(("alice", "carol"), "2026.9.7")


def test_of_several_files_all_are_written_or_none(operator: Operator) -> None:
    operator.more.chmod(0o444)
    said = operator("remove", "alice", "carol", "--yes")
    assert (said.code, "more.yaml" in said.err, operator.text, operator.more.read_text()) == (1, True, FILE, MORE), said


def test_an_id_that_is_no_telegram_users_keeps_no_other_from_the_file(operator: Operator) -> None:
    for user, code in ((9_999_999_999_999_999, "HDMC3TZP"), (7007, "QRST2345")):
        operator.world.host("alice").gateway.is_asked(user, code)
        assert operator("pairing", "approve", "alice", code, "--yes").code == 0
    said = operator("adopt", "alice", "users")
    assert (said.code, "9999999999999999" in said.err) == (0, True), said
    assert operator.world.specs["alice"].users.allowed == (4242, 7007)
