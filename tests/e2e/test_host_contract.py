"""The Host contract on real machines of the sandbox: the cases of tests/contract/host_cases.

Machines are made without the emulator: one on which nothing is done, and one for each lane of cases. All lanes go at
the same time, so the seconds of a case say how long it was waited for.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from reconciler import keys
from reconciler.commands import wait_for_cloud_init
from reconciler.errors import HostError
from reconciler.managed import files
from reconciler.model import Command, Completed, Endpoints, HostAddress
from reconciler.ports import Host
from reconciler.sandbox import lifecycle
from reconciler.sandbox.info import SandboxInfo
from reconciler.sandbox.machine import NspawnMachines
from reconciler.sandbox.mirror import debian_sources
from reconciler.sandbox.paths import Paths
from reconciler.sandbox.ports import MachineSpec
from reconciler.ssh import FabricDialer
from tests.contract.host_cases import CASES, LANES
from tests.contract.host_cases.case import Case, check
from tests.contract.host_cases.ssh import FIRST_HOST_KEY, HOST_KEY, LOGIN_KEY

pytestmark = pytest.mark.e2e

FIRST_NUMBER = 900_021  # others have their machines at the same time
TEST = "test_a_real_machine_does_as_the_case_says"
BOOT_SECONDS = 90
KNOCK_SECONDS = 5
MEMORY_MB = 4096  # a gateway runs


class RealHosted:
    """Implements case.Hosted on an nspawn machine."""

    def __init__(self, machines: NspawnMachines, spec: MachineSpec, info: SandboxInfo) -> None:
        self.endpoints = Endpoints(
            {"x86_64": info.node}, info.telegram_api_root, info.model_base_url, npm_registry=info.npm_registry
        )
        self.bot_token = f"{spec.id}:contract".encode()
        self._machines, self._id = machines, spec.id
        host_keys = tuple(keys.public_key(key) for key in (FIRST_HOST_KEY, HOST_KEY))
        self._address = HostAddress(spec.address, 22, files.LOGIN_USER, (LOGIN_KEY,), host_keys)
        self._host: Host | None = None

    def run(self, command: Command) -> Completed:
        self._host = self._host or self._connected()
        return self._host.run(command)

    def reboot(self) -> None:
        before = self._boot_id()
        self._machines.reboot(self._id)
        deadline = time.monotonic() + BOOT_SECONDS
        while self._boot_id() in ("", before):
            assert time.monotonic() < deadline, "it does not boot again"
            time.sleep(0.2)

    def wait(self, seconds: float) -> None:
        self.close()
        time.sleep(seconds)

    def knock(self) -> None:
        FabricDialer().connect(self._address, KNOCK_SECONDS).close()

    def close(self) -> None:
        if self._host is not None:
            self._host.close()
            self._host = None

    def _boot_id(self) -> str:
        """Asked over a new connection; "" while nobody answers."""
        self.close()
        try:
            asked = Command("boot id", "cat /proc/sys/kernel/random/boot_id", timeout=10)
            return self.run(asked).stdout.decode().strip()
        except HostError:
            self.close()
            return ""

    def _connected(self) -> Host:
        deadline = time.monotonic() + BOOT_SECONDS
        while True:
            try:
                return FabricDialer().connect(self._address, 5)
            except HostError:  # cloud-init has not made the account yet, or sshd is just being reloaded
                assert time.monotonic() < deadline, "nobody gets in"
                time.sleep(0.3)


@pytest.fixture(scope="module")
def ended(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[None]]]:
    """How each case that was asked for has ended, by its name."""
    asked = {item.name for item in request.session.items}
    fresh = tuple(case for case in CASES if case.is_fresh)
    lanes = [[case for case in lane if f"{TEST}[{case}]" in asked] for lane in (fresh, *map(without_fresh, LANES))]
    found: dict[str, Future[None]] = {case.name: Future() for lane in lanes for case in lane}
    paths = Paths.default()
    info, started = lifecycle.up(paths, lambda what, seconds: None)
    try:
        with ThreadPoolExecutor() as pool:
            for number, lane in enumerate(lanes):
                if lane:
                    pool.submit(go_through, lane, found, paths, info, FIRST_NUMBER + number)
            yield found
    finally:
        if started:
            lifecycle.down(paths)


def without_fresh(lane: Sequence[Case]) -> tuple[Case, ...]:
    return tuple(case for case in lane if not case.is_fresh)


def go_through(
    lane: Sequence[Case], ended: Mapping[str, Future[None]], paths: Paths, info: SandboxInfo, number: int
) -> None:
    """All cases of a lane on a machine of their own."""
    machines = NspawnMachines(paths, info.network, apt_sources(info))
    try:
        spec = spec_of(number, str(info.network[number % 100 + 200]))
        machines.create(spec)
        host = RealHosted(machines, spec, info)
        try:
            host.run(wait_for_cloud_init(BOOT_SECONDS))
            for case in lane:
                try:
                    check(case, host)
                    ended[case.name].set_result(None)
                except Exception as error:  # the others go on
                    ended[case.name].set_exception(error)
        finally:
            host.close()
            machines.destroy(number)
    except Exception as error:
        for case in lane:
            if not ended[case.name].done():
                ended[case.name].set_exception(error)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_real_machine_does_as_the_case_says(case: Case, ended: dict[str, Future[None]]) -> None:
    ended[case.name].result()


def spec_of(number: int, address: str) -> MachineSpec:
    login, first = keys.public_key(LOGIN_KEY), keys.public_key(FIRST_HOST_KEY)
    user_data = files.user_data(login, FIRST_HOST_KEY, first).reveal()
    return MachineSpec(number, f"contract-{number}", address, "debian-12", user_data, MEMORY_MB)


def apt_sources(info: SandboxInfo) -> tuple[str, ...]:
    parts = urlsplit(info.npm_registry)  # the mirror serves both
    return tuple(entry.format(base=f"{parts.scheme}://{parts.netloc}") for entry in debian_sources())
