"""A stand-in for the Anthropic Messages API: every answer is made up when asked, so no test can know it beforehand.

It answers as https://docs.claude.com/en/api/messages says, streamed or whole, and remembers who asked what. It keeps no
API key: any key is taken, none is logged.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from reconciler.model import Json

_LONGEST_HANG = 600.0  # seconds until even a hanging request ends
_CONTEXT = re.compile(r"<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>.*?<<<END_OPENCLAW_INTERNAL_CONTEXT>>>", re.DOTALL)
_MODELS = ("claude-sonnet-4-6", "claude-opus-4-6", "claude-haiku-4-5")


class ModelFault(StrEnum):
    """How the model misbehaves."""

    UNAUTHORIZED = "401"
    TOO_MANY_REQUESTS = "429"
    SERVER_ERROR = "500"
    OVERLOADED = "529"
    HANG = "hang"


_FAULTS: dict[ModelFault, tuple[str, str]] = {
    ModelFault.UNAUTHORIZED: ("authentication_error", "invalid x-api-key"),
    ModelFault.TOO_MANY_REQUESTS: ("rate_limit_error", "This request would exceed the rate limit."),
    ModelFault.SERVER_ERROR: ("api_error", "Internal server error"),
    ModelFault.OVERLOADED: ("overloaded_error", "Overloaded"),
}


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One question that was answered. `time` is epoch seconds, `text` the last user turn's text, whole.

    `earlier` is what was said before it in this conversation, by both.
    """

    time: float
    client: str  # the asking machine's address
    model: str
    text: str
    answer: str
    earlier: str = ""


class ModelStandIn:
    """Serves the API as `app`; `requests` are the answered questions, oldest first."""

    def __init__(self) -> None:
        self.requests: list[ModelRequest] = []
        self.fault: ModelFault | None = None
        self.app = Starlette(
            routes=[
                Route("/v1/messages", self._messages, methods=["POST"]),
                Route("/v1/models", self._models, methods=["GET"]),
            ]
        )

    async def _messages(self, request: Request) -> Response:
        content = await request.body()
        if (refusal := await self._refusal(request)) is not None:
            return refusal
        try:
            body = json.loads(content)
            model, text = str(body["model"]), last_user_text(body["messages"])
            earlier = "\n".join(_plain(message["content"]) for message in body["messages"][:-1])
        except (ValueError, KeyError, TypeError):
            return _error(400, "invalid_request_error", "model and messages are required")
        answer = f"{secrets.token_hex(8)} {fingerprint(text)}"
        client = request.client.host if request.client else ""
        self.requests.append(ModelRequest(time.time(), client, model, text, answer, earlier))
        if body.get("stream"):
            return StreamingResponse(_stream(model, text, answer), media_type="text/event-stream")
        return JSONResponse({**_message(model, text), "content": [{"type": "text", "text": answer}], **_ENDED})

    async def _models(self, request: Request) -> Response:
        if (refusal := await self._refusal(request)) is not None:
            return refusal
        data = [{"type": "model", "id": name, "display_name": name, "created_at": _BORN} for name in _MODELS]
        return JSONResponse({"data": data, "has_more": False, "first_id": _MODELS[0], "last_id": _MODELS[-1]})

    async def _refusal(self, request: Request) -> Response | None:
        """What a fault or a missing key answers; None when the request is fine."""
        deadline = time.monotonic() + _LONGEST_HANG
        while self.fault is ModelFault.HANG and time.monotonic() < deadline and not await request.is_disconnected():
            await asyncio.sleep(0.1)
        if self.fault in _FAULTS:
            return _error(int(self.fault), *_FAULTS[self.fault])
        if not (request.headers.get("x-api-key") or request.headers.get("authorization")):
            return _error(401, "authentication_error", "x-api-key header is required")
        return None


def fingerprint(text: str) -> str:
    """What ties an answer to its question: 12 hex digits of the SHA-256 of the text's last word."""
    words = text.split()
    return hashlib.sha256((words[-1] if words else "").encode()).hexdigest()[:12]


def last_user_text(messages: list[dict[str, Json]]) -> str:
    """The text of the last user turn: of all trailing messages of role "user", as the API joins them into one turn.

    What OpenClaw marks as its own context is left out. Raises TypeError on other shapes than the API's.
    """
    turn = list(takewhile(lambda message: message["role"] == "user", reversed(messages)))
    text = "\n".join(_plain(message["content"]) for message in reversed(turn))
    return _CONTEXT.sub("", text).strip()


def _plain(content: Json) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise TypeError("content is neither a text nor a list of blocks")
    return "\n".join(str(block["text"]) for block in content if isinstance(block, dict) and block.get("type") == "text")


_BORN = "2026-01-01T00:00:00Z"
_ENDED: dict[str, Json] = {"stop_reason": "end_turn", "stop_sequence": None}


def _message(model: str, text: str) -> dict[str, Json]:
    """A Message object before its content is known."""
    return {
        "id": f"msg_{secrets.token_hex(12)}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": len(text.split()), "output_tokens": 2},
    }


async def _stream(model: str, text: str, answer: str) -> AsyncIterator[bytes]:
    """The events of a streamed answer, in the documented order; the text comes in two pieces."""
    middle = len(answer) // 2
    yield _event("message_start", message=_message(model, text))
    yield _event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    yield _event("ping")
    for piece in (answer[:middle], answer[middle:]):
        yield _event("content_block_delta", index=0, delta={"type": "text_delta", "text": piece})
    yield _event("content_block_stop", index=0)
    yield _event("message_delta", delta=_ENDED, usage={"output_tokens": 2})
    yield _event("message_stop")


def _event(kind: str, **fields: Json) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def _error(status: int, kind: str, text: str) -> Response:
    body = {"type": "error", "error": {"type": kind, "message": text}, "request_id": f"req_{secrets.token_hex(12)}"}
    return JSONResponse(body, status_code=status)
