"""Every operation that the emulator serves, done once, and its answer judged by Hetzner's own OpenAPI document.

(The answers of all other contract tests are judged as well: see conftest.)
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reconciler.model import Json
from reconciler.sandbox.emulator.catalogue_routes import catalogue_routes
from reconciler.sandbox.emulator.project_routes import project_routes
from reconciler.sandbox.emulator.server_routes import server_routes
from tests.contract.conftest import Emulator, judge
from tests.contract.openapi import document, problems, template
from tests.contract.test_cloud_contract import KEY

RULE: Json = {"direction": "in", "protocol": "tcp", "port": "22", "source_ips": ["0.0.0.0/0", "::/0"]}
TARGETS: Json = [{"type": "label_selector", "label_selector": {"selector": "env=prod"}}]
ORDER: Json = {
    "name": "web",
    "server_type": 109,
    "image": "debian-12",
    "location": "fsn1",
    "labels": {"env": "prod"},
    "ssh_keys": ["me"],
    "user_data": "#cloud-config\n",
}

# method, path as in the document, body, status. In this order; `{id}` is that of the resource made before.
OPERATIONS: tuple[tuple[str, str, Json, int], ...] = (
    ("POST", "/ssh_keys", {"name": "me", "public_key": KEY, "labels": {"a": "b"}}, 201),
    ("GET", "/ssh_keys", None, 200),
    ("GET", "/ssh_keys/{id}", None, 200),
    ("PUT", "/ssh_keys/{id}", {"labels": {}}, 200),
    ("POST", "/firewalls", {"name": "fw", "rules": [RULE], "apply_to": TARGETS}, 201),
    ("GET", "/firewalls", None, 200),
    ("GET", "/firewalls/{id}", None, 200),
    ("PUT", "/firewalls/{id}", {"name": "wall"}, 200),
    ("POST", "/firewalls/{id}/actions/set_rules", {"rules": []}, 201),
    ("POST", "/servers", ORDER, 201),
    ("GET", "/servers", None, 200),
    ("GET", "/servers/{id}", None, 200),
    ("PUT", "/servers/{id}", {"name": "web2", "labels": {"env": "prod", "x": "y"}}, 200),
    ("POST", "/servers/{id}/actions/poweroff", None, 201),
    ("POST", "/servers/{id}/actions/poweron", None, 201),
    ("POST", "/servers/{id}/actions/reset", None, 201),
    ("POST", "/servers/{id}/actions/reboot", None, 201),
    ("POST", "/servers/{id}/actions/shutdown", None, 201),
    ("GET", "/servers/{id}/actions", None, 200),
    ("GET", "/servers/actions", None, 200),
    ("GET", "/actions", None, 200),
    ("GET", "/actions/{id}", None, 200),
    ("GET", "/primary_ips", None, 200),
    ("GET", "/primary_ips/{id}", None, 200),
    ("GET", "/firewalls", None, 200),
    ("POST", "/firewalls/{id}/actions/remove_from_resources", {"remove_from": TARGETS}, 201),
    ("POST", "/firewalls/{id}/actions/apply_to_resources", {"apply_to": TARGETS}, 201),
    ("POST", "/firewalls/{id}/actions/remove_from_resources", {"remove_from": TARGETS}, 201),
    ("DELETE", "/firewalls/{id}", None, 204),
    ("DELETE", "/servers/{id}", None, 200),
    ("DELETE", "/ssh_keys/{id}", None, 204),
    ("GET", "/images", None, 200),
    ("GET", "/images/{id}", None, 200),
    ("GET", "/server_types", None, 200),
    ("GET", "/server_types/{id}", None, 200),
    ("GET", "/locations", None, 200),
    ("GET", "/locations/{id}", None, 200),
    ("GET", "/pricing", None, 200),
    ("GET", "/networks", None, 200),
    ("GET", "/volumes", None, 200),
    ("GET", "/placement_groups", None, 200),
    ("GET", "/load_balancers", None, 200),
    ("GET", "/floating_ips", None, 200),
    ("GET", "/certificates", None, 200),
    ("GET", "/isos", None, 200),
    ("GET", "/datacenters", None, 410),
    ("GET", "/datacenters/{id}", None, 410),
)


def test_the_table_names_every_operation_served() -> None:
    routes = [*server_routes(), *project_routes(), *catalogue_routes()]
    served = {(method, route.path) for route in routes for method in (route.methods or set()) - {"HEAD"}}
    assert served == {(method, path) for method, path, _, _ in OPERATIONS}


def test_every_operation_answers_as_the_document_says(emulator: Emulator) -> None:
    ids = {"server_types": 109, "images": 102, "locations": 1, "datacenters": 4}
    for method, path, body, status in OPERATIONS:
        emulator.settle()
        answer = emulator.client.request(method, _filled(path, ids), json=body)
        assert answer.status_code == status, f"{method} {path}: {answer.text}"
        _learn_ids(answer.json() if answer.content else {}, ids)
    emulator.settle()
    assert emulator.world.servers == {}
    assert emulator.machines.machines == {}
    done = {(exchange.method, template(exchange.path)) for exchange in emulator.recorder.exchanges if exchange.complete}
    assert done >= {(method, path) for method, path, _, status in OPERATIONS if status < 400}
    judge(emulator.recorder.exchanges)


@pytest.mark.parametrize(
    ("removed", "where"), [("datacenter", "/servers"), ("deprecated", "/server_types"), ("deprecated", "/images")]
)
def test_what_was_removed_in_2026_is_not_shown(emulator: Emulator, removed: str, where: str) -> None:
    emulator.client.post("/ssh_keys", json={"name": "me", "public_key": KEY})
    assert emulator.client.post("/servers", json=ORDER).status_code == 201
    assert removed not in set(_keys(emulator.client.get(where).json()))


def test_the_judge_sees_a_missing_field_a_wrong_status_and_an_unknown_path() -> None:
    assert "/datacenters" not in document()["paths"]
    assert problems("GET", "/servers", 200, b'{"meta": {}}')
    assert problems("GET", "/servers", 206, b"{}")
    assert problems("GET", "/spaceships", 200, b"{}")
    assert problems("DELETE", "/servers/1", 404, b'{"message": "no"}')
    assert not problems("DELETE", "/ssh_keys/1", 204, b"")


def _filled(path: str, ids: dict[str, int]) -> str:
    kind = path.split("/")[1]
    if path == "/actions":
        return f"/actions?id={ids['actions']}"
    return path.replace("{id}", str(ids[kind])) if "{id}" in path else path


def _learn_ids(answer: dict[str, Json], ids: dict[str, int]) -> None:
    """The id of what an answer shows, under its kind's path."""
    for key, shown in answer.items():
        rows = shown if isinstance(shown, list) else [shown]
        for row in rows:
            if isinstance(row, dict) and isinstance(row.get("id"), int) and not key.startswith(("image", "location")):
                kind = key.removeprefix("next_")
                ids[kind if kind.endswith("s") else f"{kind}s"] = int(str(row["id"]))


def _keys(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _keys(child)
