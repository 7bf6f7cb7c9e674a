"""What people see of a plan and of a refused apply, in a sandbox that has no server of this fleet. No machine boots."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.sandbox.client import SandboxClient
from tests.e2e.machinery import Operator
from tests.transcripts import assert_transcript


@pytest.fixture
def operator(sandbox: SandboxClient, tmp_path: Path) -> Operator:
    operator = Operator(tmp_path, tmp_path / "home")
    operator.fleet("init", "--sandbox", "--name", "transcripts")
    return operator


def test_a_plan_of_a_new_child(operator: Operator) -> None:
    assert_transcript("plan-create", said(operator, "plan", "--detailed-exitcode"))


def test_an_apply_that_nobody_can_consent_to(operator: Operator) -> None:
    assert_transcript("apply-refused", said(operator, "apply"))


def said(operator: Operator, *arguments: str) -> str:
    done = operator.run(*arguments)
    return f"$ fleet {' '.join(arguments)}\n{done.stdout}{done.stderr}(exit {done.returncode})\n"
