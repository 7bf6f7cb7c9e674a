"""Derives every key and token from the one fleet key (HKDF-SHA256). It reads no file, no clock and no randomness.

A derivation depends on its purpose, on the child's uid and on a generation, never on a name: a renamed child keeps
its keys, a reused name gets others. Changing any derivation locks people out of their hosts: tests pin the values.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from functools import lru_cache

import bech32
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from reconciler.errors import SecretError
from reconciler.model import Secret, SecretRef

KEY_PREFIX = "fleet-key-1-"
PROBE_PREFIX = "fleet-probe-1-"  # then the fleet-id, a hyphen, and 43 characters
KEY_BYTES = 32
REMEMBERED = 8192  # derived keys: one apply asks for each several times, and none of them ever changes

_SALT = b"openclaw-deploy fleet key 1"
_SSH_TYPE = b"ssh-ed25519"
_PROBE = re.compile(PROBE_PREFIX + r"([0-9a-f]{16})-([A-Za-z0-9_-]{43})")


def make_key(random_bytes: bytes) -> Secret:
    """The text form of a new fleet key: `fleet-key-1-` and 43 characters of base64url. Takes 32 random bytes."""
    if len(random_bytes) != KEY_BYTES:
        raise ValueError(f"a fleet key is made of {KEY_BYTES} bytes")
    return Secret(KEY_PREFIX + _base64url(random_bytes))


def parse_key(text: Secret) -> Secret:
    """The same key without surrounding white space. Raises SecretError, which does not repeat it."""
    return make_key(_bytes_of(Secret(text.reveal().strip())))


def fingerprint(key: Secret) -> str:
    """`SHA256:` and 22 characters, to compare two copies of a key by eye."""
    digest = _derive(key, "fingerprint", length=16)
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def fleet_id(key: Secret) -> str:
    """16 lower-case hex digits: the label by which the cloud's resources are known as this fleet's.

    A probe key has it in its text; of all else here it opens nothing, and SecretError says so.
    """
    if is_probe_key(key):
        return _probe_parts(key)[0]
    return _derive(key, "fleet id", length=8).hex()


def probe_key(key: Secret, generation: int) -> Secret:
    """The key of who only looks: `fleet-probe-1-`, the fleet-id, and 43 characters; nothing leads back from it.

    With another generation it is another one, and hosts take only that of the fleet file.
    """
    return Secret(f"{PROBE_PREFIX}{fleet_id(key)}-{_base64url(_derive(key, 'probe', generation=generation))}")


def is_probe_key(key: Secret) -> bool:
    """By its first characters."""
    return key.reveal().startswith(PROBE_PREFIX)


def parse_probe_key(text: Secret) -> Secret:
    """The same without surrounding white space. Raises SecretError, which does not repeat it."""
    key = Secret(text.reveal().strip())
    _probe_parts(key)
    return key


@lru_cache(REMEMBERED)
def probe_login_key(probe: Secret, uid: str) -> Secret:
    """The OpenSSH private key of a probe key for the child with this uid: its host answers questions to it."""
    return _ssh_private_key(_expanded(_probe_parts(probe)[1], "ssh probe", uid))


@lru_cache(REMEMBERED)
def probe_login_public_key(key: Secret, generation: int, uid: str) -> str:
    """The public half of that, from the fleet key."""
    return _ssh_public_half(_expanded(_derive(key, "probe", generation=generation), "ssh probe", uid))


def host_key_label(public: str) -> str:
    """A host's public key as the value of a label: 52 characters of base32, for a label takes 63."""
    point = base64.b64decode(public.split()[1])[-KEY_BYTES:]
    return base64.b32encode(point).decode().rstrip("=").lower()


def host_key_of_label(label: str) -> str | None:
    """`ssh-ed25519 AAAA...` of such a label; None of what is none."""
    try:
        point = base64.b32decode(label.upper() + "====")
    except binascii.Error:
        return None
    return _ssh_public_text(point) if len(point) == KEY_BYTES else None


@lru_cache(REMEMBERED)
def login_key(key: Secret, uid: str, generation: int) -> Secret:
    """The OpenSSH private key (ed25519, PEM) that logs in to the child with this uid."""
    return _ssh_private_key(_derive(key, "ssh login", uid, generation))


@lru_cache(REMEMBERED)
def host_key(key: Secret, uid: str, generation: int) -> Secret:
    """The OpenSSH private key by which this child's host is known. Generation 0 is the one that user_data carried."""
    return _ssh_private_key(_derive(key, "ssh host", uid, generation))


@lru_cache(REMEMBERED)
def login_public_key(key: Secret, uid: str, generation: int) -> str:
    """The public half of `login_key`, for who does not need the other: it takes a third of the time."""
    return _ssh_public_half(_derive(key, "ssh login", uid, generation))


@lru_cache(REMEMBERED)
def host_public_key(key: Secret, uid: str, generation: int) -> str:
    """The public half of `host_key`."""
    return _ssh_public_half(_derive(key, "ssh host", uid, generation))


def public_key(private_key: Secret) -> str:
    """`ssh-ed25519 AAAA...` of a key made here, without a comment."""
    private = load_ssh_private_key(private_key.reveal().encode(), password=None)
    return private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


@lru_cache(REMEMBERED)
def gateway_token(key: Secret, uid: str, generation: int) -> Secret:
    """The token that the child's gateway asks of its clients: 64 hex digits."""
    return Secret(_derive(key, "gateway token", uid, generation).hex())


@lru_cache(REMEMBERED)
def digest_key(key: Secret, uid: str) -> Secret:
    """64 hex digits, the HMAC key for digests of this child's secrets: equal digests then say nothing to strangers."""
    return Secret(_derive(key, "digest", uid).hex())


def plan_key(key: Secret) -> Secret:
    """64 hex digits, the HMAC key of plan files: whoever has no fleet key can neither make nor change one."""
    return Secret(_derive(key, "plan file").hex())


@lru_cache(REMEMBERED)
def backup_key(key: Secret) -> Secret:
    """64 hex digits, the HMAC key of what is noted beside backups."""
    return Secret(_derive(key, "backup note").hex())


def backup_identity(key: Secret) -> Secret:
    """The age identity (`AGE-SECRET-KEY-1…`) that opens backups for which the fleet file names no recipient."""
    return Secret(_bech32("age-secret-key-", _derive(key, "backup identity")).upper())


def backup_recipient(key: Secret) -> str:
    """The age recipient (`age1…`) of that identity."""
    private = X25519PrivateKey.from_private_bytes(_derive(key, "backup identity"))
    return _bech32("age", private.public_key().public_bytes_raw())


def imported_uid(key: Secret, server_id: int) -> str:
    """16 lower-case hex digits, the uid of a server that was not made by this tool.

    Always the same for one server: an import that was cut off anywhere finds its own keys again, also without state/.
    """
    return _derive(key, "imported uid", str(server_id), length=8).hex()


def cloud_key(key: Secret) -> str:
    """The one public key registered with the cloud: `ssh-ed25519 AAAA...`, to which no private half exists.

    A server created without any key gets a root password by mail; with this key it gets none. Nobody shall log in by
    it, so its point is 32 derived bytes: finding a private key for it is the discrete logarithm problem. (Half of all
    such strings are no point of the curve at all. OpenSSH and the cloud check the length only, and it opens nothing
    either way.)
    """
    return _ssh_public_text(_derive(key, "cloud key without a private half"))


@lru_cache(REMEMBERED)
def sandbox_bot_token(key: Secret, reference: SecretRef) -> Secret:
    """A made-up Telegram bot token, `<10 digits>:<35 characters>`; the same for the same reference."""
    made = _derive(key, "sandbox bot token", str(reference), length=40)
    digits = 1_000_000_000 + int.from_bytes(made[:8]) % 9_000_000_000
    return Secret(f"{digits}:{_base64url(made[8:])[:35]}")


@lru_cache(REMEMBERED)
def sandbox_model_key(key: Secret, reference: SecretRef) -> Secret:
    """A made-up model key, `sk-ant-sandbox-` and 43 characters; the same for the same reference."""
    return Secret("sk-ant-sandbox-" + _base64url(_derive(key, "sandbox model key", str(reference))))


def _derive(key: Secret, purpose: str, subject: str = "", generation: int = 0, *, length: int = KEY_BYTES) -> bytes:
    return _expanded(_bytes_of(key), purpose, subject, generation, length=length)


def _expanded(raw: bytes, purpose: str, subject: str = "", generation: int = 0, *, length: int = KEY_BYTES) -> bytes:
    """HKDF's info carries each part with its length before it, so no two lists of parts give the same bytes."""
    parts = (purpose.encode(), subject.encode(), str(generation).encode())
    info = b"".join(_packed(part) for part in parts)
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=_SALT, info=info).derive(raw)


def _bytes_of(key: Secret) -> bytes:
    if is_probe_key(key):
        raise SecretError(
            "this is a probe key, which can only look: this needs the fleet key",
            "`fleet monitor`, `report`, `dashboard` and `alert` take a probe key; do this where the fleet key is.",
        )
    text = key.reveal()
    raw = _whole(text.removeprefix(KEY_PREFIX)) if text.startswith(KEY_PREFIX) else None
    if raw is None:
        raise SecretError(
            "this is not a fleet key",
            f"A fleet key is one line: {KEY_PREFIX} and 43 characters, as `fleet init` wrote it. Copy it again.",
        )
    return raw


def _probe_parts(key: Secret) -> tuple[str, bytes]:
    """The fleet-id in a probe key, and its 32 bytes."""
    text = key.reveal()
    found = _PROBE.fullmatch(text)
    raw = _whole(found[2]) if found else None
    if found is None or raw is None:
        raise SecretError(
            "this is not a probe key",
            f"A probe key is one line that begins with {PROBE_PREFIX}. Export it again: fleet key export --read-only",
        )
    return found[1], raw


def _whole(encoded: str) -> bytes | None:
    """32 bytes in base64url; None of what is not exactly that."""
    try:
        raw = base64.b64decode(encoded + "=", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    # The second comparison refuses a last character that carries bits which nobody would ever miss.
    return raw if len(raw) == KEY_BYTES and _base64url(raw) == encoded else None


def _ssh_private_key(seed: bytes) -> Secret:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    return Secret(private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode())


def _ssh_public_half(seed: bytes) -> str:
    return _ssh_public_text(Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw())


def _ssh_public_text(point: bytes) -> str:
    blob = _packed(_SSH_TYPE) + _packed(point)
    return f"{_SSH_TYPE.decode()} {base64.b64encode(blob).decode()}"


def _bech32(prefix: str, raw: bytes) -> str:
    words = bech32.convertbits(raw, 8, 5) or []  # never without any, of whole bytes
    return bech32.bech32_encode(prefix, words)


def _packed(part: bytes) -> bytes:
    return struct.pack(">I", len(part)) + part


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
