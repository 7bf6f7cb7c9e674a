"""The configuration of gateways as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from rich.text import Text

from reconciler.model import Change, ChildConfig, Json, Outcome, Owner, Side
from reconciler.render.outcome import outcome_json
from reconciler.render.table import NO_CELL, Sheet
from reconciler.render.text import harmless

_LONGEST: Final = 200  # characters of a value in the table
_COLORS: Final = {Owner.FLEET: "cyan", Owner.FILE: "green", Owner.AGENT: ""}


def config_table(found: ChildConfig, owner: Owner | None = None) -> Sheet:
    """A row for each key; of this owner alone, where one is given."""
    keys = [key for key in found.keys if owner in (None, key.owner)]
    rows = ((Text(path_text(key.path)), Text(key.owner, _COLORS[key.owner]), Text(_text(key.value))) for key in keys)
    return Sheet(("KEY", "OWNER", "VALUE"), tuple(rows), is_name_whole=True)


def difference_table(found: ChildConfig) -> Sheet:
    """A row for each key that is not as the file says."""
    rows = tuple(tuple(map(Text, _difference(*changed, found))) for changed in found.differences)
    return Sheet(("KEY", "FILE", "HOST", "CHANGED"), rows, is_name_whole=True)


def change_lines(changes: Iterable[Change]) -> list[tuple[str, str | None]]:
    """What another text of the whole file changes."""
    return [
        (f"  {harmless(it.path.partition('.')[2])}: {_side(it.before)} -> {_side(it.after)}", None) for it in changes
    ]


def config_json(found: Iterable[ChildConfig]) -> Json:
    """Everything, by child; a key as the list of its names, for names may have dots in them."""
    return {
        it.child: {
            "problem": it.problem or None,
            "keys": [{"path": [*key.path], "value": key.value, "owner": key.owner} for key in it.keys],
        }
        for it in found
    }


def difference_json(found: Iterable[ChildConfig]) -> Json:
    """The same of what differs."""
    return {
        it.child: {
            "applied_at": it.applied_at or None,
            "written_at": it.written_at or None,
            "problem": it.problem or None,
            "differences": [_difference_json(*changed) for changed in it.differences],
        }
        for it in found
    }


def given_json(
    child: str, state: str, changes: Iterable[Change], outcome: Outcome | None, back: Outcome | None
) -> Json:
    """Another text for the whole file: `unchanged`, `differs` (and nothing was tried), `given` or `failed`.

    Where it has failed, also how the one before that was put back has ended.
    """
    told = [{"path": it.path.partition(".")[2], "before": it.before, "after": it.after} for it in changes]
    return {
        "child": child,
        "state": state,
        "changes": [*told],
        "outcome": None if outcome is None else outcome_json(outcome),
        "put_back": None if back is None else outcome_json(back),
    }


def path_text(path: Iterable[str]) -> str:
    """Names with dots in them are in quotes."""
    return harmless(".".join(json.dumps(name) if "." in name or not name else name for name in path))


def _difference(change: Change, side: Side, found: ChildConfig) -> tuple[str, ...]:
    path = harmless(change.path.partition(".")[2])
    return path, _side(change.after), _side(change.before), _who(side, found)


def _difference_json(change: Change, side: Side) -> Json:
    path = change.path.partition(".")[2]
    return {"path": path, "file": change.after, "host": change.before, "changed": side}


def _who(side: Side, found: ChildConfig) -> str:
    at, written = (harmless(it[:16]).replace("T", " ") for it in (found.applied_at, found.written_at))
    since = f", since {at}" if at else ""
    return f"{side}{since}" + (f", written {written}" if written and side in (Side.HOST, Side.BOTH) else "")


def _side(value: Json) -> str:
    return NO_CELL if value is None else _text(value)


def _text(value: Json) -> str:
    text = harmless(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
