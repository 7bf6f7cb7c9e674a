"""What is kept of a fleet's children, wherever its file says: backups and notes of drills. No host is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from reconciler.errors import BackupDamaged, FleetError, Refused
from reconciler.fleet import former_names
from reconciler.manifests import Known
from reconciler.model import Backup, BackupSettings, Bucket, Fleet, KeptBackups, Purpose, Trial
from reconciler.parallel import in_parallel
from reconciler.ports import Ports
from reconciler.steps.shelf import Shelf, shelf_of

READERS: Final = 8


class Shelves:
    def __init__(self, fleet: Fleet, ports: Ports) -> None:
        self._fleet = fleet
        self._ports = ports

    def kept(self, name: str) -> KeptBackups:
        """Also of a child that is gone from the file, in the place where the file keeps those of any child by default.

        Raises VaultError, SecretError.
        """
        shelf = self._shelf(self._settings(name))
        found: list[Backup] = []
        problems: list[str] = []
        for known in (name, *former_names(self._fleet, name)):
            more, wrong = shelf.of(known)
            found += more
            problems += wrong
        found.sort(key=lambda backup: backup.id, reverse=True)
        return KeptBackups(tuple(found), tuple(problems), shelf.vault.where)

    def names(self) -> tuple[str, ...]:
        """Whose backups are where the file keeps those of any child by default. Raises VaultError."""
        return tuple(sorted(self._shelf(self._fleet.backup).children()))

    def newest(self, names: Iterable[str]) -> tuple[dict[str, Known], dict[str, str]]:
        """The newest backup of each that has one, and whether it is ours: one listing of each place, and their notes.

        And, in words, of whom nobody can tell.
        """
        listed, problems = self._listed(names)
        found = dict[str, Known]()
        for shelf, last in listed:
            for name, judged in zip(last, in_parallel(_judging(shelf), last.values(), READERS), strict=True):
                if isinstance(judged, Known):
                    found[name] = judged
                else:
                    problems[name] = judged
        return found, problems

    def last(self, names: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
        """The id of the newest backup of each that has one, and of whom nobody can tell: by listings alone."""
        listed, problems = self._listed(names)
        return {name: known.id for _, last in listed for name, known in last.items()}, problems

    def last_readable(self, name: str) -> Backup | None:
        """The newest of its own, by its note alone; None where nobody can read that. Raises VaultError, SecretError."""
        listed, _ = self._listed([name])
        for shelf, last in listed:
            if name in last:
                with suppress(BackupDamaged):
                    return shelf.noted(last[name])
        return None

    def _listed(self, names: Iterable[str]) -> tuple[list[tuple[Shelf, dict[str, Known]]], dict[str, str]]:
        """By place, the newest of each that has one there; and, in words, of whom nobody can tell."""
        found, problems = list[tuple[Shelf, dict[str, Known]]](), dict[str, str]()
        places = {name: self._settings(name).to for name in names}
        for place in dict.fromkeys(places.values()):
            its = [name for name in places if places[name] == place]
            try:
                shelf = self._shelf(BackupSettings(to=place))
                newest = shelf.newest()
            except FleetError as error:
                problems |= dict.fromkeys(its, error.summary)
                continue
            by_name = {name: [newest[it] for it in self.names_of(name) if it in newest] for name in its}
            found.append((shelf, {name: max(them, key=lambda it: it.id) for name, them in by_name.items() if them}))
        return found, problems

    def last_copies(self, names: Iterable[str]) -> dict[str, str]:
        """Of those with a place of their own, the id of the last copy where those go that the file says nothing of."""
        others = [name for name in names if self._settings(name).to != self._fleet.backup.to]
        if not others:
            return {}
        try:
            newest = self._shelf(self._fleet.backup).newest()
        except FleetError:
            return {}
        return {name: newest[name].id for name in others if name in newest and newest[name].purpose is Purpose.LAST}

    def give_up(self, name: str, source: str) -> None:
        """Nobody waits any more for what the child slept with, by its own name or by `source`, a former one.

        Raises VaultError, SecretError.
        """
        for known in {name, source} & {name, *former_names(self._fleet, name)}:
            self._shelf(self._settings(name)).give_up(known)

    def find(self, name: str, backup_id: str | None = None) -> Backup:
        """The one with this id, or the newest of its own.

        Raises Refused where there is none, BackupDamaged where there is a newer one that cannot be read.
        """
        kept, shelf = self.kept(name), self._shelf(self._settings(name))
        known = (it for it in kept.backups if (not it.is_beside if backup_id is None else it.id == backup_id))
        found, names = next(known, None), (name, *former_names(self._fleet, name))
        if backup_id is None:
            there = max((last.id for it in names if (last := shelf.newest(it).get(it))), default="")
        else:
            there = backup_id if any(backup_id in shelf.ids(it) for it in names) else ""
        if there > (found.id if found is not None else ""):
            raise BackupDamaged(
                f"the {'newest ' if backup_id is None else ''}backup of {name}, {there}, cannot be read: "
                + " ".join(kept.problems),
                f"another one is to be asked for by its id: fleet backup list {name}",
            )
        if found is None:
            what = f"no backup {backup_id}" if backup_id else "no backup"
            there = f"make one: fleet backup create {name}; where `backup: to` was changed since, put that back for now"
            if kept.backups:
                there = f"it has: {', '.join(backup.id for backup in kept.backups[:5])}"
            raise Refused(f"{name} has {what} in {kept.where}", there)
        return found

    def trials(self, names: Iterable[str]) -> tuple[dict[str, tuple[Trial, ...]], list[str]]:
        """The last drill of each of these children and the last that was proven, the oldest first; and, in words, where
        nobody can tell. One listing of each place where they keep backups: no file is opened, whatever their number.
        """
        known, problems = list[tuple[str | Bucket, Trial]](), list[str]()
        places = {settings.to: settings for settings in map(self._settings, names)}
        for place, settings in places.items():
            try:
                known += ((place, trial) for trial in self._shelf(settings).trials())
            except FleetError as error:
                problems.append(error.summary)
        found = dict[str, tuple[Trial, ...]]()
        for name in names:
            of, place = {name, *former_names(self._fleet, name)}, self._settings(name).to
            found[name] = tuple(trial for where, trial in known if where == place and trial.child in of)
        return found, problems

    def note_trial(self, trial: Trial) -> None:
        """Raises VaultError, SecretError."""
        self._shelf(self._settings(trial.child)).note_trial(trial)

    def names_of(self, name: str) -> tuple[str, ...]:
        """All under which a child has backups: its own name, and its former ones."""
        return (name, *former_names(self._fleet, name))

    def _settings(self, name: str) -> BackupSettings:
        now = next((new for new in self._fleet.moved if name in former_names(self._fleet, new)), name)
        spec = self._fleet.children.get(name) or self._fleet.children.get(now)
        return spec.backup if spec is not None else self._fleet.backup

    def _shelf(self, settings: BackupSettings) -> Shelf:
        return shelf_of(settings, self._fleet, self._ports)


def _judging(shelf: Shelf) -> Callable[[Known], Known | str]:
    """What `shelf.judged` says; in words, why nobody can tell."""

    def judge(known: Known) -> Known | str:
        try:
            return shelf.judged(known)
        except FleetError as error:
            return error.summary

    return judge
