"""Fixtures for every kind of test."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")


@pytest.fixture
def state() -> Iterator[Path]:
    """A place for a state directory where fsync costs nothing: hundreds of applies write there."""
    directory = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
    yield directory / "state"
    shutil.rmtree(directory)
