"""What arrives at sshd, read back into a call: which constant script, with which arguments, as which user.

The name of a command does not travel, so a command is known by its script's text. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from reconciler.commands.shell import PREAMBLE

_WORD: Final = r"""('[^']*'(?:"'"'[^']*')*|[^\s']+)"""  # as shlex.join quotes
_REMOTE: Final = re.compile(rf"(?:sudo -n -- )?timeout -k \d+ ([\d.]+) sh -c {_WORD}")
_ARGUMENT: Final = re.compile(rf" {_WORD}")
_PATIENCE: Final = re.compile(r"patience=\d+\n")
_AS_USER: Final = re.compile(rf"""exec runuser -u (\S+) -- sh -c {_WORD} sh "\$@\"""")
_START: Final = f"{PREAMBLE}; set --"
_PYTHON: Final = 'exec python3 -I -c "$1"'


@dataclass(frozen=True, slots=True)
class Call:
    """One command as the host sees it. `script` is its constant part; `user` is as whom it acts."""

    script: str
    arguments: tuple[str, ...]
    user: str = "root"
    stdin: bytes = b""


class Fails(Exception):  # it is how a command ends, not an error of ours
    """A command ends with another code than 0 and these words on stderr."""

    def __init__(self, stderr: str, exit_code: int = 1, stdout: bytes = b"") -> None:
        super().__init__(stderr)
        self.stderr = f"{stderr}\n".encode()
        self.exit_code = exit_code
        self.stdout = stdout


def read_remote(line: str) -> tuple[str, float] | None:
    """The shell line inside a remote line, and the seconds that timeout(1) gives it; None for what we never send."""
    found = _REMOTE.fullmatch(line)
    return (_unquoted(found[2]), float(found[1])) if found else None


def read_call(line: str, stdin: bytes) -> Call | None:
    """The call in a shell line; None when reconciler.commands does not make such lines."""
    if not line.startswith(_START):
        return None
    words, position = [], len(_START)
    while found := _ARGUMENT.match(line, position):
        words.append(_unquoted(found[1]))
        position = found.end()
    if line[position : position + 1] != "\n":
        return None
    return _call(_PATIENCE.sub("", line[position + 1 :], count=1), words, stdin)


def _call(text: str, words: list[str], stdin: bytes) -> Call:
    if text == _PYTHON and words:  # the program is the constant part
        return Call(f"{text}\n{words[0]}", tuple(words[1:]), stdin=stdin)
    if inner := _AS_USER.fullmatch(text):
        return Call(_unquoted(inner[2]).removeprefix(f"{PREAMBLE}\n"), tuple(words), inner[1], stdin)
    return Call(text, tuple(words), stdin=stdin)


def _unquoted(word: str) -> str:
    return word.replace("'\"'\"'", "\0").strip("'").replace("\0", "'")
