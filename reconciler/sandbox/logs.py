"""The ends of the sandbox's logs. A machine's own journal is read from its disk, so it need not run."""

from __future__ import annotations

import subprocess
from pathlib import Path

from reconciler.errors import SandboxError
from reconciler.sandbox.disk import Description
from reconciler.sandbox.paths import MachinePaths, Paths


def tail(paths: Paths, of: str, lines: int) -> list[str]:
    """The last lines of "daemon" or of a machine, by id or host name. SandboxError when there is no such thing."""
    if of == "daemon":
        found = _last(paths.daemon_log, lines)
    else:
        machine = _find(paths, of)
        outer = _last(machine.console, lines) + _last(machine.supervisor_log, lines)
        found = _journal(machine, lines) or outer
    return [_harmless(line) for line in found[-lines:]]


def _find(paths: Paths, name: str) -> MachinePaths:
    for machine_id in paths.machine_ids():
        machine = paths.machine(machine_id)
        if name in (str(machine_id), Description.from_file(machine.description).hostname):
            return machine
    raise SandboxError(f"the sandbox has no machine {name!r}", "See `fleet sandbox status`.")


def _journal(machine: MachinePaths, lines: int) -> list[str]:
    folder = machine.upper / "var/log/journal"
    command = ["journalctl", "--quiet", "--no-pager", f"--lines={lines}", f"--directory={folder}"]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False).stdout.splitlines()


def _last(file: Path, lines: int) -> list[str]:
    return file.read_text(errors="replace").splitlines()[-lines:] if file.exists() else []


def _harmless(line: str) -> str:
    """Without what a terminal would obey."""
    return "".join(character if character.isprintable() or character == "\t" else "?" for character in line)
