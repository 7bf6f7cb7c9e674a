"""Every file in tests/cases/plan is one rule of the planner: a world, and the plan a person reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.model import Change, Child, Plan, PlanOptions
from reconciler.planner import plan
from reconciler.render.plan import plan_lines
from tests.fakes.worlds import NOW, make_catalog, make_child, make_fleet, make_server

CASES = sorted((Path(__file__).parent.parent / "cases" / "plan").glob("*.yaml"))


def planned(case: dict[str, Any], children: dict[str, Child]) -> Plan:
    """The plan of a case.

    Keys beside `children`: policy, options, shared, others (servers nobody asked about: names, or a mapping of names to
    what is so of each), prices (false: the catalogue could not be read).
    """
    asked: dict[str, Any] = {
        key: frozenset(value) if isinstance(value, list) else value for key, value in case.get("options", {}).items()
    }
    others = case.get("others", {})
    return plan(
        make_fleet(children, case.get("policy")),
        children,
        make_catalog() if case.get("prices", True) else None,
        NOW,
        PlanOptions(**asked),
        tuple(Change(**change) for change in case.get("shared", [])),
        [make_server(name, **(others[name] if isinstance(others, dict) else {})) for name in others],
    )


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_plan(path: Path) -> None:
    case = yaml.safe_load(path.read_text())
    children = {name: make_child(name, child) for name, child in case["children"].items()}
    result = planned(case, children)
    assert [line.rstrip() for line, _ in plan_lines(result, children)] == case["plan"].rstrip().split("\n")
    assert {name: str(sync) for name, sync in result.sync.items()} == case["sync"]
    assert result.is_refused == case.get("refused", False)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_record_never_adds_or_drops_an_action(path: Path) -> None:
    case = yaml.safe_load(path.read_text())
    kinds = []
    for record in (False, True):
        children = {name: make_child(name, child | {"record": record}) for name, child in case["children"].items()}
        result = planned(case, children)
        kinds.append([(action.kind, action.child, action.wave) for action in result.actions])
    assert kinds[0] == kinds[1]
