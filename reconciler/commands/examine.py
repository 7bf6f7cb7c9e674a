"""A close look at a host: what an apply has no time for. By itself, or with the probe in one trip."""

from __future__ import annotations

import json
from typing import Final

from reconciler.commands.probe import BOOTSTRAP, probe_input
from reconciler.commands.shell import script
from reconciler.model import Command, Json

_SECONDS: Final = 60.0

# Reads a request with "port" and "unit" on stdin: who listens on that port, and gateways that systemd has not started.
PROCESSES: Final = """
import glob, http.client, json, os, pwd, re, signal, stat, subprocess, sys, time
wanted = json.load(sys.stdin)
def read(path, most=1 << 16):
    try:
        with open(path, "rb") as file:
            return file.read(most)
    except OSError:
        return b""
def said(*words):
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=15)
        return done.stdout.decode("utf-8", "replace")
    except subprocess.TimeoutExpired:
        return None
    except OSError:
        return ""
def group(pid):
    return read("/proc/%s/cgroup" % pid).decode("utf-8", "replace").strip()
def told(pid):
    name = read("/proc/%s/comm" % pid).decode("utf-8", "replace").strip()
    its = group(pid)
    ours = any(line.rstrip("/").endswith("/system.slice/" + wanted["unit"]) for line in its.splitlines())
    return {"pid": int(pid), "name": name[:40], "is_ours": ours} if its else None  # it has ended meanwhile
def listeners():
    sockets = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in read(table, 1 << 22).decode().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and int(words[1].rpartition(":")[2], 16) == wanted["port"]:
                sockets.add("socket:[%s]" % words[9])
    pids = set()
    for place in glob.glob("/proc/[0-9]*/fd/*") if sockets else ():
        try:
            if os.readlink(place) in sockets:
                pids.add(place.split("/")[2])
        except OSError:
            continue
    return [it for it in map(told, sorted(pids, key=int)) if it]
def strays():
    found = []
    for place in glob.glob("/proc/[0-9]*/cmdline"):
        words, pid = read(place).split(b"\\0"), place.split("/")[2]
        runs = any(pair == (b"gateway", b"run") for pair in zip(words, words[1:]))
        is_gateway = runs and any(it.endswith(b"/openclaw.mjs") for it in words)
        its = told(pid) if is_gateway or words[0].strip() == b"openclaw-gateway" else None
        if its and not its["is_ours"]:
            found.append(its)
    return found
"""

# The same with "user", "state", "node", "secrets" and "token_path". Nothing here changes anything.
_EXAMINE: Final = (
    f"{PROCESSES}"
    """
def parsed(data):
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {}
def first_boot():
    v1 = parsed(read("/run/cloud-init/status.json", 1 << 20)).get("v1")
    if not isinstance(v1, dict):
        return "disabled" if os.path.exists("/run/cloud-init/disabled") else ""
    stages = [it for it in v1.values() if isinstance(it, dict)]
    if any(it.get("errors") for it in stages):
        return "error"
    return "done" if os.path.exists("/run/cloud-init/result.json") else "running"
def lacking(path):
    try:
        seen = os.stat(path)
        owner = pwd.getpwuid(seen.st_uid).pw_name
    except (OSError, KeyError):
        return True
    return not stat.S_ISREG(seen.st_mode) or seen.st_size == 0 or owner != wanted["user"] or not seen.st_mode & 0o400
def up_for():
    asked = "ActiveState,ExecMainStartTimestampMonotonic"
    shown = said("systemctl", "show", "-p", asked, "--", wanted["unit"]) or ""
    found = dict(line.partition("=")[::2] for line in shown.splitlines())
    since = found.get("ExecMainStartTimestampMonotonic", "0")
    is_up = found.get("ActiveState") in ("active", "activating") and since.isdigit() and since != "0"
    return time.clock_gettime(time.CLOCK_MONOTONIC) - int(since) / 1e6 if is_up else None
def channel():
    answer = {"probe_problem": "", "inbound": None, "outbound": None}
    token = read(wanted["token_path"]).decode("utf-8", "replace").strip()
    headers = {"Authorization": "Bearer " + token, "Content-Type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", wanted["port"], timeout=15)
    try:
        body = json.dumps({"method": "channels.status", "params": {"probe": True}})
        connection.request("POST", "/api/v1/admin/rpc", body, headers)
        account = parsed(connection.getresponse().read(1 << 20))
        for name in ("payload", "channelAccounts", "telegram", 0):
            account = account[name]
        for key, name in (("lastInboundAt", "inbound"), ("lastOutboundAt", "outbound")):
            if isinstance(account.get(key), (int, float)):
                answer[name] = account[key] / 1000
        probe = account.get("probe") or {}
        if probe and probe.get("ok") is False:
            problem = str(probe.get("error") or probe.get("status") or "refused")
            for path in (*wanted["secrets"], wanted["token_path"]):
                secret = read(path).decode("utf-8", "replace").strip()
                problem = problem.replace(secret, "***") if secret else problem
            answer["probe_problem"] = problem[:4000]  # half a secret looks like none: it is cut after the rest of that
    except (OSError, http.client.HTTPException, LookupError, TypeError, AttributeError, ValueError):
        pass
    return answer
try:
    inodes = os.statvfs(wanted["state"])
    free, room = inodes.f_favail if inodes.f_files else None, inodes.f_bavail * inodes.f_frsize >> 20
except OSError:
    free = room = None
def open_ports():
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in read(table, 1 << 22).decode().splitlines()[1:]:
            address, _, port = line.split()[1].rpartition(":")
            v4 = address[-8:] if len(address) == 8 or address[:24] == "0" * 16 + "FFFF0000" else ""
            near = v4.endswith("7F") or address == "0" * 24 + "01000000"
            if line.split()[3] == "0A" and not near:
                found.add(int(port, 16))
    return sorted(found)[:100]
def killed():
    events = read("/sys/fs/cgroup/system.slice/%s/memory.events" % wanted["unit"]).decode("utf-8", "replace")
    counts = dict(line.split() for line in events.splitlines() if len(line.split()) == 2)
    return int(counts.get("oom_kill", 0))
def written(path):
    try:
        return os.lstat(path).st_mtime
    except OSError:
        return None
node = said(wanted["node"], "--version")
print(json.dumps({
    "first_boot": first_boot(), "inodes_free": free, "disk_free_mb": room,
    "node": None if node is None else node.strip()[:40],
    "lacking_secrets": [path for path in wanted["secrets"] if lacking(path)], "listeners": listeners(),
    "strays": strays(), "up_for": up_for(), "clock": time.time(), **channel(),
    "load": os.getloadavg()[2] / (os.cpu_count() or 1), "open_ports": open_ports(), "killed": killed(),
    "reboot_due": os.path.exists("/run/reboot-required"), "config_at": written(wanted["config"]),
}))
"""
)

# Three inputs, one to a line but the last: the probe's program, its request, the closer look's. Two lines come out.
_WATCH: Final = f"""
import io, sys
program, asked, closer = sys.stdin.buffer.read().split(b"\\n", 2)
def run(source, given):
    sys.stdin = io.TextIOWrapper(io.BytesIO(given), encoding="utf-8")
    exec(compile(source, "<look>", "exec"), {{"__name__": "__main__"}})
run({BOOTSTRAP!r}, program + b"\\n" + asked)
print()
try:
    run({_EXAMINE!r}, closer)
except Exception as error:
    sys.stderr.write("the closer look: %s" % type(error).__name__)
"""


def watch(request: Json, closer: Command) -> Command:
    """The probe (see `run_probe`) and a closer look (see `examine`) in one trip: a line each, or only the first."""
    stdin = b"\n".join((probe_input(request), closer.stdin))
    return script("watch", 'exec python3 -I -c "$1"', _WATCH, stdin=stdin, timeout=_SECONDS)


def examine(
    port: int, unit: str, user: str, state: str, node: str, secrets: tuple[str, ...], token_path: str, config: str
) -> Command:
    """Prints a JSON object with the fields of `Examination` that a host can tell alone. Changes nothing.

    `secrets` are files that `user` has to be able to read, `node` a program, `state` a directory, `config` a file.
    """
    request = {
        "port": port, "unit": unit, "user": user, "state": state, "node": node, "secrets": [*secrets],
        "token_path": token_path, "config": config,
    }  # fmt: skip
    stdin = json.dumps(request).encode()
    return script("examine the host", 'exec python3 -I -c "$1"', _EXAMINE, stdin=stdin, timeout=_SECONDS)
