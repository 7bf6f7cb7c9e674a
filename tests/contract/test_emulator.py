"""What the emulated API refuses, filters and remembers, as the real one does (texts are captures of the real API)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from reconciler.model import Json
from reconciler.sandbox.emulator.errors import ApiError
from reconciler.sandbox.emulator.faults import checked
from reconciler.sandbox.emulator.labels import parse_selector
from tests.contract.conftest import READ_ONLY_TOKEN, Emulator, StartEmulator
from tests.contract.test_cloud_contract import KEY

ORDER: dict[str, Json] = {"name": "web", "server_type": "cpx22", "image": "debian-12", "location": "fsn1"}


def order(emulator: Emulator, **changes: Json) -> httpx.Response:
    return emulator.client.post("/servers", json={**ORDER, **changes})


def error(answer: httpx.Response) -> tuple[int, str, str]:
    body = answer.json()["error"]
    return answer.status_code, body["code"], body["message"]


# --- the gate ------------------------------------------------------------------------------------------------


def test_the_gate_checks_route_then_token_then_method(emulator: Emulator) -> None:
    nobody, wrong = {"Authorization": ""}, {"Authorization": "Bearer wrong"}
    get, post = emulator.client.get, emulator.client.post
    assert error(get("/spaceships", headers=nobody)) == (404, "not_found", "api route not found")
    assert error(get("/servers", headers=nobody)) == (401, "unauthorized", "token is required")
    assert error(get("/servers", headers=wrong)) == (401, "unauthorized", "the token you have provided is invalid")
    assert error(post("/pricing", headers=wrong))[0] == 401
    assert error(post("/pricing"))[:2] == (405, "method_not_allowed")


def test_a_read_only_token_reads_only(emulator: Emulator) -> None:
    headers = {"Authorization": f"Bearer {READ_ONLY_TOKEN}"}
    assert emulator.client.get("/servers", headers=headers).status_code == 200
    assert error(emulator.client.post("/servers", json=ORDER, headers=headers))[:2] == (401, "token_readonly")
    assert emulator.world.servers == {}


def test_the_budget_is_counted_and_ends(start_emulator: StartEmulator) -> None:
    with start_emulator(requests_per_hour=3) as emulator:
        answers = [emulator.client.get("/locations") for _ in range(4)]
        assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
        assert {answer.headers["RateLimit-Limit"] for answer in answers} == {"3"}
        assert error(answers[3]) == (429, "rate_limit_exceeded", "limit of 3 requests per hour reached")
        polls = emulator.client.get("/actions/1")
        assert (polls.status_code, polls.headers["RateLimit-Limit"]) == (404, "6")


def test_every_answer_has_a_correlation_id_of_its_own(emulator: Emulator) -> None:
    answers = [emulator.client.get("/servers"), emulator.client.get("/spaceships")]
    assert len({answer.headers["X-Correlation-Id"] for answer in answers}) == 2


def test_the_log_counts_creates_and_holds_no_user_data(start_emulator: StartEmulator, tmp_path: Path) -> None:
    with start_emulator(directory=tmp_path) as emulator:
        order(emulator, user_data="#cloud-config\nmy-secret: 1\n")
        order(emulator)
        assert emulator.world.log.count("POST", "/servers", "web") == 1
        assert [entry.status for entry in emulator.world.log.entries] == [201, 409]
    written = (tmp_path / "requests.jsonl").read_text()
    assert [json.loads(line)["method"] for line in written.splitlines()] == ["POST", "POST"]
    assert "my-secret" not in written + (tmp_path / "state.sqlite").read_bytes().decode(errors="replace")
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


# --- lists ---------------------------------------------------------------------------------------------------


def test_pages_add_up_and_are_linked(emulator: Emulator) -> None:
    first, second = (emulator.client.get(f"/server_types?per_page=20&page={page}").json() for page in (1, 2))
    assert [len(page["server_types"]) for page in (first, second)] == [20, 5]
    assert first["meta"]["pagination"] == {
        "page": 1,
        "per_page": 20,
        "previous_page": None,
        "next_page": 2,
        "last_page": 2,
        "total_entries": 25,
    }
    assert second["meta"]["pagination"]["next_page"] is None
    assert 'rel="next"' in emulator.client.get("/server_types?per_page=20").headers["Link"]
    assert emulator.client.get("/images?per_page=500").json()["meta"]["pagination"]["per_page"] == 50


@pytest.mark.parametrize("query", ["page=0", "page=x", "per_page=-1", "sort=price", "label_selector=a=b=c"])
def test_a_wrong_query_is_refused(emulator: Emulator, query: str) -> None:
    assert error(emulator.client.get(f"/ssh_keys?{query}"))[:2] == (422, "invalid_input")


def test_lists_are_sorted_and_filtered(emulator: Emulator) -> None:
    for name, env in (("b", "prod"), ("a", "prod"), ("c", "test")):
        order(emulator, name=name, labels={"env": env})
    emulator.settle()

    def names(query: str) -> list[str]:
        return [row["name"] for row in emulator.client.get(f"/servers?{query}").json()["servers"]]

    assert names("") == ["b", "a", "c"]
    assert names("sort=name:desc") == ["c", "b", "a"]
    assert names("name=a") == ["a"]
    assert names("label_selector=env=prod&sort=name") == ["a", "b"]
    assert names("status=running") == ["b", "a", "c"]
    assert names("status=off") == []


def test_a_deprecated_image_is_listed_on_request_only(emulator: Emulator) -> None:
    assert emulator.client.get("/images?name=debian-11").json()["images"] == []
    with_them = emulator.client.get("/images?name=debian-11&include_deprecated=true&architecture=x86").json()["images"]
    assert [image["deprecation"]["unavailable_after"] for image in with_them] == ["2026-11-30T00:00:00Z"]


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        ("", True),
        ("env=prod", True),
        ("env==prod", True),
        ("env=test", False),
        ("env!=test", True),
        ("env!=prod", False),
        ("gone!=x", True),
        ("env", True),
        ("gone", False),
        ("!gone", True),
        ("!env", False),
        ("env in (prod,test)", True),
        ("env in (a, b)", False),
        ("env notin (a,b)", True),
        ("env notin (prod)", False),
        ("env=prod,!gone, openclaw-deploy/fleet-id in (f1,f2)", True),
        ("env=prod,gone", False),
        ("empty=", True),
    ],
)
def test_a_label_selector_means_what_it_says(selector: str, matches: bool) -> None:
    labels = {"env": "prod", "openclaw-deploy/fleet-id": "f1", "empty": ""}
    assert parse_selector(selector)(labels) is matches


@pytest.mark.parametrize("selector", ["=x", "a=b=c", "a b", "a in prod", "a in (b", ",", "a,,b", "-a", "a/b/c"])
def test_what_is_no_label_selector_is_refused(selector: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse_selector(selector)
    assert refused.value.status == 422


# --- servers -------------------------------------------------------------------------------------------------


def test_references_are_ids_or_names_as_number_or_text(emulator: Emulator) -> None:
    key = emulator.client.post("/ssh_keys", json={"name": "me", "public_key": KEY}).json()["ssh_key"]["id"]
    spellings: list[dict[str, Json]] = [
        {"server_type": 109, "image": 102, "location": 1, "ssh_keys": [key]},
        {"server_type": "109", "image": "102", "location": "1", "ssh_keys": [str(key)]},
        {"server_type": "cpx22", "image": "debian-12", "location": "fsn1", "ssh_keys": ["me"]},
    ]
    for number, spelling in enumerate(spellings):
        server = order(emulator, name=f"web{number}", **spelling).json()["server"]
        shown = server["server_type"]["name"], server["image"]["id"], server["location"]["name"]
        assert shown == ("cpx22", 102, "fsn1")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "under_score"}, "name"),
        ({"name": ""}, "name"),
        ({"server_type": "pdp11"}, "server_type"),
        ({"server_type": None}, "server_type"),
        ({"image": "windows"}, "image"),
        ({"location": "mars"}, "location"),
        ({"ssh_keys": ["nobody"]}, "ssh_keys"),
        ({"user_data": "x" * (32 * 1024 + 1)}, "user_data"),
        ({"labels": {"hetzner.cloud/x": "y"}}, "labels"),
        ({"labels": {"a": "x" * 64}}, "labels"),
        ({"labels": {"a": "b\n"}}, "labels"),
        ({"firewalls": [{"firewall": 1}]}, "firewalls"),
        ({"start_after_create": "yes"}, "start_after_create"),
    ],
)
def test_a_wrong_order_is_refused_with_its_field(emulator: Emulator, changes: dict[str, Json], field: str) -> None:
    answer = order(emulator, **changes)
    assert error(answer)[:2] == (422, "invalid_input")
    assert [named["name"] for named in answer.json()["error"]["details"]["fields"]] == [field]
    assert emulator.world.servers == {}


def test_an_image_without_a_disk_here_is_refused_in_words(emulator: Emulator) -> None:
    assert error(order(emulator, image="ubuntu-24.04")) == (
        422,
        "invalid_input",
        "this sandbox has no disk for image ubuntu-24.04 (x86); it has: debian-12 (x86)",
    )


def test_a_body_that_is_no_json_object_is_refused(emulator: Emulator) -> None:
    for body in (b"{", b"[]"):
        assert error(emulator.client.post("/servers", content=body))[:2] == (400, "json_error")


def test_placement_and_limits_refuse_as_the_real_api(emulator: Emulator) -> None:
    emulator.world.stock["cpx22", "fsn1"] = False
    assert error(order(emulator)) == (412, "resource_unavailable", "error during placement")
    assert error(order(emulator, location="ash")) == (
        422,
        "invalid_input",
        "unsupported location for server type",
    )
    emulator.world.faults.set(checked("limit", "servers", "0"))
    assert error(order(emulator, location="hel1")) == (403, "resource_limit_exceeded", "server limit exceeded")


def test_stock_is_shown_where_it_is_sold(emulator: Emulator) -> None:
    emulator.world.stock["cpx22", "fsn1"] = False
    offers = emulator.client.get("/server_types/109").json()["server_type"]["locations"]
    shown = {offer["name"]: offer["available"] for offer in offers}
    assert shown == {"fsn1": False, "nbg1": True, "hel1": True, "sin": True}


def test_a_server_gets_what_its_machine_needs(emulator: Emulator) -> None:
    server = order(emulator, user_data="#cloud-config\n").json()["server"]
    emulator.settle()
    machine = emulator.machines.machines[server["id"]]
    assert (machine.hostname, machine.image, machine.memory_mb) == ("web", "debian-12", 4096)
    assert machine.address == server["public_net"]["ipv4"]["ip"] == "10.213.0.10"
    assert machine.user_data == "#cloud-config\n"


def test_a_server_is_locked_while_an_action_runs(start_emulator: StartEmulator) -> None:
    with start_emulator(pace=0.2) as emulator:
        server = order(emulator).json()["server"]
        assert server["locked"]
        assert server["status"] == "initializing"
        locked = (423, "locked", "cannot perform operation because server is locked")
        assert error(emulator.client.post(f"/servers/{server['id']}/actions/poweroff")) == locked
        assert error(emulator.client.delete(f"/servers/{server['id']}")) == locked
        emulator.settle()
        assert emulator.client.delete(f"/servers/{server['id']}").status_code == 200


def test_a_firewall_locks_the_servers_that_it_is_spread_to(start_emulator: StartEmulator) -> None:
    targets = [{"type": "label_selector", "label_selector": {"selector": "env=prod"}}]
    with start_emulator(pace=0.2) as emulator:
        emulator.client.post("/firewalls", json={"name": "fw", "apply_to": targets})
        server = order(emulator, labels={"env": "prod"}).json()["server"]
        assert [wall["status"] for wall in server["public_net"]["firewalls"]] == ["pending"]
        emulator.settle()
        after = emulator.client.get(f"/servers/{server['id']}").json()["server"]
        assert [wall["status"] for wall in after["public_net"]["firewalls"]] == ["applied"]
        assert not after["locked"]
        commands = [action["command"] for action in _actions(emulator, server["id"])]
        assert commands == ["create_server", "start_server", "apply_firewall"]


def test_a_machine_that_does_not_boot_fails_the_action_in_its_own_words(emulator: Emulator) -> None:
    emulator.machines.fails = True
    server = order(emulator).json()["server"]
    emulator.settle()
    assert [action["error"] for action in _actions(emulator, server["id"])] == [
        {"code": "action_failed", "message": "no space left for the machine's disk"},
        {"code": "action_failed", "message": "the server was not created"},
    ]


def test_a_machine_switched_off_from_inside_is_shown_as_off(emulator: Emulator) -> None:
    server = order(emulator).json()["server"]
    emulator.settle()
    emulator.machines.running.clear()
    emulator.wait(lambda: _status(emulator, server["id"]) == "off")


def test_a_freed_address_is_not_given_out_again_at_once(emulator: Emulator) -> None:
    first = order(emulator).json()["server"]
    emulator.settle()
    emulator.client.delete(f"/servers/{first['id']}")
    emulator.settle()
    second = order(emulator).json()["server"]
    assert second["public_net"]["ipv4"]["ip"] != first["public_net"]["ipv4"]["ip"]


def test_actions_are_listed_by_id_only(emulator: Emulator) -> None:
    answer = order(emulator).json()
    ids = [answer["action"]["id"], answer["next_actions"][0]["id"]]
    listed = emulator.client.get("/actions", params={"id": ids}).json()["actions"]
    assert [action["id"] for action in listed] == ids
    assert emulator.client.get("/actions").json()["error"]["code"] == "deprecated_api_endpoint"


# --- its memory ----------------------------------------------------------------------------------------------


def test_a_new_process_knows_the_servers_of_the_one_before(start_emulator: StartEmulator, tmp_path: Path) -> None:
    with start_emulator(directory=tmp_path) as before:
        before.client.post("/ssh_keys", json={"name": "me", "public_key": KEY})
        before.client.post("/firewalls", json={"name": "fw", "apply_to": []})
        server = order(before, labels={"env": "prod"}).json()["server"]
        before.settle()
        shown = before.client.get("/servers").json()
    with start_emulator(directory=tmp_path) as after:
        after.machines.running.add(server["id"])
        after.wait(lambda: _status(after, server["id"]) == "running")
        assert after.client.get("/servers").json() == shown
        assert [key["name"] for key in after.client.get("/ssh_keys").json()["ssh_keys"]] == ["me"]
        assert [wall["name"] for wall in after.client.get("/firewalls").json()["firewalls"]] == ["fw"]
        second = order(after, name="second").json()["server"]
        assert second["id"] > server["id"]


def test_what_a_stopped_process_left_half_done_is_settled(start_emulator: StartEmulator, tmp_path: Path) -> None:
    with start_emulator(directory=tmp_path) as before:
        doomed = order(before, name="doomed").json()["server"]
        before.settle()
        before.world.actions.pace = 60
        before.client.delete(f"/servers/{doomed['id']}")
        unborn = order(before, name="unborn").json()["server"]
    with start_emulator(directory=tmp_path) as after:
        assert [server.name for server in after.world.servers.values()] == ["unborn"]
        assert _status(after, unborn["id"]) == "initializing"
        assert {action["status"] for action in _actions(after, unborn["id"])} == {"error"}
        assert after.client.delete(f"/servers/{unborn['id']}").status_code == 200


def _actions(emulator: Emulator, server_id: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = emulator.client.get(f"/servers/{server_id}/actions").json()["actions"]
    return rows


def _status(emulator: Emulator, server_id: int) -> str:
    return str(emulator.client.get(f"/servers/{server_id}").json()["server"]["status"])
