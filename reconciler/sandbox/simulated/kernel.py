"""The kernel's packet filter as far as nft is used: whole tables, loaded from a file and listed again."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Final

from reconciler.sandbox.simulated.calls import Fails

if TYPE_CHECKING:
    from reconciler.sandbox.simulated.host import SimulatedHost

OURS: Final = "inet openclaw_deploy"
_ACCOUNT: Final = re.compile(r"(?<=meta skuid )(!= )?([a-z][a-z0-9_-]*|0)\b")


class Kernel:
    """`tables` maps "inet name" to the lines that `nft list table` prints, without indentation.

    But for accounts: which number each has is not modelled, so only root's is told as one.
    """

    def __init__(self, host: SimulatedHost) -> None:
        self.tables: dict[str, list[str]] = {}
        self._host = host

    def foreign(self) -> list[str]:
        """Tables that are not ours. What ufw does is not modelled as tables."""
        return [f"table {name}" for name in self.tables if name != OURS]

    def forget_foreign(self) -> None:
        self.tables = {name: lines for name, lines in self.tables.items() if name == OURS}

    def load(self, path: str) -> None:
        """`nft -f path`. Raises Fails where the file is missing or makes no sense; then nothing has changed."""
        if path not in self._host.files:
            raise Fails(f"Error: Could not open file {path!r}: No such file or directory")
        lines = self._host.content(path).decode("utf-8", "replace").splitlines()
        _check_accounts(lines, self._host.accounts)
        self.tables = _after(dict(self.tables), lines)

    def listed(self, table: str, *, names: bool) -> list[str]:
        """`nft list table`, with --guid where accounts shall be told by their names."""
        lines = self.tables.get(table, [])
        return [_ACCOUNT.sub(_named, line) for line in lines] if names else lines

    def lets_out(self, user: str) -> bool:
        """Whether what `user` sends gets any further than loopback."""
        fence = f'meta skuid {user} oifname != "lo" reject'
        return not any(fence in lines for lines in self.tables.values())


def _check_accounts(lines: list[str], accounts: Collection[str]) -> None:
    for _, name in _ACCOUNT.findall("\n".join(lines)):
        if name not in ("0", *accounts):
            raise Fails(f"Error: User does not exist: {name}")


def _named(found: re.Match[str]) -> str:
    return f'{found[1] or ""}"{"root" if found[2] == "0" else found[2]}"'


def _after(tables: dict[str, list[str]], lines: list[str]) -> dict[str, list[str]]:
    current: list[str] = []
    depth = 0
    for raw in lines:
        line = raw.partition("#")[0].strip()
        if not line:
            continue
        if depth == 0:
            current = _open(tables, line)
        if depth or line.endswith("{"):
            current.append(line)
        depth += line.count("{") - line.count("}")
    if depth:
        raise Fails("Error: syntax error, unexpected end of file")
    return tables


def _open(tables: dict[str, list[str]], line: str) -> list[str]:
    """The lines of the table that `line` speaks of, after what it does to it."""
    words = line.rstrip("{").split()
    if words[:2] == ["flush", "ruleset"]:
        tables.clear()
        return []
    if words[:2] == ["delete", "table"]:
        tables.pop(" ".join(words[2:4]), None)
        return []
    if words[0] != "table" or len(words) != 3:
        raise Fails(f"Error: syntax error, unexpected {words[0]!r}")
    empty: list[str] = []
    if line.endswith("{"):
        tables[" ".join(words[1:3])] = empty
        return empty
    tables.setdefault(" ".join(words[1:3]), empty)
    return empty
