"""Every operation of the table: asked by clients we did not write, judged by Hetzner's document, and refused rightly.

(The answers of all contract tests are judged by the document: see conftest.)
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest
from hcloud import Client

from reconciler.model import Json
from reconciler.sandbox.emulator.faults import checked
from reconciler.sandbox.emulator.routes import all_routes
from tests.contract.conftest import READ_ONLY_TOKEN, TOKEN, Emulator, StartEmulator, judge
from tests.contract.openapi import document, problems, template
from tests.contract.operations import OPERATIONS, Operation
from tests.contract.scene import Scene, furnish
from tests.fakes.machines import FakeMachines

SERVED = [operation for operation in OPERATIONS if operation.is_served]
WITH_ID = [operation for operation in SERVED if operation.on]
WITH_BODY = [operation for operation in SERVED if isinstance(operation.body, dict)]


StartScene: TypeAlias = Callable[[], AbstractContextManager[Emulator]]


@pytest.fixture(scope="session")
def scene(start_emulator: StartEmulator, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    directory, machines = tmp_path_factory.mktemp("scene"), FakeMachines()
    with start_emulator(pace=0, directory=directory, machines=machines) as emulator:
        return Scene(directory, furnish(emulator), machines)


@pytest.fixture
def start_scene(scene: Scene, start_emulator: StartEmulator, tmp_path: Path) -> StartScene:
    @contextmanager
    def start() -> Iterator[Emulator]:
        shutil.copy(scene.directory / "state.sqlite", tmp_path)
        with start_emulator(pace=0, directory=tmp_path, machines=deepcopy(scene.machines)) as emulator:
            yield emulator

    return start


@pytest.fixture
def staged(start_scene: StartScene) -> Iterator[Emulator]:
    with start_scene() as emulator:
        yield emulator


def each(operations: list[Operation]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("operation", operations, ids=lambda operation: operation.name)


def test_the_table_names_every_operation_served() -> None:
    served = [(method, route.path) for route in all_routes() for method in (route.methods or set()) - {"HEAD"}]
    assert sorted(served) == sorted((operation.method, operation.path) for operation in OPERATIONS)


def test_every_operation_that_a_client_has_is_asked_by_it() -> None:
    unasked = [operation.name for operation in OPERATIONS if not operation.python]
    assert [name for name in unasked if not name.startswith("GET")] == [
        f"POST /servers/{{id}}/actions/{verb}"
        for verb in ("enable_rescue", "disable_rescue", "reset_password", "request_console", "attach_iso", "detach_iso")
    ]
    assert sum(bool(operation.cli) for operation in OPERATIONS) >= 70


@each([operation for operation in OPERATIONS if operation.python])
def test_hcloud_python_sends_the_tables_request_and_takes_the_answer(
    operation: Operation, scene: Scene, staged: Emulator
) -> None:
    assert operation.python
    operation.python(Client(TOKEN, staged.url, timeout=5), scene.ids)
    (entry,) = staged.world.log.entries
    assert (entry.method, entry.path, entry.status) == (operation.method, _path(operation, scene), operation.status)
    wanted = _filled(operation.body, scene)
    assert dict(entry.body) == ({} if not isinstance(wanted, dict) else _without_user_data(wanted))
    staged.settle()
    assert {action.status for action in staged.world.actions.by_id.values()} == {"success"}
    judge(staged.recorder.exchanges)


@each([operation for operation in OPERATIONS if operation.cli])
def test_the_debian_client_asks_for_it(operation: Operation, scene: Scene, staged: Emulator, tmp_path: Path) -> None:
    ours = {"HCLOUD_TOKEN": TOKEN, "HCLOUD_ENDPOINT": staged.url, "HOME": str(tmp_path), "NO_PROXY": "127.0.0.1"}
    words = [str(scene.ids[word[1:]]) if word.startswith("$") else word for word in shlex.split(operation.cli)]
    command = ["hcloud", "--poll-interval", "10ms", *words]
    done = subprocess.run(command, env={**os.environ, **ours}, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, f"{command}: {done.stderr} (the program is in Debian's package hcloud-cli)"
    asked = {(entry.method, template(entry.path), entry.status) for entry in staged.world.log.entries}
    assert (operation.method, template(_path(operation, scene)), operation.status) in asked


@each([operation for operation in OPERATIONS if not operation.is_served])
def test_what_is_not_served_is_refused_in_words(operation: Operation, scene: Scene, staged: Emulator) -> None:
    answer = _ask(staged, operation, scene)
    assert answer.status_code == operation.status
    assert answer.json()["error"]["message"]


# --- how they refuse -----------------------------------------------------------------------------------------


@each(WITH_ID)
def test_an_unknown_id_is_not_found(operation: Operation, scene: Scene, staged: Emulator) -> None:
    answer = staged.client.request(
        operation.method, operation.path.replace("{id}", "999999"), json=_filled(operation.body, scene)
    )
    assert _error(answer) == (404, "not_found")


@each(WITH_BODY)
def test_a_wrong_type_is_refused_with_its_field(operation: Operation, scene: Scene, staged: Emulator) -> None:
    for field, schema in _schema(operation)["properties"].items():
        wrong: Json = 7 if schema.get("type") == "object" else {"wrong": "type"}
        _check_blamed(_ask(staged, operation, scene, **{field: wrong}), field)
    assert staged.world.log.count(operation.method, _path(operation, scene)) == 0


@each([operation for operation in WITH_BODY if operation.method == "POST"])
def test_a_missing_field_is_named(operation: Operation, scene: Scene, staged: Emulator) -> None:
    for field in _schema(operation).get("required", []):
        _check_blamed(_ask(staged, operation, scene, **{field: None}), field)


@each(WITH_BODY)
def test_a_body_that_is_no_json_object_is_refused(operation: Operation, scene: Scene, staged: Emulator) -> None:
    for body in (b"{", b"[]"):
        answer = staged.client.request(operation.method, _path(operation, scene), content=body)
        assert _error(answer) == (400, "json_error")


@each([operation for operation in SERVED if operation.needs_unlocked_server])
def test_a_locked_server_refuses(operation: Operation, scene: Scene, staged: Emulator) -> None:
    staged.world.faults.set(checked("slow", "enable_backup", "60"))
    for name in ("web", "idle"):
        assert staged.client.post(f"/servers/{scene.ids[name]}/actions/enable_backup").status_code == 201
    assert _error(_ask(staged, operation, scene)) == (423, "locked")


@each([operation for operation in SERVED if operation.guarded])
def test_protection_refuses(operation: Operation, scene: Scene, staged: Emulator) -> None:
    path = f"/{operation.path.split('/')[1]}/{scene.ids[operation.on]}"
    both = {"delete": True} | ({"rebuild": True} if operation.path.startswith("/servers") else {})
    staged.client.post(f"{path}/actions/change_protection", json=both)
    staged.settle()
    assert _error(_ask(staged, operation, scene)) == (423, "protected")
    assert staged.client.get(path).status_code == 200


@each([operation for operation in SERVED if operation.taken])
def test_a_taken_name_is_refused(operation: Operation, scene: Scene, staged: Emulator) -> None:
    answer = _ask(staged, operation, scene, name=operation.taken)
    assert _error(answer) == (409, "uniqueness_error")
    assert answer.json()["error"]["details"]["fields"][0]["name"] == "name"


@each([operation for operation in SERVED if operation.limit])
def test_a_used_up_quota_is_named(operation: Operation, scene: Scene, staged: Emulator) -> None:
    staged.world.faults.set(checked("limit", operation.limit, "0"))
    answer = _ask(staged, operation, scene)
    assert _error(answer) == (403, "resource_limit_exceeded")
    assert answer.json()["error"]["details"] == {"limits": [{"name": operation.limit}]}


def test_an_empty_bucket_refuses_everything(scene: Scene, staged: Emulator) -> None:
    for operation in OPERATIONS:
        staged.world.requests.drain()  # again: a request comes back in a second, and the machine may be slow
        staged.world.action_requests.drain()
        assert _error(_ask(staged, operation, scene)) == (429, "rate_limit_exceeded"), operation.name


def test_a_read_only_token_only_reads(scene: Scene, staged: Emulator) -> None:
    staged.client.headers["Authorization"] = f"Bearer {READ_ONLY_TOKEN}"
    for operation in OPERATIONS:
        answer = _ask(staged, operation, scene)
        assert (answer.status_code == 401) is (operation.method != "GET"), operation.name


# --- its memory, and what is gone ----------------------------------------------------------------------------


def test_everything_is_as_before_after_a_restart(
    scene: Scene, start_scene: StartScene, start_emulator: StartEmulator, tmp_path: Path
) -> None:
    """What a live emulator shows after changes of every kind, the next process shows from its state file."""
    kept = ("/change_protection", "/enable_backup", "/change_dns_ptr")

    def shown(emulator: Emulator) -> dict[str, Any]:
        reading = [operation for operation in SERVED if operation.method == "GET" and not operation.on]
        return {operation.path: _ask(emulator, operation, scene).json() for operation in reading}

    with start_scene() as live:
        for operation in OPERATIONS:
            if operation.method == "PUT" or operation.path.endswith(kept):
                live.settle()
                assert _ask(live, operation, scene).is_success, operation.name
        live.settle()
        before = shown(live)
    with start_emulator(pace=0, directory=tmp_path, machines=deepcopy(scene.machines)) as again:
        assert shown(again) == before
        assert {len(before[f"/{kind}"][kind]) for kind in ("ssh_keys", "networks", "placement_groups")} == {1}
        assert len(before["/servers"]["servers"]) == len(before["/firewalls"]["firewalls"]) == 2
        later = again.client.post("/placement_groups", json={"name": "another", "type": "spread"}).json()
        assert later["placement_group"]["id"] > max(scene.ids[name] for name in ("snap", "ip6"))


@pytest.mark.parametrize("removed", ["datacenter", "deprecated"])
def test_what_was_removed_in_2026_is_not_shown(removed: str, staged: Emulator) -> None:
    for where in ("/servers", "/server_types", "/images", "/primary_ips"):
        assert removed not in set(_keys(staged.client.get(where).json()))


def test_the_judge_sees_a_missing_field_a_wrong_status_and_an_unknown_path() -> None:
    assert "/datacenters" not in document()["paths"]
    assert problems("GET", "/servers", 200, b'{"meta": {}}')
    assert problems("GET", "/servers", 206, b"{}")
    assert problems("GET", "/spaceships", 200, b"{}")
    assert problems("DELETE", "/servers/1", 404, b'{"message": "no"}')
    assert not problems("DELETE", "/ssh_keys/1", 204, b"")


def _ask(emulator: Emulator, operation: Operation, scene: Scene, **changes: Json) -> httpx.Response:
    """The table's request; a change to None takes the field away."""
    body = _filled(operation.body, scene)
    if isinstance(body, dict):
        body = {key: value for key, value in (body | changes).items() if key not in changes or value is not None}
    query = {"id": str(scene.ids["action"])} if operation.path == "/actions" else None
    return emulator.client.request(operation.method, _path(operation, scene), json=body, params=query)


def _path(operation: Operation, scene: Scene) -> str:
    return operation.path.replace("{id}", str(scene.ids[operation.on])) if operation.on else operation.path


def _filled(value: Json, scene: Scene) -> Json:
    """With the scene's ids in place of `$name`."""
    if isinstance(value, dict):
        return {key: _filled(child, scene) for key, child in value.items()}
    if isinstance(value, list):
        return [_filled(child, scene) for child in value]
    return scene.ids[value[1:]] if isinstance(value, str) and value.startswith("$") else value


def _without_user_data(body: dict[str, Json]) -> dict[str, Json]:
    return {key: value for key, value in body.items() if key != "user_data"}


def _schema(operation: Operation) -> dict[str, Any]:
    described = document()["paths"][operation.path][operation.method.lower()]
    schema: dict[str, Any] = described["requestBody"]["content"]["application/json"]["schema"]
    return schema


def _check_blamed(answer: httpx.Response, field: str) -> None:
    assert _error(answer) == (422, "invalid_input"), f"{field}: {answer.text}"
    assert [named["name"] for named in answer.json()["error"]["details"]["fields"]] == [field]


def _error(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"] if answer.content else ""


def _keys(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _keys(child)
