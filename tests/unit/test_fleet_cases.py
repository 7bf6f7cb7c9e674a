"""Every file in tests/cases/fleet: a fleet file, and beside it exactly what the tool says of it.

The `.out` of a valid file is the fleet that it means, as JSON.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from reconciler.document import compose
from reconciler.errors import ConfigError
from reconciler.fleet import parse
from reconciler.render.diagnostics import error_text
from reconciler.schema import check

CASES = sorted((Path(__file__).parent.parent / "cases" / "fleet").glob("*.yaml"))


def said_of(raw: bytes) -> str:
    try:
        fleet = parse(check(compose(raw, "fleet.yaml")))
    except ConfigError as error:
        return error_text(error) + "\n"
    return json.dumps(asdict(fleet), indent=2, default=str) + "\n"


def test_there_are_cases() -> None:
    assert len(CASES) >= 45


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_case(case: Path) -> None:
    assert said_of(case.read_bytes()) == case.with_suffix(".out").read_text(encoding="utf-8")
