"""What every source's text must be before it counts as a secret. It knows no source."""

from __future__ import annotations

from reconciler.errors import SecretError
from reconciler.model import Secret


def decoded(raw: bytes, place: str) -> str:
    """UTF-8 as text. Raises SecretError naming `place`, never the bytes."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        # The original names the bytes that it could not read: they are the secret's.
        raise SecretError(f"{place} is not text in UTF-8", "Put the secret there as one line of text.") from None


def secret_from(text: str, place: str) -> Secret:
    """One line of text without its trailing newline. Raises SecretError naming `place`, never the text."""
    value = text.removesuffix("\n").removesuffix("\r")
    if not value.strip():
        raise SecretError(f"{place} is empty", "Put the secret there.")
    if not value.isprintable():
        raise SecretError(
            f"{place} holds more than one line, or a character that is not printable",
            "Put the secret there as one line and nothing else.",
        )
    return Secret(value)
