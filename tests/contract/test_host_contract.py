"""The Host contract on simulated machines over real SSH; tests/e2e/test_host_contract.py asks it of a real one."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from itertools import count

import pytest

from reconciler import keys
from reconciler.errors import HostError
from reconciler.managed import files
from reconciler.model import Command, Completed, Endpoints, HostAddress, NodeDistribution
from reconciler.ports import Host
from reconciler.sandbox.ports import MachineSpec
from reconciler.sandbox.simulated.machines import SimulatedMachines
from reconciler.ssh import FabricDialer
from tests.contract.host_cases import CASES
from tests.contract.host_cases.case import Case, check
from tests.contract.host_cases.ssh import FIRST_HOST_KEY, HOST_KEY, LOGIN_KEY

PORT = 2283
KNOCK_SECONDS = 1
NUMBERS = count(1)


class SimulatedTime:
    """Real time, and what was waited on top of it."""

    waited = 0.0

    def __call__(self) -> float:
        return time.time() + self.waited


class SimulatedHosted:
    """Implements case.Hosted."""

    endpoints = Endpoints({"x86_64": NodeDistribution(files.NODE_VERSION, "https://nodejs.org/node", "0" * 64)})
    bot_token = b"4242:contract"

    def __init__(self, machines: SimulatedMachines, clock: SimulatedTime, spec: MachineSpec) -> None:
        self._machines, self._clock, self._id = machines, clock, spec.id
        host_keys = tuple(keys.public_key(key) for key in (FIRST_HOST_KEY, HOST_KEY))
        self._address = HostAddress(spec.address, PORT, files.LOGIN_USER, (LOGIN_KEY,), host_keys)
        self._host: Host | None = None

    def run(self, command: Command) -> Completed:
        self._host = self._host or self._connected()
        return self._host.run(command)

    def reboot(self) -> None:
        self.close()
        self._machines.reboot(self._id)

    def wait(self, seconds: float) -> None:
        self.close()
        self._clock.waited += seconds

    def knock(self) -> None:
        FabricDialer().connect(self._address, KNOCK_SECONDS).close()

    def close(self) -> None:
        if self._host is not None:
            self._host.close()
            self._host = None

    def _connected(self) -> Host:
        for _ in range(100):
            try:
                return FabricDialer().connect(self._address, 5)
            except HostError as error:
                if not error.temporary:
                    raise
                time.sleep(0.02)
        raise AssertionError("it does not come up")


def listen(address: str, port: int) -> socket.socket:
    return socket.create_server((address, port))


@pytest.fixture(scope="module")
def clock() -> SimulatedTime:
    return SimulatedTime()


@pytest.fixture(scope="module")
def machines(clock: SimulatedTime) -> Iterator[SimulatedMachines]:
    with SimulatedMachines(listen, port=PORT, boot_seconds=0, now=clock) as machines:
        yield machines


@pytest.fixture
def host(machines: SimulatedMachines, clock: SimulatedTime) -> Iterator[SimulatedHosted]:
    number = next(NUMBERS)
    login, first = keys.public_key(LOGIN_KEY), keys.public_key(FIRST_HOST_KEY)
    user_data = files.user_data(login, FIRST_HOST_KEY, first).reveal()
    spec = MachineSpec(number, f"contract-{number}", f"127.83.0.{number}", "debian-12", user_data, 1024)
    machines.create(spec)
    host = SimulatedHosted(machines, clock, spec)
    yield host
    host.close()
    objections = machines.objections()
    machines.destroy(number)
    assert objections == {}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_simulated_machine_does_as_the_case_says(case: Case, host: SimulatedHosted) -> None:
    check(case, host)
