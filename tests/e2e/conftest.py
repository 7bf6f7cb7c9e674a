"""One sandbox for all end-to-end tests of a session: the one that is up, else one from the first to the last."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.sandbox import lifecycle
from reconciler.sandbox.client import SandboxClient
from reconciler.sandbox.paths import Paths
from tests.e2e.machinery import Operator
from tests.extent import leave_out

# Matrices and long waits: `scripts/test --full` runs them, `scripts/test` says how many it leaves out.
ONLY_IN_FULL = {
    "test_drill.py",
    "test_following.py",
    "test_full_workflow.py",
    "test_host_contract.py",
    "test_installed_monitor.py",
    "test_interrupted_steps.py",
    "test_life_of_a_child.py",
    "test_memory.py",
    "test_monitored_faults.py",
    "test_remaining_commands.py",
    "test_bots_and_messages.py::test_who_hangs_is_brought_back_by_a_watch_where_the_file_lets_it",
    "test_killed_apply.py::test_ten_kills_and_one_server",
    "test_managed.py::test_an_operator_who_is_cut_off_gets_in_again",
    "test_managed.py::test_what_differs_alone_is_seen_and_mended",
    "test_no_secret_leaks.py",
    "test_resuscitate.py::test_channels_that_are_held_back_are_started",
    "test_resuscitate.py::test_a_gateway_that_the_kernel_ends_for_want_of_memory_is_called_that",
    "test_sandbox_rebuild.py",
    "test_versions.py",
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What compares the machine before and after a sandbox comes first, while none is up."""
    leave_out(config, items, Path(__file__).parent, ONLY_IN_FULL)
    items.sort(key=lambda item: "leaves_no_trace" not in item.path.name)


@pytest.fixture(scope="session")
def operator_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def sandbox(operator_home: Path) -> Iterator[SandboxClient]:
    assert os.geteuid() == 0, "the end-to-end tests boot real machines and need root"
    operator, is_ours = Operator(operator_home, operator_home), not lifecycle.status(Paths.default()).daemon
    operator.fleet("sandbox", "up", timeout=900)
    try:
        with SandboxClient(Paths.default().control) as client:
            yield client
    finally:
        if is_ours:
            operator.fleet("sandbox", "down", timeout=300)
