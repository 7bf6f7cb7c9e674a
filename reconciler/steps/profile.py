"""What a bot shows to people: its name and descriptions, as the fleet file says."""

from __future__ import annotations

from dataclasses import replace

from reconciler.steps.comparison import PROFILE, profile_digest
from reconciler.steps.finish import write_applied
from reconciler.steps.work import Work


def ensure_profile(work: Work) -> bool:
    """Nothing that the file leaves open is touched; what was taken is noted, so that a change after it counts as drift.

    Raises ChannelError, SecretError, HostError.
    """
    spec = work.declared()
    if spec.is_throwaway or not spec.profile.is_declared:
        return False
    token = work.ports.secrets.bot_token(spec.bot_token)
    with work.ports.channel() as channel:
        changes = spec.profile.differing_from(channel.profile(token))
        channel.set_profile(token, changes)
    _note(work, profile_digest(spec.profile))
    return bool(changes)


def _note(work: Work, taken: str) -> None:
    applied = work.facts.applied if work.facts else None
    if applied is not None and applied.digests.get(PROFILE) != taken:
        write_applied(work, replace(applied, digests={**applied.digests, PROFILE: taken}))
