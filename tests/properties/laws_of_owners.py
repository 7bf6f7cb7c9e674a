"""Whose server is whose: told from names and labels as a person reads them in the cloud's console."""

from __future__ import annotations

from typing import Final

from reconciler.model import Diagnostic, Kind, Server, Severity
from reconciler.ownership import name_before
from tests.properties.owners import DECLARED, OURS, Found, Project, Raw, look


def a_server_in_doubt_is_never_touched(project: Project, found: Found) -> None:
    for action in found.plan.actions:
        server = found.children[action.child].server
        if server is not None:
            raw = project.servers[server.id]
            assert _is_clear(raw)
            assert _bearer(project, raw.child) == action.child


def a_clear_server_is_its_childs_whatever_else_is_there(project: Project, found: Found) -> None:
    for child, numbers in _clear_ones(project).items():
        if len(numbers) == 1:
            assert found.children[child].obstacle is None
            assert [found.children[child].server] == [server for server in _seen(found) if server.id == numbers[0]]
            kind = Kind.START if child in DECLARED else Kind.DESTROY
            assert [action.kind for action in found.plan.actions if action.child == child] == [kind]


def of_two_servers_of_one_child_neither_is_touched(project: Project, found: Found) -> None:
    for child, numbers in _clear_ones(project).items():
        if len(numbers) > 1:
            assert child not in _acted(found)
            assert all(f"({number})" in _said(found, child) for number in numbers)


def whoever_may_own_a_server_in_doubt_waits(project: Project, found: Found) -> None:
    clear = _clear_ones(project)
    for raw in _doubtful(project).values():
        for child in _claimants(project, raw) - clear.keys():
            assert child not in _acted(found)
            assert _said(found, child)


def each_server_of_the_fleet_is_a_childs_or_named_in_an_error(project: Project, found: Found) -> None:
    held = {server.id for server in _seen(found)}
    for number, raw in project.servers.items():
        is_named = any(f"({number})" in error.summary for error in _errors(found))
        if raw.fleet_id == OURS:
            assert is_named or (number in held and _is_clear(raw))
        else:
            assert number not in held


def what_is_in_doubt_says_why(project: Project, found: Found) -> None:
    for number, raw in _doubtful(project).items():
        why = "has a name and labels that do not agree" if raw.has_uid else "has lost its label openclaw-deploy/uid"
        if raw.fleet != "demo":
            why = f"is one of the fleet {raw.fleet}"
        assert all(
            why in error.summary for error in _errors(found) if f"server {raw.name} ({number}) " in error.summary
        )


def what_can_be_no_childs_goes_under_its_own_name(project: Project, found: Found) -> None:
    clear = _clear_ones(project)
    for raw in _doubtful(project).values():
        if _claimants(project, raw) <= clear.keys() and raw.name not in (*DECLARED, *clear):
            assert raw.name in found.children


def no_server_is_counted_twice(project: Project, found: Found) -> None:
    assert found.plan.old_prices == len({server.id for server in _seen(found)})  # they are all older than the rise


def no_second_server_of_a_name_is_made(project: Project, found: Found) -> None:
    names = {raw.name for raw in project.servers.values()}
    for action in found.plan.actions:
        assert action.kind is not Kind.CREATE or f"demo-{action.child}" not in names


def a_child_that_no_server_can_be_of_is_made(project: Project, found: Found) -> None:
    claimed = {child for raw in _ours(project).values() for child in _claimants(project, raw)}
    names = {raw.name for raw in project.servers.values()}
    for child in DECLARED:
        if child not in claimed and f"demo-{child}" not in names:
            assert [action.kind for action in found.plan.actions if action.child == child] == [Kind.CREATE]


def a_strangers_server_of_our_name_is_an_error_that_says_so(project: Project, found: Found) -> None:
    claimed = {child for raw in _ours(project).values() for child in _claimants(project, raw)}
    for child in DECLARED:
        foreign = [raw for raw in project.servers.values() if raw.name == f"demo-{child}" and raw.fleet_id != OURS]
        if foreign and child not in claimed:
            assert "not ours" in _said(found, child)


def a_moved_child_may_still_have_its_older_name(project: Project, found: Found) -> None:
    assert all(name_before(found.fleet, name) == older for name, older in project.moved.items())
    assert name_before(found.fleet, "cyd") == "cyd"  # whom no world moves


def the_order_of_the_listing_does_not_matter(project: Project, found: Found) -> None:
    assert look(project.backwards()) == found


LAWS: Final = (
    a_server_in_doubt_is_never_touched,
    a_clear_server_is_its_childs_whatever_else_is_there,
    of_two_servers_of_one_child_neither_is_touched,
    whoever_may_own_a_server_in_doubt_waits,
    each_server_of_the_fleet_is_a_childs_or_named_in_an_error,
    what_is_in_doubt_says_why,
    what_can_be_no_childs_goes_under_its_own_name,
    no_server_is_counted_twice,
    no_second_server_of_a_name_is_made,
    a_child_that_no_server_can_be_of_is_made,
    a_strangers_server_of_our_name_is_an_error_that_says_so,
    a_moved_child_may_still_have_its_older_name,
    the_order_of_the_listing_does_not_matter,
)


def _ours(project: Project) -> dict[int, Raw]:
    return {number: raw for number, raw in project.servers.items() if raw.fleet_id == OURS}


def _is_clear(raw: Raw) -> bool:
    """It has our keys, and what its name and its label say agrees."""
    return raw.fleet_id == OURS and raw.has_uid and raw.name == f"demo-{raw.child}"


def _doubtful(project: Project) -> dict[int, Raw]:
    return {number: raw for number, raw in _ours(project).items() if not _is_clear(raw)}


def _bearer(project: Project, name: str | None) -> str:
    """Who has this name's server now: each move has an older name and a newer one."""
    newer = {old: new for new, old in project.moved.items()}
    assert name is not None
    return _bearer(project, newer[name]) if name in newer else name


def _claimants(project: Project, raw: Raw) -> set[str]:
    of_name = [raw.name[len("demo-") :]] if raw.name.startswith("demo-") else []
    of_label = [raw.child] if raw.child else []
    return {_bearer(project, name) for name in (*of_name, *of_label)}


def _clear_ones(project: Project) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for number, raw in project.servers.items():
        if _is_clear(raw):
            found.setdefault(_bearer(project, raw.child), []).append(number)
    return found


def _acted(found: Found) -> set[str]:
    return {action.child for action in found.plan.actions}


def _seen(found: Found) -> list[Server]:
    return [child.server for child in found.children.values() if child.server is not None]


def _said(found: Found, child: str) -> str:
    """The errors about this child."""
    return "\n".join(error.summary for error in _errors(found) if error.address == child)


def _errors(found: Found) -> list[Diagnostic]:
    return [diagnostic for diagnostic in found.plan.diagnostics if diagnostic.severity is Severity.ERROR]
