"""What is noted beside each backup, sealed with a key of the fleet's own. Pure.

A note says what a backup holds and by which digests it is known, so that storage that lies or rots is found out without
opening anything. Whoever can write to the storage, and has no fleet key, can neither make one nor change one.
"""

from __future__ import annotations

import hmac
import json
import re
from dataclasses import asdict
from typing import Any, Final

from reconciler.errors import BackupDamaged
from reconciler.model import Backup, Secret

FORMAT: Final = 1
NOTE: Final = ".json"
SEALED: Final = ".age"
_NAME: Final = re.compile(r"(?P<fleet>[^/]+)/(?P<child>[^/]+)/(?P<id>\d{8}T\d{6}Z)-(?P<uid>[0-9a-f]+)\.json")


def stem_of(backup: Backup) -> str:
    """The name of both of its files in a vault, without their ends: FLEET/CHILD/ID-UID."""
    return f"{backup.fleet}/{backup.child}/{backup.id}-{backup.uid}"


def is_note(name: str) -> bool:
    """Whether a file in a vault is the note of a backup: what others keep there is left alone."""
    return _NAME.fullmatch(name) is not None


def write_note(backup: Backup, key: Secret) -> bytes:
    """`key` is `keys.backup_key`."""
    body = {"format": FORMAT, **asdict(backup)}
    return (json.dumps({**body, "mac": _mac(body, key)}, indent=1, sort_keys=True) + "\n").encode()


def read_note(name: str, data: bytes, key: Secret) -> Backup:
    """The backup whose note `name` is. Raises BackupDamaged where a byte of it is not ours, or not its own."""
    try:
        body: Any = json.loads(data)
        mac = body.pop("mac")
        is_ours = hmac.compare_digest(mac, _mac(body, key)) and body.pop("format") == FORMAT
        backup = Backup(**body) if is_ours else None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        backup = None
    if backup is None or f"{stem_of(backup)}{NOTE}" != name:
        raise BackupDamaged(
            f"{name} is not as it was written, or of another fleet key",
            "take another backup: `fleet backup list` shows which there are; `fleet key show` tells which key this is",
        )
    return backup


def _mac(body: Any, key: Secret) -> str:
    text = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    return hmac.digest(bytes.fromhex(key.reveal()), text, "sha256").hex()
