"""What the control socket says to simulated machines."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from reconciler.sandbox.ports import MachineSpec
from reconciler.sandbox.simulated.control import read_trouble, routes
from reconciler.sandbox.simulated.machines import SimulatedMachines
from reconciler.sandbox.simulated.trouble import Answer, Fate, Interruption, Moment, Trouble


@pytest.mark.parametrize(
    ("body", "trouble"),
    [
        ({}, Trouble()),
        ({"answer": "vanishes", "slow": 2}, Trouble(Answer.VANISHES, 2.0)),
        ({"interruption": {"commands": 0}}, Trouble(interruption=Interruption(0, Moment.AFTER, Fate.HANGS_UP))),
        (
            {"interruption": {"commands": 3, "moment": "within", "fate": "reboots"}},
            Trouble(interruption=Interruption(3, Moment.WITHIN, Fate.REBOOTS)),
        ),
    ],
)
def test_trouble_is_read(body: Any, trouble: Trouble) -> None:
    assert read_trouble(body) == trouble


@pytest.mark.parametrize("body", [{"answer": "maybe"}, {"slow": "very"}, {"interruption": {"moment": "after"}}])
def test_trouble_that_makes_no_sense_is_refused(body: Any) -> None:
    with pytest.raises((ValueError, KeyError)):
        read_trouble(body)


async def ask(machines: SimulatedMachines) -> tuple[int, Any]:
    transport = httpx.ASGITransport(Starlette(routes=routes(machines)))
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox") as client:
        made = await client.post("/machines/trouble", json={"id": 7, "answer": "refuses"})
        return made.status_code, (await client.get("/machines/objections")).json()


def test_trouble_is_made_and_objections_are_told() -> None:
    with SimulatedMachines(lambda address, port: socket.create_server((address, 0)), boot_seconds=0) as machines:
        machines.create(MachineSpec(7, "m", "127.0.0.1", "debian-12", "", 1024))
        machines.ask(7, lambda host: host.objections.append("what?"))
        assert asyncio.run(ask(machines)) == (200, {"7": ["what?"]})
