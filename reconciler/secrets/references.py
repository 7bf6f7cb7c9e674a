"""The Secrets port over the references of a fleet file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from threading import Lock

from reconciler.errors import SecretError
from reconciler.model import Secret, SecretRef
from reconciler.secrets import cmd, env, file, hcloud
from reconciler.secrets.allowed import AllowedSources

SOURCES = (env, file, cmd, hcloud)

_Resolve = Callable[[str, Path, Mapping[str, str]], Secret]
_RESOLVERS: Mapping[str, _Resolve] = {source.SOURCE: source.resolve for source in SOURCES}


class ReferenceSecrets:
    """Resolves the references that `allowed` lets through, each once: what it was, value or error, it stays.

    Many threads may ask for one reference at a time. `base_dir` is the fleet file's directory; `wanted_for` (see
    fleet.references) gives errors the words for who needs a secret.
    """

    __slots__ = ("_allowed", "_answers", "_base_dir", "_environ", "_lock", "_wanted_for")

    def __init__(
        self,
        base_dir: Path,
        wanted_for: Mapping[SecretRef, str],
        allowed: AllowedSources,
        environ: Mapping[str, str],
    ) -> None:
        self._base_dir = base_dir
        self._wanted_for = wanted_for
        self._allowed = allowed
        self._environ = environ
        self._lock = Lock()
        self._answers: dict[SecretRef, Future[Secret]] = {}

    def bot_token(self, reference: SecretRef) -> Secret:
        return self.resolve(reference)

    def model_key(self, reference: SecretRef) -> Secret:
        return self.resolve(reference)

    def resolve(self, reference: SecretRef) -> Secret:
        """Any reference of the fleet file, also the cloud's token and the fleet key. Raises SecretError."""
        with self._lock:
            is_first = reference not in self._answers
            answer = self._answers.setdefault(reference, Future())
        if is_first:
            try:
                answer.set_result(self._looked_up(reference))
            except BaseException as error:
                answer.set_exception(error)  # whoever waits must not wait for ever
        return answer.result()

    def bot_token_place(self, reference: SecretRef) -> str:
        return str(self._place(reference))

    def holds_bot_token(self, reference: SecretRef) -> bool:
        return os.path.lexists(self._place(reference))

    def keep_bot_token(self, reference: SecretRef, token: Secret) -> None:
        file.keep(self._place(reference), token)
        with self._lock:
            self._answers.pop(reference, None)

    def _place(self, reference: SecretRef) -> Path:
        wanted_for = self._wanted_for.get(reference, "the fleet")
        try:
            self._allowed.check(reference, self._environ)
            if reference.source != file.SOURCE:
                raise SecretError("only a file can be written by fleet", file.OWN_FILE)
            return file.place(reference.locator, self._base_dir)
        except SecretError as error:
            raise SecretError(f"{reference} ({wanted_for}): {error.summary}", error.advice) from error

    def _looked_up(self, reference: SecretRef) -> Secret:
        try:
            self._allowed.check(reference, self._environ)
            return _RESOLVERS[reference.source](reference.locator, self._base_dir, self._environ)
        except SecretError as error:
            place = self._wanted_for.get(reference, "the fleet")
            raise SecretError(f"{reference} ({place}): {error.summary}", error.advice) from error
