"""Runs `fleet` as its console script does, and notes each error of our tree that is made: `witness FILE ARGUMENT...`.

It only looks on, as a profiler: many errors are values by the time they are printed, and their class is no longer seen.
"""

from __future__ import annotations

import json
import sys
import threading
from types import FrameType

from reconciler.cli.main import main
from reconciler.errors import FleetError

MADE = FleetError.__init__.__code__


def watch(frame: FrameType, event: str, _: object) -> None:
    if event == "call" and frame.f_code is MADE:
        error, summary = frame.f_locals["self"], frame.f_locals["summary"]
        with open(NOTES, "a", encoding="utf-8") as notes:  # noqa: PTH123  # pathlib would be watched as well
            notes.write(json.dumps([type(error).__name__, summary]) + "\n")


if __name__ == "__main__":
    NOTES = sys.argv.pop(1)
    threading.setprofile(watch)
    sys.setprofile(watch)
    main()
