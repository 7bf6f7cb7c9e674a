"""`fleet --help` is for people in a hurry: it loads none of the heavy libraries."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
HEAVY = {"hcloud", "fabric", "paramiko", "deepdiff", "jsonschema", "structlog", "yaml", "cryptography", "rich", "httpx"}


def loaded_by(*arguments: str) -> set[str]:
    """The top-level modules that a command line has loaded when it ends."""
    program = (
        "import sys; from reconciler.cli.main import run; code = run(sys.argv[1:]); "
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(done.stderr.split())


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    loaded = loaded_by(*arguments)
    assert "click" in loaded
    assert not loaded & HEAVY


def test_validate_loads_nothing_that_talks_to_a_cloud_or_a_host() -> None:
    loaded = loaded_by("validate")
    assert "jsonschema" in loaded
    assert not loaded & {"hcloud", "fabric", "paramiko", "deepdiff", "structlog", "cryptography"}
