"""The first and the last note on the host: an apply is at work, an apply has ended. Then labels and record."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from datetime import datetime

from reconciler import __version__, commands
from reconciler.diff import digest, same
from reconciler.errors import HostError, Refused
from reconciler.managed import files
from reconciler.managed.config import free_keys
from reconciler.managed.workspace import files_of_mode
from reconciler.model import Applied, Child, ChildSpec, FileMode, Json, Record
from reconciler.steps.comparison import (
    PROFILE,
    differences,
    is_newer,
    keeping_left_alone,
    keeping_networks,
    noted_digests,
    profile_digest,
    wanted_labels,
    with_host_key,
)
from reconciler.steps.gateway import bot_name
from reconciler.steps.repairs import REPAIR_PERIOD
from reconciler.steps.runs import UNFINISHED
from reconciler.steps.server import bot_label
from reconciler.steps.sides import config_digests
from reconciler.steps.work import Work, bot_of


def ensure_begun(work: Work) -> bool:
    """The host notes that an apply is at work, so that one which does not end is seen by the next plan.

    It notes as well what this apply may put there and what it mends: both are known even if it ends half-way.
    Raises Refused where a newer version of this tool was at work: of a server that was off no plan could see that.
    """
    assert work.facts is not None
    applied = work.facts.applied
    if applied is None:
        return False
    if is_newer(applied.tool):
        summary = f"{work.name} was last applied by version {applied.tool} of this tool, which is newer"
        raise Refused(summary, f"nothing was changed on its host: this is version {__version__}; install the newer one")
    begun = _begun(work, applied)
    if begun != applied:
        write_applied(work, begun)  # and not into our facts: by those the steps below see what is right already
    return False  # nothing that anybody waits for


def ensure_recorded(work: Work) -> bool:
    """Only now is the apply finished: a crash before this line is seen as unfinished by the next plan."""
    assert work.facts is not None
    _check(work)
    before, spec, now = work.facts.applied, work.declared(), work.ports.clock.now()
    repairs = with_repairs(before.repairs, before.mending, now) if before else {}
    applied = Applied(
        tool=__version__,
        spec_digest=digest(spec_json(work.spec or spec)),
        digests=_profile_as_noted(before, spec) | noted_digests(spec, work.declared_values(), repairs),
        at=now.isoformat(timespec="seconds"),
        bot=bot_name(work),
        version=spec.version,
        repairs=repairs,
        labels=tuple(sorted(spec.labels)),
        config_keys=free_keys(spec.config),
        config_digests=config_digests(spec, work.declared_values()),
        managed_files=files_of_mode(spec, FileMode.MANAGED),
        seeded_files=files_of_mode(spec, FileMode.SEED),
    )
    declared_before = before.labels if before else ()
    if not work.is_first:  # before the note, which forgets what was declared before: a label that is to go would stay
        _ensure_labels(work, declared_before)
    write_applied(work, applied)
    if work.is_first:  # after it: with the label `unfinished` goes what lets its first host key in
        _ensure_labels(work, declared_before)
    if not spec.is_throwaway:  # nobody asks for its record within its hour, nor would clear it away later
        work.ports.store.save(_record(work, applied))
    work.is_first = False
    work.facts = replace(work.facts, applied=applied)
    return True


def spec_json(spec: ChildSpec) -> Json:
    """The spec as JSON, secrets by reference; where it stands in the file does not matter."""
    value: dict[str, Json] = json.loads(json.dumps(asdict(spec), default=str))
    return {key: part for key, part in value.items() if key not in ("file", "line")}


def with_repairs(
    repairs: Mapping[str, tuple[str, ...]], mended: Iterable[str], now: datetime
) -> dict[str, tuple[str, ...]]:
    """When drift was mended, by managed path: `mended` now, and what is not older than a day."""
    since, moment = now - REPAIR_PERIOD, now.isoformat(timespec="seconds")
    kept = {path: tuple(at for at in times if datetime.fromisoformat(at) > since) for path, times in repairs.items()}
    added = {path: (*kept.get(path, ()), moment) for path in mended}
    return {path: times for path, times in sorted({**kept, **added}.items()) if times}


def _drifted(work: Work) -> tuple[str, ...]:
    """Paths that were applied as they shall be and are not so now, but for those that are left alone."""
    if work.is_first:
        return ()  # a first apply that goes on has mended nothing
    child = Child(work.name, work.declared(), work.server, work.facts, wanted=work.wanted())
    return tuple(change.path for change in differences(child) if change.drift and change.path not in work.left_alone)


def _profile_as_noted(before: Applied | None, spec: ChildSpec) -> dict[str, str]:
    """That the messenger has taken it: as an earlier apply has noted. What it has not taken yet is noted later."""
    wanted = profile_digest(spec.profile)
    return {PROFILE: wanted} if before is not None and before.digests.get(PROFILE) == wanted else {}


def _begun(work: Work, applied: Applied) -> Applied:
    spec = work.declared()
    managed = {*applied.managed_files, *files_of_mode(spec, FileMode.MANAGED)}
    return replace(
        applied,
        spec_digest="",
        # What differs after an apply that was cut off may be its own half-done work.
        mending=_drifted(work) if applied.is_finished else applied.mending,
        config_keys=tuple(sorted({*applied.config_keys, *free_keys(spec.config)})),
        managed_files=tuple(sorted(managed.difference(files_of_mode(spec, FileMode.SEED)))),
    )


def _check(work: Work) -> None:
    """What was brought about is there. But for what the gateway writes too: it may have done so since."""
    assert work.facts is not None
    live, wanted = work.facts.managed, work.wanted()
    ours_alone = (name for name in wanted if name not in ("config", "workspace files"))
    wrong = [name for name in ours_alone if not same(live.get(name), wanted[name])]
    if wrong:
        raise HostError(
            f"not as it shall be, although every step was done: {', '.join(wrong)}",
            f"`fleet plan` says how it differs; something else on {work.name} keeps changing it",
        )


def _ensure_labels(work: Work, declared_before: Iterable[str]) -> None:
    server = work.existing()
    if server.label("nonce") != work.run:  # else its labels were posted minutes ago, and a thousand looks cost an hour
        # Read now: a label that somebody has put there since the plan must survive.
        server = work.ports.cloud.server(server.id) or server
    labels = wanted_labels(work.declared(), server, declared_before) | bot_label(bot_of(work.declared(), work.ports))
    labels = with_host_key(labels, work.declared_values())
    # Who may reach SSH is changed by `ssh from` alone, which proves that somebody still gets in.
    labels = keeping_left_alone(keeping_networks(labels, server), server, work.left_alone)
    labels.pop(UNFINISHED, None)
    if labels != dict(server.labels):
        server = work.ports.cloud.set_labels(server.id, labels)
    work.server = server


def write_applied(work: Work, applied: Applied) -> None:
    """Raises HostError."""
    content = files.applied_json(applied)
    work.connection().run(commands.install_file(files.APPLIED_PATH, content, "root:root", "0600", "0700"))


def _record(work: Work, applied: Applied) -> Record:
    server = work.existing()
    return Record(
        child=work.name,
        server_id=server.id,
        address=server.address,
        created=server.created.isoformat(timespec="seconds"),
        version=work.declared().version,
        bot=applied.bot,
        spec_digest=applied.spec_digest,
        outcome="done",
        at=applied.at,
    )
