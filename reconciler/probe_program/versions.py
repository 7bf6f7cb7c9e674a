"""What the host keeps of its versions: checkpoints, a switch on its way, a version that is not to be tried again.

Part of the probe: Python 3.9, standard library and this package only.
"""

from __future__ import annotations

import os
from typing import Any

from reconciler.probe_program.reading import at, content, names_in, parsed, text

MOST = 100  # checkpoints; far more than are ever kept


def versions(notes: str, releases: str) -> dict[str, Any]:
    """`notes` is the directory that holds checkpoints/, switch/ and held.json; `releases` that of all releases."""
    names = names_in(f"{notes}/checkpoints")[-MOST:]
    manifests = (parsed(content(f"{notes}/checkpoints/{name}/manifest.json")) for name in names)
    return {
        "checkpoints": [manifest for manifest in manifests if isinstance(manifest, dict)],
        "switch": switch(f"{notes}/switch"),
        "held": parsed(content(f"{notes}/held.json")),
        "releases": names_in(releases)[-MOST:],
    }


def switch(directory: str) -> Any:
    if not at(directory).is_dir():
        return None
    answer = {name: text(f"{directory}/{name}").strip() for name in ("checkpoint", "origin", "target", "restore")}
    starts = text(f"{directory}/starts").strip()
    return {
        **answer,
        "is_made": os.path.lexists(at(f"{directory}/made")),
        "is_undone": os.path.lexists(at(f"{directory}/undone")),
        "starts": int(starts) if starts.isdecimal() else 0,
    }
