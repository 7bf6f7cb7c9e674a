"""Our own long-lived processes: started detached, held by a lock that ends with them, found by their control group."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from reconciler.sandbox import cgroups

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def start(
    module: str, *arguments: str, lock: int, log: Path, trees: Mapping[str, Path], env: Mapping[str, str]
) -> None:
    """Run `python -m module` on its own. It inherits the open lock and keeps it until it ends."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=env,
            cwd="/",
            pass_fds=[lock],
            start_new_session=True,
        )
    threading.Thread(target=process.wait, daemon=True).start()  # else it stays a zombie when it ends before us
    cgroups.make(trees, cgroups.CONTROL)
    cgroups.enter(trees, cgroups.CONTROL, process.pid)


def take(lock: int) -> bool:
    """Take an open lock file unless another process keeps it."""
    for _ in range(5):  # somebody who only asks (`is_held`) has it too, for a moment
        if _try(lock):
            return True
        time.sleep(0.01)
    return False


def is_held(lock: Path) -> bool:
    """Whether a process keeps this lock; never makes the file."""
    try:
        with lock.open("r+") as file:
            return not _try(file.fileno())
    except FileNotFoundError:
        return False


def _try(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
