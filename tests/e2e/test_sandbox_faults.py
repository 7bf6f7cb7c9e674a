"""`fleet sandbox fault` on the sandbox that is up: set, seen by the API's users, listed, cleared."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from reconciler.sandbox.client import SandboxClient
from reconciler.sandbox.info import SandboxInfo
from reconciler.sandbox.paths import Paths
from tests.e2e.machinery import Operator

pytestmark = pytest.mark.e2e


def test_a_fault_is_set_felt_listed_and_cleared(sandbox: SandboxClient, operator_home: Path) -> None:
    operator = Operator(operator_home, operator_home)
    info = SandboxInfo.from_file(Paths.default().info)
    headers = {"Authorization": f"Bearer {Path(info.token_file).read_text().strip()}"}

    operator.fleet("sandbox", "fault", "set", "refuse", "GET /pricing", "unavailable")
    operator.fleet("sandbox", "fault", "set", "limit", "servers", "5")
    assert len(operator.fleet("sandbox", "fault", "list").splitlines()) == 2
    assert httpx.get(f"{info.endpoint}/pricing", headers=headers).status_code == 503
    assert [fault.on for fault in sandbox.faults()] == ["servers"]
    assert operator.fleet("sandbox", "fault", "clear") == "1 fault(s) cleared.\n"
    assert operator.fleet("sandbox", "fault", "list") == "No faults are set.\n"
