"""The Secrets port of the sandbox: it makes secrets up and never looks where a reference points.

A sandbox that read the real token of a bot could answer real people.
"""

from __future__ import annotations

from reconciler import keys
from reconciler.model import Secret, SecretRef


class SandboxSecrets:
    """Derives each value from the fleet key and the reference's text: the same for the same reference."""

    __slots__ = ("_fleet_key",)

    def __init__(self, fleet_key: Secret) -> None:
        self._fleet_key = fleet_key

    def bot_token(self, reference: SecretRef) -> Secret:
        return keys.sandbox_bot_token(self._fleet_key, reference)

    def model_key(self, reference: SecretRef) -> Secret:
        return keys.sandbox_model_key(self._fleet_key, reference)
