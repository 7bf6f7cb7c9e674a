"""From one version to another without losing a mind: copy, switch, proof, and back again if the proof fails.

The host is told to go back by itself before anything is stopped (commands/switching.py); what is here keeps postponing
that, and says in the end that it may stay. So whatever kills us, the gateway comes back as it was.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import timedelta
from typing import Final

from reconciler import commands
from reconciler.commands.switching import CHECKPOINTS
from reconciler.errors import HostError
from reconciler.managed import files
from reconciler.managed.config import BASE_URL_OF_PROVIDER
from reconciler.model import Hold, Switch
from reconciler.steps.gateway import ensure_ready, unproven, validate_candidate
from reconciler.steps.versions import linked, present, way_down
from reconciler.steps.work import Work

ROOM_MB: Final = 1500  # a release takes 650 (facts on real gateways, section 1); copies are measured when they are made
MEMORY_MB: Final = 700  # npm's peak, beside a running gateway (the same)
LOOK_EVERY: Final = 5.0
STARTS: Final = 2  # so many since the switch
_TAKEN: Final = "200"
_NOTHING_CHANGED: Final = "nothing was changed: its gateway goes on as it is"


def ensure_settled(work: Work) -> bool:
    """A switch that an earlier apply has left is gone on with where it leads to what is wanted; else it is undone."""
    assert work.facts is not None
    found = work.facts.switch
    if found is None:
        return False
    if not found.is_undone and found.target == work.declared().version and work.restore in (None, found.restore):
        work.switch = found
        return False
    work.connection().run(commands.go_back())
    work.look()
    return True


def ensure_room(work: Work) -> bool:
    """Before anything is fetched for a switch: there is room for it, and it is known how the gateway is."""
    if not _is_switching(work):
        return False
    assert work.facts is not None
    facts = work.facts
    if facts.disk_free_mb < ROOM_MB:
        raise HostError(
            f"another version takes {ROOM_MB} MB of disk, and {facts.disk_free_mb} MB are left", _NOTHING_CHANGED
        )
    if facts.memory_free_mb < MEMORY_MB:
        raise HostError(
            f"installing takes {MEMORY_MB} MB of memory, and {facts.memory_free_mb} MB are left",
            f"{_NOTHING_CHANGED}; a larger server_type has more",
        )
    work.was_healthy = work.switch is not None or not unproven(facts.gateway, linked(facts) or "")
    work.model_before = _model(work)
    return False  # nothing that anybody waits for


def ensure_checkpoint(work: Work) -> bool:
    """The gateway is stopped and its state copied. Only now, that the new release has accepted its configuration."""
    if not _is_switching(work):
        return False
    assert work.facts is not None
    if _is_linked(work):
        work.connection().run(commands.postpone_return())
        return False
    validate_candidate(work)
    switch = work.switch or _new_switch(work)
    work.note("switch-intended", durable=True, **_words(switch))
    work.switch = switch  # from here on a failure goes back
    host = work.connection()
    host.run(commands.begin_switch(switch.checkpoint, switch.origin, switch.target, switch.restore))
    if not switch.is_made:
        host.run(commands.take_checkpoint(switch.checkpoint, switch.origin))
    return True


def ensure_switched(work: Work) -> bool:
    """The new release is linked, and its state is in place."""
    switch = work.switch
    if switch is None:
        return False
    if not _is_linked(work):
        work.connection().run(commands.make_switch(switch.target))
    found = work.look().switch
    if found is None:
        raise HostError("the host has gone back to the version before by itself", "apply again")
    work.switch = found
    return True


def ensure_lasting(work: Work) -> bool:
    """It stays healthy for a while, and starts a second time: the first start may succeed and the next one fail."""
    if work.switch is None:
        return False
    ensure_ready(work)
    clock = work.ports.clock
    until = clock.monotonic() + work.declared().update.soak
    while clock.monotonic() < until:
        clock.sleep(LOOK_EVERY)
        work.keep_going()
        _check_health(work)
    _check_model(work)
    if work.look().gateway.starts - work.switch.starts < STARTS:
        work.connection().run(commands.reset_failed(files.UNIT))
        work.connection().run(commands.restart_unit(files.UNIT))
    return ensure_ready(work)


def ensure_kept(work: Work) -> bool:
    """The host does not go back any more."""
    if work.switch is None:
        return False
    held = work.hold_afterwards
    work.connection().run(commands.stay(work.switch.checkpoint, _json(held) if held else b""))
    work.note("switched", durable=True, **_words(work.switch))
    work.switch, work.hold_afterwards = None, None
    work.look()
    return True


def ensure_pruned(work: Work) -> bool:
    """No more copies than the file says, and no releases but theirs and the present one."""
    assert work.facts is not None
    facts, kept = work.facts, work.facts.checkpoints[-work.declared().update.keep :]
    ids = {checkpoint.id for checkpoint in kept}
    versions = {work.declared().version, *(checkpoint.version for checkpoint in kept)}
    surplus = len(kept) < len(facts.checkpoints) or not versions.issuperset(facts.releases)
    if not surplus or facts.switch is not None:
        return False
    names = sorted(ids | {f"{name}.aside" for name in ids})
    work.connection().run(commands.clear_strays(CHECKPOINTS, "*", names))
    work.connection().run(commands.clear_strays(files.RELEASES, "*", sorted(versions)))
    return True


def ensure_gone_back(work: Work) -> bool:
    """After a failure: the version before, with its state. The newer state is kept aside.

    What failed is noted on the host, if it was the version that did: then it is not tried again by itself.
    """
    switch = work.switch
    assert switch is not None
    at = work.ports.clock.now().isoformat(timespec="seconds")
    work.note("go-back-intended", durable=True, **_words(switch), reason=work.failure)
    work.connection().run(commands.go_back(_json(Hold(switch.target, work.failure, at)) if work.failure else b""))
    work.switch, work.restore, work.hold_afterwards, work.retries = None, None, None, False
    work.look()
    return True


def _is_switching(work: Work) -> bool:
    """It is at another version than the wanted one, or another state is wanted."""
    assert work.facts is not None
    if work.switch is not None or work.restore is not None:
        return True
    return present(work.facts) not in (None, work.declared().version)


def _is_linked(work: Work) -> bool:
    """The link is what a switch does last; where both versions are one, nobody can tell, and it is done again."""
    assert work.facts is not None
    switch = work.switch
    return switch is not None and switch.is_made and switch.origin != switch.target == linked(work.facts)


def _new_switch(work: Work) -> Switch:
    assert work.facts is not None
    origin, target, older = present(work.facts), work.declared().version, way_down(work.declared().version, work.facts)
    return Switch(origin or target, target, _new_id(work), work.restore or (older.id if older else None))


def _new_id(work: Work) -> str:
    """By the time; of another second where there is one of this."""
    assert work.facts is not None
    known, now = {checkpoint.id for checkpoint in work.facts.checkpoints}, work.ports.clock.now()
    moments = (now + timedelta(seconds=later) for later in range(len(known) + 1))
    return next(name for moment in moments if (name := f"{moment:%Y%m%dT%H%M%SZ}") not in known)


def _check_health(work: Work) -> None:
    missing = unproven(work.look().gateway, work.declared().version)
    if missing:
        raise HostError(
            f"the gateway did not stay healthy for {work.declared().update.soak} s: {missing[0]}",
            f"`fleet ssh {work.name}`, then `sudo journalctl -u {files.UNIT} -n 50`",
        )


def _check_model(work: Work) -> None:
    """The model's provider takes its key, if it did so before: a gateway that no model answers is of no use."""
    answer = _model(work)
    if answer != _TAKEN and work.model_before == _TAKEN:
        raise HostError(
            f"the model's provider took the key before, and answers {answer} now",
            "look whether it is down, or the key was withdrawn meanwhile",
        )


def _model(work: Work) -> str:
    """What its provider answers to the key on the host; empty where nobody knows how to ask it."""
    provider = work.declared().model.provider
    url = work.ports.endpoints.model_base_url or BASE_URL_OF_PROVIDER.get(provider)
    if url is None:
        return ""
    return work.quoted(work.connection().run(commands.ask_for_models(url, provider)).stdout.decode().strip())[:80]


def _words(switch: Switch) -> dict[str, str | None]:
    return {"from_version": switch.origin, "to_version": switch.target, "checkpoint": switch.checkpoint}


def _json(held: Hold) -> bytes:
    return json.dumps(asdict(held)).encode()
