"""From one version to another without losing a mind: copy, switch, proof, and back again if the proof fails.

The host is told to go back by itself before anything is stopped (commands/switching.py); what is here keeps postponing
that, and says in the end that it may stay. So whatever kills us, the gateway comes back as it was. A switch that an
earlier apply has left is never gone on with: it is undone, and another one begins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from reconciler import commands
from reconciler.commands.switching import ASIDES, CHECKPOINTS
from reconciler.diff import value_at
from reconciler.errors import CommandFailed, HostError, VaultError
from reconciler.ids import later_id
from reconciler.managed import files
from reconciler.model import Backup, Hold, Purpose, Switch
from reconciler.steps import backups
from reconciler.steps.gateway import unproven, validate_candidate
from reconciler.steps.holds import held_note, holds_with, noted_on, without_hold
from reconciler.steps.lasting import know_before
from reconciler.steps.shelf import Shelf, shelf_of
from reconciler.steps.system import install_files
from reconciler.steps.telling import tell_users
from reconciler.steps.versions import keeps_too_many, kept_checkpoints, linked, present, way_down
from reconciler.steps.work import Work, uid_of

ROOM_MB: Final = 1500  # a release takes 650 (facts on real gateways, section 1); copies are measured when they are made
MEMORY_MB: Final = 700  # npm's peak, beside a running gateway (the same)
LOOK_EVERY: Final = 5.0
BACK_TIMEOUT: Final = 120.0  # for a gateway that was brought back to be healthy again; the first start takes 18-29 s
_NOTHING_CHANGED: Final = "nothing was changed: its gateway goes on as it is"


def ensure_settled(work: Work) -> bool:
    """A switch that an earlier apply has left is undone, and the gateway is there again if it can be."""
    assert work.facts is not None
    found = work.facts.switch
    if found is None:
        return False
    install_files(work, "return program")  # somebody may have removed it, and the host has waited for it since
    work.note("switch-undone", durable=True, **_words(found))
    work.connection().run(commands.go_back())
    clock = work.ports.clock
    deadline = clock.monotonic() + BACK_TIMEOUT
    while True:
        facts = work.look()
        is_over = facts.gateway.active == "failed" or not unproven(facts.gateway, found.origin)
        if is_over or clock.monotonic() > deadline:
            return True
        clock.sleep(LOOK_EVERY)


def ensure_room(work: Work) -> bool:
    """Before anything is fetched for a switch: there is room for it, and it is known how the gateway is."""
    if not _is_switching(work):
        return False
    assert work.facts is not None
    facts = work.facts
    target = way_down(work.declared().version, facts)
    _check_disk(work, work.asked.restore or (target.id if target else None))
    if facts.memory_free_mb < MEMORY_MB:
        raise HostError(
            f"installing takes {MEMORY_MB} MB of memory, and {facts.memory_free_mb} MB are left",
            f"{_NOTHING_CHANGED}; a larger server_type has more",
        )
    know_before(work, work)
    return False  # nothing that anybody waits for


def _check_disk(work: Work, restore: str | None) -> None:
    try:
        is_there = work.facts is not None and work.declared().version in work.facts.releases
        work.connection().run(commands.check_room(0 if is_there else ROOM_MB, restore))
    except CommandFailed as error:
        raise HostError(error.summary, f"{_NOTHING_CHANGED}; make room on its disk: fleet ssh {work.name}") from error


def ensure_archive(work: Work) -> bool:
    """What it knows is kept off its host before it goes to another version, by the release that has written it.

    While its gateway runs, and when the new release has accepted its configuration. Not where a person goes back: there
    it is set aside, and that is urgent. A gateway that is not healthy may have no tool that works: that must not keep
    it from the version that mends it. Raises HostError, VaultError.
    """
    if not _is_switching(work):
        return False
    validate_candidate(work)
    if work.asked.restore is not None or work.asked.without_copy:
        return False
    settings = work.declared().backup
    try:
        shelf = shelf_of(settings, work.fleet, work.ports)
        backup = _archive_of_this_run(work, shelf) or backups.make(work, shelf, settings, Purpose.UPDATE)
    except (HostError, VaultError) as error:
        if work.health_before.is_healthy and error.temporary:
            raise
        if work.health_before.is_healthy:
            raise HostError(
                f"no backup could be made before it goes to another version: {error.summary}",
                f"{error.advice}\n{_NOTHING_CHANGED}; without a backup: fleet apply --no-backup {work.name}".strip(),
            ) from error
        work.note("backup-not-made", durable=True, error=work.quoted(error.summary))
        return False
    work.note("backup-made", durable=True, backup=backup.id, version=backup.version)
    return True


def _archive_of_this_run(work: Work, shelf: Shelf) -> Backup | None:
    """Where this step has begun before: what it kept then, though nobody heard that it came to its end."""
    before = work.switching.archives_before
    if before is None:
        work.switching.archives_before = frozenset(shelf.ids(work.name))
        return None
    uid, version = uid_of(work.existing()), linked(work.look())
    there = (it for it in shelf.of(work.name)[0] if it.purpose is Purpose.UPDATE and it.id not in before)
    found = next((it for it in there if (it.uid, it.version) == (uid, version)), None)
    if found is not None:
        backups.verify(shelf, found, None)
        work.connection().run(commands.drop_archive())
    return found


def ensure_checkpoint(work: Work) -> bool:
    """The gateway is stopped and its state copied. Only now, that its configuration is accepted, and a backup kept."""
    if not _is_switching(work):
        return False
    switch = work.switching.under_way or _new_switch(work)
    work.switching.may_switch(switch.target)
    if work.switching.under_way is None:  # else they were told before
        tell_users(work)
    work.note("switch-intended", durable=True, **_words(switch))
    work.switching.under_way = switch  # from here on a failure goes back
    host = work.connection()
    host.run(commands.begin_switch(switch.checkpoint, switch.origin, switch.target, switch.restore))
    work.switching.has_begun = True
    host.run(commands.take_checkpoint())
    return True


def ensure_switched(work: Work) -> bool:
    """The new release is linked, and its state is in place."""
    if work.switching.under_way is None:
        return False
    work.connection().run(commands.make_switch(held_note(_held_unless_heard(work))))
    found = work.look().switch
    if found is None:
        raise HostError("the host has gone back by itself", "apply again")
    work.switching.under_way = found
    return True


def _held_unless_heard(work: Work) -> tuple[Hold, ...]:
    """What the host holds where it goes back and nobody says why: a lost connection, or a release that hangs it.

    Once that says nothing of the release. After a second time it is not gone to again by itself, whatever it was. What
    a person goes back to is held by nobody.
    """
    assert work.switching.under_way is not None
    target, noted = work.switching.under_way.target, noted_on(work)
    before = next((held for held in noted if held.version == target), None)
    if work.asked.restore is not None or (before is not None and not before.is_tried_again):
        return ()
    times = "twice" if before else "once"
    reason = f"its host went back {times} before anybody could say that its gateway was well there"
    at = work.ports.clock.now().isoformat(timespec="seconds")
    return holds_with(Hold(target, reason, at, is_tried_again=before is None), noted)


def ensure_kept(work: Work) -> bool:
    """The host does not go back any more."""
    if work.switching.under_way is None:
        return False
    switch = work.switching.under_way
    held = holds_with(work.asked.hold_afterwards, without_hold(switch.target, noted_on(work)))
    work.connection().run(commands.stay(switch.checkpoint, switch.target, held_note(held)))
    work.note("switched", durable=True, **_words(switch))
    work.switching.under_way = None
    work.asked.restore, work.asked.hold_afterwards = None, None
    work.look()
    return True


def ensure_pruned(work: Work) -> bool:
    """No more copies than the file says, and no releases but theirs and the present one."""
    assert work.facts is not None
    facts, most = work.facts, work.declared().update.keep
    kept = kept_checkpoints(facts.checkpoints, most, linked(facts) or "")
    asides = facts.asides[-most:]
    versions = {work.declared().version, linked(facts) or "", *(checkpoint.version for checkpoint in kept)} - {""}
    if facts.switch is not None or not (keeps_too_many(facts, most) or not versions.issuperset(facts.releases)):
        return False
    work.connection().run(commands.clear_strays(CHECKPOINTS, "*", [checkpoint.id for checkpoint in kept]))
    work.connection().run(commands.clear_strays(ASIDES, "*", asides))
    work.connection().run(commands.clear_strays(files.RELEASES, "*", sorted(versions)))
    return True


def ensure_gone_back(work: Work) -> bool:
    """After a failure: the version before, with its state. The newer state is kept aside.

    What failed is noted on the host: then it is not tried again before a person says so. What passes by itself is tried
    once more: that was noted when the switch was made.
    """
    now, switch = work.switching, work.switching.under_way
    assert switch is not None
    at = work.ports.clock.now().isoformat(timespec="seconds")
    if now.failure and now.has_begun and not now.is_suspect and work.look().switch is None:
        now.failure = ""  # the host has gone back by itself: nobody knows what would have come of it
    work.note("go-back-intended", durable=True, **_words(switch), reason=now.failure)
    new = Hold(switch.target, now.failure, at, now.is_suspect) if now.failure else None
    now.held_before = noted_on(work)
    held = held_note(holds_with(new, now.held_before)) if new is not None else b""  # what is noted stays as it is
    work.connection().run(commands.go_back(switch.origin, held))
    now.under_way = None
    work.asked.restore, work.asked.hold_afterwards, work.asked.retries = None, None, False
    has_stayed = linked(work.look()) == switch.target != switch.origin  # the word that it may has arrived
    work.stays_at = None if has_stayed else switch.origin
    return True


def new_id(work: Work) -> str:
    """By the time, and later than all that there is, also of what was set aside: the newest is the one made last."""
    assert work.facts is not None
    known = {*(checkpoint.id for checkpoint in work.facts.checkpoints), *(name[:16] for name in work.facts.asides)}
    return later_id(work.ports.clock.now(), known)


def _is_switching(work: Work) -> bool:
    """It is at another version than the wanted one, or another state is wanted."""
    assert work.facts is not None
    wanted = value_at(work.wanted()["release"], ("version",))
    return work.asked.restore is not None or present(work.facts) not in (None, wanted)


def _new_switch(work: Work) -> Switch:
    assert work.facts is not None
    origin, target, older = present(work.facts), work.declared().version, way_down(work.declared().version, work.facts)
    return Switch(origin or target, target, new_id(work), work.asked.restore or (older.id if older else None))


def _words(switch: Switch) -> Mapping[str, str | None]:
    return {"from_version": switch.origin, "to_version": switch.target, "checkpoint": switch.checkpoint}
