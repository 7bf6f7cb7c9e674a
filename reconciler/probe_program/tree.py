"""Whether an installed tree of files is as it was when it was installed. Part of the probe, and of what installs them.

A tree of 41,000 files cannot be read at every look (seconds), so its fingerprint is made of what the file system knows
of each file: path, type, mode, owner, size, and the time of its last change of any kind (ctime), which nobody can set.
0.2 s for an OpenClaw release (measured).
"""

from __future__ import annotations

from pathlib import Path

from reconciler.probe_program.reading import at, output, text

MARK = ".openclaw-deploy-tree"  # a tree's fingerprint as of its installation, in its top directory
SECONDS = 15  # a cold disk reads that many inodes in a few

# $1 is the directory; it prints 64 hex digits.
FINGERPRINT = (
    f'cd -- "$1" && find . -mindepth 1 ! -path ./{MARK} -printf "%P\\t%y%m\\t%U:%G\\t%s\\t%C@\\n" '
    '| LC_ALL=C sort | sha256sum | cut -d" " -f1'
)


def is_intact(directory: str | Path) -> bool:
    """False as well for a tree that has no mark."""
    noted = text(f"{directory}/{MARK}").strip()
    return bool(noted) and output("sh", "-c", FINGERPRINT, "sh", str(at(directory)), seconds=SECONDS).strip() == noted
