"""What people see, kept word for word: a transcript is compared with what the command says now.

UPDATE_TRANSCRIPTS=1 in the environment writes the files anew; git then shows what a person will see differently.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

HERE = Path(__file__).parent
WIDTH = 120  # our own lines; what click folds has 80

# What differs from run to run and means nothing to the reader.
_VOLATILE = (
    (re.compile(r"SHA256:[A-Za-z0-9+/]{22}"), "SHA256:<fingerprint>"),
    (re.compile(r"\b\d+\.\d (s|min)\b"), "<time>"),
    (re.compile(r"\b10\.\d+\.\d+\.\d+\b"), "<address>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d\b"), "<date>"),
)


def assert_transcript(name: str, said: str, places: dict[Path, str] | None = None) -> None:
    """`said` is what tests/transcripts/NAME.txt says, with paths of `places` and all that varies masked."""
    for place, word in (places or {}).items():
        said = said.replace(str(place), word)
    for pattern, word in _VOLATILE:
        said = pattern.sub(word, said)
    assert max(map(len, said.splitlines())) <= WIDTH, "a line is too long to read"
    path = HERE / f"{name}.txt"
    if os.environ.get("UPDATE_TRANSCRIPTS"):
        path.write_text(said, encoding="utf-8")
    assert said == path.read_text(encoding="utf-8"), "if that is better: UPDATE_TRANSCRIPTS=1, and look at git diff"
