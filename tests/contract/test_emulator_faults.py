"""Each fault does what it says, as often as it says, and nothing else. CASES has one for each kind."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from reconciler.model import Json
from reconciler.sandbox.emulator.errors import REFUSALS
from reconciler.sandbox.emulator.faults import RULES, FaultKind, checked
from tests.contract.conftest import Emulator, StartEmulator

ORDER: dict[str, Json] = {"name": "web", "server_type": "cpx22", "image": "debian-12", "location": "fsn1"}


def order(emulator: Emulator, name: str = "web") -> httpx.Response:
    return emulator.client.post("/servers", json={**ORDER, "name": name})


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("error", {}).get("code", "")


def settled(emulator: Emulator) -> dict[str, str]:
    """How each action of one order ended: its error's code, or its status."""
    ended = {action["command"]: action for action in order_actions(emulator)}
    emulator.settle()
    return {name: _end(emulator, action["id"]) for name, action in ended.items()}


def order_actions(emulator: Emulator) -> list[dict[str, Any]]:
    answer = order(emulator).json()
    return [answer["action"], *answer["next_actions"]]


@pytest.mark.parametrize("named", REFUSALS)
def test_a_refused_request_gets_the_codes_status_and_does_nothing(emulator: Emulator, named: str) -> None:
    emulator.world.faults.set(checked("refuse", "POST /servers", named))
    assert code(order(emulator)) == (REFUSALS[named][0], named)
    assert emulator.world.servers == {}
    assert order(emulator).status_code == 201, "it strikes once"


@pytest.mark.parametrize("status", ["502", "503", "504"])
def test_a_bare_status_is_no_json(emulator: Emulator, status: str) -> None:
    emulator.world.faults.set(checked("refuse", "GET /servers", status, 2))
    answers = [emulator.client.get("/servers") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [int(status), int(status), 200]
    assert answers[0].text.startswith("<html>")


@pytest.mark.parametrize(("kind", "made"), [("drop", 1), ("drop-before", 0)])
def test_a_cut_connection_is_cut_after_or_before_the_deed(emulator: Emulator, kind: str, made: int) -> None:
    emulator.world.faults.set(checked(kind, "POST /servers"))
    with pytest.raises(httpx.TransportError):
        order(emulator)
    assert len(emulator.world.servers) == made == emulator.world.log.count("POST", "/servers")
    assert code(order(emulator))[0] == (409 if made else 201)


def test_a_failed_action_does_nothing(emulator: Emulator) -> None:
    emulator.world.faults.set(checked("fail", "create_server", "no_luck"))
    assert settled(emulator) == {"create_server": "no_luck", "start_server": "action_failed"}
    assert emulator.machines.machines == {}
    assert len(emulator.world.servers) == 1, "it stays, broken"


def test_a_server_that_vanishes_was_seen_and_is_gone(start_emulator: StartEmulator) -> None:
    with start_emulator(pace=0.2) as emulator:
        emulator.world.faults.set(checked("vanish", "create_server"))
        server = order(emulator).json()["server"]
        assert emulator.client.get(f"/servers/{server['id']}").json()["server"]["status"] == "initializing"
        emulator.settle()
        assert emulator.client.get(f"/servers/{server['id']}").status_code == 404
        assert {action.status for action in emulator.world.actions.by_id.values()} == {"error"}
        assert emulator.client.get("/primary_ips").json()["primary_ips"] == []
        emulator.world.actions.pace = 0
        assert order(emulator).status_code == 201, "the name is free again"


def test_a_slow_action_is_slow_and_others_are_not(emulator: Emulator) -> None:
    emulator.world.faults.set(checked("slow", "start_server", "0.5"))
    create, start = order_actions(emulator)
    emulator.wait(lambda: _end(emulator, create["id"]) == "success")
    assert _end(emulator, start["id"]) == "running"


def test_a_locked_server_refuses_and_looks_it(emulator: Emulator) -> None:
    server = order(emulator).json()["server"]
    emulator.settle()
    emulator.world.faults.set(checked("lock", "web"))
    assert emulator.client.get(f"/servers/{server['id']}").json()["server"]["locked"]
    assert code(emulator.client.delete(f"/servers/{server['id']}")) == (423, "locked")
    emulator.world.faults.clear(FaultKind.LOCK)
    assert emulator.client.delete(f"/servers/{server['id']}").status_code == 200


def test_a_firewall_locks_a_server_after_its_creation_has_succeeded(emulator: Emulator) -> None:
    targets = [{"type": "label_selector", "label_selector": {"selector": "env=prod"}}]
    emulator.client.post("/firewalls", json={"name": "fw", "apply_to": targets})
    emulator.world.faults.set(checked("slow", "apply_firewall", "0.5"))
    answer = emulator.client.post("/servers", json={**ORDER, "labels": {"env": "prod"}}).json()
    emulator.wait(lambda: _end(emulator, answer["next_actions"][-1]["id"]) == "success")
    assert code(emulator.client.post(f"/servers/{answer['server']['id']}/actions/reboot")) == (423, "locked")


@pytest.mark.parametrize(
    ("value", "shown", "refusal"),
    [
        ("sold-out", False, (412, "resource_unavailable")),
        ("unsupported", False, (422, "invalid_input")),
        ("hidden", True, (412, "resource_unavailable")),
    ],
)
@pytest.mark.parametrize("on", ["cpx22@fsn1", "*@fsn1", "cpx22@*"])
def test_what_is_out_of_stock_is_refused(
    emulator: Emulator, on: str, value: str, shown: bool, refusal: tuple[int, str]
) -> None:
    emulator.world.faults.set(checked("stock", on, value))
    assert code(order(emulator)) == refusal
    offers = emulator.client.get("/server_types/109").json()["server_type"]["locations"]
    assert next(offer["available"] for offer in offers if offer["name"] == "fsn1") is shown
    emulator.world.faults.clear()
    assert order(emulator).status_code == 201


def test_a_limit_counts_what_is_there(emulator: Emulator) -> None:
    emulator.world.faults.set(checked("limit", "servers", "2"))
    answers = [order(emulator, name) for name in ("a", "b", "c")]
    assert [code(answer) for answer in answers] == [(201, ""), (201, ""), (403, "resource_limit_exceeded")]


def test_a_budget_is_counted_in_the_headers(emulator: Emulator) -> None:
    assert emulator.client.get("/locations").headers["RateLimit-Limit"] == "3600", "the real one by default"
    assert emulator.client.get("/actions/1").headers["RateLimit-Limit"] == "7200"
    emulator.world.faults.set(checked("budget", "requests", "2"))
    answers = [emulator.client.get("/locations") for _ in range(3)]
    assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["1", "0", "0"]
    assert code(answers[2]) == (429, "rate_limit_exceeded")
    assert code(emulator.client.get("/actions/1"))[0] == 404, "the actions' bucket is another"


def test_the_budget_of_actions_is_that_of_their_polls_alone(emulator: Emulator) -> None:
    emulator.world.faults.set(checked("budget", "actions", "2"))
    answers = [emulator.client.get(path) for path in ("/actions?id=1", "/actions/1", "/actions/1")]
    assert [answer.headers["RateLimit-Limit"] for answer in answers] == ["2", "2", "2"]
    assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["1", "0", "0"]
    assert [code(answer) for answer in answers] == [(200, ""), (404, "not_found"), (429, "rate_limit_exceeded")]
    assert emulator.client.get("/locations").status_code == 200, "the requests' bucket is another"


def test_a_faster_cloud_refills_faster(emulator: Emulator) -> None:
    emulator.world.faults.set(checked("speed", "budget", "2"))
    emulator.world.requests.drain()
    assert code(emulator.client.get("/locations"))[0] == 429
    emulator.wait(lambda: emulator.client.get("/locations").status_code == 200)


def test_a_faster_clouds_actions_take_a_part_of_their_real_time(emulator: Emulator) -> None:
    emulator.world.faults.set(checked("speed", "actions", "50"))  # create 15 s, start 8 s
    began = time.monotonic()
    order(emulator)
    emulator.settle()
    assert 0.4 < time.monotonic() - began < 4


CASES: dict[FaultKind, Callable[..., None]] = {
    FaultKind.REFUSE: test_a_refused_request_gets_the_codes_status_and_does_nothing,
    FaultKind.DROP: test_a_cut_connection_is_cut_after_or_before_the_deed,
    FaultKind.DROP_BEFORE: test_a_cut_connection_is_cut_after_or_before_the_deed,
    FaultKind.FAIL: test_a_failed_action_does_nothing,
    FaultKind.VANISH: test_a_server_that_vanishes_was_seen_and_is_gone,
    FaultKind.SLOW: test_a_slow_action_is_slow_and_others_are_not,
    FaultKind.LOCK: test_a_locked_server_refuses_and_looks_it,
    FaultKind.STOCK: test_what_is_out_of_stock_is_refused,
    FaultKind.LIMIT: test_a_limit_counts_what_is_there,
    FaultKind.BUDGET: test_a_budget_is_counted_in_the_headers,
    FaultKind.SPEED: test_a_faster_clouds_actions_take_a_part_of_their_real_time,
}


def test_every_kind_of_fault_has_a_case() -> None:
    assert set(CASES) == set(RULES) == set(FaultKind)


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        (("explode", "x"), "there is no fault 'explode'"),
        (("refuse", "servers", "locked"), 'ON must be "METHOD /path"'),
        (("refuse", "POST /servers", "teapot"), "VALUE must be one of unauthorized"),
        (("drop", "POST /servers", "now"), "VALUE must be left out"),
        (("slow", "create_serverz", "1"), "ON must be one of add_route"),
        (("slow", "create_server", "long"), "VALUE must be a number"),
        (("stock", "cx99@fsn1", "sold-out"), "ON must be TYPE@LOCATION"),
        (("limit", "servers", "-1"), "VALUE must be a whole number"),
        (("budget", "requests", "0"), "VALUE must be a whole number from 1 on"),
        (("speed", "actions", "0.0"), "VALUE must be a number above 0"),
        (("drop", "POST /servers", "", 0), "times must be 1 or more"),
    ],
)
def test_a_senseless_fault_is_refused_with_what_would_be_right(typed: tuple[Any, ...], problem: str) -> None:
    with pytest.raises(ValueError, match=problem.replace("(", r"\(")):
        checked(*typed)


def _end(emulator: Emulator, action_id: int) -> str:
    action = emulator.client.get(f"/actions/{action_id}").json()["action"]
    return str((action["error"] or {"code": action["status"]})["code"])
