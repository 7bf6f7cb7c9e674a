"""`fleet key show` and `fleet key recover`: which key this is, and the way back to it."""

from __future__ import annotations

import io
import stat
from pathlib import Path

import pytest

from reconciler import keys
from reconciler.errors import HostTimedOut
from reconciler.secrets import fleet_key
from tests.fakes.command_line import CommandLine, Said
from tests.fakes.fleets import FakeFleet
from tests.fakes.worlds import FLEET_KEY

OTHER = keys.make_key(bytes(32))


@pytest.fixture
def fleet(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> CommandLine:
    """A fleet file named demo, as that of FakeFleet; an empty home for keys; nothing in the environment."""
    for name in ("FLEET_FILE", "FLEET_STATE_DIR", "FLEET_KEY", "FLEET_DEBUG", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FLEET_CONFIG_HOME", str(tmp_path / "keys"))
    monkeypatch.chdir(tmp_path)
    Path("fleet.yaml").write_text("fleet: demo\ncloud: {provider: sandbox}\nchildren: {}\n")
    return CommandLine(FakeFleet(state), capsys)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "demo.key"


def recover(fleet: CommandLine, monkeypatch: pytest.MonkeyPatch, *more: str, key: str = FLEET_KEY.reveal()) -> Said:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{key}\n"))
    return fleet("key", "recover", *more)


def test_show_says_everything_but_the_key(fleet: CommandLine, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet_key.write(place, FLEET_KEY)
    said = fleet("key", "show")
    assert said.out.splitlines() == [
        "fleet        demo",
        f"fleet-id     {keys.fleet_id(FLEET_KEY)}",
        f"fingerprint  {keys.fingerprint(FLEET_KEY)}",
        f"found in     {place}",
    ]
    monkeypatch.setenv("FLEET_KEY", FLEET_KEY.reveal())
    assert "found in     the environment variable FLEET_KEY" in fleet("key", "show").out


def test_the_right_key_is_proven_at_a_server_and_written_for_its_owner_only(
    fleet: CommandLine, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.world.applied()
    said = recover(fleet, monkeypatch)
    assert (said.code, said.err) == (0, "")
    assert "It is the key of alice, bob." in said.out
    assert "Logged in to alice with it." in said.out
    assert place.read_text() == FLEET_KEY.reveal() + "\n"
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert FLEET_KEY.reveal() not in said.out
    again = recover(fleet, monkeypatch)
    assert (again.code, again.out.splitlines()[-1]) == (0, f"It is in {place} already.")


def test_a_place_for_the_key_that_cannot_be_made_is_no_key(
    fleet: CommandLine, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.world.applied()
    place.parent.write_text("a file")
    said = recover(fleet, monkeypatch)
    assert (said.code, "is a fleet key at" in said.err) == (1, False)
    assert f"the fleet key cannot be written to {place}: " in said.err


def test_silent_servers_do_not_hide_that_the_key_is_right(
    fleet: CommandLine, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.world.applied()
    for number in fleet.world.cloud.by_id:
        fleet.world.dialer.silent[number] = HostTimedOut("no answer")
    said = recover(fleet, monkeypatch)
    assert said.code == 0
    assert said.err == "  no login: no answer\n" * 2
    assert place.exists()


def test_another_fleets_key_is_told_from_what_the_servers_say(
    fleet: CommandLine, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.world.applied()
    said = recover(fleet, monkeypatch, key=OTHER.reveal())
    assert said.code == 4
    assert f"makes the fleet-id {keys.fleet_id(OTHER)}" in said.err
    assert f"demo-alice: fleet-id {keys.fleet_id(FLEET_KEY)}" in said.err
    assert "--take-over" in said.err
    assert OTHER.reveal() not in said.out + said.err
    assert not place.exists()


def test_without_any_server_nothing_can_be_said(
    fleet: CommandLine, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = recover(fleet, monkeypatch)
    assert said.code == 4
    assert "no server that could tell" in said.err
    assert not place.exists()
    assert recover(fleet, monkeypatch, "--force").code == 0
    assert place.exists()


def test_another_key_in_that_place_is_never_lost(
    fleet: CommandLine, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.world.applied()
    fleet_key.write(place, OTHER)
    assert recover(fleet, monkeypatch).code == 4
    assert place.read_text() == OTHER.reveal() + "\n"
    assert recover(fleet, monkeypatch, "--force").code == 0
    assert place.read_text() == FLEET_KEY.reveal() + "\n"
    assert (place.parent / "demo.key.1").read_text() == OTHER.reveal() + "\n"


@pytest.mark.parametrize("text", ["", "hunter2-hunter2", FLEET_KEY.reveal()[:-1]])
def test_what_is_no_key_is_refused_without_being_repeated(
    fleet: CommandLine, place: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    said = recover(fleet, monkeypatch, key=text)
    assert said.code == 1
    assert not text or text not in said.err
    assert not place.exists()


def test_a_variable_that_goes_first_is_told(fleet: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.world.applied()
    monkeypatch.setenv("FLEET_KEY", OTHER.reveal())
    said = recover(fleet, monkeypatch)
    assert (said.code, said.err) == (0, "FLEET_KEY is set and goes before that file: unset it.\n")


def test_where_the_fleet_file_names_the_place_nothing_is_written_where_nobody_looks(
    fleet: CommandLine, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.world.applied()
    Path("fleet.yaml").write_text("fleet: demo\ncloud: {provider: sandbox}\nkey: file:vault.key\nchildren: {}\n")
    said = recover(fleet, monkeypatch)
    assert (said.code, place.exists(), Path("vault.key").exists()) == (4, False, False)
    assert "It is the key of alice, bob." in said.out
    assert "this key is not where it is looked for: file:vault.key" in said.err
    fleet_key.write(Path("vault.key"), OTHER)
    assert "this key is not where it is looked for: file:vault.key has another one" in recover(fleet, monkeypatch).err
    Path("vault.key").unlink()
    fleet_key.write(Path("vault.key"), FLEET_KEY)
    said = recover(fleet, monkeypatch)
    assert (said.code, said.out.splitlines()[-1], place.exists()) == (0, "It is in file:vault.key already.", False)
    assert f"fingerprint  {keys.fingerprint(FLEET_KEY)}" in fleet("key", "show").out
