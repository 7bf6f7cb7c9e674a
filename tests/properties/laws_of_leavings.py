"""What an apply leaves alone stays as it is, and all else becomes as it shall be."""

from __future__ import annotations

from typing import Final

from tests.properties.leavings import PATHS, Leaving, Path, Tree, at


def what_is_left_alone_stays(leaving: Leaving, brought: Tree) -> None:
    for path in leaving.paths:
        if path in PATHS:
            assert at(brought, path) == at(leaving.live, path)


def all_else_becomes_as_it_shall(leaving: Leaving, brought: Tree) -> None:
    for path in PATHS:
        if not any(_touch(path, left) for left in leaving.paths):
            assert at(brought, path) == at(leaving.wanted, path)


def nothing_is_brought_that_nobody_wants(leaving: Leaving, brought: Tree) -> None:
    assert brought.keys() == leaving.wanted.keys()


LAWS: Final = (what_is_left_alone_stays, all_else_becomes_as_it_shall, nothing_is_brought_that_nobody_wants)


def _touch(path: Path, other: Path) -> bool:
    """One lies in the other."""
    shared = min(len(path), len(other))
    return path[:shared] == other[:shared]
