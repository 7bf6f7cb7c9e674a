"""What a plan says of money adds up as it is read, and is the same after the apply."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from reconciler.model import PlanOptions
from tests.fakes.fleets import FakeFleet

MANY = tuple(f"child{number}" for number in range(20))
EVERYBODY = PlanOptions(max_destroys=len(MANY))


def test_the_total_before_an_apply_is_the_total_after_it(tmp_path: Path) -> None:
    world = FakeFleet(tmp_path, MANY)
    for backups in (True, False):
        for name in MANY:
            world.change(name, backups=backups)
        before = world.client().plan().plan
        world.apply()
        after = world.client().plan().plan
        assert (after.is_empty, after.total) == (True, before.total)


def test_the_lines_of_a_plan_add_up_to_its_change_and_its_change_to_the_total(tmp_path: Path) -> None:
    world = FakeFleet(tmp_path, MANY)
    for name in MANY:
        world.change(name, backups=True)
    bills = [Decimal(0)]
    for _ in range(2):
        plan = world.client().plan().plan
        assert plan.monthly is not None
        assert plan.total is not None
        lines = [Decimal(action.monthly or "nan") for action in plan.actions]
        assert len(lines) == len(MANY)
        assert sum(lines) == Decimal(plan.monthly)
        assert bills[-1] + Decimal(plan.monthly) == Decimal(plan.total)
        bills.append(Decimal(plan.total))
        world.apply()
        for name in MANY:
            world.change(name, backups=False, server_types=("cx33",))
