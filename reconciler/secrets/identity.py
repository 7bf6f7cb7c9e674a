"""The private key of a person, read once to import a server. It is kept nowhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

from reconciler.errors import SecretError
from reconciler.model import Secret
from reconciler.secrets import private_file

MAX_BYTES: Final = 64 * 1024


def read(path: Path, ask: Callable[[], str]) -> Secret:
    """The key as OpenSSH text without a passphrase; `ask` is called when it has one. Raises SecretError."""
    data = private_file.read(path, MAX_BYTES, "Name the file with your private key: --identity FILE")
    try:
        return _opened(data, None)
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        if "password" not in str(error).lower() and "encrypted" not in str(error).lower():
            raise SecretError(f"{path} is no private SSH key", "Name the private half, without .pub.") from None
    try:
        return _opened(data, ask().encode())
    except (TypeError, ValueError, UnsupportedAlgorithm):
        raise SecretError(f"that passphrase does not open {path}", "Try it again.") from None


def _opened(data: bytes, passphrase: bytes | None) -> Secret:
    load = load_ssh_private_key if b"BEGIN OPENSSH PRIVATE KEY" in data else load_pem_private_key
    private = load(data, passphrase)
    return Secret(private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode())
