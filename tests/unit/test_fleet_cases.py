"""Every case in tests/cases/fleet: a fleet file, or a directory with one, and beside it what exactly is said of it.

The `.out` of a valid fleet is what it means, as JSON.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from reconciler.errors import ConfigError
from reconciler.fleet import load_fleet
from reconciler.render.diagnostics import error_text

DIRECTORY = Path(__file__).parent.parent / "cases" / "fleet"
CASES = sorted([*DIRECTORY.glob("*.yaml"), *(file.parent for file in DIRECTORY.glob("*/fleet.yaml"))])


def said_of_the_fleet_here() -> str:
    try:
        fleet = load_fleet(Path("fleet.yaml"))
    except ConfigError as error:
        return error_text(error) + "\n"
    return json.dumps(asdict(fleet), indent=2, default=str) + "\n"


def test_there_are_cases() -> None:
    assert len(CASES) >= 80


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_case(case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "here"
    if case.is_dir():
        shutil.copytree(case, here, symlinks=True)
    else:
        here.mkdir()
        shutil.copy(case, here / "fleet.yaml")
    monkeypatch.chdir(here)
    assert said_of_the_fleet_here() == case.with_suffix(".out").read_text(encoding="utf-8")
