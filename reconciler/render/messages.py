"""Messages to users, and what became of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.text import Text

from reconciler.model import Delivery, Json, Letter
from reconciler.render.table import NO_CELL, Sheet
from reconciler.render.text import harmless


def letter_lines(letters: Iterable[Letter], nobody: Iterable[Delivery]) -> Iterator[str]:
    """What would be sent, each text below its user."""
    for letter in letters:
        yield f"{harmless(letter.child)} to {letter.user}:"
        yield from (f"  {harmless(line)}" for line in letter.text.splitlines())
    for delivery in nobody:
        yield f"{harmless(delivery.child)}: {delivery.problem} ({delivery.advice})"


def letter_json(letters: Iterable[Letter], nobody: Iterable[Delivery]) -> list[Json]:
    """The same; `text` is null where there is nobody to send it to."""
    written: list[Json] = [{"child": it.child, "user": it.user, "text": it.text, "problem": None} for it in letters]
    written += [{"child": it.child, "user": None, "text": None, "problem": it.problem} for it in nobody]
    return written


def delivery_table(deliveries: Iterable[Delivery]) -> Sheet:
    return Sheet(("CHILD", "USER", "MESSAGE", "RESULT"), tuple(map(_row, deliveries)))


def delivery_json(deliveries: Iterable[Delivery]) -> list[Json]:
    return [
        {
            "child": it.child,
            "user": it.user,
            "sent": None if it.is_unclear else bool(it.message),  # null: nobody can tell
            "message": it.message or None,
            "problem": it.problem or None,
        }
        for it in deliveries
    ]


def _row(delivery: Delivery) -> tuple[Text, ...]:
    result = "sent" if delivery.message else f"{delivery.problem} ({delivery.advice})"
    user = NO_CELL if delivery.user is None else str(delivery.user)
    cells = (harmless(delivery.child), user, harmless(delivery.message) or NO_CELL)
    return (*map(Text, cells), Text(harmless(result), style="" if delivery.message else "red"))
