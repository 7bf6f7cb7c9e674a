"""What is done: commands as values, outcomes, journal events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.model.decision import Action
from reconciler.model.json import Json
from reconciler.model.secret import Secret


@dataclass(frozen=True, slots=True)
class Command:
    """A shell command as a value. Built only by commands.py, which quotes every part by its type.

    `line` is ready for `sh -c`; it never contains a secret: those travel in `stdin`.
    """

    name: str
    line: str
    stdin: bytes = field(default=b"", repr=False)
    timeout: float = 30.0  # seconds; enforced on the host too
    as_root: bool = True
    check: bool = True  # another exit code than 0 raises CommandFailed


@dataclass(frozen=True, slots=True)
class Completed:
    """What a command answered; output is capped at 1 MiB."""

    exit_code: int
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True, slots=True)
class HostAddress:
    """How to reach a host and how to know it: every login key and host key that may be met, the wanted one first."""

    address: str
    port: int
    user: str
    login_keys: tuple[Secret, ...]  # OpenSSH private keys
    host_keys: tuple[str, ...]  # "ssh-ed25519 AAAA..."


class OutcomeCode(StrEnum):
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    action: Action
    code: OutcomeCode
    seconds: float
    error: str = ""
    advice: str = ""
    steps: tuple[tuple[str, float], ...] = ()  # name, seconds


@dataclass(frozen=True, slots=True)
class Event:
    """What the journal keeps: constant words and key-values, never a secret."""

    event: str
    at: str
    run: str
    fields: Mapping[str, Json] = field(default_factory=dict)
