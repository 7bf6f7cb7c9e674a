"""The proof that a gateway lasts: a while, a second start, a model that answers, and no burst of errors.

Asked of another version, and of another server before the old one goes: of what there is a way back from.
"""

from __future__ import annotations

import re
from typing import Final

from reconciler import commands
from reconciler.errors import HostError, HostTimedOut, ProofFailed
from reconciler.managed import files
from reconciler.managed.config import BASE_URL_OF_PROVIDER
from reconciler.model import LABEL_PREFIX, Server
from reconciler.steps.gateway import ensure_ready, unproven
from reconciler.steps.versions import linked
from reconciler.steps.work import Work

LOOK_EVERY: Final = 5.0
BAD_LOOKS: Final = 3  # so many in a row, and it is not healthy
LEAST_MB: Final = 200  # of disk: with less a gateway is ready and answers nobody (facts on real gateways, section 5)
BURST: Final = 20  # errors: a start in bad surroundings writes a few, a release that cannot work some with each try
TIMES_BEFORE: Final = 3  # so many times what the version before has written is clearly more
QUESTIONS: Final = 3  # to a model's provider, which may be busy
BEFORE: Final = LABEL_PREFIX + "before"
_WORDS_BEFORE: Final = re.compile(r"errors-(?P<errors>[0-9]{1,9}|unknown)\.model-(?P<model>taken|not-taken)")
_TAKEN: Final = "200"
_REFUSED: Final = ("401", "403")


def ensure_lasting(work: Work) -> bool:
    """It stays healthy for a while, and starts a second time: the first start may succeed and the next one fail."""
    succeeds = work.replacing.old is not None or (bool(work.replacing.retired) and work.is_first)
    if work.switching.under_way is None and not succeeds:
        return False
    if work.replacing.old is None and work.replacing.retired and work.is_first:
        _recall_before(work, work.replacing.retired[0])
    _soak(work)
    _check_model(work)
    work.connection().run(commands.reset_failed(files.UNIT))
    work.connection().run(commands.restart_unit(files.UNIT))
    ensure_ready(work)
    _refuse_burst(work)
    work.replacing.is_proven = succeeds
    return True


def know_before(work: Work, old: Work) -> None:
    """How the gateway of `old` is now, for the proof of what takes its place. Its host was just looked at."""
    assert old.facts is not None
    work.health_before.is_healthy = not unproven(old.facts.gateway, linked(old.facts) or "")
    work.health_before.errors = old.facts.gateway.errors
    work.health_before.model = _model(old)


def labels_of_before(work: Work) -> dict[str, str]:
    """What `know_before` has found, for a label of the server that is retired: the next apply may be another's.

    Empty where nobody has looked, for its memory was given up.
    """
    if not work.health_before.model and work.health_before.errors is None:
        return {}
    errors = "unknown" if work.health_before.errors is None else work.health_before.errors
    return {BEFORE: f"errors-{errors}.model-{'taken' if work.health_before.model == _TAKEN else 'not-taken'}"}


def _recall_before(work: Work, old: Server) -> None:
    found = _WORDS_BEFORE.fullmatch(old.labels.get(BEFORE, ""))
    if found is not None:
        work.health_before.errors = int(found["errors"]) if found["errors"].isdecimal() else None
        work.health_before.model = _TAKEN if found["model"] == "taken" else ""


def _soak(work: Work) -> None:
    """Raises ProofFailed. One look may come at a bad moment; several in a row, or an end of the process, may not."""
    assert work.facts is not None
    clock, soak = work.ports.clock, work.declared().update.soak
    until, restarts, bad = clock.monotonic() + soak, work.facts.gateway.restarts, 0
    while clock.monotonic() < until or bad:
        clock.sleep(LOOK_EVERY)
        work.keep_going()
        facts = work.look()
        if facts.disk_free_mb < LEAST_MB:
            raise HostError(
                f"the disk has {facts.disk_free_mb} MB left: nobody is answered with that",
                f"make room on it: `fleet ssh {work.name}`, then `sudo du -xh / | sort -h | tail`",
            )
        gateway = facts.gateway
        _refuse_burst(work)
        missing = unproven(gateway, work.declared().version)
        bad = bad + 1 if missing else 0
        if bad == BAD_LOOKS or gateway.restarts > restarts:
            why = missing[0] if missing else "it ended, and was started again"
            raise ProofFailed(
                f"the gateway did not stay healthy for {soak} s: {why}",
                f"`fleet ssh {work.name}`, then `sudo journalctl -u {files.UNIT} -n 50`",
            )


def _refuse_burst(work: Work) -> None:
    """Raises ProofFailed. What a gateway has always written is no fault of the new version; unknown is no proof."""
    assert work.facts is not None
    before, now = work.health_before.errors, work.facts.gateway.errors
    if before is None or now is None or now < BURST or now <= before * TIMES_BEFORE:
        return
    raise ProofFailed(
        f"the gateway writes errors: {now} since its start, and {before} in the minutes before the switch",
        f"`fleet ssh {work.name}`, then `sudo grep ERROR {files.LOG_PATH} | tail`",
    )


def _check_model(work: Work) -> None:
    """The model's provider takes its key, if it did so before: a gateway that no model answers is of no use.

    It is asked by us and not by the gateway, so no version is to blame.
    """
    if work.health_before.model != _TAKEN:
        return
    for _ in range(QUESTIONS):
        answer = _model(work)
        if answer == _TAKEN:
            return
        work.ports.clock.sleep(LOOK_EVERY)
        work.keep_going()
    kind = HostError if answer in _REFUSED else HostTimedOut  # whatever else it is passes by itself
    raise kind(
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
