"""One bot, one gateway: what a plan does with children of which two may come to ask for the same bot."""

from __future__ import annotations

from typing import Final

from reconciler.model import Diagnostic, Plan, Severity
from tests.properties.bots import Holder, World


def who_shares_a_bot_waits_and_is_told_with_whom(world: World, plan: Plan) -> None:
    for name, holder in world.items():
        rivals = _rivals(world, name, holder)
        if holder.shall_run and holder.there != "unasked" and rivals:
            [found] = _about_bots(plan, name)
            assert found.severity is Severity.ERROR
            assert found.summary == f"{name} has the same bot as {' and '.join(rivals)}"
            assert not _acts(plan, name)


def nobody_takes_a_bot_that_another_gateway_still_has(world: World, plan: Plan) -> None:
    for name, holder in world.items():
        if _takes(world, name, holder):
            [found] = _about_bots(plan, name)
            assert found.severity is Severity.WARNING
            first = next(other for other in sorted(world) if other in _keepers(world, name, holder))
            assert found.summary == f"{name}: its bot is still that of {first}, so nothing is planned for it"
            assert not _acts(plan, name)


def nobody_else_is_held_up(world: World, plan: Plan) -> None:
    for name, holder in world.items():
        if not (holder.shall_run and _rivals(world, name, holder)) and not _takes(world, name, holder):
            assert not _about_bots(plan, name)
            if holder.shall_run and holder.there == "none":
                assert _acts(plan, name)


def who_has_to_let_go_can(world: World, plan: Plan) -> None:
    """Whoever is to leave is not kept by those who wait for its bot."""
    for name, holder in world.items():
        is_on = holder.there in ("seen", "late", "silent") or (holder.there == "out" and holder.state != "off")
        if holder.state in ("gone", "expired", "leaving", "off") and is_on:
            assert _acts(plan, name)


LAWS: Final = (
    who_shares_a_bot_waits_and_is_told_with_whom,
    nobody_takes_a_bot_that_another_gateway_still_has,
    nobody_else_is_held_up,
    who_has_to_let_go_can,
)


def _rivals(world: World, name: str, holder: Holder) -> list[str]:
    asked = (other for other in sorted(world) if world[other].there != "unasked")
    others = (other for other in asked if other != name and world[other].shall_run)
    return [other for other in others if holder.wants is not None and world[other].wants == holder.wants]


def _takes(world: World, name: str, holder: Holder) -> bool:
    if not holder.shall_run or holder.there == "unasked" or holder.wants is None or _rivals(world, name, holder):
        return False
    return bool(_keepers(world, name, holder)) and holder.asks_for != holder.wants


def _keepers(world: World, name: str, holder: Holder) -> set[str]:
    return {other for other, it in world.items() if other != name and holder.wants in it.keeps}


def _acts(plan: Plan, name: str) -> bool:
    return any(action.child == name for action in plan.actions)


def _about_bots(plan: Plan, name: str) -> list[Diagnostic]:
    return [found for found in plan.diagnostics if found.address == name and "bot" in found.summary]
