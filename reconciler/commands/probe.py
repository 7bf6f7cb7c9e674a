"""The one question asked of a host: all facts in one trip."""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import Final

from reconciler.commands.shell import script
from reconciler.model import Command, Json

PROGRAM: Final = "reconciler.probe_program"
# Each after those it imports.
MODULES: Final = ("reading", "tree", "system", "firewall", "looks", "gateway", "versions", "main")

# argv carries only this. On stdin comes the program, a JSON list of [name, source] on one line, then its request,
# which holds a key.
BOOTSTRAP: Final = f"""
import json, sys, types
for name, source in json.loads(sys.stdin.buffer.readline()):
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(source, name, "exec"), module.__dict__)
    setattr(sys.modules.setdefault("{PROGRAM}", types.ModuleType("{PROGRAM}")), name.rpartition(".")[2], module)
sys.modules["{PROGRAM}.main"].main()
"""


def run_probe(request: Json, timeout: float = 25.0) -> Command:
    """Ask a host `request` (see probe_program/main.py); `reconciler.answers.parse_answer` reads what it prints."""
    return script("probe", 'exec python3 -I -c "$1"', BOOTSTRAP, stdin=probe_input(request), timeout=timeout)


def probe_input(request: Json) -> bytes:
    """The program and what it is asked, a line each."""
    return _program() + b"\n" + json.dumps(request).encode()


@functools.cache
def _program() -> bytes:
    package = resources.files(PROGRAM)
    sources = [(f"{PROGRAM}.{name}", package.joinpath(f"{name}.py").read_text(encoding="utf-8")) for name in MODULES]
    return json.dumps(sources).encode()
