"""Looks closely at the hosts of children, and says what is wrong with each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from reconciler import commands
from reconciler.diagnosis import Case, diagnose
from reconciler.errors import CommandFailed, FleetError, HostError, HostTimedOut
from reconciler.managed import files
from reconciler.managed.config import BASE_URL_OF_PROVIDER, refusal_of
from reconciler.model import Child, Diagnosis, Endpoints, Examination, Listener, Secret
from reconciler.ports import Host, OnEach
from reconciler.redaction import Redactor
from reconciler.steps.gateway import LARGEST_CONFIG
from reconciler.steps.mending import CHECK_MB
from reconciler.steps.release import NODE_DIRECTORY
from reconciler.steps.versions import linked

_MOST: Final = 20  # processes that are told of
_MOST_TEXT: Final = 4000  # characters; cut again where it was masked
_LONGEST: Final = 300
_SECRETS: Final = (files.GATEWAY_TOKEN_PATH, files.TELEGRAM_TOKEN_PATH, files.MODEL_KEY_PATH)


def diagnose_all(
    children: Mapping[str, Child], on_each: OnEach, endpoints: Endpoints, known: Callable[[str], Iterable[Secret]]
) -> list[Diagnosis]:
    """Of each child, in order, what its last look and a closer one say. Raises CloudError.

    Whatever a host says is masked: `known` are the secrets that a child's host was trusted with.
    """
    reached = [name for name, child in children.items() if child.facts is not None]
    answers = on_each(reached, lambda name, host: _examine(children[name], host, endpoints)) if reached else {}
    found = []
    for name, child in sorted(children.items()):
        answer = answers.get(name)
        diagnosis = diagnose(Case(child, answer if isinstance(answer, Examination) else None))
        if isinstance(answer, FleetError):
            diagnosis = replace(diagnosis, unseen=f"it could not be looked at closely: {answer.summary}")
        found.append(_masked(diagnosis, Redactor(known(name))))
    return found


def _masked(found: Diagnosis, redactor: Redactor) -> Diagnosis:
    """The longest texts may have a secret near their end, so they are cut afterwards."""

    def line(text: str) -> str:
        whole = " ".join(map(redactor.line, text.splitlines()))
        return whole if len(whole) <= _LONGEST else f"{whole[:_LONGEST]}..."

    findings = tuple(replace(finding, text=line(finding.text)) for finding in found.findings)
    mend = "\n".join(map(redactor.line, found.mend.splitlines()))
    return replace(found, findings=findings, evidence=line(found.evidence), mend=mend, unseen=line(found.unseen))


def without_cloud(names: tuple[str, ...], children: Mapping[str, Child], problem: str) -> list[Diagnosis]:
    """The cloud does not answer, so nobody knows of a server: that is the cause, and all else is skipped."""
    return [diagnose(Case(children.get(name) or Child(name), problem=problem)) for name in names]


def _examine(child: Child, host: Host, endpoints: Endpoints) -> Examination:
    command = commands.examine(
        files.PORT, files.UNIT, files.SERVICE_USER, files.HOME, f"{NODE_DIRECTORY}/bin/node", _SECRETS,
        files.GATEWAY_TOKEN_PATH,
    )  # fmt: skip
    examined = examination_of(host.run(command).stdout)
    with suppress(HostTimedOut):  # who has fallen silent would be waited for again by each question
        with suppress(CommandFailed):  # each by itself: what the others have said stays
            examined = replace(examined, model=_model(child, host, endpoints))
        with suppress(CommandFailed):
            examined = replace(examined, config_problem=_config_problem(child, host))
    return examined


def examination_of(printed: bytes) -> Examination:
    """What a host has printed of itself. It may be anything. Raises HostError."""
    try:
        said: Any = json.loads(printed)
        return Examination(
            first_boot=str(said["first_boot"])[:40],
            inodes_free=None if said["inodes_free"] is None else int(said["inodes_free"]),
            disk_free_mb=None if said["disk_free_mb"] is None else int(said["disk_free_mb"]),
            node=None if said["node"] is None else str(said["node"])[:40],
            lacking_secrets=tuple(path for path in _SECRETS if path in said["lacking_secrets"]),
            listeners=_listeners(said["listeners"]),
            strays=_listeners(said["strays"]),
            up_for=_seconds(said["up_for"]),
            probe_problem=str(said["probe_problem"])[:_MOST_TEXT],
            inbound=_seconds(said["inbound"]),
            outbound=_seconds(said["outbound"]),
            clock=float(said["clock"]),
        )
    except (ValueError, RecursionError, KeyError, TypeError, OverflowError) as error:
        raise HostError("its host does not say how it is", "look at it: fleet ssh CHILD") from error


def _listeners(said: Any) -> tuple[Listener, ...]:
    found = [Listener(int(it["pid"]), str(it["name"])[:40], it["is_ours"] is True) for it in said[:_MOST]]
    if any(it.pid < 1 for it in found):
        raise ValueError("no process")
    return tuple(found)


def _seconds(said: Any) -> float | None:
    return None if said is None else float(said)


def _config_problem(child: Child, host: Host) -> str | None:
    """Why the release that is there would not start with openclaw.json as it lies there; empty where it would.

    None where nobody can tell: the check takes memory (facts on real gateways, section 2), and may not come to its end.
    """
    facts, version = child.facts, linked(child.facts) if child.facts is not None else None
    if facts is None or version is None or facts.memory_free_mb < CHECK_MB:
        return None
    read = host.run(commands.read_file(files.CONFIG_PATH))
    if len(read.stdout) >= LARGEST_CONFIG:
        return None
    if read.exit_code != 0 or not read.stdout.strip():
        return f"{files.CONFIG_PATH} is not there, or empty"
    answer = host.run(commands.validate_config(version, files.NODE_VERSION, read.stdout))
    if answer.exit_code == 0:
        return ""
    why = refusal_of(answer.stdout)
    return None if why is None else f"{files.CONFIG_PATH}: {why}"


def _model(child: Child, host: Host, endpoints: Endpoints) -> str:
    if child.spec is None:
        return ""
    provider = child.spec.model.provider
    url = endpoints.model_base_url or BASE_URL_OF_PROVIDER.get(provider)
    if url is None:
        return ""
    return host.run(commands.ask_for_models(url, provider)).stdout.decode("utf-8", "replace").strip()[:40]
