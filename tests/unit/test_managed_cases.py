"""Every thing that we own on a host has a case in which somebody damages it. The cases run in tests/e2e."""

from __future__ import annotations

import subprocess

import pytest

from reconciler.managed import MANAGED
from tests.e2e.managed_cases import ALONE, CASES, KINDS, damaged, script


def test_every_entry_has_a_case_and_every_case_an_entry() -> None:
    assert list(CASES) == [entry.name for entry in MANAGED]


@pytest.mark.parametrize("name", CASES)
def test_a_case_damages_in_every_way_or_says_why_not(name: str) -> None:
    ways = [kind for kind in KINDS if name in damaged(kind)]
    assert ways
    assert (len(ways) < len(KINDS)) == (CASES[name].without != "")


@pytest.mark.parametrize(("alone", "kind"), [*(("", kind) for kind in KINDS), *ALONE])
def test_the_damages_are_shell(alone: str, kind: str) -> None:
    text = script(kind, alone)
    assert text
    assert subprocess.run(["sh", "-n", "-c", text], capture_output=True, check=False).stderr == b""
