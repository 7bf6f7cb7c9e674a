"""The control socket's client and application agree, and refuse what makes no sense."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from reconciler.errors import SandboxError
from reconciler.model import Json
from reconciler.sandbox.anthropic import ModelFault, ModelRequest, ModelStandIn
from reconciler.sandbox.client import SandboxClient
from reconciler.sandbox.control import build_control
from reconciler.sandbox.emulator.faults import Faults
from reconciler.sandbox.telegram import Fault, TelegramStandIn

TOKEN = "4711:AAmade-up_token"


@pytest.fixture
def telegram() -> TelegramStandIn:
    return TelegramStandIn()


@pytest.fixture
def model() -> ModelStandIn:
    return ModelStandIn()


@pytest.fixture
def client(tmp_path: Path, telegram: TelegramStandIn, model: ModelStandIn) -> Iterator[SandboxClient]:
    """A client of the real application over a real socket, served by a thread."""
    log: list[dict[str, Json]] = [{"method": "POST", "path": "/servers", "status": 201}]
    app = build_control(telegram, model, Faults(), lambda: log, lambda: {"endpoint": "http://here"})
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "control.sock"))
    listener.listen()
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
    thread.start()
    with SandboxClient(tmp_path / "control.sock") as connected:
        yield connected
    server.should_exit = True
    thread.join(10)
    listener.close()


def test_a_message_put_in_can_be_read_back(client: SandboxClient) -> None:
    update = client.say(TOKEN, 4242, "hello", "Alice")
    client.say("99:other", 4242, "elsewhere")
    assert client.messages(TOKEN) == client.messages(4711, 4242) == [update["message"]]
    assert client.messages(TOKEN, 5353) == []
    assert client.replies(TOKEN, 4242) == []


def test_faults_are_set_and_healed(client: SandboxClient, model: ModelStandIn) -> None:
    client.break_telegram(TOKEN, Fault.UNAUTHORIZED)
    client.break_model(ModelFault.OVERLOADED)
    assert [bot["fault"] for bot in client.status()["bots"]] == ["401"]  # type: ignore[union-attr,index,call-overload]
    assert model.fault is ModelFault.OVERLOADED
    client.break_telegram(TOKEN, None)
    client.break_model(None)
    assert [bot["fault"] for bot in client.status()["bots"]] == [None]  # type: ignore[union-attr,index,call-overload]
    assert model.fault is None


def test_what_the_model_was_asked_is_told(client: SandboxClient, model: ModelStandIn) -> None:
    asked = ModelRequest(1.5, "10.91.0.11", "claude", "question", "answer")
    model.requests.append(asked)
    assert client.model_requests() == [asked]


def test_the_cloud_log_and_the_status_are_told(client: SandboxClient) -> None:
    assert client.cloud_log() == [{"method": "POST", "path": "/servers", "status": 201}]
    assert client.status()["endpoint"] == "http://here"


def test_faults_of_the_cloud_are_set_listed_and_cleared(client: SandboxClient) -> None:
    client.set_fault("drop", "POST /servers")
    client.set_fault("limit", "servers", "5")
    client.set_fault("limit", "servers", "3")
    assert [(fault.kind, fault.value, fault.times) for fault in client.faults()] == [
        ("drop", "", 1),
        ("limit", "3", None),
    ]
    assert client.clear_faults("limit") == 1
    assert client.clear_faults() == 1
    assert client.faults() == []
    with pytest.raises(SandboxError, match="must be one of servers, primary_ips"):
        client.set_fault("limit", "serverz", "3")


def test_a_senseless_request_is_refused_with_the_cause(client: SandboxClient) -> None:
    with pytest.raises(SandboxError, match="digits before the colon"):
        client.say("nobody", 1, "hello")


def test_a_missing_value_is_named(client: SandboxClient, tmp_path: Path) -> None:
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(tmp_path / "control.sock"))) as http:
        answer = http.post("http://sandbox/telegram/message", json={"bot": TOKEN, "user": 1})
    assert (answer.status_code, answer.json()) == (400, {"error": "text is missing"})


def test_without_a_sandbox_the_client_says_how_to_start_one(tmp_path: Path) -> None:
    with SandboxClient(tmp_path / "none.sock") as client, pytest.raises(SandboxError) as caught:
        client.status()
    assert "fleet sandbox up" in caught.value.advice
