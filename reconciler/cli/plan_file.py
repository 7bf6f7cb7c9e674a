"""Where `fleet plan --out` keeps a plan, and `fleet apply --plan` finds it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from reconciler.errors import Refused, StateError, UsageProblem

MAX_BYTES: Final = 64 * 1024 * 1024  # an action takes some 250 and its paths, and a fleet has at most 20,000 children
_MAKE_ONE: Final = "make one: fleet plan --out FILE"


def refuse_to_overwrite(path: Path) -> None:
    """Whatever is there already, unless it is a plan file. Raises Refused, UsageProblem, StateError."""
    try:
        if path.is_dir():
            raise UsageProblem(f"--out takes a file, and {path} is a directory", "name a file: --out plan.json")
        if os.path.lexists(path) and not _is_plan_file(path):
            raise Refused(
                f"{path} is there already and is no plan file, so it is not overwritten",
                "name another file: --out FILE",
            )
    except OSError as error:
        raise StateError(f"cannot write {path}: {error.strerror}", "name another place, or mend that one") from error


def write_plan_file(path: Path, data: bytes) -> None:
    from reconciler.cli.private import write_private

    write_private(path, data)


def read_plan_file(path: Path) -> bytes:
    """Of a file or a pipe. Raises UsageProblem."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageProblem(f"cannot read the plan file {path}: {error.strerror}", _MAKE_ONE) from error
    if len(data) > MAX_BYTES:
        raise UsageProblem(f"{path} is too big for a plan file", _MAKE_ONE)
    return data


def _is_plan_file(path: Path) -> bool:
    """Devices and pipes are not even opened: they may wait for somebody."""
    from reconciler.planfile import looks_like_one

    return path.is_file() and path.stat().st_size <= MAX_BYTES and looks_like_one(path.read_bytes())
