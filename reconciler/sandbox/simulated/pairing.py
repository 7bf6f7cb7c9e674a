"""Pairing on a simulated host: strangers who ask, as its gateway's state has them, and what it answers them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from reconciler.model import Json
from reconciler.sandbox.simulated.calls import Call, Fails
from reconciler.sandbox.simulated.disk import is_program
from reconciler.sandbox.simulated.host import SimulatedHost

HOME: Final = "/var/lib/openclaw"
STATE: Final = f"{HOME}/.openclaw/state/openclaw.sqlite"
LIFE: Final = 3600  # seconds

State = dict[str, Any]


def read_pairings(host: SimulatedHost, call: Call) -> bytes:
    if HOME not in host.directories:
        raise Fails("no gateway has ever run here")
    state = _state(host)
    asking = [
        {
            "user": it["user"],
            "code": it["code"],
            "age": host.now() - it["at"],
            "username": it["username"],
            "firstName": it["name"],
            "lastName": "",
        }
        for it in state["asking"]
    ]
    return json.dumps({"requests": asking, "approved": state["let_in"]}).encode()


def call_by_cli(host: SimulatedHost, call: Call) -> bytes:
    node, method, params = call.arguments
    if host.gateway.active != "active":
        raise Fails("the gateway does not answer on loopback")
    if not is_program(host, f"{node}/bin/node"):
        raise Fails(f"Failed to find executable {node}/bin/node: No such file or directory", 203)
    if method not in METHODS:
        raise _refusal(f"unknown method: {method}")
    if host.gateway.refusal:
        raise _refusal(host.gateway.refusal)
    state = _state(host)
    answer = METHODS[method](host, state, json.loads(params))
    host.gateway.write_state(state)
    return json.dumps(answer).encode()


def _list(host: SimulatedHost, state: State, params: State) -> Json:
    return {
        "requests": [
            {
                "requestId": _number(it),
                "channel": "telegram",
                "accountId": "default",
                "senderId": it["user"],
                "createdAt": datetime.fromtimestamp(it["at"]).astimezone().isoformat(),
            }
            for it in state["asking"]
            if host.now() - it["at"] <= LIFE
        ]
    }


def _approve(host: SimulatedHost, state: State, params: State) -> Json:
    answered: dict[str, str] = _dismiss(host, state, params)
    if answered["senderId"] not in state["let_in"]:
        state["let_in"].append(answered["senderId"])
    if params.get("notify"):
        host.messages.append((int(answered["senderId"]), "OpenClaw access approved."))
    return {**answered, "notification": "sent" if params.get("notify") else "not-requested"}


def _dismiss(host: SimulatedHost, state: State, params: State) -> dict[str, str]:
    if (params["channel"], params["accountId"]) != ("telegram", "default"):
        raise _refusal("channel account does not use DM pairing")
    found = next((it for it in state["asking"] if _number(it) == params["requestId"]), None)
    if found is None:
        raise _refusal("pending DM access request no longer exists")
    state["asking"].remove(found)
    return {"requestId": params["requestId"], "senderId": found["user"]}


def _number(asked: State) -> str:
    return f"request-{asked['user']}-{asked['at']}"


def _state(host: SimulatedHost) -> State:
    state = host.read_json(STATE)
    return {"asking": [], "let_in": [], **(state if isinstance(state, dict) else {})}


def _refusal(message: str) -> Fails:
    answer = {"ok": False, "error": {"type": "gateway_request_error", "code": "INVALID_REQUEST", "message": message}}
    return Fails("", 1, json.dumps(answer).encode())


METHODS: Final[dict[str, Callable[[SimulatedHost, State, State], object]]] = {
    "channels.pairing.list": _list,
    "channels.pairing.approve": _approve,
    "channels.pairing.dismiss": _dismiss,
}
