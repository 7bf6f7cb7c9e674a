"""The configuration of a gateway, key by key: what it is, and whose."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.decision import Change
from reconciler.model.json import Json


class Owner(StrEnum):
    """Who says what stands at a key. What nobody claims is the agent's, and no apply touches it."""

    FLEET = "fleet"  # this tool, for every child
    FILE = "file"  # the fleet file, by `config`
    AGENT = "agent"


class Side(StrEnum):
    """Where a key was changed since the last apply, as people read it."""

    FILE = "in the file"
    HOST = "on the host"
    BOTH = "in both"
    UNKNOWN = "in the file, or in both"  # an apply of before has noted nothing of single keys


@dataclass(frozen=True, slots=True)
class ConfigKey:
    """One key of openclaw.json with something at it that is no map. What is a secret there stands as `***`."""

    path: tuple[str, ...]
    value: Json
    owner: Owner


@dataclass(frozen=True, slots=True)
class ChildConfig:
    """What a gateway reads, and how that differs from the fleet file; `problem` is why nobody can tell."""

    child: str
    keys: tuple[ConfigKey, ...] = ()
    differences: tuple[tuple[Change, Side], ...] = ()
    applied_at: str = ""
    written_at: str = ""  # when the host's file was written last, in ISO 8601 by its clock
    problem: str = ""
    advice: str = ""
