"""What a simulated host does for who has a probe key: commands/forced.py's program, by the text of it on the disk."""

from __future__ import annotations

import ast
import json
import shlex

from reconciler.commands.forced import PROGRAM_PATH
from reconciler.sandbox.simulated.host import SimulatedHost

_START = "QUESTIONS = json.loads("


def question_of(host: SimulatedHost, command: str) -> tuple[str, bytes, float] | None:
    """The shell line, its input and its seconds; None of what the program has no question for."""
    lines = host.content(PROGRAM_PATH).decode("utf-8", "replace").splitlines()
    table = next((line for line in lines if line.startswith(_START)), None)
    try:
        word = shlex.split(command)[-1]
        asked = json.loads(ast.literal_eval(table.removeprefix(_START).removesuffix(")")))[word] if table else None
    except (ValueError, LookupError, SyntaxError):
        return None
    return (asked["line"], asked["stdin"].encode(), float(asked["seconds"])) if asked else None
