"""A machine learns about itself, and about no other, from the metadata service."""

from __future__ import annotations

import httpx
import pytest
import yaml

from reconciler.sandbox.metadata import build_metadata
from reconciler.sandbox.ports import MachineSpec

pytestmark = pytest.mark.anyio
ALICE = MachineSpec(7, "fleet-alice", "10.91.0.11", "debian-12", "#cloud-config\nalice", 2048)
BOB = MachineSpec(8, "fleet-bob", "10.91.0.12", "debian-12", "#cloud-config\nbob", 2048)
MACHINES = {machine.address: machine for machine in (ALICE, BOB)}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def ask(address: str, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(build_metadata(MACHINES.get), client=(address, 40000))
    async with httpx.AsyncClient(transport=transport, base_url="http://169.254.169.254/hetzner/v1") as http:
        return await http.get(path)


@pytest.mark.parametrize("machine", [ALICE, BOB])
async def test_each_machine_sees_its_own_identity(machine: MachineSpec) -> None:
    document = yaml.safe_load((await ask(machine.address, "/metadata")).text)
    assert (document["instance-id"], document["hostname"]) == (machine.id, machine.hostname)
    assert (await ask(machine.address, "/metadata/instance-id")).text == str(machine.id)
    assert (await ask(machine.address, "/metadata/public-ipv4")).text == machine.address
    assert (await ask(machine.address, "/userdata")).text == machine.user_data


@pytest.mark.parametrize("path", ["/metadata", "/metadata/hostname", "/userdata"])
async def test_an_address_without_a_machine_learns_nothing(path: str) -> None:
    assert (await ask("10.91.0.99", path)).status_code == 404


async def test_an_unknown_key_is_not_found() -> None:
    assert (await ask(ALICE.address, "/metadata/vendor_data")).status_code == 404
