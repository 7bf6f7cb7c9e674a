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


@dataclass(frozen=True, slots=True)
class ConfigKey:
    """One key of openclaw.json with something at it that is no map. What is a secret there stands as `***`."""

    path: tuple[str, ...]
    value: Json
    owner: Owner


@dataclass(frozen=True, slots=True)
class ChildConfig:
    """What a gateway reads, and how that differs from the fleet file; `problem` is why nobody can tell.

    Of a difference that is drift somebody has changed the host since `applied_at`. Of another one the file has changed
    since, and nobody knows whether the host has, too: what was applied is noted of the whole, and not of each key.
    """

    child: str
    keys: tuple[ConfigKey, ...] = ()
    differences: tuple[Change, ...] = ()
    applied_at: str = ""
    written_at: str = ""  # when the host's file was written last, in ISO 8601 by its clock
    problem: str = ""
    advice: str = ""
