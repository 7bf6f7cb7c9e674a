"""The public half of an OpenSSH private key. Pure."""

from __future__ import annotations

import functools

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key


@functools.lru_cache(maxsize=4096)
def public_key(private_key: str) -> str:
    """`ssh-ed25519 AAAA…` without a comment; "" for what is no private key."""
    try:
        private = load_ssh_private_key(private_key.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return ""
    return private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
