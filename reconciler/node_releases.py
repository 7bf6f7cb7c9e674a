"""Which releases of Node.js have mended something insecure, by its own list.

https://nodejs.org/dist/index.json has an entry for each release, with "version" (v24.21.0) and "security": true where
that release mends something of which an advisory tells (its README, "Release metadata"). Never run against the
real list: the sandbox has none.
"""

from __future__ import annotations

import http.client
import json
import time
import urllib.request
from typing import Final

URL: Final = "https://nodejs.org/dist/index.json"
_MOST: Final = 4 << 20  # bytes; it has some hundred kilobytes
_SECONDS: Final = 10.0


def security_releases(url: str = URL) -> tuple[str, ...] | None:
    """Their versions, as 24.21.0; None where nobody tells."""
    try:
        found = json.loads(_read(url))
        return tuple(str(it["version"]).removeprefix("v") for it in found if it.get("security") is True)
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _read(url: str) -> bytes:
    """All of it within its seconds: who sends drop by drop is given up. Raises OSError, HTTPException."""
    ends, content = time.monotonic() + _SECONDS, b""
    with urllib.request.urlopen(url, timeout=_SECONDS) as answer:  # noqa: S310  # the address is ours
        while piece := answer.read1(1 << 16):
            content += piece
            if time.monotonic() > ends or len(content) > _MOST:
                raise TimeoutError
    return content
