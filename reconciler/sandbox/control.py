"""The sandbox's control socket: what a test or `fleet sandbox` may do to the stand-ins and the cloud, and ask of them.

JSON over HTTP on a Unix socket of mode 0600. It has no say over machines: that is the cloud API's business.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reconciler.errors import SandboxError
from reconciler.model import Json
from reconciler.sandbox.anthropic import ModelFault, ModelStandIn
from reconciler.sandbox.emulator.faults import FaultKind, Faults, checked
from reconciler.sandbox.telegram import Fault, TelegramStandIn


def build_control(
    telegram: TelegramStandIn,
    model: ModelStandIn,
    faults: Faults,
    cloud_log: Callable[[], Sequence[Mapping[str, Json]]],
    status: Callable[[], Mapping[str, Json]],
    more: Sequence[Route] = (),
) -> Starlette:
    """The control application. `cloud_log` gives the emulator's requests, `status` whatever the daemon knows of itself.

    POST /telegram/message {bot, user, text, first_name?} -> update · GET /telegram/messages?bot=&chat= -> messages ·
    POST /telegram/fault {bot, fault|null} · GET /model/requests · POST /model/fault {fault|null} · GET /cloud/log ·
    GET /cloud/faults · POST /cloud/faults {kind, on, value?, times?} · DELETE /cloud/faults?kind=&on= -> {cleared} ·
    GET /status. A request that makes no sense gets 400 {"error": text}.
    """

    async def write_message(request: Request) -> Response:
        body = await _body(request)
        bot, user, text = str(body["bot"]), int(body["user"]), str(body["text"])
        return JSONResponse(telegram.inject(bot, user, text, str(body.get("first_name", "Test"))))

    async def read_messages(request: Request) -> Response:
        chat = request.query_params.get("chat")
        return JSONResponse(telegram.messages(request.query_params["bot"], None if chat is None else int(chat)))

    async def break_telegram(request: Request) -> Response:
        body = await _body(request)
        telegram.set_fault(str(body["bot"]), None if body["fault"] is None else Fault(body["fault"]))
        return JSONResponse({})

    async def read_model_requests(_: Request) -> Response:
        return JSONResponse([asdict(request) for request in model.requests])

    async def break_model(request: Request) -> Response:
        body = await _body(request)
        model.fault = None if body["fault"] is None else ModelFault(body["fault"])
        return JSONResponse({})

    async def read_cloud_log(_: Request) -> Response:
        return JSONResponse([dict(entry) for entry in cloud_log()])

    async def read_status(_: Request) -> Response:
        return JSONResponse({**status(), "bots": telegram.bots(), "model_requests": len(model.requests)})

    return Starlette(
        routes=[
            Route("/telegram/message", write_message, methods=["POST"]),
            Route("/telegram/messages", read_messages),
            Route("/telegram/fault", break_telegram, methods=["POST"]),
            Route("/model/requests", read_model_requests),
            Route("/model/fault", break_model, methods=["POST"]),
            Route("/cloud/log", read_cloud_log),
            *_fault_routes(faults),
            Route("/status", read_status),
            *more,
        ],
        exception_handlers=dict.fromkeys((ValueError, KeyError, TypeError, SandboxError), _refuse),
    )


def _fault_routes(faults: Faults) -> list[Route]:
    async def read_faults(_: Request) -> Response:
        return JSONResponse([asdict(fault) for fault in faults.all])

    async def set_fault(request: Request) -> Response:
        body = await _body(request)
        fault = checked(str(body["kind"]), str(body["on"]), str(body.get("value", "")), body.get("times"))
        faults.set(fault)
        return JSONResponse(asdict(fault))

    async def clear_faults(request: Request) -> Response:
        kind, on = request.query_params.get("kind"), request.query_params.get("on")
        return JSONResponse({"cleared": faults.clear(FaultKind(kind) if kind else None, on)})

    return [
        Route("/cloud/faults", read_faults, methods=["GET"]),
        Route("/cloud/faults", set_fault, methods=["POST"]),
        Route("/cloud/faults", clear_faults, methods=["DELETE"]),
    ]


async def _body(request: Request) -> dict[str, Any]:
    body = json.loads(await request.body())
    if not isinstance(body, dict):
        raise ValueError("the body is no JSON object")
    return body


async def _refuse(_: Request, error: Exception) -> Response:
    """Also for a missing key, whose name is all that a KeyError says."""
    missing = isinstance(error, KeyError)
    return JSONResponse({"error": f"{error.args[0]} is missing" if missing else str(error)}, status_code=400)
