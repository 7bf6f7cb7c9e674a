"""Looks closely at the hosts of children, and says what is wrong with each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from reconciler import commands
from reconciler.diagnosis import Case, diagnose
from reconciler.errors import FleetError, HostError
from reconciler.managed import files
from reconciler.managed.config import BASE_URL_OF_PROVIDER
from reconciler.model import Child, Diagnosis, Endpoints, Examination, Listener
from reconciler.ports import Host, OnEach
from reconciler.redaction import Redactor
from reconciler.steps.release import NODE_DIRECTORY
from reconciler.steps.versions import linked

_MOST: Final = 20  # processes that are told of
_SECRETS: Final = (files.GATEWAY_TOKEN_PATH, files.TELEGRAM_TOKEN_PATH, files.MODEL_KEY_PATH)


def diagnose_all(children: Mapping[str, Child], on_each: OnEach, endpoints: Endpoints) -> list[Diagnosis]:
    """Of each child, in order, what its last look and a closer one say. Raises CloudError."""
    reached = [name for name, child in children.items() if child.facts is not None]
    answers = on_each(reached, lambda name, host: _examine(children[name], host, endpoints)) if reached else {}
    found = []
    for name, child in sorted(children.items()):
        answer = answers.get(name)
        examined = answer if isinstance(answer, Examination) else None
        diagnosis = diagnose(Case(child, examined))
        if isinstance(answer, FleetError) and diagnosis.cause is None:
            diagnosis = replace(diagnosis, evidence=f"it could not be looked at closely: {answer.summary}")
        found.append(diagnosis)
    return found


def without_cloud(names: tuple[str, ...], children: Mapping[str, Child], problem: str) -> list[Diagnosis]:
    """The cloud does not answer, so nobody knows of a server: that is the cause, and all else is skipped."""
    return [diagnose(Case(children.get(name) or Child(name), problem=problem)) for name in names]


def _examine(child: Child, host: Host, endpoints: Endpoints) -> Examination:
    command = commands.examine(
        files.PORT, files.UNIT, files.SERVICE_USER, files.HOME, f"{NODE_DIRECTORY}/bin/node", _SECRETS,
        files.GATEWAY_TOKEN_PATH,
    )  # fmt: skip
    examined = examination_of(host.run(command).stdout)
    return replace(examined, config_problem=_config_problem(child, host), model=_model(child, host, endpoints))


def examination_of(printed: bytes) -> Examination:
    """What a host has printed of itself. It may be anything. Raises HostError."""
    try:
        said: Any = json.loads(printed)
        return Examination(
            first_boot=str(said["first_boot"])[:40],
            inodes_free=None if said["inodes_free"] is None else int(said["inodes_free"]),
            node=str(said["node"])[:40],
            lacking_secrets=tuple(path for path in _SECRETS if path in said["lacking_secrets"]),
            listeners=_listeners(said["listeners"]),
            strays=_listeners(said["strays"]),
            up_for=_seconds(said["up_for"]),
            probe_problem=str(said["probe_problem"])[:300],
            inbound=_seconds(said["inbound"]),
            outbound=_seconds(said["outbound"]),
            clock=float(said["clock"]),
        )
    except (ValueError, RecursionError, KeyError, TypeError, OverflowError) as error:
        raise HostError("its host does not say how it is", "look at it: fleet ssh CHILD") from error


def _listeners(said: Any) -> tuple[Listener, ...]:
    return tuple(Listener(int(it["pid"]), str(it["name"])[:40], it["is_ours"] is True) for it in said[:_MOST])


def _seconds(said: Any) -> float | None:
    return None if said is None else float(said)


def _config_problem(child: Child, host: Host) -> str:
    """Why the release that is there would not start with openclaw.json as it lies there; empty where it would."""
    version = linked(child.facts) if child.facts is not None else None
    if version is None:
        return ""  # another check's news
    try:
        content = host.run(commands.read_file(files.CONFIG_PATH)).stdout
    except FleetError as error:
        return f"{files.CONFIG_PATH} cannot be read: {error.summary}" if not error.temporary else ""
    if not content.strip():
        return f"{files.CONFIG_PATH} is not there, or empty"
    answer = host.run(commands.validate_config(version, files.NODE_VERSION, content))
    if answer.exit_code == 0:
        return ""
    return _why_refused(answer.stdout) or f"OpenClaw {version} does not take {files.CONFIG_PATH}"


def _why_refused(printed: bytes) -> str:
    """The first of the gateway's own words: where, and what; without what looks like a secret, if it repeats one."""
    try:
        said: Any = json.loads(printed)
        first = said["issues"][0]
        return Redactor().line(f"{files.CONFIG_PATH}: {first.get('path') or '<root>'}: {first['message']}")[:300]
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return ""


def _model(child: Child, host: Host, endpoints: Endpoints) -> str:
    if child.spec is None:
        return ""
    provider = child.spec.model.provider
    url = endpoints.model_base_url or BASE_URL_OF_PROVIDER.get(provider)
    if url is None:
        return ""
    return host.run(commands.ask_for_models(url, provider)).stdout.decode("utf-8", "replace").strip()[:40]
