"""Faults for a real machine, as data: what is done to it, the cause that must be named, and the rungs that mend it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reconciler.managed import files
from reconciler.model import Cause, Rung
from reconciler.sandbox import cgroups
from reconciler.sandbox.paths import Paths
from reconciler.sandbox.telegram import Fault as TelegramFault
from tests.e2e.machinery import wait_until
from tests.e2e.minds import Story, shell

Outside = Callable[[Story], AbstractContextManager[None]]

CONFIG: Final = files.CONFIG_PATH
LITTLE: Final = 400 << 20  # bytes
LISTEN: Final = f"import socket, time; s = socket.create_server(('127.0.0.1', {files.PORT})); time.sleep(600)"
END: Final = f"systemctl stop {files.UNIT}"
START: Final = f"systemctl start {files.UNIT}"
UNKNOWN_KEY: Final = (
    f'python3 -c \'import json; p = "{CONFIG}"; c = json.load(open(p)); c["surprise"] = 1; json.dump(c, open(p, "w"))\''
)
# By a stranger, whom systemd started as a unit of its own; and a gateway that somebody has started by hand.
TAKEN: Final = f"systemd-run --quiet --collect --unit=stranger python3 -c {shell(LISTEN)}; sleep 1"
BY_HAND: Final = (
    f"cd {files.HOME}; setsid runuser -u {files.SERVICE_USER} -- env HOME={files.HOME} OPENCLAW_NO_RESPAWN=1 "
    f"/opt/openclaw/node-{files.NODE_VERSION}/bin/node {files.CURRENT}/node_modules/openclaw/openclaw.mjs gateway run "
    ">/dev/null 2>&1 </dev/null & sleep 20"
)
MASKED: Final = f"ln -sfn /dev/null {files.UNIT_PATH}; systemctl daemon-reload"
NO_RELEASE: Final = f'rm -rf "$(readlink -f {files.CURRENT})"'
NO_NETWORK: Final = (
    "systemd-run --quiet --collect sh -c "
    "'sleep 1; systemctl stop systemd-networkd.socket systemd-networkd; ip link set eth0 down'"
)


def small_home(options: str, fill: str) -> str:
    """The gateway's home on a file system of that size, filled by a cache that it could fetch again."""
    home, kept = files.HOME, "/var/lib/home-before"
    return (
        f"cp -a {home} {kept} && mount -t tmpfs -o {options} tmpfs {home} && cp -a {kept}/. {home} && rm -rf {kept}; "
        f"chown --reference={home}/.openclaw {home}; chmod 0700 {home}; "
        f"runuser -u {files.SERVICE_USER} -- sh -c {shell(f'mkdir -p {home}/.cache/junk; {fill}; true')} 2>/dev/null"
    )


LARGE_AGAIN: Final = (
    f"{END}; cp -a {files.HOME} /var/lib/home-after && umount {files.HOME} && "
    f"rm -rf {files.HOME} && mv -T /var/lib/home-after {files.HOME}; {START}"
)
FULL: Final = small_home("size=400m", f"head -c 390m /dev/zero >{files.HOME}/.cache/junk/large")
MANY: Final = small_home(
    "size=2g,nr_inodes=9000", f"for n in $(seq 9000); do : >{files.HOME}/.cache/junk/$n || break; done"
)


@contextmanager
def revoked(story: Story) -> Iterator[None]:
    token = story.token
    story.sandbox.break_telegram(token, TelegramFault.UNAUTHORIZED)
    try:
        yield
    finally:
        story.sandbox.break_telegram(token, None)


@contextmanager
def frozen(story: Story) -> Iterator[None]:
    trees = cgroups.load_trees(Paths.default().cgroups)
    number = str(story.machine())
    name = next(path.name for path in trees["v2"].iterdir() if path.name.rpartition("-")[2] == number)
    with cgroups.frozen(trees, name):
        yield


def memory_group(story: Story) -> Path:
    memory = cgroups.load_trees(Paths.default().cgroups)["memory"]
    return next(path for path in memory.iterdir() if path.name.endswith(str(story.machine())))


@contextmanager
def little_memory(story: Story, size: int = LITTLE) -> Iterator[None]:
    """The machine's limit is lowered to what a gateway cannot live with, `size` bytes."""
    limit = memory_group(story) / "memory.limit_in_bytes"
    before = limit.read_text()
    try:
        wait_until(lambda: is_written(limit, str(size)), "the machine is made smaller", 30)
        yield
    finally:
        limit.write_text(before)


def is_written(limit: Path, value: str) -> bool:
    """The kernel refuses a limit as long as it cannot take that much memory back."""
    try:
        limit.write_text(value)
    except OSError as error:
        print(f"{limit.name}: {error}")
        return False
    return True


@dataclass(frozen=True)
class Fault:
    """`shell` is done on the machine, as root, and `outside` lasts until the child was tried to be mended.

    `now` is what is wrong still then, where only a person can mend it; `undo` is what that one does.
    """

    name: str
    cause: Cause
    shell: str = ":"
    rungs: tuple[Rung, ...] = ()
    now: Cause | None = None
    outside: Outside = lambda _: nullcontext()
    undo: str = ":"
    settles: float = 0.0  # seconds until it is in force


FAULTS: Final = (
    Fault("stopped", Cause.STOPPED, END, (Rung.RESTART,)),
    Fault("config refused", Cause.CONFIG_REFUSED, f"{END}; {UNKNOWN_KEY}; {START}; sleep 15", (Rung.CONFIG,)),
    Fault(
        "bad JSON", Cause.CONFIG_REFUSED, f"{END}; echo '{{ \"gateway\":' >{CONFIG}; {START}; sleep 15", (Rung.CONFIG,)
    ),
    Fault("port taken", Cause.PORT_TAKEN, f"{END}; {TAKEN}", (Rung.PORT,)),
    Fault("second gateway", Cause.SECOND_GATEWAY, f"{END}; {BY_HAND}", (Rung.PORT,)),
    Fault("secret missing", Cause.SECRET_MISSING, f"rm {files.MODEL_KEY_PATH}; {END}", (Rung.REINSTALL,)),
    Fault("no unit", Cause.UNIT_CHANGED, f"{END}; rm {files.UNIT_PATH}; systemctl daemon-reload", (Rung.REINSTALL,)),
    Fault("masked unit", Cause.UNIT_CHANGED, f"{END}; {MASKED}", (Rung.REINSTALL,)),
    Fault("no release", Cause.RELEASE_BROKEN, f"{END}; {NO_RELEASE}", (Rung.REINSTALL,)),
    Fault("disk full", Cause.DISK_FULL, FULL, (Rung.DISK,), undo=LARGE_AGAIN),
    Fault("inodes gone", Cause.INODES_GONE, MANY, (Rung.DISK,), undo=LARGE_AGAIN),
    Fault(
        "token revoked",
        Cause.BOT_TOKEN_REFUSED,
        now=Cause.BOT_TOKEN_REFUSED,
        outside=revoked,
        undo=f"systemctl restart {files.UNIT}",
    ),
    Fault(
        "no sshd",
        Cause.SSH_REFUSED,
        "systemd-run --quiet --collect systemctl stop ssh.socket ssh.service",
        (Rung.REBOOT,),
    ),
    Fault("sshd frozen", Cause.HOST_SILENT, "systemctl kill --signal=STOP --kill-who=main ssh.service", (Rung.REBOOT,)),
    Fault("network cut", Cause.HOST_SILENT, NO_NETWORK, (Rung.REBOOT,), settles=5),
    Fault("frozen", Cause.HOST_SILENT, rungs=(Rung.REBOOT, Rung.RESET), outside=frozen),
)
# Two at once: the lower one is named, and the other after it.
PAIRS: Final = (
    Fault("network cut, stopped", Cause.HOST_SILENT, f"{END}; {NO_NETWORK}", (Rung.REBOOT,), settles=5),
    Fault(
        "inodes gone, secret missing",
        Cause.INODES_GONE,
        f"{MANY}; rm {files.MODEL_KEY_PATH}; {END}",
        (Rung.DISK, Rung.REINSTALL),
        undo=LARGE_AGAIN,
    ),
    Fault(
        "no release, bad JSON",
        Cause.RELEASE_BROKEN,
        f"{END}; echo '{{' >{CONFIG}; {NO_RELEASE}",
        (Rung.REINSTALL, Rung.CONFIG),
    ),
    Fault("masked unit, port taken", Cause.UNIT_CHANGED, f"{END}; {MASKED}; {TAKEN}", (Rung.REINSTALL, Rung.PORT)),
    Fault(
        "config refused, port taken", Cause.CONFIG_REFUSED, f"{END}; {UNKNOWN_KEY}; {TAKEN}", (Rung.CONFIG, Rung.PORT)
    ),
)
