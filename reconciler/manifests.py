"""What is noted beside each backup, and of each drill, sealed with a key of the fleet's own. Pure.

A note says what a backup holds and by which digests it is known, so that storage that lies or rots is found out without
opening anything. Whoever can write to the storage, and has no fleet key, can neither make one nor change one.
"""

from __future__ import annotations

import hmac
import json
import re
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final

from reconciler.errors import BackupDamaged
from reconciler.ids import ID_FORMAT, moment_of
from reconciler.model import Backup, Hold, Purpose, Secret, Trial

FORMAT: Final = 1
LARGEST_NOTE: Final = 1 << 20  # bytes; no longer one is written, nor read
NOTE: Final = ".json"
SEALED: Final = ".age"
MAC_DIGITS: Final = 32
_OF_HOLD: Final = frozenset(it.name for it in fields(Hold))
_TRIAL: Final = re.compile(
    r"[^/]+/_drills/(?P<child>[^/]+)/(?P<at>\d{8}T\d{6}Z)-(?P<outcome>proven|failed)"
    r"-(?P<backup>none|\d{8}T\d{6}Z)-(?P<seconds>\d{1,9})-[0-9a-f]{32}"
)
_NAME: Final = re.compile(
    r"(?P<fleet>[^/]+)/(?P<child>[^/]+)/(?P<id>\d{8}T\d{6}Z)-(?P<uid>[0-9a-f]+)(?:-(?P<purpose>update|last|sleep|fork|earlier))?\.json"
)


@dataclass(frozen=True, slots=True)
class Known:
    """What the name of a note tells of a backup."""

    child: str
    id: str
    purpose: Purpose
    stem: str
    is_given_up: bool = False  # nobody waits for it any more
    is_ours: bool = True  # False: its note was read, and whoever wrote it had not this fleet key, or it is damaged

    @property
    def is_nothing(self) -> bool:
        """Nobody can read it, and a person has said that nobody waits for it: it decides nothing."""
        return self.is_given_up and not self.is_ours


def stem_of(backup: Backup) -> str:
    """The name of both of its files in a vault, without their ends: FLEET/CHILD/ID-UID, and its purpose if it has one.

    So a listing alone tells which is the newest of the child's own, and whether the child went to sleep with it.
    """
    purpose = "" if backup.purpose is Purpose.COPY else f"-{backup.purpose}"
    return f"{backup.fleet}/{backup.child}/{backup.id}-{backup.uid}{purpose}"


def is_note(name: str) -> bool:
    """Whether a file in a vault is the note of a backup: what others keep there is left alone."""
    return known_of(name) is not None


def known_of(name: str) -> Known | None:
    """What the name of a note tells, whether it can be read or not; None where it is the note of no backup."""
    found = _NAME.fullmatch(name)
    if found is None or moment_of(found["id"]) is None:
        return None
    return Known(found["child"], found["id"], Purpose(found["purpose"] or Purpose.COPY), name.removesuffix(NOTE))


def half_of(name: str) -> Backup | None:
    """What the name of a sealed file tells of a backup, and no more of it; None where it is the file of none."""
    found = _NAME.fullmatch(f"{name.removesuffix(SEALED)}{NOTE}") if name.endswith(SEALED) else None
    moment = moment_of(found["id"]) if found else None
    if found is None or moment is None:
        return None
    purpose = Purpose(found["purpose"] or Purpose.COPY)
    known = found["id"], found["fleet"], found["child"], found["uid"]
    return Backup(*known, "", moment.isoformat(), 0, "", 0, "", "", purpose=purpose)


def given_up_name(stem: str, key: Secret) -> str:
    """Of the file that says so of the backup of this stem: nobody waits any more for what went to sleep with it.

    Nobody without the fleet key can make one, though it is never opened.
    """
    return f"{stem}-{_mac(f'given up: {stem}', key)[:MAC_DIGITS]}.given-up"


def write_note(backup: Backup, key: Secret) -> bytes:
    """`key` is `keys.backup_key`."""
    body = {"format": FORMAT, **asdict(backup)}
    if backup.purpose is Purpose.COPY:
        del body["purpose"]  # as it was before there were any, so an older tool reads it
    if not backup.is_left:
        del body["is_left"]  # the same
    body["held"] = [{key: it for key, it in held.items() if it is not False} for held in body["held"]]  # the same
    if not backup.held:
        del body["held"]  # the same
    return (json.dumps({**body, "mac": _mac(body, key)}, indent=1, sort_keys=True) + "\n").encode()


def fitted(backup: Backup, key: Secret) -> Backup:
    """The same; without what it holds where that makes a note that could not be read again.

    The counts come from the gateway's user: how many or how deep they are must not decide whether a memory is kept.
    """
    try:
        is_short = len(write_note(backup, key)) <= LARGEST_NOTE
    except (RecursionError, OverflowError, ValueError):  # so deep, or so many, that no note can hold it
        is_short = False
    return backup if is_short else replace(backup, holds={})


def read_note(name: str, data: bytes, key: Secret) -> Backup:
    """The backup whose note `name` is. Raises BackupDamaged where a byte of it is not ours, or not its own."""
    try:
        body: Any = json.loads(data)
        mac = body.pop("mac")
        is_ours = hmac.compare_digest(mac, _mac(body, key)) and body.pop("format") == FORMAT
        backup = _backup_of(body) if is_ours else None
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        backup = None
    if backup is None or f"{stem_of(backup)}{NOTE}" != name:
        raise BackupDamaged(
            f"{name} is not as it was written, or of another fleet key",
            "take another backup: `fleet backup list` shows which there are; `fleet key show` tells which key this is",
        )
    return backup


def _backup_of(body: dict[str, Any]) -> Backup:
    """Before there were other purposes a note said only whether it is of a fork."""
    known = {key: value for key, value in body.items() if key != "is_fork"}
    purpose = Purpose.FORK if body.get("is_fork") else Purpose(body.get("purpose", Purpose.COPY))
    said = body.get("held") or []
    holds = [said] if isinstance(said, dict) else said  # once there was one at most
    held = tuple(Hold(**{key: it[key] for key in _OF_HOLD & it.keys()}) for it in holds)
    return Backup(**{**known, "purpose": purpose, "held": held})


def trials_of(fleet: str, child: str = "") -> str:
    """What the names of all notes of drills begin with: of this child, or of all. No child's name has an underscore."""
    return f"{fleet}/_drills/{child}/" if child else f"{fleet}/_drills/"


def name_trial(fleet: str, trial: Trial, key: Secret) -> str:
    """All that is to be known of a drill, and its MAC: one listing tells of every child, and nothing has to be read."""
    outcome = "proven" if trial.is_proven else "failed"
    words = f"{trial.at:{ID_FORMAT}}-{outcome}-{trial.backup or 'none'}-{trial.seconds}"
    name = f"{trials_of(fleet, trial.child)}{words}"
    return f"{name}-{_mac(name, key)[:MAC_DIGITS]}"


def read_trial(name: str, fleet: str, key: Secret) -> Trial | None:
    """None where the name is not one that this fleet key has given."""
    found = _TRIAL.fullmatch(name)
    if found is None:
        return None
    at = moment_of(found["at"])
    if at is None:
        return None
    backup = "" if found["backup"] == "none" else found["backup"]
    trial = Trial(found["child"], at, backup, int(found["seconds"]), found["outcome"] == "proven")
    return trial if hmac.compare_digest(name.encode(), name_trial(fleet, trial, key).encode()) else None


def _mac(body: Any, key: Secret) -> str:
    text = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    return hmac.digest(bytes.fromhex(key.reveal()), text, "sha256").hex()
