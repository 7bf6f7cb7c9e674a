"""`up` and `down` leave this machine as it was found. Needs root, Debian's tools, and no sandbox that is up already."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path

import httpx
import pytest

from reconciler.errors import SandboxError
from reconciler.sandbox import cgroups, lifecycle
from reconciler.sandbox.info import SandboxInfo
from reconciler.sandbox.paths import Paths
from tests.e2e.machinery import Operator
from tests.e2e.traces import difference, snapshot

pytestmark = pytest.mark.e2e

PATHS = Paths.default()


@pytest.fixture
def before() -> Iterator[dict[str, object]]:
    assert lifecycle.status(PATHS).info is None, "a sandbox is up: run `fleet sandbox down` first"
    yield snapshot()
    lifecycle.down(PATHS)


def test_a_sandbox_with_a_booted_machine_leaves_no_trace(before: dict[str, object]) -> None:
    info = _up_with_a_machine()
    there = difference(before, snapshot())

    assert lifecycle.down(PATHS)

    assert {"links", "routes", "mounts", "cgroups", "processes", "namespaces"} <= set(there), "the comparison is blind"
    assert difference(before, snapshot()) == {}
    assert not Path(info.token_file).exists()


def test_a_sandbox_whose_processes_were_all_killed_leaves_no_trace(before: dict[str, object]) -> None:
    _up_with_a_machine()
    for process in _everything_that_runs():
        with contextlib.suppress(ProcessLookupError):  # one that went down with its init
            os.kill(process, signal.SIGKILL)

    assert lifecycle.down(PATHS)

    assert difference(before, snapshot()) == {}


def test_taking_a_sandbox_down_twice_is_no_error(before: dict[str, object]) -> None:
    lifecycle.up(PATHS, _silent)

    assert [lifecycle.down(PATHS), lifecycle.down(PATHS)] == [True, False]
    assert difference(before, snapshot()) == {}


def test_a_sandbox_of_simulated_machines_says_so_and_leaves_no_trace(before: dict[str, object], tmp_path: Path) -> None:
    operator = Operator(tmp_path, tmp_path)
    assert "The machines are SIMULATED" in operator.fleet("sandbox", "up", "--simulated", timeout=300)
    operator.fleet("init", "--sandbox", "--name", "shadows")
    operator.fleet("apply", "--yes")
    assert [child["health"] for child in operator.status().values()] == ["HEALTHY"]
    assert "SIMULATED" in operator.fleet("sandbox", "status")

    operator.fleet("sandbox", "down")

    assert difference(before, snapshot()) == {}


def test_bringing_it_up_twice_changes_nothing(before: dict[str, object]) -> None:
    first = lifecycle.up(PATHS, _silent)
    token = PATHS.token.read_text()

    assert lifecycle.up(PATHS, _silent) == (first[0], False)
    assert PATHS.token.read_text() == token


def test_a_machine_outlives_the_daemon_and_the_next_one_knows_it(before: dict[str, object]) -> None:
    info = _up_with_a_machine()
    machine = lifecycle.status(PATHS).machines[0]
    daemon = next(process for process in _everything_that_runs() if b"sandbox.daemon" in _command(process))
    os.kill(daemon, signal.SIGKILL)
    _until(lambda: not lifecycle.status(PATHS).daemon)

    assert lifecycle.status(PATHS).machines[0].running
    assert lifecycle.up(PATHS, _silent) == (info, True)
    listed = _api(info, "GET", "/servers")["servers"]
    assert [(server["id"], server["status"]) for server in listed] == [(machine.id, "running")]


def test_a_start_that_fails_leaves_no_trace(before: dict[str, object]) -> None:
    taken = next(entry["dst"] for entry in before["routes"] if "/" in entry["dst"])  # type: ignore[attr-defined]

    with pytest.raises(SandboxError, match="routed or in use"):
        lifecycle.up(PATHS, _silent, IPv4Network(taken))

    assert difference(before, snapshot()) == {}


def _up_with_a_machine() -> SandboxInfo:
    info, _ = lifecycle.up(PATHS, _silent)
    order = {"name": "trace", "server_type": "cpx22", "image": "debian-12", "location": "fsn1"}
    address = _api(info, "POST", "/servers", order)["server"]["public_net"]["ipv4"]["ip"]
    _until(lambda: _greets(address))
    return info


def _api(info: SandboxInfo, method: str, path: str, body: object = None) -> dict:  # type: ignore[type-arg]
    token = Path(info.token_file).read_text().strip()
    answer = httpx.request(method, info.endpoint + path, json=body, headers={"Authorization": f"Bearer {token}"})
    found: dict = answer.raise_for_status().json()  # type: ignore[type-arg]
    return found


def _greets(address: str) -> bool:
    try:
        with socket.create_connection((address, 22), 0.3) as connection:
            connection.settimeout(2.0)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _everything_that_runs() -> list[int]:
    """Supervisors before machines, so that no end of a machine is noticed."""
    trees = cgroups.load_trees(PATHS.cgroups)
    ours, all_of_it = list(cgroups.processes(trees, cgroups.CONTROL)), list(cgroups.processes(trees, "."))
    assert len(all_of_it) > len(ours) >= 2
    return ours + [process for process in all_of_it if process not in ours]


def _command(process: int) -> bytes:
    return Path(f"/proc/{process}/cmdline").read_bytes()


def _until(holds: object, timeout: float = 30.0) -> None:
    assert callable(holds)
    deadline = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def _silent(what: str, seconds: float) -> None:
    """Nobody reads it here."""
