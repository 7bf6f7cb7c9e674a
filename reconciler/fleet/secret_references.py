"""The text of a reference to a secret -> SecretRef. Pure: nothing is resolved here."""

from __future__ import annotations

import posixpath

from reconciler.model import SecretRef, file_and_pointer


def reference(text: str) -> SecretRef:
    """`env:NAME`, `file:PATH`, `cmd:PROGRAM ...` or `hcloud:CONTEXT`, as the schema has checked it.

    Two ways to write one path become one.
    """
    source, _, locator = text.partition(":")
    if source != "file":
        return SecretRef(source, locator)
    path, pointer = file_and_pointer(locator)
    return SecretRef(source, f"{posixpath.normpath(path)}{f'#{pointer}' if pointer else ''}")
