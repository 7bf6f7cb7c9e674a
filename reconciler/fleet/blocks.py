"""What a child is made of: the defaults, its group and itself, each a block of settings with its place.

Pure: it opens no file. What a block says is not judged here.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.document import Document, Path, Problem
from reconciler.wording import words

_REPLACED_WHOLE = "files"  # its entries: half of one file's settings and half of another's make no third


@dataclass(frozen=True, slots=True)
class Block:
    """The settings written at `path` of a document: `defaults`, one group or one child."""

    document: Document
    path: Path
    values: Mapping[str, Any]

    @property
    def words(self) -> str:
        """`defaults`, `group "eu"`, `child "alice"`."""
        return words(self.path)

    def sound(self, *path: str) -> Any:
        """The value there; None where nothing is written, or something that has been found wrong already."""
        found = value_at(self.values, path)
        return found if found is not None and self.document.is_sound((*self.path, *path)) else None

    def says(self, path: Path) -> bool:
        return (*self.path, *path) in self.document.nodes

    def problem(self, path: Path, summary: str, detail: str, *, at_key: bool = False) -> Problem:
        return self.document.problem((*self.path, *path), summary, detail, at_key=at_key)


@dataclass(frozen=True, slots=True)
class Layered:
    """One child with everything it takes from elsewhere. `blocks` begin with the child's own, the strongest."""

    name: str
    blocks: tuple[Block, ...]
    values: Mapping[str, Any]

    @property
    def own(self) -> Block:
        return self.blocks[0]

    def source(self, path: Path) -> Block:
        """The strongest block that says something at `path`; the child's own when none does."""
        return next((block for block in self.blocks if block.says(path)), self.own)


def layered(
    built_in: Mapping[str, Any], defaults: Block, groups: Mapping[str, Block], children: Mapping[str, Block]
) -> dict[str, Layered]:
    """Every child with built-in values < defaults < its group < its own. A group that is not there adds nothing."""
    base = merge(built_in, defaults.values)
    of_group = {name: merge(base, group.values) for name, group in groups.items()}
    found = {}
    for name, child in children.items():
        group = child.values.get("group")
        if isinstance(group, str) and group in groups:
            found[name] = Layered(name, (child, groups[group], defaults), merge(of_group[group], child.values))
        else:
            found[name] = Layered(name, (child, defaults), merge(base, child.values))
    return found


def merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Later layers win: maps are merged key by key, lists and single values are replaced, and entries of `files`."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            before = merged.get(key)
            if not isinstance(value, dict) or not isinstance(before, dict):
                merged[key] = value
            elif key == _REPLACED_WHOLE:
                merged[key] = {**before, **value}
            else:
                merged[key] = merge(before, value)
    return merged


def rebased(values: Mapping[str, Any], directory: str) -> Mapping[str, Any]:
    """The same settings with paths that count from the fleet file's directory, not from `directory` below it."""
    if not directory:
        return values
    changed = dict(values)
    for outer, inner in (("bot", "token"), ("model", "key")):
        text = value_at(values, (outer, inner))
        if isinstance(text, str) and text.startswith("file:"):
            changed[outer] = {**values[outer], inner: f"file:{_below(directory, text.removeprefix('file:'))}"}
    if isinstance(values.get("files"), Mapping):
        changed["files"] = {path: _rebased_entry(entry, directory) for path, entry in values["files"].items()}
    return changed


def value_at(values: object, path: Path) -> Any:
    """The value at `path`; None where there is none."""
    found = values
    for part in path:
        found = found.get(part) if isinstance(found, dict) else None
    return found


def as_map(value: object) -> Mapping[str, Any]:
    """The value where it is a map; what else stands there has been reported by the schema."""
    return value if isinstance(value, Mapping) else {}


def _rebased_entry(entry: Any, directory: str) -> Any:
    if isinstance(entry, Mapping) and isinstance(entry.get("from"), str):
        return {**entry, "from": _below(directory, entry["from"])}
    return entry


def _below(directory: str, path: str) -> str:
    """`~` and absolute paths stay what they are."""
    return path if path.startswith(("/", "~")) else posixpath.join(directory, path)
