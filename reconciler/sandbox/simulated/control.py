"""What the sandbox's control socket offers when its machines are simulated."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reconciler.sandbox.simulated.machines import SimulatedMachines
from reconciler.sandbox.simulated.trouble import Answer, Fate, Interruption, Moment, Trouble


def routes(machines: SimulatedMachines) -> list[Route]:
    """POST /machines/trouble {id, answer?, slow?, interruption?: {commands, moment?, fate?}}: none of them ends it ·
    GET /machines/objections -> {id: [text]}."""

    async def make_trouble(request: Request) -> Response:
        body = json.loads(await request.body())
        await asyncio.to_thread(machines.make_trouble, int(body["id"]), read_trouble(body))
        return JSONResponse({})

    async def read_objections(_: Request) -> Response:
        found = await asyncio.to_thread(machines.objections)
        return JSONResponse({str(number): texts for number, texts in found.items()})

    return [
        Route("/machines/trouble", make_trouble, methods=["POST"]),
        Route("/machines/objections", read_objections),
    ]


def read_trouble(body: Any) -> Trouble:
    """Raises ValueError, KeyError or TypeError for what makes no sense."""
    planned = body.get("interruption")
    interruption = planned and Interruption(
        int(planned["commands"]), Moment(planned.get("moment", "after")), Fate(planned.get("fate", "hangs up"))
    )
    return Trouble(Answer(body.get("answer", "accepts")), float(body.get("slow", 0)), interruption or None)
