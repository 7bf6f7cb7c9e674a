"""What the host keeps of its versions: checkpoints, a switch on its way, a version that is not to be tried again.

Part of the probe: Python 3.9, standard library and this package only.
"""

from __future__ import annotations

import os
import re
from typing import Any

from reconciler.probe_program.reading import at, content, names_in, parsed, text

MOST = 100  # of each; far more than are ever kept


def versions(notes: str, releases: str) -> dict[str, Any]:
    """`notes` is the directory that holds checkpoints/, asides/, switch/ and held.json; `releases` that of all."""
    names = [name for name in names_in(f"{notes}/checkpoints") if re.fullmatch("[0-9]{8}T[0-9]{6}Z", name)][-MOST:]
    manifests = [(name, parsed(content(f"{notes}/checkpoints/{name}/manifest.json"))) for name in names]
    return {
        "checkpoints": [found for name, found in manifests if isinstance(found, dict) and found.get("id") == name],
        "asides": names_in(f"{notes}/asides")[-MOST:],
        "switch": switch(f"{notes}/switch"),
        "held": parsed(content(f"{notes}/held.json")),
        "releases": names_in(releases)[-MOST:],
    }


def switch(directory: str) -> Any:
    if not at(directory).is_dir():
        return None
    words = {name: text(f"{directory}/{name}").strip() for name in ("checkpoint", "origin", "target", "restore")}
    return {**words, **{f"is_{mark}": os.path.lexists(at(f"{directory}/{mark}")) for mark in ("made", "undone")}}
