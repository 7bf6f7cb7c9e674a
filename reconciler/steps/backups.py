"""Carries backups of children: from the host through the operator, sealed, onto the shelf, and back to a host.

Nothing plain is ever written on the operator's disk: what comes from a host is sealed piece by piece, and what goes to
one is opened piece by piece.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BufferedWriter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from reconciler import commands, keys
from reconciler.commands.backups import PIECE
from reconciler.commands.release import exact
from reconciler.errors import BackupDamaged, HostError, Refused, VaultError
from reconciler.fleet import former_names
from reconciler.ids import ID_FORMAT, free_id, later_id, moment_of
from reconciler.managed import files
from reconciler.manifests import fitted
from reconciler.model import Backup, BackupSettings, Checkpoint, Command, Hold, Purpose, Secret
from reconciler.ports import Host, Ports
from reconciler.steps.archives import FromHost, ToHost, Weighed
from reconciler.steps.shelf import Shelf
from reconciler.steps.versions import linked
from reconciler.steps.work import Work, uid_of

MOST_SKEW: Final = timedelta(minutes=5)  # of a host's clock, to be believed
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Memory:
    """A backup that a gateway is given before it starts on a new host, where it is kept, and what opens it."""

    backup: Backup
    shelf: Shelf
    identity: Secret
    is_named: bool = False  # just now, by a person
    held: tuple[Hold, ...] = ()  # versions that its child was brought back from by its newest backup, whichever this is


def memory_of(backup: Backup, shelf: Shelf, ports: Ports, identity: Secret | None = None) -> Memory:
    """What a gateway can be given, by this identity or the fleet key's own. Raises Refused where it is another's."""
    found = identity_for(backup, ports, identity)
    if found is None:
        raise Refused(
            f"the backup {backup.id} of {backup.child} is sealed for {backup.recipient}",
            "give the identity that opens it: --identity FILE",
        )
    return Memory(backup, shelf, found)


def identity_for(backup: Backup, ports: Ports, given: Secret | None = None) -> Secret | None:
    """What opens it: the given one, or the fleet key's own where it was sealed for that; None where nobody here can."""
    is_ours = backup.recipient == keys.backup_recipient(ports.fleet_key)
    return given or (keys.backup_identity(ports.fleet_key) if is_ours else None)


def make(work: Work, shelf: Shelf, settings: BackupSettings, purpose: Purpose = Purpose.COPY) -> Backup:
    """A new backup of a child that runs, kept and read back. Raises HostError, VaultError."""
    making, host = _making(work), work.connection()
    with archive(host, making) as made:
        return carry(work, host, made, shelf, settings, purpose)


def make_last(work: Work, shelf: Shelf, settings: BackupSettings, purpose: Purpose) -> Backup:
    """The same of a child whose gateway is stopped, without a tool of its release. Raises HostError, VaultError."""
    host = work.connection()
    with archive(host, commands.copy_stopped()) as made:
        return carry(work, host, made, shelf, settings, purpose)


def carry(
    work: Work,
    host: Host,
    made: dict[str, Any],
    shelf: Shelf,
    settings: BackupSettings,
    purpose: Purpose,
    name: str | None = None,
    *,
    is_left: bool = False,
) -> Backup:
    """From the host into the vault, sealed on its way, and read back."""
    now = work.ports.clock.now()  # its host has just said when it made that; what follows may take hours
    recipient = settings.recipient or keys.backup_recipient(work.ports.fleet_key)
    held = work.facts.noted if work.facts is not None and purpose is not Purpose.EARLIER else ()
    try:
        with TemporaryDirectory() as place:
            sealed, again = Path(place) / "sealed", Path(place) / "again"
            reader = FromHost(host, made["size"], settings.rate, work.ports.clock)
            shelf.sealer.seal(reader, sealed, recipient)
            _check_arrival(reader, made["digest"])
            with sealed.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            made_now = Backup(
                id=name or _new_id(work, shelf), fleet=shelf.fleet, child=work.name, uid=uid_of(work.existing()),
                version=made["version"], at=_moment(made["at"], work, purpose, now), size=made["size"],
                digest=made["digest"], sealed_size=sealed.stat().st_size, sealed_digest=digest, recipient=recipient,
                holds=made["holds"], purpose=purpose, held=held, is_left=is_left,
            )  # fmt: skip
            backup = fitted(made_now, shelf.key)
            shelf.keep(backup, sealed)
            shelf.check(backup)
            shelf.take(backup, again)
    except OSError as error:
        raise VaultError(
            f"a backup could not be written here: {error.strerror}", "make room for temporary files"
        ) from error
    return backup


def export(work: Work, rate: int, target: Path) -> None:
    """`target`, which must not be there, is what the child remembers now, plain. Raises HostError, OSError."""
    making, host = _making(work), work.connection()
    with archive(host, making) as made, _whole(target) as file:
        reader = FromHost(host, made["size"], rate, work.ports.clock)
        while piece := reader.read(PIECE):
            file.write(piece)
        _check_arrival(reader, made["digest"])


def verify(shelf: Shelf, backup: Backup, identity: Secret | None) -> None:
    """It is what was kept, and with an identity: it opens, and is what the host has made. Raises BackupDamaged."""
    with TemporaryDirectory() as place:
        sealed = Path(place) / "sealed"
        shelf.take(backup, sealed)
        if identity is None:
            return
        opened = Weighed()
        shelf.sealer.open_sealed(sealed, opened, identity)
        _check(backup, opened.digest.hexdigest())


def is_whole(shelf: Shelf, backup: Backup) -> bool:
    """What it is the note of is read back: its note alone is no copy, and something is to go. Raises VaultError."""
    try:
        verify(shelf, backup, None)
    except BackupDamaged:
        return False
    return True


def fetch(shelf: Shelf, backup: Backup, identity: Secret, target: Path) -> None:
    """`target`, which must not be there, is the plain archive for its owner alone. Raises BackupDamaged, OSError."""
    verify(shelf, backup, identity)
    with TemporaryDirectory() as place:
        sealed = Path(place) / "sealed"
        shelf.take(backup, sealed)
        with _whole(target) as file:
            shelf.sealer.open_sealed(sealed, file, identity)


@contextmanager
def _whole(target: Path) -> Iterator[BufferedWriter]:
    """A new file for its owner alone; where it does not come to its end, whatever the reason, nothing is left of it."""
    with os.fdopen(os.open(target, _NEW, 0o600), "wb") as file:
        try:
            yield file
            file.flush()
        except BaseException:
            target.unlink(missing_ok=True)
            raise


def checkpoint_of(backup: Backup, checkpoints: Iterable[Checkpoint]) -> str:
    """The id that the backup has, or gets, as a checkpoint on a host that has these. Pure.

    It is the backup's own unless another one has that: ids are times, and two children may have one of the same.
    """
    known = {checkpoint.id: checkpoint.archive for checkpoint in checkpoints}
    there = (name for name, archive in known.items() if archive == backup.digest)
    return next(there, None) or free_id(datetime.strptime(backup.id, ID_FORMAT).replace(tzinfo=UTC), known)


def send(memory: Memory, work: Work, checkpoint: str) -> None:
    """The backup becomes the checkpoint of this id on the child's host. Raises HostError, VaultError."""
    backup, shelf, host = memory.backup, memory.shelf, work.connection()
    verify(shelf, backup, memory.identity)  # before a byte of it is on the host
    with TemporaryDirectory() as place:
        sealed = Path(place) / "sealed"
        shelf.take(backup, sealed)
        settings = work.spec.backup if work.spec is not None else work.fleet.backup
        writer = ToHost(host, settings.rate, work.ports.clock)
        shelf.sealer.open_sealed(sealed, writer, memory.identity)
        writer.finish()
    of = "" if backup.child in (work.name, *former_names(work.fleet, work.name)) else backup.child
    marks: dict[str, Any] = {"is_left": backup.is_left, "of": of}
    host.run(commands.unpack_archive(checkpoint, backup.version, backup.at, backup.digest, **marks))


def _new_id(work: Work, shelf: Shelf) -> str:
    """By the time, and later than all that the host has and that is kept, also under its former names."""
    facts, names = work.facts, (work.name, *former_names(work.fleet, work.name))
    known = {known for name in names for known in shelf.ids(name)}
    if facts is not None:
        known |= {*(checkpoint.id for checkpoint in facts.checkpoints), *(name[:16] for name in facts.asides)}
    found = later_id(work.ports.clock.now(), known)
    if moment_of(found) is None:
        newest = max(name for name in known if moment_of(name))
        raise VaultError(
            f"no backup of {work.name} can be later than {newest}, by which something of it is named",
            "remove that from where its backups are, if nobody here has made it",
        )
    return found


def _making(work: Work) -> Command:
    """What makes an archive by the tool of the release that is there. Raises HostError."""
    version = linked(work.look())
    if version is None:
        raise HostError(f"no whole release is on {work.name}", f"apply first: fleet apply {work.name}")
    return commands.make_archive(version, files.NODE_DIRECTORY)


@contextmanager
def archive(host: Host, making: Command) -> Iterator[dict[str, Any]]:
    """What the host says of its archive; nothing is left of it there, nor of one that did not get whole."""
    try:
        yield _made(host.run(making).stdout)
    finally:
        host.run(commands.drop_archive())


def _check_arrival(reader: FromHost, digest: str) -> None:
    if reader.digest.hexdigest() != digest:
        raise HostError("what has arrived is not what the host has made", "try again")


def _made(printed: bytes) -> dict[str, Any]:
    """What a host says of its archive; what it holds comes from the gateway's user, and is only ever compared."""
    try:
        made: Any = json.loads(printed)
        datetime.fromisoformat(made["at"])
        return {
            "at": str(made["at"]),
            "version": exact(str(made["version"])),
            "size": int(made["size"]),
            "digest": str(made["digest"]),
            "holds": made["holds"],
        }
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise HostError("what the host says of its archive cannot be read", "try again") from error


def _moment(at: str, work: Work, purpose: Purpose, now: datetime) -> str:
    """When a backup was made: as its host says, unless its clock is wrong, for by this it is kept or goes."""
    try:
        is_right = abs(now - datetime.fromisoformat(at)) <= MOST_SKEW
    except TypeError:  # it has no time zone
        is_right = False
    if is_right or purpose is Purpose.EARLIER:
        return at
    work.keeping.has_other_time = True
    return now.isoformat(timespec="seconds")


def _check(backup: Backup, digest: str) -> None:
    if digest != backup.digest:
        raise BackupDamaged(
            f"the backup {backup.id} of {backup.child} opens, and is not what its host has made",
            f"take another one: fleet backup list {backup.child}",
        )
