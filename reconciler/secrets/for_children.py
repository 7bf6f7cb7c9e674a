"""The Secrets port for real children: what the references say, but never the fleet's own secrets."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.errors import SecretError
from reconciler.model import Secret, SecretRef
from reconciler.secrets.references import ReferenceSecrets


def cloud_token(references: ReferenceSecrets, reference: SecretRef, fleet_key: Secret) -> Secret:
    """The token that is sent to the cloud. Raises SecretError when it is the fleet key."""
    token = references.resolve(reference)
    _check(reference, token, {"the fleet key": fleet_key}, "the cloud")
    return token


class SecretsForChildren:
    """`own` are the secrets that go to no server, each with its name: another reference may lead to one of them."""

    __slots__ = ("_own", "_references")

    def __init__(self, references: ReferenceSecrets, own: Mapping[str, Secret]) -> None:
        self._references = references
        self._own = own

    def bot_token(self, reference: SecretRef) -> Secret:
        return self._checked(reference)

    def bot_token_place(self, reference: SecretRef) -> str:
        return self._references.bot_token_place(reference)

    def holds_bot_token(self, reference: SecretRef) -> bool:
        return self._references.holds_bot_token(reference)

    def keep_bot_token(self, reference: SecretRef, token: Secret) -> None:
        _check(reference, token, self._own, "a server")
        self._references.keep_bot_token(reference, token)

    def model_key(self, reference: SecretRef) -> Secret:
        return self._checked(reference)

    def _checked(self, reference: SecretRef) -> Secret:
        found = self._references.resolve(reference)
        _check(reference, found, self._own, "a server")
        return found


def _check(reference: SecretRef, found: Secret, own: Mapping[str, Secret], where: str) -> None:
    for name, value in own.items():
        if found.reveal().strip() == value.reveal().strip():
            raise SecretError(
                f"{reference}: what is there is {name}, which does not go to {where}",
                "Name the place of a secret that is for it alone.",
            )
