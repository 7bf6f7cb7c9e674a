"""Every case in tests/cases/redaction: what a log said, and what is shown of it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
import yaml

from reconciler.model import Secret
from reconciler.redaction import Redactor

DIRECTORY: Final = Path(__file__).parent.parent / "cases" / "redaction"
CASES: Final = sorted(DIRECTORY.glob("*.yaml"))


def test_there_are_cases() -> None:
    assert len(CASES) >= 35


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_case(case: Path) -> None:
    told = yaml.safe_load(case.read_text(encoding="utf-8"))
    redactor = Redactor([Secret(value) for value in told["known"]])
    assert "\n".join(map(redactor.line, told["said"].splitlines())) == told["shown"]
