"""The knobs by which a test makes trouble for one simulated machine. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Answer(StrEnum):
    """What a machine's SSH port does with a new connection."""

    ACCEPTS = "accepts"
    REFUSES = "refuses"  # nothing listens
    HANGS = "hangs"  # TCP is accepted, and then nothing is said
    VANISHES = "vanishes"  # packets are dropped, also those of open connections


class Moment(StrEnum):
    BEFORE = "before"  # the command has not begun
    WITHIN = "within"  # it is half done
    AFTER = "after"  # it is done, and nobody hears of it


class Fate(StrEnum):
    HANGS_UP = "hangs up"  # all connections to the machine are gone
    REBOOTS = "reboots"
    VANISHES = "vanishes"  # the network is cut from now on


@dataclass(frozen=True, slots=True)
class Interruption:
    """After `commands` more commands the next one is interrupted, once."""

    commands: int
    moment: Moment = Moment.AFTER
    fate: Fate = Fate.HANGS_UP


@dataclass(frozen=True, slots=True)
class Trouble:
    """`slow` is how many seconds each command takes longer; its timeout(1) still counts."""

    answer: Answer = Answer.ACCEPTS
    slow: float = 0.0
    interruption: Interruption | None = None
