"""The three standard streams, so that commands can rely on them: none is missing, and each takes any text."""

from __future__ import annotations

import io
import os
import sys
from typing import Final

# Whoever wants output and gives it no place must hear that it is lost, so what stands for it refuses to be written to.
_IN_PLACE_OF: Final = (("stdin", "r", os.O_RDONLY), ("stdout", "w", os.O_RDONLY), ("stderr", "w", os.O_WRONLY))


def make_reliable() -> None:
    """To be called first: a file that is opened later must not get the number of a stream that was closed."""
    for name, mode, flags in _IN_PLACE_OF:
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, flags)
            os.set_inheritable(descriptor, True)
            setattr(sys, name, os.fdopen(descriptor, mode, encoding="utf-8", closefd=False))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as Python does by itself for standard error
