"""Looks at processes and files while a command runs: what is there for a moment only is seen as well."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.contract.errors.namespace import Namespace

PAUSE = 0.05  # seconds


@dataclass
class Seen:
    """`files` maps (path, mode) to every content that it had."""

    argv: set[bytes] = field(default_factory=set)
    environs: set[bytes] = field(default_factory=set)
    files: dict[tuple[Path, int], set[bytes]] = field(default_factory=dict)
    _known: dict[Path, tuple[int, int, int]] = field(default_factory=dict)

    def look_at_processes(self, is_meant: Callable[[Path], bool]) -> None:
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has ended
                if is_meant(process):
                    self.argv.add((process / "cmdline").read_bytes())
                    self.environs.add((process / "environ").read_bytes())

    def look_at_files(self, below: Path) -> None:
        for path in below.rglob("*"):
            with suppress(OSError):  # it is gone
                status = path.lstat()
                stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
                if path.is_file() and self._known.get(path) != stamp:
                    self._known[path] = stamp
                    self.files.setdefault((path, status.st_mode & 0o777), set()).add(path.read_bytes())


def network_of(process: Path) -> Path:
    return (process / "ns" / "net").readlink()


@contextmanager
def watching(namespace: Namespace, directory: Path) -> Iterator[Seen]:
    """All processes of the namespace and all files below the directory, many times a second."""
    seen, network = Seen(), network_of(Path(f"/proc/{namespace.holder}"))

    def look() -> None:
        seen.look_at_processes(lambda process: network_of(process) == network)
        seen.look_at_files(directory)

    with _again_and_again(look):
        yield seen
    seen.look_at_files(directory)


@contextmanager
def watching_processes() -> Iterator[Seen]:
    """All processes of this machine, those of the machines in it among them. Needs root."""
    seen = Seen()
    with _again_and_again(lambda: seen.look_at_processes(lambda process: True)):
        yield seen


@contextmanager
def _again_and_again(look: Callable[[], None]) -> Iterator[None]:
    over = threading.Event()

    def watch() -> None:
        while not over.wait(PAUSE):
            look()

    thread = threading.Thread(target=watch, name="watching")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
