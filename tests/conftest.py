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


@pytest.fixture
def state() -> Iterator[Path]:
    """A place for a state directory where fsync costs nothing: hundreds of applies write there."""
    directory = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
    yield directory / "state"
    shutil.rmtree(directory)
