"""The Secrets port over the references of a fleet file. It keeps no value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from reconciler.errors import SecretError
from reconciler.model import Secret, SecretRef
from reconciler.secrets import env, file

SOURCES = (env, file)

_RESOLVERS: Mapping[str, Callable[[str, Path], Secret]] = {source.SOURCE: source.resolve for source in SOURCES}


class ReferenceSecrets:
    """Resolves `env:` and `file:` references.

    `base_dir` is the fleet file's directory; `wanted_for` (see fleet.references) gives errors the words for who needs
    a secret.
    """

    __slots__ = ("_base_dir", "_wanted_for")

    def __init__(self, base_dir: Path, wanted_for: Mapping[SecretRef, str]) -> None:
        self._base_dir = base_dir
        self._wanted_for = wanted_for

    def bot_token(self, reference: SecretRef) -> Secret:
        return self.resolve(reference)

    def model_key(self, reference: SecretRef) -> Secret:
        return self.resolve(reference)

    def resolve(self, reference: SecretRef) -> Secret:
        """Any reference of the fleet file, also the cloud's token and the fleet key."""
        try:
            return _RESOLVERS[reference.source](reference.locator, self._base_dir)
        except SecretError as error:
            place = self._wanted_for.get(reference, "the fleet")
            raise SecretError(f"{reference} ({place}): {error.summary}", error.advice) from error
