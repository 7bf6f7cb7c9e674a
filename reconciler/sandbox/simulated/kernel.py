"""The kernel's packet filter as far as nft is used: whole tables, loaded from a file and listed again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reconciler.sandbox.simulated.calls import Fails

if TYPE_CHECKING:
    from reconciler.sandbox.simulated.host import SimulatedHost

OURS: Final = "inet openclaw_deploy"


class Kernel:
    """`tables` maps "inet name" to the lines that `nft list table` prints, without indentation."""

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
        self.tables = _after(dict(self.tables), self._host.content(path).decode("utf-8", "replace").splitlines())


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
