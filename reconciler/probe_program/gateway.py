"""The gateway: what systemd says of its unit, what it started with, and what it answers over loopback HTTP.

Part of the probe: Python 3.9, standard library and this package only.
"""

from __future__ import annotations

import hashlib
import http.client
import ipaddress
import json
import signal
import sys
import time
from datetime import datetime
from typing import Any

from reconciler.probe_program.reading import at, content, ending, fields, opened, output, parsed, text

ANSWER_LIMIT = 1 << 18  # bytes
ANSWER_SECONDS = 3  # for one answer
ALL_SECONDS = 8  # for all that is asked: a hung gateway must not hang the probe
JOURNAL_LINES = 12
ERRORS_WITHIN = 300  # seconds: as long as a proof usually takes
LOG_ENDING = 1 << 20  # bytes of the log that are looked through
ERROR_LEVELS = ("ERROR", "FATAL")
# By the status: whether an answer without a token, and one with its own, is as it shall be. Of a gateway that is busy
# (503) or has no such path (404) nobody knows.
WITHOUT_TOKEN = {200: False, 401: True, 403: True}
WITH_TOKEN = {200: True, 401: False, 403: False}
LONGEST_TEXT = 4000  # characters; far more than is shown: where a text is cut half a secret may stand


def gateway(wanted: Any) -> Any:
    names = "ActiveState,SubState,Result,MainPID,NRestarts,ExecMainStatus"
    shown = fields(output("systemctl", "show", "-p", names, "--", wanted["unit"]))
    started = parsed(content(wanted["started_path"]))
    started = started if isinstance(started, dict) else {}
    answer: dict[str, Any] = {
        "active": shown.get("ActiveState", "inactive"),
        "sub": shown.get("SubState", "dead"),
        "result": shown.get("Result", "success"),
        "main_pid": int(shown.get("MainPID") or 0),
        "restarts": int(shown.get("NRestarts") or 0),
        "exit_status": int(shown.get("ExecMainStatus") or 0),
        "starts": started.get("starts", 0),
        "stale": sorted(path for path, was in started.get("digests", {}).items() if stamp(path) != was),
        "loopback_only": listens_on_loopback_only(wanted["port"]),
    }
    if answer["active"] == "active":
        return {**answer, "errors": errors(wanted), **asked(wanted)}
    lines = output("journalctl", "-q", "-o", "cat", "-n", str(JOURNAL_LINES), "-u", wanted["unit"])
    return {**answer, "journal": [line[:LONGEST_TEXT] for line in lines.splitlines()]}


def errors(wanted: Any) -> int | None:
    """How many it has written since its start, of the last minutes; None where its log or its start is not known.

    The journal knows no levels of it. Programs that people run write into the same log, under OpenClaw's own name.
    """
    log, started = ending(wanted.get("log_path", ""), LOG_ENDING), opened(wanted["started_path"])
    if log is None or started is None:
        return None
    since = max(started[1].st_mtime, time.time() - ERRORS_WITHIN)
    return sum(is_error(parsed(line), since) for line in log.splitlines())


def is_error(line: Any, since: float) -> bool:
    meta = line.get("_meta") if isinstance(line, dict) else None
    if not isinstance(meta, dict) or meta.get("logLevelName") not in ERROR_LEVELS or meta.get("name") == "openclaw":
        return False
    try:
        return datetime.fromisoformat(str(line.get("time")).replace("Z", "+00:00")).timestamp() >= since
    except (ValueError, OverflowError):
        return False


def stamp(path: str) -> str | None:
    """The same digest that the unit's own stamp program makes at each start."""
    data = bytes(at(path).readlink()) if at(path).is_symlink() else content(path)
    return None if data is None else hashlib.sha256(data).hexdigest()


def listens_on_loopback_only(port: int) -> bool | None:
    """None when nothing listens there. Addresses are the kernel's hex words, each in the machine's byte order."""
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in text(table).splitlines()[1:]:
            words = line.split()
            address, _, number = words[1].partition(":")
            if int(number, 16) == port and words[3] == "0A":
                found.append(address)
    return all(is_loopback(address) for address in found) if found else None


def is_loopback(address: str) -> bool:
    words = [int(address[i : i + 8], 16).to_bytes(4, sys.byteorder) for i in range(0, len(address), 8)]
    found = ipaddress.ip_address(b"".join(words))
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback


def asked(wanted: Any) -> dict[str, Any]:
    """What the gateway says over loopback HTTP; as much as it says in time."""
    answer: dict[str, Any] = {}
    signal.signal(signal.SIGALRM, stop_asking)
    signal.alarm(ALL_SECONDS)
    try:
        for ask in (ask_version, ask_ready, ask_anonymously, ask_channel):
            ask(wanted, answer)
        if wanted.get("spent"):
            ask_spent(wanted, answer)
    except Exception:  # silent, or talks nonsense: whatever a gateway says, the look at its host must not fail
        pass
    finally:
        signal.alarm(0)
    return answer


def stop_asking(number: int, frame: object) -> None:
    raise TimeoutError


def ask_version(wanted: Any, answer: dict[str, Any]) -> None:
    answer["version"] = call(wanted["port"], "GET", "/startupz")[1].get("version")


def ask_ready(wanted: Any, answer: dict[str, Any]) -> None:
    says = call(wanted["port"], "GET", "/readyz")[1]
    answer["ready"] = says.get("ready")
    answer["failing"], answer["suppressed"] = says.get("failing", []), says.get("suppressed", [])


def ask_anonymously(wanted: Any, answer: dict[str, Any]) -> None:
    answer["anonymous_refused"] = WITHOUT_TOKEN.get(rpc(wanted["port"], None)[0])


def ask_channel(wanted: Any, answer: dict[str, Any]) -> None:
    code, says = rpc(wanted["port"], text(wanted["token_path"]).strip())
    answer["token_accepted"] = WITH_TOKEN.get(code)
    account = says
    for name in ("payload", "channelAccounts", "telegram", 0):
        account = account.get(name) if isinstance(account, dict) else account[name] if account else None
    if not isinstance(account, dict):
        return
    activity, error = account.get("lastTransportActivityAt"), account.get("lastError")
    answer["channel_connected"] = account.get("connected")
    answer["channel_error"] = str(error)[:LONGEST_TEXT] if error else None
    answer["channel_activity"] = activity / 1000 if isinstance(activity, (int, float)) else None


def ask_spent(wanted: Any, answer: dict[str, Any]) -> None:
    """What it has counted of all agents in this calendar month (UTC)."""
    today = time.strftime("%Y-%m-%d", time.gmtime())
    period = {"mode": "specific", "startDate": f"{today[:8]}01", "endDate": today, "agentScope": "all"}
    says = rpc(wanted["port"], text(wanted["token_path"]).strip(), "usage.cost", period)[1]["payload"]
    # Its count is a cache that is built after it was asked for; "fresh" when all is in it.
    answer["spent_complete"] = says["cacheStatus"]["status"] == "fresh"
    answer["spent"] = says["totals"]["totalCost"]
    answer["unpriced"] = says["totals"]["missingCostEntries"]


def rpc(port: int, token: str | None, method: str = "channels.status", parameters: Any = None) -> tuple[int, Any]:
    body = json.dumps({"method": method, "params": parameters or {}})
    headers = {"Content-Type": "application/json"}
    if token is not None:
        headers["Authorization"] = "Bearer " + token
    return call(port, "POST", "/api/v1/admin/rpc", body, headers)


def call(port: int, method: str, path: str, body: str | None = None, headers: Any = None) -> tuple[int, Any]:
    # http.client and not urllib: no proxy from the environment and no redirect can carry the token elsewhere.
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        says = parsed(response.read(ANSWER_LIMIT))
        return response.status, says if isinstance(says, dict) else {}
    finally:
        connection.close()
