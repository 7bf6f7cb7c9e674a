"""The model stand-in answers as the Messages API does, and each answer can be matched to its question."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from reconciler.sandbox.anthropic import ModelFault, ModelStandIn, fingerprint

pytestmark = pytest.mark.anyio
MACHINE = "10.91.0.11"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def model() -> ModelStandIn:
    return ModelStandIn()


@pytest.fixture
def http(model: ModelStandIn) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(model.app, client=(MACHINE, 40000))
    return httpx.AsyncClient(transport=transport, base_url="http://model", headers={"x-api-key": "sk-made-up"})


def question(*messages: str | tuple[str, Any], stream: bool = False) -> dict[str, Any]:
    turns = [("user", message) if isinstance(message, str) else message for message in messages]
    content = [{"role": role, "content": content} for role, content in turns]
    return {"model": "claude-sonnet-4-6", "max_tokens": 100, "messages": content, "stream": stream}


def events(body: str) -> list[dict[str, Any]]:
    return [json.loads(line.removeprefix("data: ")) for line in body.splitlines() if line.startswith("data: ")]


async def test_a_streamed_answer_arrives_in_the_documented_order(model: ModelStandIn, http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/messages", json=question("hello", stream=True))
    assert answer.headers["content-type"].startswith("text/event-stream")
    kinds = [event["type"] for event in events(answer.text)]
    assert kinds == [
        "message_start",
        "content_block_start",
        "ping",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    text = "".join(event["delta"]["text"] for event in events(answer.text) if event["type"] == "content_block_delta")
    assert text == model.requests[0].answer


async def test_a_whole_answer_is_one_message(model: ModelStandIn, http: httpx.AsyncClient) -> None:
    message = (await http.post("/v1/messages", json=question("hello"))).json()
    assert message["content"] == [{"type": "text", "text": model.requests[0].answer}]
    assert message["stop_reason"] == "end_turn"


async def test_an_answer_is_new_each_time_and_carries_its_questions_fingerprint(
    model: ModelStandIn, http: httpx.AsyncClient
) -> None:
    for _ in range(2):
        await http.post("/v1/messages", json=question("some context, then zebra"))
    first, second = model.requests
    assert first.answer != second.answer
    assert first.answer.endswith(fingerprint("zebra"))


async def test_it_remembers_who_asked_what(model: ModelStandIn, http: httpx.AsyncClient) -> None:
    await http.post(
        "/v1/messages", json=question("one", ("assistant", "no"), ("user", [{"type": "text", "text": "two"}]))
    )
    (asked,) = model.requests
    assert (asked.client, asked.model, asked.text) == (MACHINE, "claude-sonnet-4-6", "two")


async def test_user_messages_in_a_row_are_one_turn_without_the_gateways_own_context(
    model: ModelStandIn, http: httpx.AsyncClient
) -> None:
    context = "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>\nnone\n<<<END_OPENCLAW_INTERNAL_CONTEXT>>>"
    await http.post("/v1/messages", json=question("old", ("assistant", "no"), "first", "second", context))
    assert model.requests[0].text == "first\nsecond"


async def test_without_a_key_it_refuses_and_remembers_nothing(model: ModelStandIn, http: httpx.AsyncClient) -> None:
    del http.headers["x-api-key"]
    answer = await http.post("/v1/messages", json=question("hello"))
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "authentication_error")
    assert model.requests == []


@pytest.mark.parametrize("fault", [fault for fault in ModelFault if fault is not ModelFault.HANG])
async def test_a_fault_answers_with_its_status_until_healed(
    model: ModelStandIn, http: httpx.AsyncClient, fault: ModelFault
) -> None:
    model.fault = fault
    for answer in (await http.post("/v1/messages", json=question("hello")), await http.get("/v1/models")):
        assert (str(answer.status_code), answer.json()["type"]) == (fault, "error")
    model.fault = None
    assert (await http.get("/v1/models")).json()["data"][0]["id"] == "claude-sonnet-4-6"


async def test_a_hanging_question_is_answered_when_healed(model: ModelStandIn, http: httpx.AsyncClient) -> None:
    model.fault = ModelFault.HANG
    asked = asyncio.create_task(http.post("/v1/messages", json=question("hello")))
    await asyncio.sleep(0.3)
    assert not asked.done()
    model.fault = None
    assert (await asked).status_code == 200


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"model": "m"}', b'{"model": "m", "messages": [{"role": "user"}]}'])
async def test_what_is_no_question_is_an_invalid_request(http: httpx.AsyncClient, body: bytes) -> None:
    answer = await http.post("/v1/messages", content=body)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
