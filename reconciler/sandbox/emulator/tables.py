"""Rows of the emulated project by id, which know what changed since they were last saved."""

from __future__ import annotations

from typing import Protocol, TypeVar


class Row(Protocol):
    @property
    def id(self) -> int: ...


RowT = TypeVar("RowT", bound=Row)

_MOST_DIGITS = 19  # of an id, which has 64 bits


def number_in(text: str) -> int | None:
    """The number that an id is written as; None for other text, and for one that no id has."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None


class Table(dict[int, RowT]):
    """Change it with `put` and `remove` alone: these keep the index of names and the list of changes."""

    def __init__(self) -> None:
        super().__init__()
        self._ids: dict[str, int] = {}
        self._changed: set[int] = set()

    def put(self, row: RowT) -> RowT:
        """Add it, or replace the row of this id."""
        self._forget_name(row.id)
        self[row.id] = row
        if name := _name(row):
            self._ids[name] = row.id
        self._changed.add(row.id)
        return row

    def remove(self, identifier: int) -> None:
        """Nothing to do when it has gone."""
        self._forget_name(identifier)
        if self.pop(identifier, None):
            self._changed.add(identifier)

    def named(self, name: str) -> RowT | None:
        identifier = self._ids.get(name)
        return None if identifier is None else self[identifier]

    def referred(self, reference: object) -> RowT | None:
        """The row of this id or name; a number may come as text."""
        text = str(reference)
        identifier = number_in(text)
        return self.named(text) if identifier is None else self.get(identifier)

    def take_changes(self) -> list[tuple[int, RowT | None]]:
        """What was put (the row) or removed (None) since the last call."""
        changed, self._changed = self._changed, set()
        return [(identifier, self.get(identifier)) for identifier in changed]

    def _forget_name(self, identifier: int) -> None:
        if (before := self.get(identifier)) and (name := _name(before)):
            self._ids.pop(name, None)


def _name(row: object) -> str | None:
    return getattr(row, "name", None)
