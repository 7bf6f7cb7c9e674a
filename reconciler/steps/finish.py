"""The first and the last note on the host: an apply is at work, an apply has ended. Then label and record."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

from reconciler import __version__, commands
from reconciler.diff import digest
from reconciler.managed import files
from reconciler.model import Applied, ChildSpec, Json, Record
from reconciler.steps.comparison import wanted_labels
from reconciler.steps.gateway import bot_name
from reconciler.steps.work import Work


def ensure_begun(work: Work) -> bool:
    """The host notes that an apply is at work, so that one which does not end is seen by the next plan."""
    assert work.facts is not None
    applied = work.facts.applied
    if applied is not None and applied.is_finished:
        _write_applied(work, replace(applied, spec_digest=""))
    return False  # nothing that anybody waits for


def ensure_recorded(work: Work) -> bool:
    """Only now is the apply finished: a crash before this line is seen as unfinished by the next plan."""
    now = work.ports.clock.now().isoformat(timespec="seconds")
    spec_digest = digest(spec_json(work.declared()))
    applied = Applied(__version__, spec_digest, work.wanted_digests(), now, bot_name(work))
    _write_applied(work, applied)
    _ensure_labels(work)
    work.ports.store.save(_record(work, applied))
    return True


def spec_json(spec: ChildSpec) -> Json:
    """The spec as JSON, secrets by reference; where it stands in the file does not matter."""
    value: dict[str, Json] = json.loads(json.dumps(asdict(spec)))
    value.pop("line")
    return value


def _ensure_labels(work: Work) -> None:
    # Read now: a label that somebody has put there since the plan must survive.
    server = work.ports.cloud.server(work.existing().id) or work.existing()
    labels = wanted_labels(work.declared(), server)
    if labels != dict(server.labels):
        server = work.ports.cloud.set_labels(server.id, labels)
    work.server = server


def _write_applied(work: Work, applied: Applied) -> None:
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
