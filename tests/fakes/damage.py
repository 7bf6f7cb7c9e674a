"""Damage that really is one, whatever was there."""

from __future__ import annotations

from pathlib import Path


def flip_last_byte(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 0xFF]))
