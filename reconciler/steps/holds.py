"""The versions that a host does not go to again by itself, for it was brought back from them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import Final

from reconciler import commands
from reconciler.commands.switching import HELD_PATH
from reconciler.model import Command, Hold
from reconciler.steps.work import Work

MOST_HELD: Final = 16  # versions that a host remembers not to go to; each text is short, and the list is in each backup


def holds_with(new: Hold | None, noted: Iterable[Hold]) -> tuple[Hold, ...]:
    """What a host keeps of what it was brought back from, the last first and each version once: MOST_HELD at most.

    That it did not get healthy there once stays known, for the fleet counts that, whatever came since.
    """
    noted = tuple(noted)
    if new is None:
        return noted[:MOST_HELD]
    was_suspect = any(held.is_suspect for held in noted if held.version == new.version)
    return (replace(new, is_suspect=new.is_suspect or was_suspect), *without_hold(new.version, noted))[:MOST_HELD]


def without_hold(version: str, noted: Iterable[Hold]) -> tuple[Hold, ...]:
    """The same but of this version: it runs, or is held for another reason now."""
    return tuple(held for held in noted if held.version != version)


def carried(work: Work, those: tuple[Hold, ...]) -> tuple[Hold, ...]:
    """What another host goes on to hold: the version that a person wants to be tried again it does not."""
    return without_hold(work.spec.version, those) if work.asked.retries and work.spec is not None else those


def keep_holds(work: Work, those: Iterable[Hold]) -> bool:
    """Of a host that takes over from another: what was held there, beside what it holds itself. Raises HostError."""
    noted = noted_on(work)
    known = {held.version for held in noted}
    kept = (*noted, *(held for held in those if held.version not in known))[:MOST_HELD]
    if kept == noted:
        return False
    work.connection().run(_write(kept))
    work.look()
    return True


def forget_hold(work: Work, before: tuple[Hold, ...]) -> None:
    """What was brought back is no healthier than what failed, so that is not to blame: what was held `before` still is.

    Raises HostError.
    """
    work.connection().run(_write(before) if before else commands.remove_file(HELD_PATH))


def noted_on(work: Work) -> tuple[Hold, ...]:
    """What its host said of these at the last look."""
    return work.facts.noted if work.facts is not None else ()


def held_note(those: Sequence[Hold]) -> bytes:
    """What a host keeps of them; empty for nothing."""
    return json.dumps([asdict(held) for held in those]).encode() if those else b""


def _write(those: Sequence[Hold]) -> Command:
    return commands.install_file(HELD_PATH, held_note(those), "root:root", "0600", "0700")
