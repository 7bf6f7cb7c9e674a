"""The state of a gateway as directories and files: such as is hard to copy, and all that can be told of one."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import Final

# What can be fetched again is no memory.
NO_MEMORY: Final = (".cache", ".npm")

Tree = dict[str, tuple[object, ...]]


def make_state(home: Path, version: str) -> None:
    """What an agent may have: odd names and kinds, holes, links, modes, and owners where that can be."""
    odd = (b"-rf", b"*", b"two\nlines", b"\xff\xfe", "größe 😀".encode(), b"back\\slash", b"%s", b"n" * 200, b" ")
    for directory in ("memory", ".openclaw", "empty", "deep/" * 30, ".cache/x", "of others/.cache"):
        (home / directory).mkdir(parents=True)
    (home / ".openclaw/schema").write_text(f"{version}\n")
    (home / "memory/forgotten by later ones").write_text("once upon a time")
    for name in odd:
        Path(os.fsdecode(os.fsencode(home) + b"/" + name)).write_bytes(name * 20)
    (home / ".cache/x/fetched").write_text("can be fetched again")
    (home / "of others/.cache/kept").write_text("cannot")
    (home / "large").write_bytes(bytes(range(256)) * 64)
    with (home / "sparse").open("wb") as file:
        file.seek(3_000_000)
        file.write(b"end")
    (home / "same").hardlink_to(home / "large")
    (home / "out").symlink_to("/etc/passwd")
    (home / "nowhere").symlink_to("nothing/here")
    (home / "memory/up").symlink_to("..")
    os.mkfifo(home / "pipe", 0o600)
    (home / "-rf").chmod(0o4711)
    (home / "large").chmod(0o400)
    (home / "empty").chmod(0o1777)
    home.chmod(0o700)
    if os.geteuid() == 0:
        for number, path in enumerate((home, home / "sparse", home / "out")):
            os.chown(path, 990, 990 + number, follow_symlinks=False)


def tree(top: Path) -> Tree:
    """All that can be told of a state, but for what can be fetched again. Empty where there is none."""
    if not top.is_dir():
        return {}
    found: Tree = {}
    paths = [top]
    while paths:
        path = paths.pop()
        entry = path.lstat()
        owner, mode, name = (entry.st_uid, entry.st_gid), stat.S_IMODE(entry.st_mode), str(path.relative_to(top))
        if stat.S_ISDIR(entry.st_mode):
            paths += [inner for inner in path.iterdir() if path != top or inner.name not in NO_MEMORY]
            found[name] = "directory", owner, mode
        elif stat.S_ISLNK(entry.st_mode):
            found[name] = "link", owner, path.readlink()
        elif stat.S_ISREG(entry.st_mode):
            has_holes = entry.st_size > 1_000_000 and entry.st_blocks * 512 < entry.st_size // 2
            found[name] = "file", owner, mode, entry.st_nlink, has_holes, digest(path)
        else:
            found[name] = "other", owner, mode, stat.S_IFMT(entry.st_mode)
    return found


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
