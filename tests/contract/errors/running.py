"""Plays a case: makes its world, runs `fleet` in it as a person would, and keeps all that was said."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reconciler import keys
from tests.contract.errors.case import NO_FILE, Case, Said, fleet_text
from tests.contract.errors.namespace import Namespace
from tests.contract.errors.world import Stage, stage
from tests.contract.serving import Host

PROJECT: Final = Path(__file__).parents[3]
PATIENCE: Final = 90  # seconds

# Each is looked for in all that is said.
PLANTED: Final = {
    "FLEET_KEY": keys.make_key(bytes(range(32))).reveal(),
    "ANTHROPIC_API_KEY": "sk-ant-planted-0123456789-nobody-may-see",
    "ALICE_BOT_TOKEN": "4242:planted-AAbbCCddEEffGGhhIIjjKKllMMnn",
    "HCLOUD_TOKEN": "planted-hcloud-token-0123456789-nobody-may-see",
}


@dataclass
class Player:
    """Where the commands of one case run."""

    namespace: Namespace
    stage: Stage
    directory: Path
    case: Case

    @property
    def here(self) -> Path:
        """The working directory, with the fleet file."""
        return self.directory / "demo"

    def environment(self, changes: Mapping[str, str | None]) -> dict[str, str]:
        kept = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "COLUMNS": "80", "PYTHONPATH": str(PROJECT)}
        given = kept | PLANTED | {"HOME": str(self.directory), "FLEET_CONFIG_HOME": str(self.directory / "keys")}
        return {name: value for name, value in (given | dict(changes)).items() if value is not None}

    @property
    def notes(self) -> Path:
        return self.directory / "notes"

    def write_fleet(self, name: str) -> None:
        (self.here / "fleet.yaml").write_text(fleet_text(name), encoding="utf-8")

    def lay_out(self) -> None:
        """The bad files; each takes the place of what was there."""
        if self.case.edited:
            self.write_fleet(self.case.edited)
        for name, text in self.case.files.items():
            self._cleared(name).write_text(text, encoding="utf-8")
        for name in self.case.directories:
            self._cleared(name).mkdir()
        for name, mode in self.case.modes.items():
            (self.here / name).chmod(int(mode, 8))

    def argv(self, line: str) -> list[str]:
        witness = [sys.executable, "-m", "tests.contract.errors.witness", str(self.notes), *shlex.split(line)]
        return self.namespace.command(witness, self.here)

    def _cleared(self, name: str) -> Path:
        path = self.here / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        return path


def play(case: Case, namespace: Namespace, host: Host, directory: Path) -> Said:
    """One case from a cloud without servers to the end of its command."""
    with stage(namespace, host, with_bots=True) as set_up:
        player = Player(namespace, set_up, directory, case)
        player.here.mkdir()
        if case.fleet != NO_FILE:
            player.write_fleet(case.fleet)
        for line in case.before:
            done = _prepare(player, line)
            assert done.returncode == 0, f"$ fleet {line}\n{done.stdout}{done.stderr}"
        player.lay_out()
        set_up.set_sandbox(case.sandbox)
        set_up.set_faults(case.faults)
        for child, trouble in case.trouble.items():
            set_up.make_trouble(child, trouble)
        with _lock_held(player.here / "state", case.meanwhile):
            return _run(player) if case.terminal is None else _on_terminal(player)


def _prepare(player: Player, line: str) -> subprocess.CompletedProcess[str]:
    argv = player.namespace.command([sys.executable, "-m", "reconciler", *shlex.split(line)], player.here)
    return subprocess.run(
        argv, env=player.environment({}), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE
    )


def _run(player: Player) -> Said:
    """Without a terminal."""
    case, requests = player.case, player.stage.cloud.log.entries
    before = len(requests)
    stdout = _read_by_nobody() if case.closed else subprocess.PIPE
    with subprocess.Popen(
        player.argv(case.run),
        env=player.environment(case.environment),
        stdin=subprocess.PIPE if case.piped else subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    ) as started:
        if case.closed:
            os.close(stdout)
        try:
            if case.signal:
                _await(lambda: len(requests) > before)
                started.send_signal(getattr(signal, f"SIG{case.signal}"))
            printed, complained = started.communicate(case.piped or None, timeout=PATIENCE)
        finally:
            started.kill()
    return Said(started.returncode, printed or "", complained, _notes(player), player.directory)


def _on_terminal(player: Player) -> Said:
    """Both streams are one there."""
    ours, theirs = pty.openpty()
    environment = player.environment(player.case.environment)
    argv = player.argv(player.case.run)
    with subprocess.Popen(argv, env=environment, stdin=theirs, stdout=theirs, stderr=theirs) as started:
        os.close(theirs)
        os.write(ours, str(player.case.terminal).encode())
        seen = b""
        with suppress(OSError):  # what reading says when the other end is closed
            while some := os.read(ours, 65536):
                seen += some
        started.wait(PATIENCE)
    os.close(ours)
    return Said(started.returncode, "", seen.decode().replace("\r\n", "\n"), _notes(player), player.directory)


def _notes(player: Player) -> tuple[tuple[str, str], ...]:
    lines = player.notes.read_text(encoding="utf-8").splitlines() if player.notes.exists() else []
    return tuple((name, summary) for name, summary in map(json.loads, lines))


def _read_by_nobody() -> int:
    """The end of a pipe whose reader has gone."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing


@contextmanager
def _lock_held(state: Path, by: str) -> Iterator[None]:
    """Somebody else holds the lock of the state directory, if `by` says who."""
    if not by:
        yield
        return
    state.mkdir(exist_ok=True)
    with (state / "lock").open("w", encoding="utf-8") as lock:
        lock.write(f"{by}\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _await(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
