"""The backups of one fleet where they are kept: two files each, what is sealed and a note of it.

A backup is there when its note is, and its note is written last. What was kept is read back before it counts.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from reconciler import keys
from reconciler.errors import BackupDamaged, VaultError
from reconciler.manifests import (
    LARGEST_NOTE,
    NOTE,
    SEALED,
    Known,
    given_up_name,
    half_of,
    is_note,
    known_of,
    name_trial,
    read_note,
    read_trial,
    stem_of,
    trials_of,
    write_note,
)
from reconciler.model import BESIDE, Backup, BackupSettings, Fleet, Purpose, Secret, Trial
from reconciler.ports import Ports, Sealer, Vault


@dataclass(frozen=True, slots=True)
class Shelf:
    """The backups of one fleet in one vault."""

    vault: Vault
    fleet: str
    key: Secret  # keys.backup_key
    sealer: Sealer

    def of(self, child: str) -> tuple[list[Backup], list[str]]:
        """Those of the child of this name, the newest first; and what is wrong with those that are not whole."""
        found, problems = [], []
        names = self.vault.names(f"{self.fleet}/{child}/")
        for name in filter(is_note, names):
            try:
                backup = read_note(name, self._content(name), self.key)
                if f"{stem_of(backup)}{SEALED}" not in names:
                    raise BackupDamaged(f"{name}: what it is the note of is gone", "remove the note as well")
                found.append(backup)
            except BackupDamaged as error:
                problems.append(error.summary)
        return sorted(found, key=lambda backup: backup.id, reverse=True), problems

    def children(self) -> frozenset[str]:
        """Who has a backup here, or only a fork."""
        return frozenset(name.split("/")[1] for name in self.vault.names(f"{self.fleet}/") if is_note(name))

    def newest(self, child: str = "") -> dict[str, Known]:
        """By child, or of this one, the newest of its own that there is a note of; nothing is opened for it."""
        names = self.vault.names(f"{self.fleet}/{child}/" if child else f"{self.fleet}/")
        there, found = set(names), dict[str, Known]()
        for known in sorted(filter(None, map(known_of, names)), key=lambda known: known.id):
            if known.purpose in BESIDE:
                continue
            found[known.child] = replace(known, is_given_up=given_up_name(known.stem, self.key) in there)
        return found

    def noted(self, known: Known) -> Backup:
        """What its note says. Raises BackupDamaged, VaultError."""
        name = f"{known.stem}{NOTE}"
        return read_note(name, self._content(name), self.key)

    def judged(self, known: Known) -> Known:
        """The same, when its note was read: a name alone anybody can give. Raises VaultError."""
        try:
            self.noted(known)
        except BackupDamaged:
            return replace(known, is_ours=False)
        except VaultError:
            if not known.is_given_up:  # who could say so has seen it
                raise
        return known

    def ids(self, child: str) -> set[str]:
        """Of all that there is a note of, also of one that cannot be read."""
        return {known.id for known in map(known_of, self.vault.names(f"{self.fleet}/{child}/")) if known}

    def give_up(self, child: str) -> None:
        """Nobody waits any more for what it went to sleep with, nor for the newest, nor asks what cannot be read.

        All of it is kept.
        """
        newest = self.newest(child).get(child)
        for known in filter(None, map(known_of, self.vault.names(f"{self.fleet}/{child}/"))):
            is_awaited = known.purpose is Purpose.SLEEP or (newest is not None and known.id == newest.id)
            if is_awaited or not self.judged(known).is_ours:
                self._put(given_up_name(known.stem, self.key), b"its memory was given up: fleet wake --empty\n")

    def keep(self, backup: Backup, sealed: Path) -> None:
        """What is sealed first: there is no backup before its note."""
        self.vault.put(f"{stem_of(backup)}{SEALED}", sealed)
        self._put(f"{stem_of(backup)}{NOTE}", write_note(backup, self.key))

    def check(self, backup: Backup) -> None:
        """Its note, read again, is the one that was written. Raises BackupDamaged."""
        name = f"{stem_of(backup)}{NOTE}"
        found = self._content(name)
        read_note(name, found, self.key)
        if found != write_note(backup, self.key):
            raise BackupDamaged(
                f"the note of the backup {backup.id} of {backup.child} is not what was kept in {self.vault.where}",
                "does somebody else write there? Look, and make another backup",
            )

    def take(self, backup: Backup, target: Path) -> None:
        """The sealed file as it was kept. Raises BackupDamaged where a bit of it differs."""
        self.vault.get(f"{stem_of(backup)}{SEALED}", target)
        with target.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != backup.sealed_digest:
            raise BackupDamaged(
                f"the backup {backup.id} of {backup.child} is damaged: it is not what was kept in {self.vault.where}",
                f"take another one: fleet backup list {backup.child}",
            )

    def halves(self, child: str) -> list[Backup]:
        """Of the child of this name, what is sealed and has no note: it was cut off while it was made, or removed."""
        names = set(self.vault.names(f"{self.fleet}/{child}/"))
        found = filter(None, map(half_of, sorted(names)))
        return [half for half in found if f"{stem_of(half)}{NOTE}" not in names]

    def drop(self, backup: Backup) -> None:
        """Its note first: what is half gone is no backup. What is sealed last: by that it is found again."""
        stem = stem_of(backup)
        self.vault.remove(f"{stem}{NOTE}")
        self.vault.remove(given_up_name(stem, self.key))
        self.vault.remove(f"{stem}{SEALED}")

    def note_trial(self, trial: Trial) -> None:
        """The last drill of this child, and the last that was proven, are what is kept."""
        name = name_trial(self.fleet, trial, self.key)
        self._put(name, b"what is to be known of this drill is in the name of this file\n")
        for older in self.vault.names(trials_of(self.fleet, trial.child)):
            before = read_trial(older, self.fleet, self.key)
            if older != name and before and before.at <= trial.at and (trial.is_proven or not before.is_proven):
                self.vault.remove(older)

    def trials(self) -> list[Trial]:
        """The last drills of all children, by one listing, the oldest first. Names that are not ours say nothing."""
        names = self.vault.names(trials_of(self.fleet))
        found = (read_trial(name, self.fleet, self.key) for name in names)
        return sorted((trial for trial in found if trial), key=lambda trial: trial.at)

    def _put(self, name: str, content: bytes) -> None:
        with TemporaryDirectory() as place:
            file = Path(place) / "file"
            file.write_bytes(content)
            self.vault.put(name, file)

    def _content(self, name: str) -> bytes:
        with TemporaryDirectory() as place:
            self.vault.get(name, Path(place) / "note")
            with (Path(place) / "note").open("rb") as file:
                return file.read(LARGEST_NOTE)


def shelf_of(settings: BackupSettings, fleet: Fleet, ports: Ports) -> Shelf:
    """The fleet's backups in the place that these settings name."""
    return Shelf(ports.vault(settings.to), fleet.name, keys.backup_key(ports.fleet_key), ports.sealer)
