"""Another server takes the place of a child's: made first, given the memory, proven; only then the old one goes.

Two labels say where a replacement is, and nothing else does. The new server has `successor` from its creation until it
is proven, and a name of its own. The old one gets `retired`, with the uid of its heir: that is the commit point. Until
then it is the child's server, for everybody who looks; from then on its heir is. It is set only when the old gateway is
disabled and silent, and its memory is in the heir. A successor's unit is not enabled before, so no boot starts it
either; right before, and after the commit point, its label becomes `started`, and `told` when it was silenced again. So
whoever takes `retired` away by hand does not make two gateways poll: no gateway starts before a `started` one beside it
is silent.

    killed                       | the next look sees                  | the next apply
    -----------------------------|-------------------------------------|-------------------------------------------
    while it is made             | the old server, which answers;      | goes on with that one; or deletes it, where
                                 | another one beside it               | replacing is not wanted or allowed any more
    while the memory moves       | the old server, stopped, disabled;  | hands over again; or enables and starts the
                                 | another one beside it               | old one, and deletes the other
    after `retired` is set       | the successor, unfinished;          | starts and proves it; where it is not
                                 | a retired one beside it             | healthy, goes back to the retired one
    after the proof, before      | the successor, finished;            | deletes the retired one, and gives its name
    the old one is deleted       | a retired one beside it             | to the successor
    before it has the name       | the successor, of another name      | renames it
    going back, before `retired` | the successor, stopped;             | starts and proves it; where it is not
    is taken away                | a retired one beside it             | healthy, goes back
    going back, after that; or a | the old server, stopped, disabled;  | silences the other; enables and starts it;
    person took it away          | a successor that was told something | keeps a copy of what that was told; deletes it
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Final

from reconciler import commands
from reconciler.errors import FleetError, HostError, ProofFailed, Refused
from reconciler.managed import files
from reconciler.model import LATEST, STARTED, BackupSettings, ChildSpec, Purpose, Server, ServerStatus
from reconciler.steps import backups
from reconciler.steps.access import ensure_reachable
from reconciler.steps.earlier import keep_earlier
from reconciler.steps.gateway import ensure_ready, ensure_running
from reconciler.steps.guards import deletable, present, when_unlocked
from reconciler.steps.holds import carried, keep_holds
from reconciler.steps.lasting import BEFORE, know_before, labels_of_before
from reconciler.steps.memory import ensure_copy, ensure_still_silent, may_remember
from reconciler.steps.power import ensure_powered, power_down
from reconciler.steps.server import SUCCESSOR, adopt, delete, ensure_server
from reconciler.steps.shelf import Shelf, shelf_of
from reconciler.steps.spares import RETIRED, beside, discard, keep_if_started, make_silent, set_label, silence
from reconciler.steps.versions import is_held
from reconciler.steps.versions import present as present_version
from reconciler.steps.work import Work, uid_of

SILENT: Final = "silent"  # of the label BEFORE
LAST_WORD: Final = 15.0  # seconds for a host whose memory is given up, and that may not answer


def ensure_successor(work: Work) -> bool:
    """There is a server to take over, one that an earlier apply has made where it fits; from here on it is worked at.

    Nothing has happened to the old one yet, whatever is refused. Raises OutOfStock, LimitExceeded, Refused.
    """
    if work.replacing.old is None:
        planned, now = work.existing(), deletable(work) or present(work)
        if now.is_retired and not planned.is_retired:
            raise _handed_over_by_another(work, now)
        old = _unretired(work, now)
        version = present_version(work.facts) if work.facts else None
        work.replacing.old = replace(work.on(old), stays_at=version)
        work.made_at = _version_of_successor(work)
        work.hang_up()
        work.server, work.facts, work._materials = None, None, None
        work.is_quiet = True
    while work.replacing.spares:  # two of them beside a retired one, and nobody could tell whose memory is the child's
        spare, *others = work.replacing.spares
        # Where memory is given up, nobody knows what an earlier try has put there, nor whether it ever comes up.
        is_other = work.server is not None or work.asked.without_copy or not _fits(spare, work.declared())
        if is_other or not adopt(work, spare):
            discard(work, spare)
        work.replacing.spares = tuple(others)
    return ensure_server(work)


def ensure_handed_over(work: Work) -> bool:
    """The old gateway is silent, and what it remembers is on its way: kept off its host, and read back.

    Where its memory is given up, or it has none, its server is switched off: that needs no host that answers.
    """
    old = _before(work)
    server = deletable(old) or present(old)
    if server.is_retired:
        raise _handed_over_by_another(work, server)
    _carry_holds(work, old)
    work.note("hand-over-intended", durable=True, server=server.id, successor=work.existing().id)
    work.replacing.is_handing_over = True  # from here on a failure goes back
    if work.asked.without_copy or not may_remember(old):
        if work.asked.without_copy:
            work.note("memory-given-up", durable=True, server=server.id)
        if server.status is not ServerStatus.OFF:
            _disable_if_it_answers(old)  # so that nobody starts a second gateway by switching it on
            power_down(old, server)
        return True
    old.keeping.starts_again = True
    old.look()
    known = work.health_before
    if known.errors is None and not known.model:  # a try before this one has restarted it meanwhile
        know_before(work, old)
    settings = work.declared().backup
    shelf = shelf_of(settings, work.fleet, work.ports)
    _carry_checkpoints(work, old, shelf, settings)
    silence(old)
    ensure_copy(old, Purpose.COPY, earlier_is_kept=True)
    assert old.keeping.last_copy is not None, "it has a memory, and that is not given up"
    work.keeping.memory = backups.memory_of(old.keeping.last_copy, shelf, work.ports)
    return True


def ensure_retired(work: Work) -> bool:
    """The commit point: from here on the successor is the child's server, for everybody who looks.

    Raises HostError where the old gateway was started again since its memory was copied, Refused where another apply
    has come first.
    """
    old, heir = _before(work), uid_of(work.existing())
    old.hang_up()  # what is to be copied and sent has taken its time
    ensure_still_silent(old)
    server = deletable(old) or present(old)
    if server.heir not in (None, heir):
        raise _handed_over_by_another(work, server)
    others = {name: value for name, value in server.labels.items() if name != BEFORE}
    silent = {BEFORE: SILENT} if work.asked.without_copy and not old.keeping.starts_again else {}
    labels = {**others, **labels_of_before(work), **silent, RETIRED: heir}
    old.server = when_unlocked(old, lambda: work.ports.cloud.set_labels(server.id, labels))
    set_label(work, {SUCCESSOR: STARTED})
    work.is_quiet = False
    return True


def ensure_others_gone(work: Work) -> bool:
    """What a replacement has left beside the child's server: whom it succeeds, and who was to succeed it."""
    now = work.replacing
    retired = [now.old] if now.old else [beside(work, server) for server in now.retired]
    for old in retired:
        keep_if_started(old)
        old.hang_up()
        delete(old)
    for spare in now.spares:
        discard(work, spare)
    acted = bool(retired or now.spares)
    now.old, now.retired, now.spares = None, (), ()
    return acted


def may_go_back(work: Work, failure: FleetError) -> bool:
    """Whether the old server is the better one after this failure.

    Where an earlier apply has handed over, users may have talked to the successor since: then only because it is not
    healthy, and not because it cannot be reached now.
    """
    now = work.replacing
    if now.is_proven:
        return False
    if now.old is not None:
        return now.is_handing_over and not _is_silent(now.old.server)
    return bool(now.retired) and work.is_first and isinstance(failure, ProofFailed) and not _is_silent(now.retired[0])


def _is_silent(retired: Server | None) -> bool:
    """Its memory was given up, for its host did not answer: a gateway that nobody can reach is no better one."""
    return retired is not None and retired.is_retired and retired.labels.get(BEFORE) == SILENT


def ensure_back(work: Work) -> bool:
    """The old gateway runs again, and the successor's does not. The order is that of the commit, the other way round.

    The successor stays for a person to look at; the next apply keeps what it was told, and deletes it.
    """
    old = work.replacing.old or beside(work, work.replacing.retired[0])
    server = present(old)
    if server.heir not in (None, "true", uid_of(work.existing())):
        raise _handed_over_by_another(work, server)  # that one answers now
    work.note("hand-back-intended", durable=True, server=server.id, successor=work.existing().id)
    if server.is_retired or present(work).may_poll:
        make_silent(work)
    old.server = server = _unretired(old, server)
    old.hang_up()
    ensure_powered(old)
    ensure_reachable(old)
    if old.keeping.starts_again or not old.is_first:
        old.connection().run(commands.enable_unit(files.UNIT))
    ensure_running(old)
    old.stays_at = old.stays_at or (present_version(old.facts) if old.facts else None)
    try:
        return ensure_ready(old)
    finally:
        old.hang_up()


def _handed_over_by_another(work: Work, server: Server) -> Refused:
    return Refused(
        f"server {server.name} ({server.id}) of {work.name} was handed over to another one meanwhile, by another apply",
        "nothing more is changed; wait until that has ended (its journal tells), then run `fleet plan` again",
    )


def _before(work: Work) -> Work:
    assert work.replacing.old is not None, "the step before this one makes the successor"
    return work.replacing.old


def _fits(spare: Server, spec: ChildSpec) -> bool:
    """It is what the file says by now, and nobody has talked to its gateway."""
    is_wanted = spare.server_type in spec.server_types and spare.region in spec.regions and spare.ipv4 == spec.ipv4
    return is_wanted and spare.image in (None, spec.image) and not spare.is_told


def _version_of_successor(work: Work) -> str | None:
    """That of the state that it is given: it goes to another one afterwards, in its batch, with a proof of its own.

    Without that state what the file says, unless the old host holds that; None where only the new one can tell.
    """
    spec, facts = work.spec, work.facts
    assert spec is not None
    if work.keeping.memory is not None:
        return work.keeping.memory.backup.version
    if facts is not None and (is_held(spec, facts) or not work.asked.without_copy):
        return present_version(facts)
    return None if spec.version == LATEST else spec.version


def _carry_holds(work: Work, old: Work) -> None:
    """What the old host keeps away from, the new one does. What the whole fleet does is noted at the cloud already."""
    if old.facts is not None and old.facts.noted:
        work.look()
        keep_holds(work, carried(work, old.facts.noted))


def _carry_checkpoints(work: Work, old: Work, shelf: Shelf, settings: BackupSettings) -> None:
    """The ways back go with the child, while its gateway answers; what was set aside is kept off its host only."""
    for backup in keep_earlier(old, shelf, settings):
        there = work.facts.checkpoints if work.facts is not None else ()
        if any(checkpoint.archive == backup.digest for checkpoint in there):
            continue
        memory = backups.memory_of(backup, shelf, work.ports)
        backups.send(memory, work, backups.checkpoint_of(backup, there))
        work.look()


def _disable_if_it_answers(work: Work) -> None:
    with suppress(HostError):
        work.connection().run(replace(commands.disable_unit(files.UNIT), timeout=LAST_WORD))
        work.keeping.starts_again = True


def _unretired(work: Work, server: Server) -> Server:
    if not server.is_retired:
        return server
    labels = {name: value for name, value in server.labels.items() if name not in (RETIRED, BEFORE)}
    return when_unlocked(work, lambda: work.ports.cloud.set_labels(server.id, labels))
