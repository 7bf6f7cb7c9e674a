"""What makes no sense is refused in words, as the real API does: no request makes the emulator itself fail."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from reconciler.sandbox.emulator.routes import all_routes
from tests.contract.conftest import Emulator, StartEmulator
from tests.contract.openapi import document

MANY_DIGITS = "9" * 5000
NO_LISTS = {"/actions", "/datacenters", "/pricing"}
LISTS = sorted({route.path for route in all_routes() if "{" not in route.path} - NO_LISTS)
MAKING = ("/servers", "/ssh_keys", "/firewalls", "/networks", "/placement_groups", "/primary_ips")

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
