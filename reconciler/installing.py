"""Puts what calls `fleet monitor` where this machine's systemd, cron or OpenClaw finds it, or takes it away again.

Safe to run twice: what is there already is said. Alone starts the programs of these.
"""

from __future__ import annotations

import getpass
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from reconciler import wholefile
from reconciler.errors import Refused, StateError
from reconciler.schedules import Schedule, cron_table, openclaw_job, systemd_units, without_cron_lines

SYSTEM_UNITS: Final = Path("/etc/systemd/system")
PATIENCE: Final = 60  # seconds


def install_systemd(it: Schedule) -> list[str]:
    """What was done, in words. Raises StateError."""
    place, manager = _systemd()
    done = [f"Written: {place / name}" for name, text in _units(it).items() if _put(place / name, text)]
    if done:
        _run([*manager, "daemon-reload"])
    if _said([*manager, "is-enabled", f"{it.name}.timer"]) != "enabled" or done or not _is_active(manager, it):
        _run([*manager, "enable", f"{it.name}.timer"])
        _run([*manager, "restart", f"{it.name}.timer"])
        done.append(f"Running: {it.name}.timer")
    return done


def ends_with_session() -> bool:
    """Whether what an account's own systemd runs ends when it logs out; an account that lingers has it go on."""
    try:
        said = "" if is_root() else _said(["loginctl", "show-user", getpass.getuser(), "--property=Linger"])
    except StateError:  # there is no logind, so there are no sessions
        return False
    return not is_root() and said != "Linger=yes"


def remove_systemd(it: Schedule) -> list[str]:
    place, manager = _systemd()
    there = [place / name for name in _units(it) if (place / name).exists()]
    if not there:
        return []
    _run([*manager, "disable", "--now", f"{it.name}.timer"])
    for path in there:
        _unlink(path)
    _run([*manager, "daemon-reload"])
    return [f"Deleted: {path}" for path in there]


def install_cron(it: Schedule) -> list[str]:
    before = _cron_lines(it)
    wanted = cron_table(before, it)
    if wanted == before:
        return []
    _run([*_crontab(it), "-"], given=wanted)
    return [f"Written: its lines in the crontab of {it.user}"]


def remove_cron(it: Schedule) -> list[str]:
    before = _cron_lines(it)
    wanted = without_cron_lines(before, it)
    if wanted == before:
        return []
    _run([*_crontab(it), "-"], given=wanted)
    return [f"Deleted: its lines in the crontab of {it.user}"]


def _crontab(it: Schedule) -> list[str]:
    """Of the account that called sudo, where somebody has: its key is there, and not root's."""
    return ["crontab", "-u", it.user] if is_root() and it.user != "root" else ["crontab"]


def install_openclaw(it: Schedule) -> list[str]:
    _run(list(openclaw_job(it)))
    return [f"Written: the job {it.name} of the gateway on this machine"]


def remove_openclaw(it: Schedule) -> list[str]:
    """Jobs have ids that only the gateway knows: it is asked for those of this name. Raises StateError."""
    words = ["openclaw", "cron", "list", "--json"]
    done = _start(words)
    if done.returncode != 0:
        raise _failed(words, done)
    try:
        ids = [str(job["id"]) for job in json.loads(done.stdout)["jobs"] if job.get("name") == it.name]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        by_hand = f"find the id of {it.name}: openclaw cron list; then: openclaw cron rm ID"
        raise StateError("the gateway does not tell its jobs", by_hand) from error
    for number in ids:
        _run(["openclaw", "cron", "rm", number])
    return [f"Deleted: the job {it.name} of the gateway on this machine"] if ids else []


def install_file(path: Path, text: str, *, force: bool) -> list[str]:
    """A file that its owner may have changed. Raises Refused where another is there and nothing forces it."""
    if path.exists() and path.read_text(encoding="utf-8", errors="replace") == text:
        return []
    if path.exists() and not force:
        raise Refused(f"{path} is there, and says something else", "look: --print; to write over it: --force")
    kept = path.with_name(f"{path.name}.before")
    moved = path.exists()
    try:
        if moved:
            path.replace(kept)
        path.parent.mkdir(parents=True, exist_ok=True)
        wholefile.replace(path, text.encode(), 0o644)
    except OSError as error:
        raise StateError(f"cannot write {path}: {error.strerror}", "mend that path") from error
    return [f"Written: {path}", *([f"Kept: what was there is in {kept}"] if moved else [])]


def units_place() -> Path:
    """Where units go: root's are the system's."""
    return _systemd()[0]


def is_root() -> bool:
    return os.geteuid() == 0


def _units(it: Schedule) -> Mapping[str, str]:
    return systemd_units(it, is_system=is_root())


def _systemd() -> tuple[Path, list[str]]:
    if is_root():
        return SYSTEM_UNITS, ["systemctl"]
    configuration = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(configuration, "systemd", "user"), ["systemctl", "--user"]


def _is_active(manager: Sequence[str], it: Schedule) -> bool:
    return _said([*manager, "is-active", f"{it.name}.timer"]) == "active"


def _put(path: Path, text: str) -> bool:
    try:
        if path.exists() and path.read_text(encoding="utf-8") == text:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        wholefile.replace(path, text.encode(), 0o644)
    except (OSError, UnicodeDecodeError) as error:
        raise StateError(f"cannot write {path}: {error}", "look at it, or print the units: --print") from error
    return True


def _unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StateError(f"cannot delete {path}: {error.strerror}", "delete it by hand") from error


def _cron_lines(it: Schedule) -> str:
    """`crontab -l` fails where there are none."""
    words = [*_crontab(it), "-l"]
    done = _start(words)
    if done.returncode == 0:
        return done.stdout
    if "no crontab" in done.stderr:
        return ""
    raise _failed(words, done)


def _said(words: Sequence[str]) -> str:
    return _start(words).stdout.strip()


def _run(words: Sequence[str], given: str = "") -> None:
    done = _start(words, given)
    if done.returncode != 0:
        raise _failed(words, done)


def _start(words: Sequence[str], given: str = "") -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(words, input=given, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except FileNotFoundError as error:
        raise StateError(
            f"there is no program {words[0]} here", "print it, and put it where it belongs: --print"
        ) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StateError(
            f"{words[0]} does not work: {error}", "print it, and put it where it belongs: --print"
        ) from error


def _failed(words: Sequence[str], done: subprocess.CompletedProcess[str]) -> StateError:
    said = " ".join((done.stderr or done.stdout).split())[:400] or f"exit code {done.returncode}"
    return StateError(f"{words[0]} {words[1]} failed: {said}", "mend that, or put it there yourself: --print")
