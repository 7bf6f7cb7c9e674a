"""The Secrets port of the sandbox: it makes secrets up and never looks where a reference points.

A sandbox that read the real token of a bot could answer real people. A token that a person gives a child of the sandbox
lies beside the place that the reference names, under a name of its own.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from reconciler import keys
from reconciler.errors import SecretError
from reconciler.model import Secret, SecretRef
from reconciler.secrets import file

OF_SANDBOX: Final = ".sandbox"


class SandboxSecrets:
    """Derives each value from the fleet key and the reference's text: the same for the same reference.

    `base_dir` is the fleet file's directory; without it no token can be kept.
    """

    __slots__ = ("_base_dir", "_fleet_key")

    def __init__(self, fleet_key: Secret, base_dir: Path | None = None) -> None:
        self._fleet_key = fleet_key
        self._base_dir = base_dir

    def bot_token(self, reference: SecretRef) -> Secret:
        try:
            place = self._place(reference)
        except SecretError:
            place = None
        if place is not None and place.exists():
            return file.only_line(place)
        return keys.sandbox_bot_token(self._fleet_key, reference)

    def bot_token_place(self, reference: SecretRef) -> str:
        return str(self._place(reference))

    def holds_bot_token(self, reference: SecretRef) -> bool:
        return os.path.lexists(self._place(reference))

    def keep_bot_token(self, reference: SecretRef, token: Secret) -> None:
        file.keep(self._place(reference), token)

    def model_key(self, reference: SecretRef) -> Secret:
        return keys.sandbox_model_key(self._fleet_key, reference)

    def _place(self, reference: SecretRef) -> Path:
        if reference.source != file.SOURCE or self._base_dir is None:
            raise SecretError(f"{reference}: the sandbox makes this token up", file.OWN_FILE)
        place = file.place(reference.locator, self._base_dir)
        return place.with_name(place.name + OF_SANDBOX)
