"""What a bot shows to people: its name and descriptions, as the fleet file says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from reconciler.errors import ChannelError
from reconciler.model import Secret
from reconciler.ports import Channel
from reconciler.steps.comparison import PROFILE, profile_digest
from reconciler.steps.finish import write_applied
from reconciler.steps.work import Work


def ensure_profile(work: Work) -> bool:
    """Nothing that the file leaves open is touched; what was taken is noted, so that a change after it counts as drift.

    Where nobody can tell what the bot shows, the plan has said so, and it is left as it is. Raises ChannelError where
    it does not take what it shall show, SecretError, HostError.
    """
    spec = work.declared()
    if spec.is_throwaway or not spec.profile.is_declared:
        return False
    token = work.ports.secrets.bot_token(spec.bot_token)
    try:
        with work.ports.channel() as channel:
            changes = spec.profile.differing_from(channel.profile(token))
    except ChannelError as error:
        work.note("bot-profile-unknown", problem=error.summary)
        return False
    if changes:
        with work.ports.channel() as channel:
            _set(channel, token, changes)
    _note(work, profile_digest(spec.profile))
    return bool(changes)


def _set(channel: Channel, token: Secret, changes: Mapping[str, str]) -> None:
    """Each of them is tried, the name last: that is what Telegram refuses most."""
    refused = None
    for field in sorted(changes, key=lambda field: field == "name"):
        try:
            channel.set_profile(token, {field: changes[field]})
        except ChannelError as error:
            refused = refused or error
    if refused is not None:
        raise refused


def _note(work: Work, taken: str) -> None:
    applied = work.facts.applied if work.facts else None
    if applied is not None and applied.digests.get(PROFILE) != taken:
        write_applied(work, replace(applied, digests={**applied.digests, PROFILE: taken}))
