"""The probe key: whoever has it sees all that a pass sees, and does nothing else on any host."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler import keys, monitor
from reconciler.api import FleetClient
from reconciler.commands import forced
from reconciler.errors import CommandFailed, LoginRefused, SecretError
from reconciler.managed import files
from reconciler.model import (
    Command,
    Completed,
    FileMode,
    Health,
    HostAddress,
    Json,
    Kind,
    Monitoring,
    OutcomeCode,
    Pass,
    Rung,
    Secret,
    SelfHelp,
    Sync,
    WorkspaceFile,
)  # fmt: skip
from reconciler.secrets import fleet_key
from reconciler.secrets.allowed import allowed_sources
from reconciler.secrets.references import ReferenceSecrets
from reconciler.steps.work import CONNECT_TIMEOUT, address_of, gather_materials
from tests.fakes.command_line import CommandLine
from tests.fakes.dialer import FakeDialer
from tests.fakes.fleets import FakeFleet
from tests.fakes.host import FakeFile
from tests.fakes.worlds import FLEET_KEY
from tests.unit.test_missing_secrets import Lacking

PROBE = keys.probe_key(FLEET_KEY, 1)
LABEL = "openclaw-deploy/host-key"


@pytest.fixture
def world(state: Path) -> FakeFleet:
    world = FakeFleet(state, ("alice", "bob"))
    world.probe = 1
    return world.applied()


def seen_with(world: FakeFleet, key: Secret) -> Pass:
    """A pass of who asks all at once."""
    ports = replace(world.ports(), fleet_key=key)
    return monitor.look(world.fleet(), ports, None, {}, remembers=False)


def connect(world: FakeFleet, key: Secret, name: str = "alice") -> object:
    ports = replace(world.ports(), fleet_key=key)
    return ports.dialer.connect(address_of(world.server(name), world.fleet(), ports), CONNECT_TIMEOUT)


def plain(found: Pass) -> list[Json]:
    """What a pass has found, but for how long it took."""
    return [
        (row.child, row.health, row.sync, row.findings, row.diagnosis, row.troubles, row.drift)  # type: ignore[misc]
        for row in found.rows
    ]


# --- what is seen ----------------------------------------------------------------------------------------------------


def test_it_sees_what_the_fleet_key_sees(world: FakeFleet) -> None:
    world.clock.sleep(3600)
    mine, probed = seen_with(world, FLEET_KEY), seen_with(world, PROBE)
    assert [(row.child, row.health, row.sync) for row in probed.rows] == [
        ("alice", Health.HEALTHY, Sync.IN_SYNC),
        ("bob", Health.HEALTHY, Sync.IN_SYNC),
    ]
    assert plain(probed) == plain(mine)


def test_it_sees_what_is_wrong_as_the_fleet_key_does(world: FakeFleet) -> None:
    world.clock.sleep(3600)
    alice, bob = world.host("alice"), world.host("bob")
    alice.files[files.UNIT_PATH] = FakeFile(b"[Service]\nExecStart=/bin/false\n")
    alice.files[files.GATEWAY_TOKEN_PATH] = FakeFile(b"another", "openclaw:openclaw", "0400")
    bob.models, bob.closer = "401", {"reboot_due": True}
    bob.write_config({**bob.config(), "channels": {}})
    mine, probed = seen_with(world, FLEET_KEY), seen_with(world, PROBE)
    assert plain(probed) == plain(mine)
    assert {"gateway token", "unit.sha256"} <= set(probed.rows[0].drift)
    assert any("401" in trouble.text for trouble in probed.rows[1].troubles)


def test_it_knows_files_that_were_sown_and_those_that_stay_ours(world: FakeFleet) -> None:
    sown = WorkspaceFile("be kind", FileMode.SEED)
    ours = WorkspaceFile("the rules", FileMode.MANAGED)
    world.change("alice", files={"SOUL.md": sown, "RULES.md": ours})
    world.apply()
    world.clock.sleep(3600)
    mine, probed = seen_with(world, FLEET_KEY), seen_with(world, PROBE)
    assert ([row.sync for row in probed.rows], plain(probed)) == ([Sync.IN_SYNC, Sync.IN_SYNC], plain(mine))


def test_who_is_turned_off_needs_no_secret_for_it(world: FakeFleet) -> None:
    world.probe = None
    world.change("alice", enabled=False)
    world.secrets = Lacking(world.secrets, world.specs["alice"].bot_token)  # type: ignore[assignment]
    ended = {outcome.action.child: (outcome.code, outcome.action.kind) for outcome in world.apply()}
    assert ended["alice"] == (OutcomeCode.DONE, Kind.STOP)
    assert world.planned() == []


class Dying:
    """A dialer whose operator dies at one of its commands."""

    def __init__(self, inner: FakeDialer, commands: int) -> None:
        self._inner, self.left = inner, commands

    def connect(self, address: HostAddress, timeout: float) -> Any:
        return _Line(self._inner.connect(address, timeout), self)


class _Line:
    def __init__(self, host: Any, dying: Dying) -> None:
        self._host, self._dying = host, dying

    def run(self, command: Command) -> Completed:
        if self._dying.left <= 0:
            raise Killed
        self._dying.left -= 1
        completed: Completed = self._host.run(command)
        return completed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)


class Killed(BaseException):
    """The operator is no more."""


def test_a_rotation_that_dies_anywhere_locks_no_monitor_out(world: FakeFleet) -> None:
    """Its label says both keys, from before the first is gone until the host is known to show the second."""
    deaths = 0
    for count in range(1, 40):
        twin = world.copy(world.state.parent / f"twin-{count}")
        ports = replace(twin.ports(), dialer=Dying(twin.dialer, count))
        client = FleetClient(replace(twin.fleet(), ssh_generation=2), ports)
        try:
            with client.lock("fleet apply"):
                client.apply(client.plan(("alice",)), 1)
        except Killed:
            deaths += 1
        found = seen_with(twin, PROBE).rows[0]
        assert found.health is Health.HEALTHY, (count, found.troubles)
        twin.remove()
    assert deaths > 15


def test_of_who_is_off_the_label_says_the_key_that_it_shows(world: FakeFleet) -> None:
    before = world.server("alice").labels[LABEL]
    world.change("alice", enabled=False)
    fleet = replace(world.fleet(), ssh_generation=2)
    client = FleetClient(fleet, world.ports())
    with client.lock("fleet apply"):
        client.apply(client.plan(("alice",)), 1)
    assert world.server("alice").labels[LABEL] == before


def test_where_no_host_takes_the_key_it_is_the_key(world: FakeFleet) -> None:
    found = seen_with(world, keys.probe_key(FLEET_KEY, 7))
    assert [trouble.text for trouble in found.fleet] == ["none of 2 hosts takes this probe key"]
    assert "fleet key export --read-only" in found.fleet[0].mend
    assert all(row.sighting.unknown for row in found.rows)


def test_an_apply_that_is_at_work_is_no_drift(world: FakeFleet) -> None:
    """Its host notes that it is, and the lines of its login are the new ones already."""
    host = world.host("alice")
    noted = json.loads(host.content(files.APPLIED_PATH))
    host.files[files.APPLIED_PATH] = FakeFile(json.dumps({**noted, "spec_digest": ""}).encode(), mode="0600")
    host.files[files.AUTHORIZED_KEYS_PATH] = FakeFile(
        host.content(files.AUTHORIZED_KEYS_PATH) + b"ssh-ed25519 AAAA new\n", "fleet:fleet", "0600"
    )
    assert seen_with(world, PROBE).rows[0].drift == ()


def test_a_line_that_was_added_to_the_login_keys_is_drift(world: FakeFleet) -> None:
    host = world.host("alice")
    lines = host.content(files.AUTHORIZED_KEYS_PATH)
    host.files[files.AUTHORIZED_KEYS_PATH] = FakeFile(lines + b"ssh-ed25519 AAAA eve\n", "fleet:fleet", "0600")
    assert seen_with(world, PROBE).rows[0].drift == ("login key",)


def test_what_the_file_says_since_is_pending(world: FakeFleet) -> None:
    world.change("alice", config={"agents": {"defaults": {"timeoutSeconds": 90}}})
    mine, probed = seen_with(world, FLEET_KEY), seen_with(world, PROBE)
    assert [row.sync for row in probed.rows] == [row.sync for row in mine.rows] == [Sync.PENDING, Sync.IN_SYNC]


def test_it_writes_nothing_at_the_cloud_and_asks_for_no_secret(world: FakeFleet) -> None:
    before = dict(world.cloud.by_id)
    world.secrets = None  # type: ignore[assignment]
    assert seen_with(world, PROBE).is_well
    assert world.cloud.by_id == before


# --- what is refused -------------------------------------------------------------------------------------------------


def test_a_host_does_nothing_else_for_it(world: FakeFleet) -> None:
    host = connect(world, PROBE)
    for line in ("id", "watch; id", "", "sh -c 'watch'; id", "cat /etc/openclaw/gateway.token"):
        with pytest.raises(CommandFailed, match="this key may only ask"):
            host.run(Command("something", line))  # type: ignore[attr-defined]


def test_the_next_generation_ends_the_one_before(world: FakeFleet) -> None:
    world.probe = 2
    world.apply()
    with pytest.raises(LoginRefused):
        connect(world, PROBE)
    assert seen_with(world, keys.probe_key(FLEET_KEY, 2)).is_well


def test_without_one_in_the_file_nothing_of_it_stays(world: FakeFleet) -> None:
    world.probe = None
    assert world.planned() == ["update alice: changed", "update bob: changed"]
    world.apply()
    assert world.planned() == []
    host = world.host("alice")
    assert forced.PROGRAM_PATH not in host.files
    assert b"command=" not in host.content(files.AUTHORIZED_KEYS_PATH)
    assert LABEL not in world.server("alice").labels
    assert forced.PROGRAM_PATH not in FakeFleet(world.state, ("carol",)).applied().host("carol").files


def test_a_label_that_was_taken_away_is_drift_and_comes_back(world: FakeFleet) -> None:
    server = world.server("alice")
    wanted = server.labels[LABEL]
    world.cloud.set_labels(server.id, {name: value for name, value in server.labels.items() if name != LABEL})
    found = seen_with(world, PROBE)
    assert [row.health for row in found.rows] == [Health.UNREACHABLE, Health.HEALTHY]
    assert "has no label openclaw-deploy/host-key" in found.rows[0].troubles[0].text
    assert world.planned() == ["update alice: drifted"]
    world.apply()
    assert world.server("alice").labels[LABEL] == wanted
    assert seen_with(world, PROBE).is_well


def test_another_machine_in_the_place_of_a_host_is_told(world: FakeFleet) -> None:
    world.host("alice").shown_key = keys.public_key(keys.host_key(FLEET_KEY, "eve", 1))
    assert seen_with(world, PROBE).rows[0].troubles[0].cause == "wrong-host-key"


def test_a_throwaway_knows_no_such_key(world: FakeFleet) -> None:
    spec = replace(world.specs["alice"], is_throwaway=True)
    assert gather_materials(world.fleet(), spec, "0123456789abcdef", world.ports()).probe_public_key is None


# --- the key itself --------------------------------------------------------------------------------------------------


def test_nothing_but_the_fleets_id_and_logins_comes_of_it() -> None:
    assert keys.fleet_id(PROBE) == keys.fleet_id(FLEET_KEY)
    login = keys.public_key(keys.probe_login_key(PROBE, "0123456789abcdef"))
    assert login == keys.probe_login_public_key(FLEET_KEY, 1, "0123456789abcdef")
    for derive in (keys.fingerprint, keys.plan_key, keys.backup_key, keys.backup_identity, keys.cloud_key):
        with pytest.raises(SecretError, match="can only look"):
            derive(PROBE)
    for by_uid in (keys.login_key, keys.host_key, keys.gateway_token):
        with pytest.raises(SecretError, match="can only look"):
            by_uid(PROBE, "0123456789abcdef", 1)


@pytest.mark.parametrize("text", ["fleet-probe-1-x", PROBE.reveal()[:-1], PROBE.reveal() + "x", PROBE.reveal().upper()])
def test_a_copy_that_is_not_whole_is_refused_unrepeated(text: str) -> None:
    with pytest.raises(SecretError) as caught:
        keys.parse_probe_key(Secret(text))
    assert text not in f"{caught.value.summary} {caught.value.advice}"


def test_who_acts_is_told_that_this_is_no_fleet_key(world: FakeFleet) -> None:
    fleet, environ = world.fleet(), {"FLEET_KEY": f" {PROBE.reveal()}\n"}
    references = ReferenceSecrets(Path(), {}, allowed_sources({}, None, ()), environ)
    assert fleet_key.find(fleet, references, environ, may_be_probe=True) == PROBE
    with pytest.raises(SecretError, match="what stands in FLEET_KEY is a probe key, which can only look"):
        fleet_key.find(fleet, references, environ)


def test_a_hosts_key_comes_back_from_its_label() -> None:
    public = keys.public_key(keys.host_key(FLEET_KEY, "0123456789abcdef", 1))
    label = keys.host_key_label(public)
    assert (len(label), label.isalnum(), keys.host_key_of_label(label)) == (52, True, public)
    assert [keys.host_key_of_label(text) for text in ("", "x", "1" * 52, label[:-2])] == [None] * 4


# --- the commands ----------------------------------------------------------------------------------------------------


def test_it_is_exported_where_the_file_wants_one(
    world: FakeFleet, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLEET_KEY", FLEET_KEY.reveal())
    fleet = CommandLine(world, capsys)
    text = "fleet: demo\ncloud: {provider: sandbox}\nchildren: {}\n"
    Path("fleet.yaml").write_text(text)
    said = fleet("key", "export", "--read-only")
    assert (said.code, said.out, "write `keys: {probe: 1}` into it" in said.err) == (4, "", True)
    Path("fleet.yaml").write_text(f"{text}keys: {{probe: 1}}\n")
    assert fleet("key", "export", "--read-only").out == f"{PROBE.reveal()}\n"
    said = fleet("key", "export")
    assert (said.code, "the fleet key itself is not printed" in said.err) == (64, True)
    assert FLEET_KEY.reveal() not in said.out + said.err
    monkeypatch.setenv("FLEET_KEY", PROBE.reveal())
    said = fleet("key", "export", "--read-only")
    assert (said.code, "is a probe key, which can only look" in said.err) == (1, True)


def test_a_watch_with_it_mends_nothing_and_says_so(
    world: FakeFleet, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    world.change("alice", monitoring=Monitoring(resuscitate=SelfHelp(Rung.REBOOT, 3)))
    world.host("alice").gateway.until_start = {"channel_connected": False}
    fleet = ProbeCommandLine(world, capsys)
    for _ in range(3):
        world.clock.sleep(60)
        said = fleet("monitor")
        assert said.code == 2
    assert "this is a probe key, so it only looks: a pass with the fleet key mends alice" in said.err
    assert "telegram-silent" in said.out
    assert world.host("alice").gateway.until_start  # nobody has started it anew


class ProbeCommandLine(CommandLine):
    def open(self, path: Path, state: Path, progress: Any, *, key: Secret | None = None, **options: Any) -> FleetClient:
        return super().open(path, state, progress, key=key or PROBE, **options)


# --- the program on a host -------------------------------------------------------------------------------------------

QUESTIONS = {
    "hello": Command("hello", "cat; echo as $(id -un)", stdin=b"hi\n", timeout=5),
    "fail": Command("", "exit 7"),
}


def ask(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    """The very program, with a lock of its own."""
    text = forced.forced_program(QUESTIONS).replace("/run/openclaw-deploy.probe", str(tmp_path / "lock"))
    place = tmp_path / "probe"
    place.write_text(text)
    return subprocess.run([sys.executable, "-I", str(place), *words], capture_output=True, stdin=subprocess.DEVNULL)


def test_its_program_answers_a_word_with_what_lies_on_the_host(tmp_path: Path) -> None:
    said = ask(tmp_path, "timeout -k 2 60 sh -c hello")
    assert (said.returncode, said.stdout.splitlines()[0]) == (0, b"hi")
    assert ask(tmp_path, "fail").returncode == 7


def test_its_program_hides_what_a_gateway_has_said_of_secrets(tmp_path: Path) -> None:
    lines = [
        "user said: my token is hunter2hunter2",
        "fetch https://api.telegram.org/bot1234567%3AAAsecretsecretsecretsecret/getMe failed",
        "GITHUB_TOKEN=ghp_abcdefabcdefabcdefabcdef",
        "Authorization: Basic Z2F0ZXdheXRva2VuLTEyMzQ1Ng==",
        "proxy http://joe:p4ssw0rd@proxy.example:3128 refused",
        "refused startup because 1 OpenClaw database schema(s) are newer than this build: 7, 6",
    ]
    said = json.dumps(
        {"gateway": {"journal": lines, "channel_error": "401 for sk-ant-abcdefabcdefabcdef", "ready": True}}
    )
    questions = {"watch": Command("watch", "cat; echo secret-on-stderr >&2", stdin=f"{said}\ncloser\n".encode())}
    place = tmp_path / "probe"
    place.write_text(forced.forced_program(questions).replace("/run/openclaw-deploy.probe", str(tmp_path / "lock")))
    done = subprocess.run([sys.executable, "-I", str(place), "watch"], capture_output=True)
    first, closer, _ = done.stdout.split(b"\n")
    assert (closer, done.stderr, json.loads(first)["gateway"]["ready"]) == (b"closer", b"", True)
    text = first.decode()
    for secret in ("hunter2", "AAsecret", "ghp_", "Z2F0", "p4ssw0rd", "sk-ant"):
        assert secret not in text
    assert "database schema(s) are newer than this build" in text


@pytest.mark.parametrize("words", [(), ("",), ("id",), ("hello; id",), ("sh -c 'hello; id'",), ("$(hello)",), ("'",)])
def test_its_program_answers_nothing_else(tmp_path: Path, words: tuple[str, ...]) -> None:
    said = ask(tmp_path, *words)
    assert (said.returncode, said.stdout) == (1, b"")
    assert said.stderr == b"this key may only ask: hello, fail\n"
