"""`fleet import`: a server that somebody else has made comes under the fleet, safely and after a crash anywhere."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from reconciler import keys
from reconciler.errors import CloudUnavailable, CommandFailed, HostTimedOut, WrongHostKey
from reconciler.managed import files
from reconciler.manifests import write_note
from reconciler.model import LABEL_PREFIX, Backup, Purpose, Secret, Server, ServerRequest, ServerStatus, Sleep
from reconciler.steps.firewalls import ensure_fleet_resources
from reconciler.steps.sleeping import note_sleep
from tests.fakes.command_line import CommandLine, Said
from tests.fakes.fleets import FakeFleet
from tests.fakes.host import FakeFile, FakeHost
from tests.fakes.worlds import FLEET_KEY, make_server

OTHER_KEY: Final = keys.make_key(bytes(32))
IDENTITY: Final = keys.login_key(OTHER_KEY, "mine", 1)
HOST_KEY: Final = keys.host_key(OTHER_KEY, "its own", 1)
SHOWN: Final = keys.public_key(HOST_KEY)
MEMORY: Final = "/var/lib/openclaw/.openclaw/memory.db"


def by_hand(world: FakeFleet, labels: dict[str, str] | None = None) -> FakeHost:
    """A server with the id 77 that was clicked together in the console, with root's key on it."""
    server = replace(make_server("x"), id=77, name="old-pet", address="10.9.9.9", server_type="cpx22")
    world.cloud.add(replace(server, labels={"team": "pets", **(labels or {})}))
    config = {
        "ssh_keys": {"ed25519_private": HOST_KEY.reveal(), "ed25519_public": SHOWN},
        "write_files": [{"path": "/root/.ssh/authorized_keys", "content": f"{keys.public_key(IDENTITY)} me\n"}],
    }
    request = ServerRequest("old-pet", "cpx22", "debian-12", "nbg1", Secret(yaml.safe_dump(config)), {})
    world.dialer.hosts[77] = FakeHost(request, world.clock)
    return world.dialer.hosts[77]


@dataclass
class Importer:
    """`fleet import old-pet --as bob`, with what a person knows of the server."""

    fleet: CommandLine
    identity: Path

    def __call__(self, *more: str, server: str = "old-pet", host_key: str | None = SHOWN) -> Said:
        known = [] if host_key is None else ["--host-key", host_key]
        return self.fleet("import", server, "--as", "bob", "--identity", str(self.identity), *known, *more)


@pytest.fixture
def world(state: Path) -> FakeFleet:
    return FakeFleet(state)


@pytest.fixture
def take_in(world: FakeFleet, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Importer:
    identity = tmp_path / "id_ed25519"
    identity.write_text(IDENTITY.reveal())
    identity.chmod(0o600)
    return Importer(CommandLine(world, capsys), identity)


def ours(server: Server) -> dict[str, str]:
    return {name.removeprefix(LABEL_PREFIX): value for name, value in server.labels.items() if LABEL_PREFIX in name}


def test_an_imported_server_is_finished_by_the_next_apply(world: FakeFleet, take_in: Importer) -> None:
    host = by_hand(world)
    host.files[MEMORY] = FakeFile(b"what it remembers", "openclaw:openclaw", "0600")
    host.directories["/var/lib/openclaw"] = "root:root", "0700"
    said = take_in()
    assert (said.code, said.err) == (0, "")
    assert "Found and not touched: /var/lib/openclaw" in said.out
    assert world.planned() == ["create alice: declared", "create bob: unfinished"]
    assert take_in.fleet("apply", "--yes").code == 0
    assert world.planned() == []
    assert world.server("bob").id == 77
    assert world.host("bob").content(MEMORY) == b"what it remembers"
    assert world.host("bob").gateway.starts == 1


def test_an_import_gives_it_name_labels_account_and_keys_and_leaves_what_is_not_ours(
    world: FakeFleet, take_in: Importer
) -> None:
    host = by_hand(world)
    world.change("bob", labels={"tier": "gold"}, protect=True)
    assert take_in(server="77").code == 0
    server, uid = world.server("bob"), keys.imported_uid(FLEET_KEY, 77)
    assert {"team": "pets", "tier": "gold"}.items() <= server.labels.items()
    assert ours(server).keys() == {"fleet", "fleet-id", "child", "uid", "nonce", "unfinished", "protect"}
    assert (server.child, server.uid, server.label("fleet-id")) == ("bob", uid, keys.fleet_id(FLEET_KEY))
    assert host.shown_key == keys.public_key(keys.host_key(FLEET_KEY, uid, 1))
    login = keys.public_key(keys.login_key(FLEET_KEY, uid, 1))
    assert host.content(files.AUTHORIZED_KEYS_PATH).decode() == files.login_lines(login)
    assert (host.content(files.SUDOERS_PATH).decode(), host.files[files.SUDOERS_PATH].mode) == (files.SUDOERS, "0440")
    assert IDENTITY.reveal() not in str(world.events())


@pytest.mark.parametrize(
    "cut",
    ["look around", "make the login account", "set the login keys", "replace the host key", "prove the way in", "name"],
)
def test_an_import_that_was_cut_off_can_be_run_again_also_without_state(
    world: FakeFleet, take_in: Importer, cut: str
) -> None:
    host = by_hand(world)
    if cut == "name":
        world.cloud.fail_next("rename", CloudUnavailable("no answer"))
    else:
        host.fails.append((cut, HostTimedOut("the connection broke off")))
    assert take_in().code == 1
    assert ours(world.cloud.by_id[77]) == {}
    take_in.fleet.world.state = world.state.with_name("another")
    assert take_in().code == 0
    assert world.server("bob").id == 77
    assert world.planned() == ["create alice: declared", "create bob: unfinished"]


def test_an_import_whose_answer_was_lost_is_done(world: FakeFleet, take_in: Importer) -> None:
    by_hand(world)
    world.cloud.fail_next("rename", CloudUnavailable("no answer"), committed=True)
    assert take_in().code == 1
    assert "create bob: unfinished" in world.planned()
    said = take_in(server="77")
    assert said.code == 4
    assert "is child bob of this fleet already" in said.err


def test_another_host_key_than_the_given_one_is_refused_before_anything_is_sent(
    world: FakeFleet, take_in: Importer
) -> None:
    host = by_hand(world)
    host.shown_key = keys.public_key(keys.host_key(OTHER_KEY, "somebody else", 1))
    said = take_in()
    assert said.code == 1
    assert "shows a key that is not its own" in said.err
    assert host.ran == []


def test_without_a_host_key_it_says_where_to_read_it(world: FakeFleet, take_in: Importer) -> None:
    host = by_hand(world)
    said = take_in(host_key=None)
    assert said.code == 64
    assert "run: cat /etc/ssh/ssh_host_ed25519_key.pub" in said.err
    assert "ssh-keyscan is no proof" in said.err
    assert host.ran == []


@pytest.mark.parametrize("host_key", ["", "AAAA", "ssh-rsa AAAAB3Nz", "ssh-ed25519 AAAA", f"{SHOWN[:-2]}!!"])
def test_what_is_no_ed25519_host_key_is_a_usage_error(take_in: Importer, host_key: str) -> None:
    assert take_in(host_key=host_key).code == 64


def _undeclared(world: FakeFleet) -> None:
    del world.specs["bob"]


def _has_a_server(world: FakeFleet) -> None:
    world.cloud.add(replace(make_server("bob"), id=5, labels={LABEL_PREFIX + "fleet-id": keys.fleet_id(FLEET_KEY)}))


def _is_moved(world: FakeFleet) -> None:
    """alice has a server, and the file says that bob is whom it called alice before."""
    alice = make_server("alice", labels={LABEL_PREFIX + "fleet-id": keys.fleet_id(FLEET_KEY)})
    world.cloud.add(replace(alice, id=5))
    world.move("alice", "bob")


def _has_expired(world: FakeFleet) -> None:
    world.change("bob", expires=world.clock.now())


def _sleeps(world: FakeFleet) -> None:
    ensure_fleet_resources(world.fleet(), world.ports(), lambda event, **fields: None)
    note_sleep(world.fleet(), world.ports(), "bob", Sleep("20261122T120000Z", "bob"))


def _sleeps_by_its_copy(world: FakeFleet) -> None:
    """The label is lost."""
    place = world.state.parent / "backups/demo/bob"
    place.mkdir(parents=True)
    copied, held = ("20261122T110000Z", "demo", "bob", "0a1b", "2026.11.5", "2026-11-22T11:00:00+00:00"), ("", 1, "")
    backup = Backup(*copied, 1, *held, keys.backup_recipient(FLEET_KEY), purpose=Purpose.SLEEP)
    (place / "20261122T110000Z-0a1b-sleep.json").write_bytes(write_note(backup, keys.backup_key(FLEET_KEY)))


def _may_sleep(world: FakeFleet) -> None:
    """All that says so is a note that nobody can read."""
    place = world.state.parent / "backups/demo/bob"
    place.mkdir(parents=True)
    (place / "20261122T110000Z-0a1b-sleep.json").write_text("{}")


def _is_off(world: FakeFleet) -> None:
    world.cloud.by_id[77] = replace(world.cloud.by_id[77], status=ServerStatus.OFF)


def _is_gone(world: FakeFleet) -> None:
    del world.cloud.by_id[77]


def _without_sudo(world: FakeFleet) -> None:
    world.dialer.hosts[77].packages.discard("sudo")


def _on_another_port(world: FakeFleet) -> None:
    world.dialer.hosts[77].sshd_config = b"Port 2222\n"


def _without_our_key(world: FakeFleet) -> None:
    world.dialer.hosts[77].files.pop("/root/.ssh/authorized_keys")


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (_undeclared, 64, "the fleet file declares no child bob"),
        (_has_a_server, 4, "child bob has a server already: demo-bob\n"),
        (_has_expired, 4, "child bob has expired on 2026-11-22 12:00 UTC"),
        (_is_moved, 4, "child bob has a server already: demo-alice, which `moved` gives it\n"),
        (_sleeps, 4, "bob sleeps, and this server has a memory of its own"),
        (_sleeps_by_its_copy, 4, "bob sleeps, and this server has a memory of its own"),
        (_may_sleep, 4, "nobody can tell whether bob sleeps: the note of its newest backup, demo/bob/20261122T110000Z"),
        (_is_off, 4, "server old-pet is off"),
        (_is_gone, 1, "there is no server with the name or id old-pet"),
        (_without_sudo, 1, "has no sudo"),
        (_on_another_port, 1, "does not listen on port 22"),
        (_without_our_key, 1, "does not accept our key"),
    ],
)
def test_what_cannot_be_imported_is_told_and_left_as_it_is(
    world: FakeFleet, take_in: Importer, change: Any, code: int, words: str
) -> None:
    host = by_hand(world)
    change(world)
    before, on_disk = dict(world.cloud.by_id), dict(host.files)
    said = take_in()
    assert said.code == code
    assert words in said.err
    assert (world.cloud.by_id, host.files) == (before, on_disk)


def test_a_protected_child_is_imported_also_when_it_has_expired(world: FakeFleet, take_in: Importer) -> None:
    """Its protection wins over its expiry, so the next apply keeps it."""
    by_hand(world)
    world.change("bob", expires=world.clock.now(), protect=True)
    assert take_in().code == 0
    assert world.planned() == ["create alice: declared", "create bob: unfinished"]


def test_a_server_of_another_fleet_is_taken_over_only_when_told_to(world: FakeFleet, take_in: Importer) -> None:
    before = {LABEL_PREFIX + name: "theirs" for name in ("fleet", "fleet-id", "child", "uid", "nonce", "protect")}
    by_hand(world, before)
    said = take_in()
    assert said.code == 4
    assert "belongs to the fleet with id theirs" in said.err
    assert ours(world.cloud.by_id[77]) == {name.removeprefix(LABEL_PREFIX): value for name, value in before.items()}
    assert take_in("--take-over").code == 0
    assert "theirs" not in world.server("bob").labels.values()
    assert world.planned() == ["create alice: declared", "create bob: unfinished"]


def _keeps_fleet_out(host: FakeHost) -> None:
    host.files["/etc/ssh/sshd_config.d/10-people.conf"] = FakeFile(b"AllowUsers root\n", "root:root", "0644")


def _asks_for_a_password(host: FakeHost) -> None:
    host.fails += [("prove the way in", CommandFailed("sudo: a password is required"))]


def _names_another_key(host: FakeHost) -> None:
    host.fails += [("prove the way in", WrongHostKey("it shows the host key of before"))]


def _hangs_up(host: FakeHost) -> None:
    host.fails += [("prove the way in", HostTimedOut("the connection broke off during prove the way in"))]


@pytest.mark.parametrize(
    ("change", "summary", "advice"),
    [
        (_keeps_fleet_out, "the new way in does not work: 10.9.9.9 does not accept our key", "sshd's AllowUsers"),
        (_asks_for_a_password, "the new way in does not work: sudo: a password is required", "/etc/sudoers.d"),
        (_names_another_key, "the new way in does not work: it shows the host key of before", "which HostKey"),
        (_hangs_up, "the new way in is not proven yet: the connection broke off", "whether the server still answers"),
    ],
)
def test_a_way_in_that_does_not_work_leaves_the_server_to_its_owner(
    world: FakeFleet, take_in: Importer, change: Any, summary: str, advice: str
) -> None:
    """Each with what mends it, and with nothing of what would mend another."""
    change(by_hand(world))
    said = take_in()
    assert said.code == 1
    assert summary in said.err
    others = {"AllowUsers", "/etc/sudoers", "HostKey", "still answers"}
    assert {word for word in others if word in said.err} == {word for word in others if word in advice}
    assert advice in said.err
    assert ours(world.cloud.by_id[77]) == {}


@pytest.mark.parametrize(("text", "words"), [("nonsense", "is no private SSH key"), (None, "cannot be read")])
def test_an_identity_that_is_none_is_told_without_its_text(
    world: FakeFleet, take_in: Importer, text: str | None, words: str
) -> None:
    by_hand(world)
    take_in.identity.unlink()
    if text is not None:
        take_in.identity.write_text(text)
        take_in.identity.chmod(0o600)
    said = take_in()
    assert said.code == 1
    assert words in said.err
    assert "nonsense" not in said.err
