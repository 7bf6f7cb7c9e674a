"""What lies on a simulated disk, and making it: files, directories and links with their owner and mode."""

from __future__ import annotations

import fnmatch
import hashlib
import posixpath
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from reconciler.sandbox.simulated.host import SimulatedHost


LINKS_FOLLOWED: Final = 40  # by Linux, of one path


@dataclass(slots=True)
class File:
    content: bytes
    owner: str = "root:root"
    mode: str = "0644"


@dataclass(frozen=True, slots=True)
class Account:
    home: str
    shell: str
    locked: bool = True
    groups: tuple[str, ...] = ()


@dataclass(slots=True)
class Disk:
    """What outlives a reboot and what a snapshot keeps. `enabled` are the units that start at boot."""

    files: dict[str, File] = field(default_factory=dict)
    directories: dict[str, tuple[str, str]] = field(default_factory=dict)  # owner, mode
    links: dict[str, str] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    packages: set[str] = field(default_factory=set)
    releases: set[str] = field(default_factory=set)  # directories that hold a complete OpenClaw
    firewall: dict[str, Any] = field(default_factory=dict)
    enabled: set[str] = field(default_factory=set)

    def copy(self) -> Disk:
        return Disk(
            {path: replace(file) for path, file in self.files.items()},
            dict(self.directories),
            dict(self.links),
            dict(self.accounts),
            set(self.packages),
            set(self.releases),
            deepcopy(self.firewall),
            set(self.enabled),
        )


def exists(host: SimulatedHost, path: str) -> bool:
    return path in host.files or path in host.links or path in host.directories


def parents(path: str) -> list[str]:
    """The directories above `path`, the nearest first."""
    return [str(parent) for parent in PurePosixPath(path).parents]


def real(host: SimulatedHost, path: str, followed: int = 0) -> str:
    """Where a path ends, all links followed; what is missing counts as plain. For a circle a path where nothing is."""
    place = ""  # without the slash at its end, so the root is empty
    for name in path.split("/"):
        if name in ("", "."):
            continue
        place = posixpath.dirname(place).rstrip("/") if name == ".." else f"{place}/{name}"
        target = host.links.get(place)
        if target is not None:
            if followed == LINKS_FOLLOWED:
                return ""
            followed += 1
            place = real(host, posixpath.join(posixpath.dirname(place), target), followed).rstrip("/")
            if not place.startswith("/") and target != "/":
                return ""
    return place or "/"


def located(host: SimulatedHost, path: str) -> str:
    """The same, but what it names is not followed: the place whose entry is made, replaced or removed."""
    directory, _, name = path.rstrip("/").rpartition("/")
    return posixpath.join(real(host, directory), name)


def part_of(path: str) -> str:
    """Where what shall be at `path` is written first."""
    pure = PurePosixPath(path)
    return str(pure.with_name(f".{pure.name}.part"))


def make_directories(host: SimulatedHost, path: str, mode: str = "0755", owner: str = "root:root") -> None:
    """As `mkdir -p -m mode`: what is there stays as it is, missing parents get 0755."""
    for missing in [parent for parent in reversed(parents(path)) if parent not in host.directories]:
        host.directories[missing] = owner, "0755"
    host.directories.setdefault(path, (owner, mode))


def remove_tree(host: SimulatedHost, path: str) -> None:
    """As `rm -rf`."""
    for store in (host.files, host.links, host.directories):
        for found in [name for name in store if name == path or name.startswith(f"{path}/")]:
            del store[found]


def move(host: SimulatedHost, path: str, to: str) -> None:
    """As `mv -fT` of a file or link."""
    for store in (host.files, host.links):
        if path in store:
            remove_tree(host, to)
            store[to] = store.pop(path)  # type: ignore[assignment]


def rename(host: SimulatedHost, path: str, to: str) -> None:
    """A file, link or directory with all that is in it, to where nothing is."""
    for store in (host.files, host.links, host.directories):
        for found in [name for name in store if name == path or name.startswith(f"{path}/")]:
            store[to + found.removeprefix(path)] = store.pop(found)  # type: ignore[assignment]


def names_in(host: SimulatedHost, directory: str) -> list[str]:
    """What is in a directory, in order."""
    start = f"{directory}/"
    found = (path for store in (host.files, host.links, host.directories) for path in store if path.startswith(start))
    return sorted({path.removeprefix(start).partition("/")[0] for path in found})


def strays(host: SimulatedHost, directory: str, pattern: str, only: Sequence[str]) -> list[str]:
    """The names there that match `pattern` and none of `only`."""
    found = [name for name in names_in(host, directory) if fnmatch.fnmatchcase(name, pattern)]
    return [name for name in found if not any(fnmatch.fnmatchcase(name, known) for known in only)]


def tree_digest(host: SimulatedHost, directory: str, mark: str) -> bytes:
    """What an installed tree is known by; `mark` in it is left out, and so are the rights of its top."""
    start, summary = f"{directory}/", hashlib.sha256()
    for path, file in sorted(host.files.items()):
        if path.startswith(start) and path != f"{start}{mark}":
            summary.update(repr((path.removeprefix(start), file.owner, file.mode, file.content)).encode())
    return summary.hexdigest().encode() + b"\n"


def is_program(host: SimulatedHost, path: str) -> bool:
    """Whether root may execute it."""
    return path in host.files and int(host.files[path].mode, 8) & 0o111 != 0
