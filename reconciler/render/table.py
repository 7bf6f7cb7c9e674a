"""A table of which nothing is lost on a narrow terminal: what does not fit stands below its row, after its heading.

Lines break between words alone, so a text that is harmless as a whole begins no line with a CI system's command.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rich.text import Text

from reconciler.render.text import folded

KEPT: Final = 3  # columns that never leave the table: the name, and what people look for first
GAP: Final = 2
NO_CELL: Final = "-"


@dataclass(frozen=True, slots=True)
class Sheet:
    """A row has a cell for each column; the first is a name. `is_name_whole`: one that nobody could guess."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Text, ...], ...]
    is_name_whole: bool = False


def table_lines(sheet: Sheet, width: int | None) -> Iterator[Text]:
    """Without a width each row is one line. A name is shortened where even the kept columns are too wide."""
    header = tuple(Text(column, style="bold") for column in sheet.columns)
    widths = [max(cell.cell_len for cell in cells) for cells in zip(header, *sheet.rows, strict=True)]
    shown = _fitting(widths, width)
    widths = _with_short_name(widths[:shown], None if sheet.is_name_whole else width)
    yield _line(header, widths)
    for row in sheet.rows:
        yield _line(row, widths)
        yield from _below(sheet.columns[shown:], row[shown:], width)


def _fitting(widths: Sequence[int], width: int | None) -> int:
    """How many columns stand in the table."""
    counts = range(len(widths), KEPT, -1)
    return next((count for count in counts if width is None or _total(widths[:count]) <= width), KEPT)


def _with_short_name(widths: Sequence[int], width: int | None) -> list[int]:
    excess = 0 if width is None else max(0, _total(widths) - width)
    return [max(1, widths[0] - excess), *widths[1:]]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _line(cells: Sequence[Text], widths: Sequence[int]) -> Text:
    fitted = [cell.copy() for cell in cells[: len(widths)]]
    for cell, width in zip(fitted, widths, strict=True):
        cell.truncate(width, overflow="ellipsis", pad=True)
    return Text(" " * GAP).join(fitted)


def _below(columns: Sequence[str], cells: Sequence[Text], width: int | None) -> Iterator[Text]:
    told = [f"{column} {cell.plain}" for column, cell in zip(columns, cells, strict=True) if cell.plain != NO_CELL]
    if told:
        yield from map(Text, folded("  " + "  ".join(told), width))
