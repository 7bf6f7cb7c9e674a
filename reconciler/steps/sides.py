"""Who has changed a key of openclaw.json since the last apply: the fleet file, the host, or both. Pure.

applied.json notes of each key of ours what was there when that apply ended, by a digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from reconciler.managed.config import INCLUDE, MANAGED_KEYS, free_keys
from reconciler.model import Applied, Change, Child, ChildSpec, Json, Side
from reconciler.steps.repairs import digest_at

CONFIG: Final = "config"
_LENGTH: Final = 16  # hexadecimal digits: the note travels with every look at a host


def config_digests(spec: ChildSpec, values: Mapping[str, Json]) -> dict[str, str]:
    """What applied.json notes of the keys that the file, or this tool, says: by their dotted path."""
    keys = (key for key in (*MANAGED_KEYS, *free_keys(spec.config)) if INCLUDE not in key)
    return {path: _digest(values, path) for path in (".".join(key) for key in keys)}


def is_as_applied(path: str, applied: Applied, values: Mapping[str, Json]) -> bool:
    """Whether the keys that the apply has noted at this path of a change are in `values` as they were then."""
    noted = _noted(path, applied)
    return bool(noted) and all(applied.config_digests[key] == _digest(values, key) for key in noted)


def side_of(change: Change, child: Child) -> Side:
    """Where somebody has changed what differs here."""
    if change.drift:
        return Side.HOST
    facts = child.facts
    if facts is None or facts.applied is None or not facts.applied.config_digests:
        return Side.UNKNOWN
    # What was not declared then is in the file since; and what the agent had there was never ours.
    is_new = not _noted(change.path, facts.applied)
    return Side.FILE if is_new or is_as_applied(change.path, facts.applied, facts.managed) else Side.BOTH


def _noted(path: str, applied: Applied) -> list[str]:
    """The one that the path leads to or into; or, of a map that is there as a whole or not at all, those in it."""
    thing, _, key = path.partition(".")
    if thing != CONFIG:
        return []
    return [it for it in applied.config_digests if f"{key}.".startswith(f"{it}.") or it.startswith(f"{key}.")]


def _digest(values: Mapping[str, Json], path: str) -> str:
    return digest_at({CONFIG: values.get(CONFIG)}, f"{CONFIG}.{path}")[:_LENGTH]
