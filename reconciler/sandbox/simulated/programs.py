"""The programs that a unit may run on a simulated host, but for the gateway itself: few, and done at once."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from reconciler.commands.switching import RETURN_PATH
from reconciler.sandbox.simulated import switching
from reconciler.sandbox.simulated.calls import Fails
from reconciler.sandbox.simulated.disk import File, is_program

if TYPE_CHECKING:
    from reconciler.sandbox.simulated.host import SimulatedHost

NO_PROGRAM: Final = 203  # systemd's EXIT_EXEC
_STAMP_PATH: Final = re.compile(r'^PATH = "(/[^"]+)"$', re.MULTILINE)


def run_line(host: SimulatedHost, line: str) -> None:
    """One line of Exec…=. Raises Fails with the program's exit code."""
    program, *arguments = shlex.split(line.lstrip("+-!@:"))
    if program in PROGRAMS:
        PROGRAMS[program](host, arguments)
    elif program == RETURN_PATH and is_program(host, program):
        switching.give_up_when_due(host)
    elif is_program(host, program):
        run_stamp(host, program, arguments)
    else:
        raise Fails(f"Unable to locate executable '{program}': No such file or directory", NO_PROGRAM)


def run_stamp(host: SimulatedHost, program: str, paths: list[str]) -> None:
    """Our unit's stamp program: it notes what the gateway is about to read, and how often it has started."""
    found = _STAMP_PATH.search(host.content(program).decode("utf-8", "replace"))
    if found is None:
        host.objections.append(f"nobody knows what {program} does")
        return
    before = host.read_json(found[1])
    starts = before["starts"] if isinstance(before, dict) else 0
    note = {"starts": starts + 1, "digests": {path: host.stamp(path) for path in paths}}
    host.files[found[1]] = File(json.dumps(note).encode(), mode="0600")


def _load_rules(host: SimulatedHost, arguments: list[str]) -> None:
    if "nftables" not in host.packages:
        raise Fails("Unable to locate executable '/usr/sbin/nft': No such file or directory", NO_PROGRAM)
    host.kernel.load(arguments[-1])


def _fail(host: SimulatedHost, arguments: list[str]) -> None:
    raise Fails("exited")


def _nothing(host: SimulatedHost, arguments: list[str]) -> None:
    """Done."""


PROGRAMS: Final[dict[str, Callable[[SimulatedHost, list[str]], None]]] = {
    "/usr/sbin/nft": _load_rules,
    "/usr/bin/false": _fail,
    "/usr/bin/sleep": _nothing,
    "/usr/bin/true": _nothing,
}
