"""What was asked of the emulator, without user_data: tests count creates by it, people debug by it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from reconciler.model import Json


@dataclass(frozen=True, slots=True)
class Entry:
    """One request. `path` begins behind `/v1`, `body` lacks user_data, `name` is the body's name if it has one."""

    at: str
    method: str
    path: str
    query: str
    status: int
    correlation_id: str
    body: Mapping[str, Json]

    @property
    def name(self) -> str | None:
        name = self.body.get("name")
        return name if isinstance(name, str) else None


class RequestLog:
    """In memory, and one JSON line per request in `path` if given (0600)."""

    def __init__(self, path: Path | None) -> None:
        self.entries: list[Entry] = []
        self._path = path
        if path is not None:
            path.touch(mode=0o600)

    def append(self, entry: Entry) -> None:
        self.entries.append(entry)
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({field.name: getattr(entry, field.name) for field in fields(entry)}) + "\n")

    def count(self, method: str, path: str, name: str | None = None) -> int:
        """How many requests of this method and exact path were granted, of this body name if given."""
        return sum(
            entry.method == method
            and entry.path == path
            and entry.status < 400
            and (name is None or entry.name == name)
            for entry in self.entries
        )


def loggable(body: bytes) -> Mapping[str, Json]:
    """A request's JSON object without user_data; empty when it is no object."""
    try:
        data = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        return {}
    return {key: value for key, value in data.items() if key != "user_data"} if isinstance(data, dict) else {}
