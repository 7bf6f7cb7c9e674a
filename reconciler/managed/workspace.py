"""The files of a child's workspace: seeds are sown once and then the agent's, managed ones stay ours. Pure."""

from __future__ import annotations

import hashlib
from typing import Final

from reconciler.managed import files
from reconciler.model import ChildSpec, FileMode, Json

SEEDED: Final = "seeded"  # all that is told of a seed: it is there, or was sown before


def workspace_look(spec: ChildSpec | None) -> Json:
    """The probe adds the files that the last apply put there; where nobody knows the spec also those it has sown."""
    wanted: dict[str, Json] = {path: file.mode.value for path, file in spec.files.items()} if spec else {}
    return {"kind": "workspace", "path": files.WORKSPACE, "files": wanted, "as_noted": spec is None}


def wanted_workspace(spec: ChildSpec) -> dict[str, Json]:
    return {
        path: SEEDED if file.mode is FileMode.SEED else hashlib.sha256(file.content.encode()).hexdigest()
        for path, file in spec.files.items()
    }


def files_of_mode(spec: ChildSpec, mode: FileMode) -> tuple[str, ...]:
    """Their paths in the workspace, as applied.json notes them."""
    return tuple(sorted(path for path, file in spec.files.items() if file.mode is mode))
