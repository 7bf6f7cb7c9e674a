"""Bring a child to what the file says: after a change in the file, or drift on its host or at the cloud."""

from __future__ import annotations

from typing import Final

from reconciler.actions.conditions import is_locked_out, shall_run
from reconciler.model import Change, Child, Kind, Reason, ReasonCode, Situation, Switch
from reconciler.steps import CONVERGE, Step
from reconciler.steps.comparison import differences_at_cloud, to_mend
from reconciler.steps.notes import to_note
from reconciler.steps.reshape import ensure_renamed
from reconciler.steps.versions import keeps_too_many, kept_checkpoints, linked

KIND: Final = Kind.UPDATE
SYMBOL: Final = "~"
WAVE: Final = 3
STEPS: Final[tuple[Step, ...]] = (Step("rename", ensure_renamed), *CONVERGE)
NOTES: Final[tuple[str, ...]] = ()


def reason(child: Child, situation: Situation) -> Reason | None:
    """Something managed differs, or what the host has noted does not say that, or whose, it is."""
    if not shall_run(child, situation):
        return None
    if is_locked_out(child):
        text = "it does not answer, and its firewall at the cloud is not the file's, or was never proven"
        return Reason(ReasonCode.UNFINISHED, text, differences_at_cloud(child))
    if child.facts is None:
        return None
    found = to_mend(child, situation)
    if child.name in situation.options.rollback:
        return Reason(ReasonCode.ASKED, "asked for on the command line", found)
    if child.leftovers:
        is_lost = child.name in situation.options.without_copy
        return Reason(ReasonCode.UNFINISHED, _unended(child, is_lost=is_lost), (*found, *to_note(child)))
    if not found:
        return _unfinished(child) or _unnoted(child) or _crowded(child)
    found = (*found, *to_note(child))
    if child.facts.switch is not None:
        return Reason(ReasonCode.UNFINISHED, _cut_off(child.facts.switch), found)
    if all(change.drift for change in found):
        return Reason(ReasonCode.DRIFTED, "drift: changed outside, not in the fleet file", found)
    if any(change.drift for change in found):
        return Reason(ReasonCode.CHANGED, "the fleet file changed, and there is drift besides", found)
    return Reason(ReasonCode.CHANGED, "the fleet file or this tool changed", found)


def _unended(child: Child, *, is_lost: bool) -> str:
    if child.retired:
        return "its new server has taken over; the old one goes, and its name to the new one"
    if is_lost:
        return "a replacement did not end; its new server goes, and what only that was told if nobody can copy it"
    return "a replacement did not end; its new server goes, after a copy of what only that was told"


def _unfinished(child: Child) -> Reason | None:
    applied = child.facts.applied if child.facts else None
    if applied is not None and applied.is_finished:
        return None
    if child.facts is not None and child.facts.switch is not None:
        return Reason(ReasonCode.UNFINISHED, _cut_off(child.facts.switch))
    return Reason(ReasonCode.UNFINISHED, "the host has no note of a finished apply")


def _cut_off(switch: Switch) -> str:
    return f"an apply was cut off on the way from {switch.origin} to {switch.target}"


def _crowded(child: Child) -> Reason | None:
    """Copies are pruned at each change of version; a lower number in the file is not made to wait for one."""
    if child.spec is None or child.facts is None or not keeps_too_many(child.facts, child.spec.update.keep):
        return None
    facts, most = child.facts, child.spec.update.keep
    kept = kept_checkpoints(facts.checkpoints, most, linked(facts) or "")
    counts = {"checkpoints": (len(facts.checkpoints), len(kept)), "asides": (len(facts.asides), most)}
    changes = tuple(Change(f"kept.{what}", there, wanted) for what, (there, wanted) in counts.items() if there > wanted)
    return Reason(ReasonCode.CHANGED, "more is kept of its versions before than the fleet file says", changes)


def _unnoted(child: Child) -> Reason | None:
    """It waits where the gateway is about to be started: then a plan could not say that nothing is."""
    found = to_note(child)
    if not found or child.facts is None or child.facts.gateway.stale or not child.facts.gateway.is_running:
        return None
    text = "all is as the fleet file says: it is only noted on the host, and nothing restarts"
    return Reason(ReasonCode.CHANGED, text, found)
