"""What makes no sense is refused in words, as the real API does: no request makes the emulator itself fail."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from reconciler.model import Json
from reconciler.sandbox.emulator.routes import all_routes
from tests.contract.conftest import Emulator, StartEmulator
from tests.contract.openapi import document
from tests.contract.scene import RULE, WHERE

MANY_DIGITS = "9" * 5000
NO_LISTS = {"/actions", "/datacenters", "/pricing"}
LISTS = sorted({route.path for route in all_routes() if "{" not in route.path} - NO_LISTS)
MAKING = ("/servers", "/ssh_keys", "/firewalls", "/networks", "/placement_groups", "/primary_ips")

ODD: tuple[Json, ...] = (None, True, 0, -1, 1.5, "", " ", "a", "x" * 300, [], [None], [1], [[]], [{}], {}, {"a": 1})
NO_RULES: dict[str, dict[str, Json]] = {
    "101 networks": {"source_ips": [f"10.0.0.{number}/32" for number in range(101)]},
    "no network": {"source_ips": []},
    "a network with host bits": {"source_ips": ["10.0.0.1/8"]},
    "an address without its length": {"source_ips": ["10.0.0.1"]},
    "a network by its mask": {"source_ips": ["10.0.0.0/255.0.0.0"]},
    "a number for a network": {"source_ips": [1]},
    "a network that is none, on the other side": {"destination_ips": ["everywhere"]},
    "no port": {"port": None},
    "port 0": {"port": "0"},
    "port 70000": {"port": "70000"},
    "a range from high to low": {"port": "30-20"},
    "a range beyond the last port": {"port": "30-65536"},
    "two ports": {"port": "22,80"},
    "a port of icmp": {"protocol": "icmp"},
    "a long description": {"description": "x" * 256},
}
FIREWALLS_OF_A_SERVER = 5

NO_JSON = {
    "too deep a list": b"[" * 5000,
    "too deep an object": b'{"name":' * 5000,
    "no UTF-8": b'{"name": "\xff"}',
    "half a character": rb'{"name": "\ud800", "type": "spread", "ip_range": "10.0.0.0/8"}',
    "no number of JSON": b'{"name": "x", "type": "spread", "ip_range": NaN}',
    "more digits than a number has": b'{"name": 1%s}' % MANY_DIGITS.encode(),
}


def refused(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


@pytest.mark.parametrize("path", LISTS)
def test_a_list_goes_by_a_label_selector_where_hetzners_document_says_so(emulator: Emulator, path: str) -> None:
    """Elsewhere it is one of the parameters that mean nothing: an action has no labels."""
    has_labels = "label_selector" in {known["name"] for known in document()["paths"][path]["get"]["parameters"]}
    total = emulator.client.get(path).json()["meta"]["pagination"]["total_entries"]
    chosen = emulator.client.get(path, params={"label_selector": "nobody==has"})
    assert chosen.json()["meta"]["pagination"]["total_entries"] == (0 if has_labels else total)
    assert emulator.client.get(path, params={"label_selector": "a=b=c"}).status_code == (422 if has_labels else 200)


@pytest.mark.parametrize("path", ["/servers/actions", "/servers/{id}/actions", "/firewalls/actions"])
def test_actions_are_listed_whatever_labels_are_asked_for(emulator: Emulator, path: str) -> None:
    body = {"name": "web", "server_type": "cpx22", "image": "debian-12", "location": "fsn1"}
    server = emulator.client.post("/servers", json=body).json()["server"]["id"]
    wall = emulator.client.post("/firewalls", json={"name": "wall"}).json()["firewall"]["id"]
    emulator.client.post(f"/firewalls/{wall}/actions/set_rules", json={"rules": []})
    answer = emulator.client.get(path.replace("{id}", str(server)), params={"label_selector": "a=="})
    assert answer.json()["actions"]


@pytest.mark.parametrize("body", NO_JSON.values(), ids=NO_JSON)
@pytest.mark.parametrize("path", MAKING)
def test_a_body_that_cannot_be_read_makes_nothing(emulator: Emulator, path: str, body: bytes) -> None:
    assert refused(emulator.client.post(path, content=body)) == (400, "json_error")
    assert emulator.client.get(path).json()["meta"]["pagination"]["total_entries"] == 0


def test_a_deep_body_that_can_be_read_is_refused_and_logged(start_emulator: StartEmulator, tmp_path: Path) -> None:
    with start_emulator(directory=tmp_path) as emulator:
        body = b'{"name": %s1%s}' % (b"[" * 500, b"]" * 500)
        assert refused(emulator.client.post("/ssh_keys", content=body)) == (422, "invalid_input")
    assert b"[" * 500 in (tmp_path / "requests.jsonl").read_bytes()


@pytest.mark.parametrize("path", ["/servers/{}", "/actions/{}", "/servers/{}/actions"])
def test_a_number_that_no_id_has_is_not_found(emulator: Emulator, path: str) -> None:
    assert refused(emulator.client.get(path.format(MANY_DIGITS))) == (404, "not_found")


@pytest.mark.parametrize("query", ["/servers?page=", "/servers?per_page=", "/servers/actions?id=", "/actions?id="])
def test_a_number_that_is_too_long_for_a_query_is_refused(emulator: Emulator, query: str) -> None:
    assert refused(emulator.client.get(query + MANY_DIGITS)) == (422, "invalid_input")


@pytest.mark.parametrize("image", [MANY_DIGITS, "²"])
def test_an_order_for_an_image_that_no_id_or_name_can_be_is_refused(emulator: Emulator, image: str) -> None:
    body = {"name": "web", "server_type": "cpx22", "image": image, "location": "fsn1", "ssh_keys": [image]}
    assert refused(emulator.client.post("/servers", json=body))[0] in {404, 422}
    assert emulator.world.servers == {}


@pytest.mark.parametrize("change", NO_RULES.values(), ids=NO_RULES)
def test_a_rule_that_hetzners_document_does_not_allow_is_refused(emulator: Emulator, change: dict[str, Json]) -> None:
    wall = wall_of(emulator, "wall")
    wrong: Json = [{**RULE, **change}]
    assert refused(emulator.client.post("/firewalls", json={"name": "x", "rules": wrong})) == (422, "invalid_input")
    answer = emulator.client.post(f"/firewalls/{wall}/actions/set_rules", json={"rules": wrong})
    assert refused(answer) == (422, "invalid_input")
    assert [row.rules for row in emulator.world.firewalls.by_id.values()] == [()]


@pytest.mark.parametrize("field", ["direction", "protocol", "port", "source_ips", "destination_ips", "description"])
def test_whatever_stands_in_a_rule_is_answered(emulator: Emulator, field: str) -> None:
    wall = wall_of(emulator, "wall")
    for odd in ODD:
        answer = emulator.client.post(f"/firewalls/{wall}/actions/set_rules", json={"rules": [{**RULE, field: odd}]})
        assert answer.status_code in (201, 422), odd


def test_the_rules_that_the_document_allows_are_shown_in_their_canonical_form(emulator: Emulator) -> None:
    rules: list[Json] = [
        {**RULE, "port": "1024-65535", "source_ips": ["2001:0DB8:0::/32", "192.0.2.1/32"], "description": "x" * 255},
        {"direction": "out", "protocol": "icmp", "destination_ips": ["::/0"]},
    ]
    shown = emulator.client.post("/firewalls", json={"name": "wall", "rules": rules}).json()["firewall"]["rules"]
    assert [rule["source_ips"] for rule in shown] == [["2001:db8::/32", "192.0.2.1/32"], []]
    assert [(rule["port"], rule["destination_ips"]) for rule in shown] == [("1024-65535", []), (None, ["::/0"])]


def test_a_server_has_five_firewalls_at_most(emulator: Emulator) -> None:
    walls = [wall_of(emulator, f"wall{number}") for number in range(FIREWALLS_OF_A_SERVER + 1)]
    *five, last = walls
    order: dict[str, Json] = {**WHERE, "name": "web", "labels": {"env": "prod"}}
    too_many = {**order, "firewalls": [{"firewall": wall} for wall in walls]}
    assert refused(emulator.client.post("/servers", json=too_many)) == (403, "resource_limit_exceeded")
    assert emulator.world.servers == {}
    allowed = {**order, "firewalls": [{"firewall": wall} for wall in (*five, five[0])]}
    web = emulator.client.post("/servers", json=allowed).json()["server"]["id"]
    emulator.settle()
    for place in (
        {"type": "server", "server": {"id": web}},
        {"type": "label_selector", "label_selector": {"selector": "env=prod"}},
    ):
        answer = emulator.client.post(f"/firewalls/{last}/actions/apply_to_resources", json={"apply_to": [place]})
        assert refused(answer) == (403, "resource_limit_exceeded")
        answer = emulator.client.post("/firewalls", json={"name": "new", "apply_to": [place]})
        assert refused(answer) == (403, "resource_limit_exceeded")
    assert len(emulator.world.firewalls.of(emulator.world.servers[web])) == FIREWALLS_OF_A_SERVER
    assert len(emulator.world.firewalls.by_id) == len(walls)


def test_a_firewall_that_selects_a_new_server_counts_among_its_five(emulator: Emulator) -> None:
    selected: Json = [{"type": "label_selector", "label_selector": {"selector": "env=prod"}}]
    emulator.client.post("/firewalls", json={"name": "selecting", "apply_to": selected})
    named: Json = [{"firewall": wall_of(emulator, f"wall{number}")} for number in range(FIREWALLS_OF_A_SERVER)]
    order: dict[str, Json] = {**WHERE, "name": "web", "firewalls": named}
    answer = emulator.client.post("/servers", json={**order, "labels": {"env": "prod"}})
    assert refused(answer) == (403, "resource_limit_exceeded")
    assert emulator.client.post("/servers", json=order).status_code == 201


def wall_of(emulator: Emulator, name: str) -> int:
    number: int = emulator.client.post("/firewalls", json={"name": name}).json()["firewall"]["id"]
    return number
