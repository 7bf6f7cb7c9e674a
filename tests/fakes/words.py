"""Reads a command's positional parameters back out of its line, as the host's shell would."""

from __future__ import annotations

import re
from typing import Final

from reconciler.commands.shell import PREAMBLE
from reconciler.model import Command

WORD: Final = re.compile(r""" ('[^']*'(?:"'"'[^']*')*|[^\s']+)""")  # as shlex.join quotes


def arguments_of(command: Command) -> list[str]:
    """The positional parameters $1, $2, … that a command sets for its script."""
    start = f"{PREAMBLE}; set"
    assert command.line.startswith(start), f"{command.name} was not made by reconciler.commands"
    words, position = [], len(start)
    while found := WORD.match(command.line, position):
        words.append(found[1].replace("'\"'\"'", "\0").strip("'").replace("\0", "'"))
        position = found.end()
    assert command.line[position] == "\n", f"{command.name} goes on after its parameters"
    return words[1:]
