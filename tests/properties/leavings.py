"""Small trees of managed values: what is wanted on a host, what is there, and which paths are left as they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any, Final

from hypothesis import strategies as st

from reconciler.model import Json
from reconciler.steps.repairs import leaving_alone

Tree = dict[str, Json]
Path = tuple[str, ...]
# One is the beginning of another, as "config" is of "config file"; and names of files have dots.
PATHS: Final[tuple[Path, ...]] = (
    *(("bot",), ("bot", "a"), ("bot", "b"), ("bot", "b", "c"), ("bot", "x"), ("bot", "x.md"), ("bot", "x.md", "z")),
    *(("bot-a",), ("bot-a", "a")),
)

SOME_PATHS: Final[tuple[tuple[Path, ...], ...]] = (
    *combinations(PATHS, 1),
    *((("bot", "a"), ("bot", "b", "c")), (("bot", "a"), ("bot-a",)), (("none", "a"),)),
)


@dataclass(frozen=True)
class Leaving:
    """`paths` are those of PATHS at which the live value stays; as in a list of changes, none lies in another."""

    wanted: Tree
    live: Tree
    paths: tuple[Path, ...]


def brought(leaving: Leaving) -> Tree:
    """What the host is brought to."""
    return leaving_alone(leaving.wanted, leaving.live, map(".".join, leaving.paths))


def at(tree: Json, path: Path) -> Json:
    """None where nothing is."""
    for key in path:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree


def _tree(leaf: str, shape: int) -> Tree:
    deep = {"a": leaf, "b": {"c": leaf, "d": leaf}, "x": leaf, "x.md": {"y": leaf, "z": leaf}}
    inner: tuple[Any, ...] = (leaf, deep, {"b": leaf, "x.md": leaf}, {})
    return {"bot": inner[shape % 4], "bot-a": inner[shape // 4]}


def every_leaving() -> Iterator[Leaving]:
    for mine, theirs, paths in product(range(4, 8), range(16), SOME_PATHS):
        yield Leaving(_tree("wanted", mine), _tree("live", theirs), paths)
    for path in PATHS:
        yield Leaving(_tree("wanted", 5), {}, (path,))


shapes: Final = st.integers(0, 15)
leavings: Final = st.builds(
    lambda mine, theirs, paths: Leaving(_tree("wanted", mine), _tree("live", theirs), paths),
    shapes,
    shapes,
    st.sampled_from(SOME_PATHS),
)
