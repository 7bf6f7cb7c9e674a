"""What a plan does with versions: up always, down only to a copy, to what is held never, and in their turn."""

from __future__ import annotations

from itertools import groupby
from typing import Final

from reconciler.model import Action, Change, Kind, Percent, Plan, ReasonCode, Severity, Sync
from reconciler.planner.stock import few
from tests.properties.versions import LOW, NAMES, VERSIONS, Minded, World


def nobody_goes_to_a_version_that_is_held(world: World, plan: Plan) -> None:
    for name, it in _seen(world):
        if _is_held(world, it):
            assert _goes_to(plan, name) in (None, _present(it))


def nobody_goes_down_without_a_copy(world: World, plan: Plan) -> None:
    for name, it in _seen(world):
        if _is_lower(it) and not _is_held(world, it) and it.asked != "rollback":
            assert _goes_to(plan, name) in (None, _present(it)), it


def who_is_held_is_told_and_waits(world: World, plan: Plan) -> None:
    for name, it in _seen(world):
        own = [found for found in plan.diagnostics if found.address == name]
        if _is_held(world, it) and it.held and _by_host(world, it):
            [found] = own
            assert found.severity is Severity.WARNING
            assert found.summary.startswith(f"{name} stays at {_present(it)}: {it.wants} is held back since 2026-11-21")
            assert f"--retry {name}" in found.detail
        elif _is_lower(it) and not _is_held(world, it):
            [found] = own
            assert found.summary == f"{name} stays at {_present(it)}: there is no way down to {it.wants}"
            copies = "checkpoints are there of: 2026.9.5" if it.copy else "there are no checkpoints on it"
            assert f"\n{copies}; a backup of that version" in found.detail
            assert plan.sync[name] is Sync.PENDING or any(action.child == name for action in plan.actions)
        else:
            assert [found.address for found in own] == ([name] if _waits(world, plan, name, it) else [])


def who_shall_not_run_is_told_of_no_version(world: World, plan: Plan) -> None:
    for name, it in zip(NAMES, world.children, strict=False):
        if it.there == "unwanted":
            assert not [found for found in plan.diagnostics if found.address == name]


def a_quarantine_is_told_once_with_all_whom_it_keeps_back(world: World, plan: Plan) -> None:
    found = [it for it in plan.diagnostics if it.address.startswith("quarantine.")]
    assert [it.address for it in found] == ([f"quarantine.{world.quarantined}"] if world.quarantined else [])
    waiting = [name for name, it in _seen(world) if _is_held(world, it) and not (it.held and _by_host(world, it))]
    if found:
        assert found[0].severity is (Severity.WARNING if waiting else Severity.NOTE)
        assert all(name in found[0].summary for name in waiting[:3])
        assert "since 2026-11-21" in found[0].summary
        assert f"fleet quarantine clear {world.quarantined}" in found[0].detail
        assert not any(f" {name}" in found[0].summary for name in NAMES if name not in waiting)


def nobody_is_made_with_a_quarantined_version(world: World, plan: Plan) -> None:
    for name, it in zip(NAMES, world.children, strict=False):
        if it.there == "none":
            makes = [action for action in plan.actions if action.child == name]
            told = [found for found in plan.diagnostics if found.address == name]
            assert bool(makes) is (it.wants != world.quarantined or it.asked == "retry")
            assert [found.severity for found in told] == ([] if makes else [Severity.ERROR])
            assert all("is not made" in found.summary for found in told)


def who_wakes_does_so_on_the_version_of_then(world: World, plan: Plan) -> None:
    for name, it in zip(NAMES, world.children, strict=False):
        if it.there == "asleep":
            [action] = [action for action in plan.actions if action.child == name]
            is_told = [f"it wakes on OpenClaw {it.wants}" in note for note in action.notes]
            assert any(is_told) is (it.wants == world.quarantined)


def who_can_go_does(world: World, plan: Plan) -> None:
    for name, it in _seen(world):
        is_kept = _is_held(world, it) or _is_lower(it)
        is_kept = is_kept or it.moves or _waits(world, plan, name, it)
        if not is_kept and it.linked is not None and it.linked != _target(it) and it.going is None:
            assert _goes_to(plan, name) == _target(it)


def who_moves_goes_down_to_its_copy_first(world: World, plan: Plan) -> None:
    for name, it in _seen(world):
        if it.moves:
            goes_down = it.copy == it.wants and VERSIONS.index(it.wants) < VERSIONS.index(it.linked or it.wants)
            kinds = [action.kind for action in plan.actions if action.child == name]
            waits = goes_down and _waits(world, plan, name, it)
            assert kinds == ([] if waits else [Kind.UPDATE if goes_down else Kind.REPLACE])


def nobody_goes_before_a_canary_that_does_not(world: World, plan: Plan) -> None:
    for name, it in _seen(world):
        told = [found.summary for found in plan.diagnostics if found.address == name and " waits " in found.summary]
        acts = [action for action in plan.actions if action.child == name]
        if _waits(world, plan, name, it):
            assert not acts
            assert told == [_why(world, plan, name, it)]
        else:
            assert not told


def who_goes_is_told_what_that_means(world: World, plan: Plan) -> None:
    for name, it in _seen(world):
        action, goes = next((it for it in plan.actions if it.child == name), None), _goes_to(plan, name)
        if action is None or it.going is not None or it.linked is None:
            continue
        if goes is None and it.asked != "rollback":
            assert not [note for note in action.notes if note.startswith("silent for about half a minute")]
            continue
        away = f"back to {it.linked} with its memory if"
        back = [note for note in action.notes if "goes back to the checkpoint of 2026-11-20 08:00 UTC" in note]
        assert bool(back) is (it.asked == "rollback" or _goes_down_to_copy(it, goes)), (it, action.notes)
        assert all(note.endswith(" days)") for note in back)
        assert any(note.startswith("silent for about half a minute") and away in note for note in action.notes)
        assert action.retries is (it.asked == "retry")
        assert (action.rollback is not None) is (it.asked == "rollback")


def who_is_asked_to_go_back_does_so_because_of_that(world: World, plan: Plan) -> None:
    """Also where its version is that of then already: it goes back to the memory."""
    for name, it in _seen(world):
        if it.asked == "rollback":
            [action] = [action for action in plan.actions if action.child == name]
            assert (action.kind, action.reason.code) == (Kind.UPDATE, ReasonCode.ASKED)


SURPLUS: Final = {
    **dict.fromkeys(("copies", "left", "its last came as a backup"), ("checkpoints", 4, 3)),
    "asides": ("asides", 4, 3),
    "another's": ("checkpoints", 1, 0),
}


def what_is_kept_beyond_the_file_is_pruned(world: World, plan: Plan) -> None:
    """Where nothing else is to be done; in the midst of a switch nobody counts."""
    for name, it in _seen(world):
        there = [change for change in _changes(plan, name) if change.path.startswith("kept.")]
        found = [(change.path.removeprefix("kept."), change.before, change.after) for change in there]
        is_idle = it.going is None and not _is_switch(world, it)
        assert found == ([SURPLUS[it.crowd]] if is_idle and it.crowd in SURPLUS else [])


def another_tree_is_drift_of_the_same_version_alone(world: World, plan: Plan) -> None:
    for name, it in _seen(world):
        found = [change.drift for change in _changes(plan, name) if change.path == "release.tree"]
        differs = it.tree in ("other", "none") and _goes_to(plan, name) is None
        assert found == ([it.tree == "other"] if differs else [])


def another_version_goes_in_turn(world: World, plan: Plan) -> None:
    places = [(action.wave, action.batch, action.child) for action in plan.actions]
    assert places == sorted(places)
    turn = [action for action in plan.actions if action.batch]
    assert {action.child for action in turn} == {action.child for action in plan.actions if _moves(world, action)}
    if not turn:
        return
    batches = [[action.child for action in group] for _, group in groupby(turn, key=lambda action: action.batch)]
    assert [action.batch for action in turn] == sorted(action.batch for action in turn)
    assert {action.batch for action in turn} == set(range(1, len(batches) + 1))
    names, rollout = sorted(action.child for action in turn), world.rollout
    if isinstance(rollout.canaries, int):
        first = names[: rollout.canaries]
    else:
        first = [name for name in names if _is_canary(name)]
    rest = [name for name in names if name not in first]
    size = rollout.batch.of(len(names)) if isinstance(rollout.batch, Percent) else rollout.batch
    wanted = [rest[start : start + size] for start in range(0, len(rest), size)]
    assert batches == ([first, *wanted] if first else wanted)


LAWS: Final = (
    nobody_goes_to_a_version_that_is_held,
    nobody_goes_down_without_a_copy,
    who_is_held_is_told_and_waits,
    who_shall_not_run_is_told_of_no_version,
    a_quarantine_is_told_once_with_all_whom_it_keeps_back,
    nobody_is_made_with_a_quarantined_version,
    who_wakes_does_so_on_the_version_of_then,
    who_can_go_does,
    who_moves_goes_down_to_its_copy_first,
    nobody_goes_before_a_canary_that_does_not,
    who_goes_is_told_what_that_means,
    who_is_asked_to_go_back_does_so_because_of_that,
    what_is_kept_beyond_the_file_is_pruned,
    another_tree_is_drift_of_the_same_version_alone,
    another_version_goes_in_turn,
)


def _seen(world: World) -> list[tuple[str, Minded]]:
    return [(name, it) for name, it in zip(NAMES, world.children, strict=False) if it.there == "seen"]


def _present(it: Minded) -> str:
    return it.coming if it.going else it.linked or _applied(it)


def _applied(it: Minded) -> str:
    return it.was or it.at or LOW


def _target(it: Minded) -> str:
    return (it.copy or it.wants) if it.asked == "rollback" else it.wants


def _by_host(world: World, it: Minded) -> bool:
    """Whether what is told is the host's own note: of one and the same it is the fleet's."""
    return world.quarantined != it.wants


def _is_held(world: World, it: Minded) -> bool:
    is_meant = not it.asked and (it.held or world.quarantined == it.wants)
    return is_meant and _present(it) != it.wants


def _is_lower(it: Minded) -> bool:
    """Down from where it is, and no copy of that; of a link that was moved since the last apply nobody knows."""
    order, target = VERSIONS.index, _target(it)
    if _applied(it) == target or it.going == target or order(target) >= order(_present(it)):
        return False
    has_copy = it.copy == target and it.linked is not None and order(target) < order(it.linked)
    return not has_copy


def _goes_down_to_copy(it: Minded, goes: str | None) -> bool:
    return goes is not None and it.copy == goes and VERSIONS.index(goes) < VERSIONS.index(it.linked or goes)


def _goes_to(plan: Plan, name: str) -> str | None:
    found = [change.after for change in _changes(plan, name) if change.path == "release.version"]
    return str(found[0]) if found else None


def _changes(plan: Plan, name: str) -> list[Change]:
    return [change for action in plan.actions if action.child == name for change in action.reason.changes]


def _moves(world: World, action: Action) -> bool:
    it = dict(_seen(world)).get(action.child)
    return it is not None and action.kind is not Kind.REPLACE and _is_switch(world, it)


def _is_switch(world: World, it: Minded) -> bool:
    """It shall be at another version than it is at, or was by its last apply where its link leads nowhere."""
    is_kept = _is_held(world, it) or _is_lower(it)
    return it.asked != "rollback" and not is_kept and _present(it) != it.wants


def _is_canary(name: str) -> bool:
    """Of the rollouts that name any."""
    return name == "bea" or name.startswith("e")


def _missing(world: World, plan: Plan, version: str) -> list[str]:
    """The canaries that shall go to this version, and do not."""
    if isinstance(world.rollout.canaries, int):
        return []
    goes = {action.child for action in plan.actions if action.kind is Kind.UPDATE and action.rollback is None}
    found = []
    for name, it in zip(NAMES, world.children, strict=False):
        is_held = _is_held(world, it) and it.held and _by_host(world, it)
        is_stuck = is_held or (not _is_at_home(world, it) and name not in goes)
        is_there = it.there == "silent" or (it.there == "seen" and is_stuck)
        if _is_canary(name) and _target(it) == version and is_there:
            found.append(name)
    return found


def _is_at_home(world: World, it: Minded) -> bool:
    is_kept = _is_held(world, it) or _is_lower(it)
    return _present(it) == (_present(it) if is_kept else _target(it))


def _waits(world: World, plan: Plan, name: str, it: Minded) -> bool:
    goes_down = it.copy == it.wants and VERSIONS.index(it.wants) < VERSIONS.index(it.linked or it.wants)
    would_go = _is_switch(world, it) and (goes_down or not it.moves)
    if it.going is not None:  # on its way already: there may be nothing more to do
        return any(found.address == name and " waits " in found.summary for found in plan.diagnostics)
    is_behind = bool(_sick(world, it.wants)) and it.asked != "retry"
    is_first = _is_canary(name) and not _has_no_canary(world)
    return would_go and (is_behind or _has_no_canary(world) or (not is_first and bool(_missing(world, plan, it.wants))))


def _has_no_canary(world: World) -> bool:
    """The rollout names some, and none of these shall run."""
    those = [it for name, it in zip(NAMES, world.children, strict=False) if _is_canary(name)]
    return not isinstance(world.rollout.canaries, int) and all(it.there == "unwanted" for it in those)


def _sick(world: World, version: str) -> list[str]:
    """Who has come to this version lately, and is not well."""
    return [name for name, it in _seen(world) if it.ill == "lately" and _present(it) == it.wants == version]


def _why(world: World, plan: Plan, name: str, it: Minded) -> str:
    if _has_no_canary(world):
        return f"{name} waits with all that it needs: no child that shall run is one of the canaries e* and bea"
    missing, sick = _missing(world, plan, it.wants), _sick(world, it.wants)
    if _is_canary(name) or not missing:
        verb = "is" if len(sick) == 1 else "are"
        who = few(sick)
        return f"{name} waits with all that it needs: {who} went over to {it.wants} and {verb} not healthy"
    names = " and ".join(missing)
    return f"{name} waits with all that it needs: {names} of the canaries shall run on {it.wants} first"
