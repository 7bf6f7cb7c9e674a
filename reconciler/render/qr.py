"""A link as a QR code of block characters, for a camera in front of a terminal."""

from __future__ import annotations

import io
from collections.abc import Iterator

import segno


def qr_lines(link: str) -> Iterator[str]:
    out = io.StringIO()
    segno.make_qr(link).terminal(out=out, compact=True, border=2)
    yield from out.getvalue().splitlines()
