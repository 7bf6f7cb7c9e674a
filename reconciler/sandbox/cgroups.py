"""The sandbox's control groups, below the caller's own: one for each machine, one for our own processes.

Whatever we start lies in one of them, so `down` finds and ends it all without a note of any process id. Knows cgroup
v2 alone, and v2 beside v1 (where v1 has the memory controller); moves no process that is not ours.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from reconciler.errors import SandboxError

NAME = "openclaw-sandbox"
CONTROL = "control"  # the daemon and the supervisors

_V1 = ("name=systemd", "memory", "pids", "freezer")
# A file of a group that its supervisor removes in this moment: it was opened, and the group went before it was read.
_GONE = (errno.ENOENT, errno.ENODEV)


def find_trees(own: str, root: Path = Path("/sys/fs/cgroup")) -> dict[str, Path]:
    """Where our groups belong in each hierarchy ("v2", "memory", …); `own` is the text of /proc/self/cgroup.

    SandboxError where there is no cgroup v2 at all.
    """
    paths = {controller: path for _, controller, path in (line.split(":", 2) for line in own.splitlines())}
    if (root / "cgroup.controllers").exists():
        return {"v2": _below(root, paths.get("", "/"))}
    if not (root / "unified/cgroup.controllers").exists():
        raise SandboxError(
            "this machine has no cgroup v2 below /sys/fs/cgroup",
            "The sandbox needs a kernel of 5.14 or later with cgroup v2 mounted (also beside v1, as `unified`).",
        )
    trees = {"v2": _below(root / "unified", paths.get("", "/"))}
    for controller in _V1:
        folder = root / controller.removeprefix("name=")
        if controller in paths and folder.is_dir():
            trees[controller] = _below(folder, paths[controller])
    return trees


def save_trees(trees: Mapping[str, Path], file: Path) -> None:
    file.write_text("".join(f"{hierarchy} {path}\n" for hierarchy, path in trees.items()))


def load_trees(file: Path) -> dict[str, Path]:
    return {hierarchy: Path(path) for hierarchy, path in (line.split(" ", 1) for line in file.read_text().splitlines())}


def make(trees: Mapping[str, Path], name: str, memory_mb: int = 0) -> None:
    """Make the group in every hierarchy; `memory_mb` limits it, page cache included, where memory is counted."""
    for hierarchy, tree in trees.items():
        group = tree / name
        tree.mkdir(exist_ok=True)
        if memory_mb and hierarchy == "v2":
            with contextlib.suppress(OSError):  # not ours to give: v1 has the controller, or nobody delegated it
                (tree / "cgroup.subtree_control").write_text("+memory")
        group.mkdir(exist_ok=True)
        limit = group / ("memory.limit_in_bytes" if hierarchy == "memory" else "memory.max")
        if memory_mb and limit.exists():
            limit.write_text(str(memory_mb * 2**20))


def enter(trees: Mapping[str, Path], name: str, pid: int) -> None:
    """Put a process into the group, everywhere; 0 is the caller itself."""
    for tree in trees.values():
        (tree / name / "cgroup.procs").write_text(str(pid))


def is_populated(trees: Mapping[str, Path], name: str = ".") -> bool:
    """Whether anything lives in the group or below; the whole tree when no name is given."""
    try:
        return "populated 1" in (trees["v2"] / name / "cgroup.events").read_text().splitlines()
    except OSError as error:
        if error.errno in _GONE:
            return False
        raise


def processes(trees: Mapping[str, Path], name: str) -> Iterator[int]:
    """Every process in the group and below, as process ids out here."""
    for folder, _, _ in os.walk(trees["v2"] / name):
        try:
            yield from map(int, Path(folder, "cgroup.procs").read_text().split())
        except OSError:  # the group went while we looked
            continue


def end_all(trees: Mapping[str, Path], name: str = ".") -> None:
    """SIGKILL to everything in the group and below, frozen or not; nothing to do when there is no such group."""
    try:
        (trees["v2"] / name / "cgroup.kill").write_text("1")
    except OSError as error:
        if error.errno not in _GONE:
            raise


def kill(trees: Mapping[str, Path], name: str = ".", timeout: float = 15.0) -> None:
    """End everything in the group and below, then remove the group. SandboxError when something stays."""
    end_all(trees, name)
    deadline = time.monotonic() + timeout
    while is_populated(trees, name):
        if time.monotonic() > deadline:
            raise SandboxError(
                f"processes in {trees['v2'] / name} do not end", "They wait for a device; try again in a minute."
            )
        time.sleep(0.01)
    remove(trees, name, deadline)


@contextmanager
def frozen(trees: Mapping[str, Path], name: str, timeout: float = 5.0) -> Iterator[None]:
    """Nothing in the group runs while the block does; nothing to do when there is no such group.

    SandboxError when something does not come to a halt.
    """
    group = trees["v2"] / name
    if not group.is_dir():
        yield
        return
    try:
        _freeze(group, timeout)
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):  # it ended meanwhile
            (group / "cgroup.freeze").write_text("0")


def remove(trees: Mapping[str, Path], name: str, deadline: float) -> None:
    """Remove the empty group; the kernel may need a moment until the last process is truly gone."""
    for tree in trees.values():
        for folder in _deepest_first(tree / name):
            _remove_one(folder, deadline)


def memory_mb(trees: Mapping[str, Path], name: str) -> int:
    """What the group uses now, page cache included; 0 when nobody counts."""
    for tree, file in (("memory", "memory.usage_in_bytes"), ("v2", "memory.current")):
        counter = trees.get(tree, Path(os.devnull)) / name / file
        with contextlib.suppress(OSError):
            return int(counter.read_text()) // 2**20
    return 0


def _freeze(group: Path, timeout: float) -> None:
    (group / "cgroup.freeze").write_text("1")
    deadline = time.monotonic() + timeout
    while "frozen 1" not in (group / "cgroup.events").read_text().splitlines():
        if time.monotonic() > deadline:
            raise SandboxError(f"processes in {group} do not come to a halt", "Switch the machine off first.")
        time.sleep(0.01)


def _below(hierarchy: Path, own: str) -> Path:
    # Started from inside one of our own groups (a shell of the daemon's): the tree is still the same.
    return hierarchy / own.split(f"/{NAME}")[0].lstrip("/") / NAME


def _deepest_first(group: Path) -> Iterable[Path]:
    return [Path(folder) for folder, _, _ in os.walk(group, topdown=False)]


def _remove_one(folder: Path, deadline: float) -> None:
    while True:
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
