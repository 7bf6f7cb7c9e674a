"""The log: one JSON line per event, a constant name plus key-values, into the file that FLEET_LOG names; else nowhere.

It is for whoever looks for a fault. What was done is in the journal, what went wrong is in the error on the terminal.
Never a secret: values are Secret, which prints as ***.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from reconciler.errors import StateError


class Log(Protocol):
    def info(self, event: str, **fields: Any) -> None: ...


@cache
def get_log() -> Log:
    """The log of this process. Raises StateError when FLEET_LOG names a file that cannot be written."""
    path = os.environ.get("FLEET_LOG")
    return _to_file(Path(path)) if path else _Nowhere()


class _Nowhere:
    def info(self, event: str, **fields: Any) -> None:
        """Nobody asked for a log, and structlog is not even imported."""


def _to_file(path: Path) -> Log:
    import structlog

    try:
        file = path.open("a", encoding="utf-8")
    except OSError as error:
        raise StateError(f"cannot write the log {path}: {error.strerror}", "change FLEET_LOG") from error
    path.chmod(0o600)
    log: Log = structlog.wrap_logger(
        structlog.WriteLogger(file),
        processors=[
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(default=str),
        ],
        cache_logger_on_first_use=True,
    )
    return log
