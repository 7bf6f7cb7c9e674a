"""Lines and tables on standard output: coloured on a terminal that wants it, plain and stable when piped."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TextIO

import click

from reconciler.cli.options import Settings

if TYPE_CHECKING:
    from reconciler.render.table import Sheet


def show_lines(lines: Iterable[tuple[str, str | None]], settings: Settings) -> None:
    """Each line in its colour (click's names), or as it is."""
    for line, color in lines:
        click.secho(line, fg=color, color=settings.color)


def show_table(table: Sheet, settings: Settings) -> None:
    """As wide as the terminal; piped output is not made for a width that nobody has."""
    from rich.console import Console

    from reconciler.render.table import table_lines

    console = Console(no_color=not settings.color, highlight=False)
    with console.capture() as captured:
        for line in table_lines(table, console.width if sys.stdout.isatty() else None):
            console.print(line, soft_wrap=True)
    for text in captured.get().splitlines():
        click.echo((text if settings.color else click.unstyle(text)).rstrip(), color=settings.color)


@contextlib.contextmanager
def whoever_reads() -> Iterator[LastingOutput]:
    """Inside, standard output may be lost (`fleet apply | head`, a full disk) without ending what is under way."""
    lasting = LastingOutput(sys.stdout)
    with contextlib.redirect_stdout(lasting):
        yield lasting


def to_nowhere(stream: TextIO) -> None:
    """What is still to come, and what is still unwritten, goes nowhere: Python would stumble over it at its end."""
    with contextlib.suppress(OSError, io.UnsupportedOperation, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class LastingOutput(io.TextIOBase):
    """Text to `stream` until that fails, from then on to nowhere."""

    def __init__(self, stream: TextIO) -> None:
        self.is_lost = False
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self._stream.errors

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._attempt(self._stream.write, text)
        return len(text)

    def flush(self) -> None:
        self._attempt(self._stream.flush)

    def _attempt(self, method: Any, *arguments: str) -> None:
        if self.is_lost:
            return
        try:
            method(*arguments)
        except OSError:
            self.is_lost = True
            to_nowhere(self._stream)
