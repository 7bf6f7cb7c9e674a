"""Fixtures for every kind of test."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

MEMORY = Path("/dev/shm")
# In the background of a shell it is ignored, and so it would be by every command that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Under CI fewer places of secrets are allowed: tests say themselves where they run, also when they do run under CI.
os.environ.pop("CI", None)
# Real machines run beside these tests, so seconds say nothing of them.
settings.register_profile("beside others", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("beside others")


class SaysAtOnce:
    """What has failed, as soon as it has: a run that takes an hour may be broken off before its end."""

    def __init__(self, config: pytest.Config) -> None:
        self._writer = config.get_terminal_writer()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._writer.line(f"\nFAILED {report.nodeid} ({report.when})")


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.pluginmanager.register(SaysAtOnce(session.config))


@pytest.fixture
def state() -> Iterator[Path]:
    """A place for a state directory where fsync costs nothing: hundreds of applies write there."""
    directory = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
    yield directory / "state"
    shutil.rmtree(directory)
