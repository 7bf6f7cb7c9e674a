"""What is tried on a host that is ill. Nothing here deletes what a gateway remembers, or the only one of anything."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from reconciler.commands.examine import PROCESSES
from reconciler.commands.shell import exclusive, script
from reconciler.commands.switching import LEFT_OUT, MUST_BE_STOPPED, checkpoint_id
from reconciler.model import Command

JOURNAL_MB: Final = 64
DOCTOR_TIMEOUT: Final = 300.0  # it took 12.7 s (facts on OpenClaw, section 7); it may have a database to mend

_SET_ASIDE: Final = (
    "exec runuser -u openclaw -- sh -c '"
    'set -eu; path=$1 id=$2; shift 2; for end in "" "$@"; do '
    'if [ -e "$path$end" ] || [ -L "$path$end" ]; then mv -fT -- "$path$end" "$path.refused-$id$end"; fi; done; '
    'sync "$(dirname -- "$path")"'
    '\' sh "$@"'
)

# What is packed at the moment has its own lock, which this command holds as well.
_CLEAR: Final = f"""
home=/var/lib/openclaw; notes=/var/lib/openclaw-deploy
free() {{ df -Pm -- "$home" | tail -n 1 | awk '{{ print $4 }}'; }}
before=$(free)
{{
  apt-get clean || true
  journalctl --vacuum-size={JOURNAL_MB}M || true
  find /var/log -xdev -type f \\( -name '*.gz' -o -name '*.[1-9]' -o -name '*.old' \\) -delete || true
  [ ! -d /var/lib/systemd/coredump ] || find /var/lib/systemd/coredump -xdev -type f -delete
  rm -rf -- /var/tmp/openclaw-archive.* "$notes/archive" "$notes/switch.over" "$notes"/checkpoints/*.part
  runuser -u openclaw -- sh -c 'rm -rf -- "$1/.cache" "$1/.npm"' sh "$home" || true
}} >&2 </dev/null
after=$(free)
printf '{{"freed_mb": %s, "free_mb": %s}}\n' "$((after > before ? after - before : 0))" "$after"
"""
assert all(f"./{name}" in LEFT_OUT for name in (".cache", ".npm"))  # no copy of its memory has them

# A unit of somebody's is stopped where it is what its process was started as; else the process alone is told to end.
# sshd is left: without it nobody gets in.
_FREE_PORT: Final = (
    f"{PROCESSES}"
    """
KEPT = ("ssh.service", "sshd.service", "ssh.socket", "sshd.socket", "init.scope", wanted["unit"])
def since(pid):
    words = read("/proc/%d/stat" % pid).rpartition(b")")[2].split()
    return words[19] if len(words) > 19 else None
def unit_of(pid):
    for line in group(pid).splitlines():
        name = line.rpartition("/")[2]
        if name.endswith(".service") and name not in KEPT:
            if (said("systemctl", "show", "-p", "MainPID", "--value", "--", name) or "").strip() == str(pid):
                return name
    return ""
def socket_unit():
    for line in (said("systemctl", "list-sockets", "--full", "--no-legend", "--no-pager") or "").splitlines():
        words = line.split()
        if len(words) > 1 and words[0].endswith(":%d" % wanted["port"]) and words[1] not in KEPT:
            return words[1]
    return ""
def end(it):
    pid, began = it["pid"], since(it["pid"])
    if began is None:
        return it
    it["unit"] = socket_unit() if pid == 1 else unit_of(pid)
    if it["unit"]:
        # its service too, or that goes on with the socket it was given
        name = it["unit"].rpartition(".")[0]
        subprocess.run(["systemctl", "--no-ask-password", "stop", "--", it["unit"], name + ".service"],
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    if pid == 1 or pid == os.getpid():
        return it
    for number, seconds in ((signal.SIGTERM, 30), (signal.SIGKILL, 5)):
        if since(pid) != began:
            break
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            break
        until = time.monotonic() + seconds
        while since(pid) == began and time.monotonic() < until and state(pid) != "Z":
            time.sleep(0.1)
    return it
def state(pid):
    words = read("/proc/%d/stat" % pid).rpartition(b")")[2].split()
    return words[0].decode() if words else ""
def others():
    return {it["pid"]: {**it, "unit": ""} for it in (*listeners(), *strays()) if not it["is_ours"]}
ended = [end(it) for it in others().values()]
print(json.dumps({"ended": ended, "left": list(others().values())}))
"""
)

_DOCTOR: Final = f"""unit=openclaw-gateway.service; home=/var/lib/openclaw
fail() {{ echo "$1" >&2; exit 1; }}
{MUST_BE_STOPPED}
must_be_stopped; node=/opt/openclaw/node-$1/bin/node; cd "$home"
runuser -u openclaw -- env -i HOME="$home" PATH="${{node%/node}}:/usr/bin:/bin" LC_ALL=C.UTF-8 \
  OPENCLAW_NO_AUTO_UPDATE=1 OPENCLAW_SERVICE_REPAIR_POLICY=external \
  "$node" /opt/openclaw/current/node_modules/openclaw/openclaw.mjs doctor --fix --non-interactive </dev/null >&2 9>&-
"""


def set_aside_config(path: str, when: str, ends: Sequence[str]) -> Command:
    """The gateway's configuration, and its own copies with these `ends`, have other names: `….refused-WHEN`.

    `when` is a moment as checkpoints have it. Nothing is lost, and nothing is left that the gateway may put
    back although its release refuses it.
    """
    return script(f"set aside {path}", _SET_ASIDE, path, checkpoint_id(when), *ends)


def clear_space() -> Command:
    """What can be fetched or made again is deleted: packages, caches, old journals. Prints {"freed_mb", "free_mb"}."""
    return exclusive("clear space", _CLEAR, timeout=300)


def free_port(port: int, unit: str) -> Command:
    """Whoever else listens on `port`, and each gateway that `unit` has not started, is told to end, then made to.

    Prints {"ended": [{"pid", "name", "unit"}], "left": [...]}.
    """
    stdin = json.dumps({"port": port, "unit": unit}).encode()
    return script("free the port", 'exec python3 -I -c "$1"', _FREE_PORT, stdin=stdin, timeout=240)


def run_doctor(node_version: str) -> Command:
    """OpenClaw's own repair of its configuration and databases, of the linked release. The gateway must be stopped."""
    return exclusive("run the doctor", _DOCTOR, node_version, timeout=DOCTOR_TIMEOUT, check=False)
