"""Which version a child is brought to, from which, and with which state. Pure.

Versions are dates, and say nothing about who can read whose state: OpenClaw refuses to start on the state of a newer
release, and a newer one changes what it finds. So the way up is taken with a copy, and the way down only to a copy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from reconciler.commands import is_exact
from reconciler.diff import value_at
from reconciler.model import LATEST, Checkpoint, ChildSpec, Hold, HostFacts


def pinned(spec: ChildSpec, facts: HostFacts | None) -> ChildSpec:
    """The spec with the exact version that this child is brought to.

    `latest` means the newest release when a child is made; from then on the one that it was brought to. A version that
    is held, or that there is no way down to, leaves it where it is.
    """
    if facts is None:
        return spec
    if spec.version == LATEST:
        version = (facts.applied and facts.applied.version) or value_at(facts.managed.get("release"), ("version",))
        return replace(spec, version=version) if isinstance(version, str) else spec
    if is_held(spec, facts) or has_no_way_down(spec, facts):
        return replace(spec, version=present(facts) or spec.version)
    return spec


def present(facts: HostFacts) -> str | None:
    """The version that a child is at, or was before somebody broke the link.

    Of one that is on its way to another, where it comes from.
    """
    if facts.switch is not None:
        return facts.switch.origin
    return linked(facts) or (facts.applied.version if facts.applied else None)


def with_quarantine(facts: HostFacts, spec: ChildSpec | None, quarantined: Mapping[str, Hold]) -> HostFacts:
    """What keeps this child from the file's version: its host's own reason, or else the whole fleet's."""
    if spec is None:
        return facts
    own = next((held for held in facts.noted if held.version == spec.version and not held.is_tried_again), None)
    return replace(facts, held=own or quarantined.get(spec.version))


def linked(facts: HostFacts) -> str | None:
    """The version of the release that is linked as current, and whole; None where there is none."""
    found = facts.managed.get("release")
    version = value_at(found, ("version",))
    is_whole = value_at(found, ("complete",)) is True and str(value_at(found, ("link",))).endswith(f"/{version}")
    return version if is_whole and isinstance(version, str) and is_exact(version) else None


def is_held(spec: ChildSpec, facts: HostFacts) -> bool:
    """The file's version went wrong, or was given up by hand, and another one is there."""
    return facts.held is not None and present(facts) not in (None, spec.version)


def has_no_way_down(spec: ChildSpec, facts: HostFacts) -> bool:
    """A lower version than what runs, and no copy of a state that it has written.

    Of a link that somebody has moved since the last apply nobody knows whether anything ever ran by it.
    """
    now = present(facts)
    if now is None or spec.version == LATEST or (facts.applied and facts.applied.version == spec.version):
        return False
    if facts.switch is not None and facts.switch.target == spec.version:
        return False  # it is being gone down to
    return not is_higher(spec.version, now) and spec.version != now and way_down(spec.version, facts) is None


def way_down(version: str, facts: HostFacts) -> Checkpoint | None:
    """The newest state that is there of `version`, where what is linked is not lower."""
    now = linked(facts)
    if now is None or now == version or is_higher(version, now):
        return None
    ways = (found for found in reversed(facts.checkpoints) if found.is_way_back)
    return next((found for found in ways if found.version == version), None)


def keeps_too_many(facts: HostFacts, most: int) -> bool:
    """Checkpoints, or states that were set aside; during a switch nobody counts them."""
    has_more = kept_checkpoints(facts.checkpoints, most, linked(facts) or "") != facts.checkpoints
    return facts.switch is None and (has_more or len(facts.asides) > most)


def kept_checkpoints(checkpoints: Sequence[Checkpoint], most: int, now: str = "") -> tuple[Checkpoint, ...]:
    """Those that are not pruned, the oldest first: of each version the newest, then the newest of all.

    So tries that fail again and again do not push out the only way down; nor does a copy of what runs `now`. The last
    that was made here stays besides. What was left for another state is counted by itself: nothing else pushes that
    out, and it nothing. What is another child's is kept nowhere but where its backups are.
    """
    left = [found for found in checkpoints if found.is_left and not found.of]
    ways = [found for found in checkpoints if found.is_way_back]
    newest = {found.version: found.id for found in ways}

    def rank(found: Checkpoint) -> tuple[bool, bool, str]:
        return found.id == newest[found.version], found.version != now, found.id

    ranked = sorted(ways, key=rank, reverse=True)
    last = [found for found in ways if not found.archive][-1:]
    kept = {found.id for found in (*ranked[:most], *last, *left[max(0, len(left) - most) :])}
    return tuple(found for found in checkpoints if found.id in kept)


def is_higher(version: str, than: str) -> bool:
    """Whether it surely came later. 2026.9.6-beta.1 comes before 2026.9.6, and 2026.9.6-1 after it."""
    return _rank(version) > _rank(than)


def _rank(version: str) -> tuple[tuple[int, ...], int, tuple[int, ...]]:
    base, _, suffix = version.partition("-")
    numbers = tuple(int(part) for part in re.findall(r"\d+", suffix))
    kind = 0 if not suffix else 1 if suffix.isdecimal() else -1
    return tuple(int(part) for part in base.split(".")), kind, numbers
