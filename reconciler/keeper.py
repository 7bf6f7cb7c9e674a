"""Backups of a fleet's children: made, tried, fetched, put back and pruned. What the library offers of them.

The caller holds the lock for whatever changes something on a host or in a vault.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from reconciler import commands
from reconciler.commands.backups import PLACED
from reconciler.errors import CloudError, FleetError, HostError
from reconciler.model import (
    Backup,
    BackupSettings,
    Child,
    Event,
    Json,
    MadeBackup,
    Secret,
    Server,
    Sleep,
)
from reconciler.observe import observe
from reconciler.parallel import in_parallel
from reconciler.redaction import without_secrets
from reconciler.shelves import Shelves
from reconciler.steps import Work, backups
from reconciler.steps.backups import Memory
from reconciler.steps.retention import is_due, left_over, surplus
from reconciler.steps.runs import fleet_firewalls
from reconciler.steps.shelf import Shelf
from reconciler.steps.sleeping import asleep_by_name, note_sleep
from reconciler.steps.work import uid_of

WORKERS: Final = 8  # each makes a host pack, and takes the operator's network


class Keeper(Shelves):
    def create(self, names: Iterable[str]) -> list[MadeBackup]:
        """A new backup of each child that runs, read back before it counts; and what is too old is removed then."""
        wanted = tuple(names)
        children = observe(self._fleet, self._ports, wanted).children if wanted else {}
        made = in_parallel(lambda name: self._create(children[name]), wanted, WORKERS)
        return self._pruned(self._followed(made, children))

    def create_due(self, names: Iterable[str]) -> list[MadeBackup]:
        """The same of those that the file wants another of by now, and that have a server that the file keeps on.

        Who sleeps, is off or was never made has nothing new to keep: that is no failure, however often it is asked.
        """
        due, failed = self._due(names)
        seen = observe(self._fleet, self._ports, due).children if due else {}
        running = [name for name in due if (found := seen[name]).server and found.spec and found.spec.enabled]
        made = in_parallel(lambda name: self._create(seen[name]), running, WORKERS)
        return sorted((*failed, *self._pruned(self._followed(made, seen))), key=lambda outcome: outcome.child)

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
        work = self._work(name, self._server_of(self._child(name)))
        try:
            backups.export(work, self._settings(name).rate, target)
        finally:
            work.hang_up()

    def prune(self, names: Iterable[str], *, by_age: bool = True) -> dict[str, tuple[Backup, ...]]:
        """Removes what is more or older than the file keeps, and says what that was; never what somebody wakes from.

        Nothing goes for the sake of a newer one that is damaged: the newest is read first.
        `by_age`: not, where nobody has compared this machine's clock with another. Raises CloudError where nobody can
        tell who does, VaultError.
        """
        needed = self._needed()
        settings = {name: self._settings(name) for name in names}
        if not by_age:
            settings = {name: replace(it, max_age=None) for name, it in settings.items()}
        return {name: self._prune(name, needed, it, reads=True) for name, it in settings.items()}

    def memory(self, source: str, backup: Backup, identity: Secret | None = None) -> Memory:
        """What a gateway can be given before it starts. Raises BackupDamaged, VaultError, Refused."""
        memory = self._memory(source, backup, identity)
        backups.verify(memory.shelf, backup, memory.identity)
        return replace(memory, held=(self.last_readable(source) or backup).held)

    def send(self, name: str, source: str, backup: Backup, identity: Secret | None = None) -> None:
        """The backup of `source` lies on the host of `name` as a checkpoint. Raises HostError, VaultError, Refused."""
        memory = self._memory(source, backup, identity)
        child = self._child(name)
        work = self._work(name, self._server_of(child))
        try:
            self._note("backup-sent", name, backup)
            there = backups.checkpoint_of(backup, child.facts.checkpoints if child.facts is not None else ())
            backups.send(memory, work, there)
        finally:
            work.hang_up()

    def copied_here(self) -> frozenset[str]:
        """Of whom this working directory has ever made a backup, whatever became of it: by the journal alone."""
        made = (event for event in self._ports.store.events() if event.event == "backup-made")
        return frozenset(str(event.fields.get("child")) for event in made)

    def _create(self, child: Child) -> MadeBackup:
        name = child.name
        try:
            work = self._work(name, self._server_of(child))
        except FleetError as error:
            return MadeBackup(name, problem=error.summary, advice=error.advice)
        try:
            settings = self._settings(name)
            backup = backups.make(work, self._shelf(settings), settings)
            self._note("backup-made", name, backup)
            return MadeBackup(name, backup, is_dated=not work.keeping.has_other_time)
        except FleetError as error:
            return MadeBackup(name, problem=without_secrets(error.summary, work.secrets), advice=error.advice)
        finally:
            work.hang_up()

    def _followed(self, made: list[MadeBackup], children: Mapping[str, Child]) -> list[MadeBackup]:
        """The same; who of these was on its way to wake, and is copied with what it wakes with, wakes with that copy.

        So it does not forget what it was told since, should its server be lost before the end of its waking.
        """
        return [self._follow(it, it.backup, children[it.child]) if it.backup else it for it in made]

    def _follow(self, outcome: MadeBackup, copy: Backup, child: Child) -> MadeBackup:
        sleep = child.asleep
        if sleep is None or not (sleep.is_waking and child.is_unfinished):
            return outcome
        try:
            if self._was_given(child, sleep):
                waking = Sleep(copy.id, copy.child, is_waking=True)
                note_sleep(self._fleet, self._ports, child.name, waking, before=sleep.noted_as)
        except FleetError as error:
            problem = f"it is not noted as what {child.name} wakes with, if its server is lost: {error.summary}"
            return replace(outcome, problem=problem, advice=error.advice)
        return outcome

    def _was_given(self, child: Child, sleep: Sleep) -> bool:
        """Its host has what it shall wake with, or that was copied from it. Raises HostError, VaultError, Refused."""
        server, backup = self._server_of(child), self.find(sleep.source, sleep.backup)
        work = self._work(child.name, server)
        if backup.uid == uid_of(server):
            return True
        try:
            placed = work.connection().run(commands.read_file(PLACED)).stdout.decode("utf-8", "replace").strip()
        finally:
            work.hang_up()
        return placed == backup.digest

    def _pruned(self, made: list[MadeBackup]) -> list[MadeBackup]:
        """The same, when what is too old was removed of those that have another now."""
        if not any(outcome.backup for outcome in made):
            return made
        try:
            needed = self._needed()
        except CloudError as error:
            return [_not_pruned(outcome, error) if outcome.backup else outcome for outcome in made]
        return [self._prune_for(outcome, needed) if outcome.backup else outcome for outcome in made]

    def _prune_for(self, outcome: MadeBackup, needed: Collection[tuple[str, str]]) -> MadeBackup:
        settings = self._settings(outcome.child)
        if not outcome.is_dated:  # one of them is wrong, and by this machine's all others may be too old
            settings = replace(settings, max_age=None)
        try:
            pruned = replace(outcome, removed=self._prune(outcome.child, needed, settings))
        except FleetError as error:
            return _not_pruned(outcome, error)
        if settings == self._settings(outcome.child):
            return pruned
        problem = f"the clocks of {outcome.child} and of this machine differ, so nothing was removed for its age"
        return replace(pruned, problem=problem, advice="see which is wrong: timedatectl on both")

    def _prune(
        self, name: str, needed: Collection[tuple[str, str]], settings: BackupSettings, *, reads: bool = False
    ) -> tuple[Backup, ...]:
        now = self._ports.clock.now()
        shelf, kept = self._shelf(settings), self.kept(name)
        doubtful = self._doubtful(name)
        gone = surplus(kept.backups, settings, now, needed, doubtful)
        while reads and gone and (damaged := _damaged(shelf, kept.backups, gone, doubtful)):
            doubtful |= damaged
            gone = surplus(kept.backups, settings, now, needed, doubtful)
        halves = [half for known in self.names_of(name) for half in shelf.halves(known)]
        for backup in gone:
            shelf.drop(backup)
            self._note("backup-removed", name, backup)
        for half in left_over(halves, kept.backups, settings, now, needed):
            shelf.drop(half)
        return tuple(gone)

    def _doubtful(self, name: str) -> frozenset[str]:
        """The ids of backups with which the last drill of this child could not be proven."""
        trials = self.trials([name])[0].get(name, ())
        last = {trial.backup: trial.is_proven for trial in sorted(trials, key=lambda trial: trial.at)}
        return frozenset(backup for backup, is_proven in last.items() if not is_proven)

    def _needed(self) -> frozenset[tuple[str, str]]:
        """By child and id, the backups that whoever sleeps or wakes gets its memory from. Raises CloudError."""
        marked = asleep_by_name(self._fleet, fleet_firewalls(self._fleet, self._ports))
        return frozenset((sleep.source, sleep.backup) for sleep in marked.values())

    def _due(self, names: Iterable[str]) -> tuple[list[str], list[MadeBackup]]:
        """Who is due; and who, nobody can tell."""
        due, failed, now = list[str](), list[MadeBackup](), self._ports.clock.now()
        for name in names:
            settings = self._settings(name)
            if settings.every is None:
                continue
            try:
                if is_due(self.kept(name).backups, settings, now):
                    due.append(name)
            except FleetError as error:
                failed.append(MadeBackup(name, problem=error.summary, advice=error.advice))
        return due, failed

    def _memory(self, source: str, backup: Backup, identity: Secret | None) -> Memory:
        return backups.memory_of(backup, self._shelf(self._settings(source)), self._ports, identity)

    def _child(self, name: str) -> Child:
        return observe(self._fleet, self._ports, [name]).children[name]

    def _server_of(self, child: Child) -> Server:
        if child.server is None:
            advice = f"it sleeps: fleet wake {child.name}" if child.asleep else f"apply first: fleet apply {child.name}"
            raise HostError(f"{child.name} has no server", advice)
        return child.server

    def _work(self, name: str, server: Server) -> Work:
        spec = self._fleet.children.get(name)
        return Work(self._fleet, name, spec, self._ports, "", lambda *_, **__: None, server=server)

    def _note(self, event: str, child: str, backup: Backup) -> None:
        fields: Mapping[str, Json] = {
            "child": child, "backup": backup.id, "version": backup.version, "by": self._ports.operator,
        }  # fmt: skip
        now = self._ports.clock.now().isoformat()
        self._ports.store.append(Event(event, now, self._ports.clock.token(), dict(fields)), durable=True)


def _not_pruned(outcome: MadeBackup, error: FleetError) -> MadeBackup:
    """It was made, which is what counts; and what is too old is still there."""
    return replace(outcome, problem=f"what is too old was not removed: {error.summary}", advice=error.advice)


def _damaged(
    shelf: Shelf, there: Iterable[Backup], gone: Collection[Backup], doubtful: Collection[str]
) -> frozenset[str]:
    """Of what stays, the newest of each purpose that is not what was kept. Raises VaultError."""
    trusted = [it for it in there if it not in gone and it.id not in doubtful]
    newest = {it.purpose: it for it in sorted(trusted, key=lambda backup: backup.id)}
    return frozenset(it.id for it in newest.values() if not backups.is_whole(shelf, it))
