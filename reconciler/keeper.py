"""Backups of a fleet's children: made, listed, tried, fetched, and put back. What the library offers of them.

The caller holds the lock for whatever changes something on a host or in a vault.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from reconciler.errors import FleetError, HostError, Refused, SecretError, VaultError
from reconciler.fleet import former_names
from reconciler.model import (
    Backup,
    BackupSettings,
    Bucket,
    Event,
    Fleet,
    Json,
    KeptBackups,
    MadeBackup,
    Secret,
    Server,
    Trial,
    masked,
)
from reconciler.observe import observe
from reconciler.parallel import in_parallel
from reconciler.ports import Ports
from reconciler.steps import Work, backups
from reconciler.steps.backups import Memory, Shelf

WORKERS: Final = 8  # each makes a host pack, and takes the operator's network
_NO_SERVER: Final = "{} has no server"
_APPLY: Final = "apply first: fleet apply {}"


class Keeper:
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

    def newest(self, names: Iterable[str]) -> dict[str, str]:
        """The id of the newest backup of each that has one, by the names of files alone: one listing of each place."""
        found: dict[str, str] = {}
        places = {name: self._settings(name).to for name in names}
        for place in dict.fromkeys(places.values()):
            with suppress(VaultError, SecretError):
                newest = self._shelf(BackupSettings(to=place)).newest()
                for name in (name for name, its in places.items() if its == place):
                    known = [newest[it] for it in (name, *former_names(self._fleet, name)) if it in newest]
                    found |= {name: max(known)} if known else {}
        return found

    def find(self, name: str, backup_id: str | None = None) -> Backup:
        """The one with this id, or the newest of its own. Raises Refused where there is none."""
        kept = self.kept(name)
        known = (it for it in kept.backups if (not it.is_fork if backup_id is None else it.id == backup_id))
        found = next(known, None)
        if found is None:
            what = f"no backup {backup_id}" if backup_id else "no backup"
            there = f"it has: {', '.join(backup.id for backup in kept.backups[:5])}" if kept.backups else kept.where
            raise Refused(f"{name} has {what} in {kept.where}", there)
        return found

    def create(self, names: Iterable[str], *, only_due: bool = False) -> list[MadeBackup]:
        """A new backup of each child that runs, read back before it counts; and what is too old is removed then."""
        wanted = tuple(names)
        servers = {name: child.server for name, child in observe(self._fleet, self._ports, wanted).children.items()}
        if only_due:
            wanted = tuple(name for name in wanted if self._is_due(name))
        return in_parallel(lambda name: self._create(name, servers[name]), wanted, WORKERS)

    def verify(self, name: str, backup: Backup, identity: Secret | None = None) -> bool:
        """Whether it could be opened as well: without the identity of its recipient only its seal is looked at.

        Raises BackupDamaged, VaultError.
        """
        identity = backups.identity_for(backup, self._ports, identity)
        backups.verify(self._shelf(self._settings(name)), backup, identity)
        return identity is not None

    def fetch(self, name: str, backup: Backup, target: Path, identity: Secret | None = None) -> None:
        """`target` is the plain archive, for its owner alone. Raises BackupDamaged, VaultError, Refused."""
        memory = self._memory(name, backup, identity)
        backups.fetch(memory.shelf, backup, memory.identity, target)

    def export(self, name: str, target: Path) -> None:
        """`target`, which must not be there, is what the child remembers now. Raises HostError, OSError."""
        work = self._work(name, self._server(name))
        try:
            backups.export(work, self._settings(name).rate, target)
        finally:
            work.hang_up()

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

    def prune(self, name: str) -> tuple[Backup, ...]:
        """Removes what is more or older than the file keeps, and says what that was."""
        settings = self._settings(name)
        shelf, kept = self._shelf(settings), self.kept(name)
        gone = backups.surplus(kept.backups, settings, self._ports.clock.now())
        for backup in gone:
            shelf.drop(backup)
        return tuple(gone)

    def memory(self, source: str, backup: Backup, identity: Secret | None = None) -> Memory:
        """What a gateway can be given before it starts. Raises BackupDamaged, VaultError, Refused."""
        memory = self._memory(source, backup, identity)
        backups.verify(memory.shelf, backup, memory.identity)
        return memory

    def send(self, name: str, source: str, backup: Backup, identity: Secret | None = None) -> None:
        """The backup of `source` lies on the host of `name` as a checkpoint. Raises HostError, VaultError, Refused."""
        memory = self._memory(source, backup, identity)
        work = self._work(name, self._server(name))
        try:
            self._note("backup-sent", name, backup)
            backups.send(memory.shelf, backup, memory.identity, work.connection())
        finally:
            work.hang_up()

    def _create(self, name: str, server: Server | None) -> MadeBackup:
        if server is None:
            return MadeBackup(name, problem=_NO_SERVER.format(name), advice=_APPLY.format(name))
        work = self._work(name, server)
        try:
            settings = self._settings(name)
            backup = backups.make(work, self._shelf(settings), settings)
            self._note("backup-made", name, backup)
            return MadeBackup(name, backup, removed=self.prune(name))
        except FleetError as error:
            return MadeBackup(name, problem=masked(error.summary, work.secrets), advice=error.advice)
        finally:
            work.hang_up()

    def _is_due(self, name: str) -> bool:
        return backups.is_due(self.kept(name).backups, self._settings(name), self._ports.clock.now())

    def _settings(self, name: str) -> BackupSettings:
        now = next((new for new in self._fleet.moved if name in former_names(self._fleet, new)), name)
        spec = self._fleet.children.get(name) or self._fleet.children.get(now)
        return spec.backup if spec is not None else self._fleet.backup

    def _shelf(self, settings: BackupSettings) -> Shelf:
        return backups.shelf_of(settings, self._fleet, self._ports)

    def _memory(self, source: str, backup: Backup, identity: Secret | None) -> Memory:
        return backups.memory_of(backup, self._shelf(self._settings(source)), self._ports, identity)

    def _server(self, name: str) -> Server:
        found = observe(self._fleet, self._ports, [name]).children[name].server
        if found is None:
            raise HostError(_NO_SERVER.format(name), _APPLY.format(name))
        return found

    def _work(self, name: str, server: Server) -> Work:
        spec = self._fleet.children.get(name)
        return Work(self._fleet, name, spec, self._ports, "", lambda *_, **__: None, server=server)

    def _note(self, event: str, child: str, backup: Backup) -> None:
        fields: Mapping[str, Json] = {"child": child, "backup": backup.id, "version": backup.version}
        now = self._ports.clock.now().isoformat()
        self._ports.store.append(Event(event, now, self._ports.clock.token(), dict(fields)), durable=True)
