"""JSON merge patches as OpenClaw's `config.patch` takes them (RFC 7386, lists named by path). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def apply_patch(value: Any, patch: Any) -> Any:
    """`value` after the patch; neither is changed."""
    if not isinstance(patch, dict):
        return patch
    result = dict(value) if isinstance(value, dict) else {}
    for key, part in patch.items():
        if part is None:
            result.pop(key, None)
        else:
            result[key] = apply_patch(result.get(key), part)
    return result


def list_paths(patch: Any, prefix: str = "") -> Iterator[str]:
    """The dotted path of every list in a patch."""
    if isinstance(patch, list):
        yield prefix
    elif isinstance(patch, dict):
        for key, value in patch.items():
            yield from list_paths(value, f"{prefix}.{key}" if prefix else key)
