"""Looks closely at the hosts of children, and says what is wrong with each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Final

from reconciler.answers import examination_of
from reconciler.commands import forced
from reconciler.commands.gateway import NO_FILE
from reconciler.diagnosis import Case, diagnose
from reconciler.errors import CommandFailed, FleetError, HostTimedOut
from reconciler.managed import files
from reconciler.managed.config import CHECK_MB, refusal_of
from reconciler.managed.questions import closer_look, config_question, model_question
from reconciler.model import Child, Diagnosis, Endpoints, Examination, Secret
from reconciler.ports import Host, OnEach
from reconciler.redaction import Redactor
from reconciler.steps.versions import linked

_LONGEST: Final = 300


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
    examined = examination_of(host.run(closer_look()).stdout)
    with suppress(HostTimedOut):  # who has fallen silent would be waited for again by each question
        with suppress(CommandFailed):  # each by itself: what the others have said stays
            examined = replace(examined, model=model_answer(child, host, endpoints))
        with suppress(CommandFailed):
            examined = replace(examined, config_problem=config_problem(child, host))
    return examined


def config_problem(child: Child, host: Host, *, by_word: bool = False) -> str | None:
    """Why the release that is there would not start with openclaw.json as it lies there; empty where it would.

    None where nobody can tell: the check takes memory (facts on real gateways, section 2), and may not come to its end.
    """
    facts = child.facts
    if facts is None or linked(facts) is None or facts.memory_free_mb < CHECK_MB:
        return None
    question = config_question()
    answer = host.run(forced.ask(forced.CONFIG, question.timeout, check=False) if by_word else question)
    if answer.exit_code == 0:
        return ""
    if answer.exit_code == NO_FILE:
        return f"{files.CONFIG_PATH} is not there, or empty"
    why = refusal_of(answer.stdout)
    return None if why is None else f"{files.CONFIG_PATH}: {why}"


def model_answer(child: Child, host: Host, endpoints: Endpoints, *, by_word: bool = False) -> str:
    """What the provider of its model answers to the key that lies on its host: 200, another code, or a word.

    `by_word`: it is asked as who has a probe key asks.
    """
    question = model_question(child.spec.model.provider, endpoints) if child.spec is not None else None
    if question is None or child.spec is None:
        return ""
    if by_word:
        question = forced.ask(forced.models_of(child.spec.model.provider), question.timeout, check=False)
    return host.run(question).stdout.decode("utf-8", "replace").strip()[:40]
