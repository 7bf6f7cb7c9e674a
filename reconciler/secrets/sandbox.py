"""The Secrets port of the sandbox: it makes secrets up and never looks where a reference points.

A sandbox that read the real token of a bot could answer real people.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from reconciler import keys
from reconciler.model import Secret, SecretRef


class SandboxSecrets:
    """Derives each value from the fleet key and the reference's text. `bot_tokens` are the references of bots."""

    __slots__ = ("_bot_tokens", "_fleet_key")

    def __init__(self, fleet_key: Secret, bot_tokens: AbstractSet[SecretRef]) -> None:
        self._fleet_key = fleet_key
        self._bot_tokens = frozenset(bot_tokens)

    def resolve(self, reference: SecretRef) -> Secret:
        if reference in self._bot_tokens:
            return keys.sandbox_bot_token(self._fleet_key, reference)
        return keys.sandbox_model_key(self._fleet_key, reference)
