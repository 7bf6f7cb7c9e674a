"""Seals files for a recipient and opens them again, in age's format (age-encryption.org/v1). The Sealer port.

What is sealed here anybody can open with the age tool and the identity: a backup outlives this project.
"""

from __future__ import annotations

from errno import ENOSPC
from io import BufferedIOBase
from pathlib import Path
from typing import Final

import pyrage

from reconciler.errors import BackupDamaged, SecretError, UsageProblem
from reconciler.model import Secret


def seal(source: BufferedIOBase, target: Path, recipient: str) -> None:
    """See ports.Sealer."""
    steady = _Steady(source)
    with target.open("wb") as sealed:
        try:
            pyrage.encrypt_io(steady, sealed, [_recipient(recipient)])
        except pyrage.EncryptError:
            raise steady.failure or OSError(ENOSPC, "what is sealed cannot be written") from None


def open_sealed(source: Path, target: BufferedIOBase, identity: Secret) -> None:
    """See ports.Sealer."""
    try:
        key = pyrage.x25519.Identity.from_str(identity.reveal().strip())
    except pyrage.IdentityError as error:
        raise SecretError("this is no age identity", "it is one line that begins with AGE-SECRET-KEY-1") from error
    try:
        with source.open("rb") as sealed:
            pyrage.decrypt_io(sealed, target, [key])
    except pyrage.DecryptError as error:
        raise BackupDamaged(
            "the backup cannot be opened with this identity: it was sealed for another one, or its head is damaged",
            "give the identity of the recipient that `fleet backup list` shows, with --identity",
        ) from error
    except OSError as error:
        if error.errno is not None:  # of the disk
            raise
        raise BackupDamaged("the backup is damaged: what age has sealed was changed", _ANOTHER) from error


class _Steady(BufferedIOBase):
    """What is read from, and why no more could be read: pyrage keeps the words of an error only."""

    def __init__(self, source: BufferedIOBase) -> None:
        self.failure: Exception | None = None
        self._source = source

    def read(self, size: int | None = -1, /) -> bytes:
        try:
            return self._source.read(size)
        except Exception as error:
            self.failure = error
            raise


def _recipient(text: str) -> pyrage.x25519.Recipient:
    try:
        return pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError as error:
        raise UsageProblem(f"{text!r} is no age recipient", "it begins with age1, as age-keygen prints it") from error


_ANOTHER: Final = "take another one: `fleet backup list` shows which there are"
