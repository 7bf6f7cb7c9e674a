"""Every file in tests/cases/plan is one rule of the planner: a world, and the plan a person reads."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from reconciler.planner import plan
from reconciler.render.plan import plan_lines
from tests.fakes.worlds import NOW, make_catalog, make_child, make_fleet

CASES = sorted((Path(__file__).parent.parent / "cases" / "plan").glob("*.yaml"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_plan(path: Path) -> None:
    case = yaml.safe_load(path.read_text())
    children = {name: make_child(name, child) for name, child in case["children"].items()}
    result = plan(make_fleet(children), children, make_catalog(), NOW)
    assert [line.rstrip() for line, _ in plan_lines(result, children)] == case["plan"].rstrip().split("\n")
    assert {name: str(sync) for name, sync in result.sync.items()} == case["sync"]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_record_never_adds_or_drops_an_action(path: Path) -> None:
    case = yaml.safe_load(path.read_text())
    kinds = []
    for record in (False, True):
        children = {name: make_child(name, child | {"record": record}) for name, child in case["children"].items()}
        result = plan(make_fleet(children), children, make_catalog(), NOW)
        kinds.append([(action.kind, action.child, action.wave) for action in result.actions])
    assert kinds[0] == kinds[1]
