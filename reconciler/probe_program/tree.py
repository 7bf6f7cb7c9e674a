"""Whether an installed tree of files is as it was when it was installed, and which one it is. Part of the probe, and of
what installs them.

A tree of 41,000 files cannot be read at every look (seconds), so its fingerprint is made of what the file system knows
of each file: path, type, mode, owner, size, and the time of its last change of any kind (ctime), which nobody can set.
0.2 s for an OpenClaw release (measured).

That fingerprint is of one host. What a tree holds, wherever it lies, is told by the digest of its content, which takes
seconds: it is made once, when the tree is installed, and is noted in a file that the fingerprint guards.
"""

from __future__ import annotations

import re
from pathlib import Path

from reconciler.probe_program.reading import at, output, text

MARK = ".openclaw-deploy-tree"  # a tree's fingerprint as of its installation, in its top directory
CONTENT_MARK = ".openclaw-deploy-content"  # the digest of its content, beside that
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


def noted_content(directory: str | Path) -> str | None:
    """The digest of what the tree held when it was installed; None where nobody has noted one."""
    noted = text(f"{directory}/{CONTENT_MARK}").strip()
    return noted if re.fullmatch("[0-9a-f]{40}", noted) else None
