"""What the probe tells of the gateway, also of one that hangs, lies or is gone."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.model import GatewayFacts
from tests.unit.probe_program.conftest import Disk

TOKEN = "the-gateways-own-token"
ACTIVE = "ActiveState=active\nSubState=running\nResult=success\nMainPID=77\nNRestarts=2\nExecMainStatus=0\n"
FAILED = "ActiveState=failed\nSubState=failed\nResult=exit-code\nMainPID=0\nNRestarts=0\nExecMainStatus=78\n"


@dataclass
class Gateway:
    """A stand-in that answers as told; `hangs` names a path that never does."""

    answers: dict[str, Any] = field(default_factory=dict)
    hangs: str = ""
    refuses: int = 0  # what it says to every call of the RPC
    drips: bool = False
    closed: threading.Event = field(default_factory=threading.Event)

    def answer(self, path: str, token: str | None) -> tuple[int, bytes]:
        if path == self.hangs:
            self.closed.wait(30)
        if path == "/api/v1/admin/rpc" and self.refuses:
            return self.refuses, b"{}"
        if path == "/api/v1/admin/rpc" and token != f"Bearer {TOKEN}":
            return 401, b'{"error": {"type": "unauthorized"}}'
        answer = self.answers.get(path, {})
        return 200, answer if isinstance(answer, bytes) else json.dumps(answer).encode()


@pytest.fixture
def gateway(disk: Disk) -> Iterator[Gateway]:
    account = {"connected": True, "lastError": None, "lastTransportActivityAt": 1_700_000_000_500}
    gateway = Gateway(
        {
            "/startupz": {"ok": True, "version": "2026.9.6"},
            "/readyz": {"ready": True, "failing": [], "suppressed": ["telegram"]},
            "/api/v1/admin/rpc": {"ok": True, "payload": {"channelAccounts": {"telegram": [account]}}},
        }
    )

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            code, body = gateway.answer(self.path, self.headers.get("Authorization"))
            self.send_response(code)
            self.end_headers()
            for piece in (bytes([byte]) for byte in body) if gateway.drips else [body]:
                self.wfile.write(piece)
                gateway.closed.wait(0.5 if gateway.drips else 0)

        do_POST = do_GET  # noqa: N815  # http.server's own spelling

        def log_message(self, *args: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *args: object) -> None:
            """The probe hangs up on one that hangs: that is the point."""

    with Server(("127.0.0.1", 0), Handler) as server:
        disk.port = server.server_port
        disk.prints("systemctl", ACTIVE)
        disk.write("/etc/openclaw/gateway.token", TOKEN + "\n", 0o640)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield gateway
        gateway.closed.set()
        server.shutdown()
        thread.join()


def test_a_healthy_gateway_says_so(disk: Disk, gateway: Gateway) -> None:
    assert disk.gateway() == GatewayFacts(
        active="active",
        sub="running",
        main_pid=77,
        restarts=2,
        version="2026.9.6",
        ready=True,
        suppressed=("telegram",),
        token_accepted=True,
        anonymous_refused=True,
        channel_connected=True,
        channel_activity=1_700_000_000.5,
    )


def test_a_token_that_is_not_the_gateways_is_not_accepted(disk: Disk, gateway: Gateway) -> None:
    disk.write("/etc/openclaw/gateway.token", "another\n")
    facts = disk.gateway()
    assert (facts.token_accepted, facts.anonymous_refused, facts.channel_connected) == (False, True, None)


@pytest.mark.parametrize("status", [404, 429, 500, 503])
def test_of_a_gateway_that_cannot_answer_now_nobody_knows_whom_it_takes(
    disk: Disk, gateway: Gateway, status: int
) -> None:
    gateway.refuses = status
    facts = disk.gateway()
    assert (facts.token_accepted, facts.anonymous_refused) == (None, None)


@pytest.mark.parametrize("path", ["/startupz", "/api/v1/admin/rpc"])
def test_a_hung_gateway_does_not_hang_the_probe(disk: Disk, gateway: Gateway, path: str) -> None:
    gateway.hangs = path
    started = time.monotonic()
    facts = disk.gateway()
    assert time.monotonic() - started < 10
    assert (facts.active, facts.channel_connected) == ("active", None)


def test_a_gateway_that_answers_drop_by_drop_does_not_hang_the_probe(disk: Disk, gateway: Gateway) -> None:
    gateway.drips = True
    started = time.monotonic()
    assert disk.gateway().active == "active"
    assert time.monotonic() - started < 12


NONSENSE: dict[str, Any] = {
    "text": b"<html>",
    "a list": [],
    "nothing": b"",
    "wrong types": {"version": 7, "ready": "yes", "failing": 3, "payload": {"channelAccounts": {"telegram": 5}}},
    "odd accounts": {"payload": {"channelAccounts": {"telegram": [{"connected": 1, "bot": [], "probe": "x"}]}}},
    "a flood": b'{"version": "' + b"a" * 2_000_000,
}


@pytest.mark.parametrize("answer", NONSENSE.values(), ids=NONSENSE)
def test_a_gateway_that_talks_nonsense_says_nothing(disk: Disk, gateway: Gateway, answer: Any) -> None:
    gateway.answers = dict.fromkeys(gateway.answers, answer)
    facts = disk.gateway()
    assert (facts.active, facts.version, facts.ready, facts.channel_connected) == ("active", None, None, None)


def test_what_changed_since_the_start_is_stale(disk: Disk) -> None:
    disk.write("/etc/openclaw/a", "old")
    disk.write("/etc/openclaw/b", "same")
    disk.write("/opt/x", "")
    (disk.root / "current").symlink_to("/opt/two")
    digests = {path: hashlib.sha256(content).hexdigest() for path, content in (
        ("/etc/openclaw/a", b"before"), ("/etc/openclaw/b", b"same"), ("/current", b"/opt/one"), ("/gone", b""),
    )}  # fmt: skip
    disk.write("/run/openclaw-gateway/started.json", json.dumps({"starts": 3, "digests": {**digests, "/never": None}}))
    facts = disk.gateway()
    assert (facts.starts, facts.stale) == (3, ("/current", "/etc/openclaw/a", "/gone"))


def logged(seconds_ago: float, level: str = "ERROR", name: str = "telegram", **more: Any) -> str:
    at = datetime.fromtimestamp(time.time() - seconds_ago, UTC).isoformat()
    return json.dumps({"time": at, "_meta": {"logLevelName": level, "name": name}, **more})


def test_errors_are_those_of_this_process_in_the_last_minutes(disk: Disk, gateway: Gateway) -> None:
    started = disk.write("/run/openclaw-gateway/started.json", "{}")
    os.utime(started, (time.time() - 60,) * 2)
    assert disk.gateway().errors is None  # it has no log
    lines = [logged(10), logged(20, "FATAL"), logged(90), logged(5, "WARN"), logged(5, name="openclaw")]
    nonsense = ["{", "[]", "7", '{"_meta": 7}', logged(5, time="soon")]
    log = disk.write("/var/log/openclaw/openclaw.log", "\n".join([*lines, *nonsense]))
    assert disk.gateway().errors == 2
    os.utime(started, (time.time() - 900,) * 2)
    assert disk.gateway().errors == 3
    log.rename(f"{log}.real")
    log.symlink_to(f"{log}.real")
    assert disk.gateway().errors is None
    log.unlink()
    log.mkdir()
    assert disk.gateway().errors is None


def test_a_failed_unit_comes_with_its_last_words(disk: Disk) -> None:
    disk.prints("systemctl", FAILED)
    disk.prints("journalctl", "Gateway failed\nUnrecognized key\n")
    facts = disk.gateway()
    assert (facts.active, facts.result, facts.exit_status) == ("failed", "exit-code", 78)
    assert facts.journal == ("Gateway failed", "Unrecognized key")


# As a little-endian kernel prints them, which is what x86 and arm servers have.
LISTENERS = {
    "loopback of both kinds": (["0100007F:4965"], ["00000000000000000000000001000000:4965"], True),
    "every address": (["00000000:4965"], [], False),
    "every address of IPv6": (["0100007F:4965"], ["00000000000000000000000000000000:4965"], False),
    "a mapped loopback": ([], ["0000000000000000FFFF00000100007F:4965"], True),
    "another port": (["00000000:0016"], [], None),
}


@pytest.mark.parametrize(("four", "six", "answer"), LISTENERS.values(), ids=LISTENERS)
def test_where_the_port_listens(disk: Disk, four: list[str], six: list[str], answer: bool | None) -> None:
    disk.port = 0x4965
    for table, addresses in (("tcp", four), ("tcp6", six)):
        lines = [f"   {i}: {address} 00000000:0000 0A 0 0" for i, address in enumerate(addresses)]
        disk.write(f"/proc/net/{table}", "\n".join(["  sl  local_address", *lines, ""]))
    assert disk.gateway().loopback_only is answer


COSTS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "all counted": (
        {"totals": {"totalCost": 1.25, "missingCostEntries": 0}, "cacheStatus": {"status": "fresh"}},
        (1.25, True, 0),
    ),
    "still counting, and no price for two": (
        {"totals": {"totalCost": 0, "missingCostEntries": 2}, "cacheStatus": {"status": "refreshing"}},
        (0.0, False, 2),
    ),
    "nonsense": ({"totals": [], "cacheStatus": None}, (None, None, 0)),
    "nothing": ({}, (None, None, 0)),
}


@pytest.mark.parametrize(("payload", "told"), COSTS.values(), ids=COSTS)
def test_what_was_spent_is_asked_only_where_there_is_a_limit(
    disk: Disk, gateway: Gateway, payload: Any, told: tuple[Any, ...]
) -> None:
    gateway.answers["/api/v1/admin/rpc"] = {"ok": True, "payload": payload}
    unasked = disk.gateway()
    assert (unasked.spent, unasked.spent_complete, unasked.unpriced) == (None, None, 0)
    disk.asks_what_was_spent = True
    facts = disk.gateway()
    assert (facts.spent, facts.spent_complete, facts.unpriced) == told
    assert facts.token_accepted, "a gateway without a count has still answered all else"
