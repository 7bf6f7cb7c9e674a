"""Which labels, settings and workspace files are the fleet file's, as it says and as the host has it noted. Pure.

What is noted and declared no more is taken away. So a note must not fall behind the file, even where nothing differs
from it: what is noted wrongly for the file's may be the agent's by the time that it is taken away.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from reconciler.managed.config import free_keys
from reconciler.managed.workspace import files_of_mode
from reconciler.model import BotProfile, Change, Child, ChildSpec, FileMode
from reconciler.steps.comparison import PROFILE, differences, profile_digest

OURS: Final = "(in the fleet file)"
NOT_OURS: Final = "(not in the fleet file)"
MANAGED: Final = "(managed)"
SEED: Final = "(seed)"
_BOT: Final = ("bot", "profile")


def to_note(child: Child) -> tuple[Change, ...]:
    """What became the fleet file's or ceased to be, and is as it shall be already: nothing else would say so."""
    spec, applied = child.spec, child.facts.applied if child.facts else None
    if spec is None or applied is None:
        return ()
    managed, seeds = files_of_mode(spec, FileMode.MANAGED), files_of_mode(spec, FileMode.SEED)
    declared = _owners(spec.labels, free_keys(spec.config), managed, seeds) | _bot_as_declared(spec, child.profile)
    noted = _owners(applied.labels, applied.config_keys, applied.managed_files, applied.seeded_files)
    if _BOT in declared and applied.digests.get(PROFILE) == profile_digest(spec.profile):
        noted[_BOT] = OURS
    differing = [key for key in sorted({*declared, *noted}) if declared.get(key) != noted.get(key)]
    said = {change.path for change in differences(child)} if differing else set()
    return tuple(
        Change(".".join(key), noted.get(key, NOT_OURS), declared.get(key, NOT_OURS))
        for key in differing
        if not any(".".join(key[:end]) in said for end in range(1, len(key) + 1))
    )


def _bot_as_declared(spec: ChildSpec, shown: BotProfile | None) -> dict[tuple[str, ...], str]:
    """What the bot shows, where that is the file's and is so."""
    if shown is None or not spec.profile.is_declared or spec.profile.differing_from(shown):
        return {}
    return {_BOT: OURS}


def _owners(
    labels: Iterable[str], config_keys: Iterable[tuple[str, ...]], managed: Iterable[str], seeds: Iterable[str]
) -> dict[tuple[str, ...], str]:
    """Whose each is, by the keys of its path."""
    return {
        **{("labels", name): OURS for name in labels},
        **{("config", *key): OURS for key in config_keys},
        **{("workspace files", path): MANAGED for path in managed},
        **{("workspace files", path): SEED for path in seeds},
    }
