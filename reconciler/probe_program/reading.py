"""Reading a host's files and programs: bounded, and without following what the gateway's user may have put there.

Part of the probe: Python 3.9, standard library and this package only.
"""

from __future__ import annotations

import fnmatch
import grp
import itertools
import json
import os
import pwd
import stat
import subprocess
from pathlib import Path
from typing import Any

FILE_LIMIT = 16 << 20  # bytes
CHUNK = 1 << 16
PROGRAM_SECONDS = 5
root = Path("/")


def look_below(directory: str) -> None:
    """Take all paths from now on as below `directory`; "/" on a real host."""
    global root
    root = Path(directory)


def at(path: str | Path) -> Path:
    return root / str(path).lstrip("/")


def content(path: str | Path) -> bytes | None:
    """What is in a regular file; None where there is none. A link, a pipe or a device is none."""
    found = opened(path)
    return found[0] if found else None


def opened(path: str | Path) -> tuple[bytes, os.stat_result] | None:
    found = _regular(path)
    if found is None:
        return None
    descriptor, status = found
    with os.fdopen(descriptor, "rb") as file:
        # In pieces: /proc/sys refuses a large read.
        return b"".join(itertools.islice(iter(lambda: file.read(CHUNK), b""), FILE_LIMIT // CHUNK)), status


def _regular(path: str | Path) -> tuple[int, os.stat_result] | None:
    """A descriptor of what is no link, pipe or device; the caller closes it."""
    try:
        descriptor = os.open(at(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        return None
    return descriptor, status


def ending(path: str, most: int) -> bytes | None:
    """At most so many bytes from the end of a regular file; None where there is none."""
    found = _regular(path)
    if found is None:
        return None
    descriptor, status = found
    with os.fdopen(descriptor, "rb") as file:
        file.seek(max(status.st_size - most, 0))
        return file.read(most)


def names_in(directory: str) -> list[str]:
    """What is in a directory, in order; nothing where there is none."""
    try:
        return sorted(entry.name for entry in at(directory).iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def strays(directory: str, pattern: str, only: list[str]) -> list[str]:
    """The names there that match `pattern` and none of `only`."""
    found = [name for name in names_in(directory) if fnmatch.fnmatchcase(name, pattern)]
    return [name for name in found if not any(fnmatch.fnmatchcase(name, known) for known in only)]


def text(path: str) -> str:
    return (content(path) or b"").decode("utf-8", "replace")


def parsed(data: bytes | None) -> Any:
    try:
        return json.loads(data or b"null", parse_constant=lambda name: None)
    except (ValueError, RecursionError):
        return None


def concealed(value: Any, secrets: list[str]) -> Any:
    """The same with *** for each of the secrets in any text; keys stay."""
    if isinstance(value, dict):
        return {name: concealed(inner, secrets) for name, inner in value.items()}
    if isinstance(value, list):
        return [concealed(inner, secrets) for inner in value]
    if isinstance(value, str):
        for secret in secrets:
            for written in (secret, json.dumps(secret)[1:-1]):
                value = value.replace(written, "***")
    return value


def output(*command: str, seconds: float = PROGRAM_SECONDS) -> str:
    """What a program prints, also when it fails: they answer "no" by their exit code. Raises TimeoutError."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"{command[0]} took more than {seconds:g} s: the host is very busy") from None
    return done.stdout.decode("utf-8", "replace")


def listed(*command: str) -> list[str]:
    """The lines that a program prints; none where somebody has removed its package, which a look must outlive."""
    try:
        return output(*command).splitlines()
    except FileNotFoundError:
        return []


def fields(lines: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in lines.splitlines() if "=" in line and not line.startswith("#"))


def rights(status: os.stat_result) -> dict[str, str]:
    return {
        "mode": f"{stat.S_IMODE(status.st_mode):04o}",
        "owner": f"{user_name(status.st_uid)}:{group_name(status.st_gid)}",
    }


def user_name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def group_name(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def memory_free_mb() -> int:
    for line in text("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) >> 10
    return 0
