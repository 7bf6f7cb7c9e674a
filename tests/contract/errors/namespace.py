"""A network and a /run of our own, held by one process: whoever is inside reaches nothing but what tests put there.

/run/full is a disk without any room.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reconciler.sandbox.paths import Paths

NETWORK = 0x40000000  # CLONE_NEWNET
LIBC = ctypes.CDLL(None, use_errno=True)

# Files have permissions here also for root: a case may take them away.
AS_ANYBODY = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-all")
HOLD = """
ip link set lo up
mount -t tmpfs tmpfs /run
mkdir /run/full && mount -t tmpfs -o size=4k tmpfs /run/full && head -c 4096 /dev/zero >/run/full/ballast
if test -d "$1"; then mount -t tmpfs tmpfs "$1"; fi
echo ready
read -r _
"""


@dataclass(frozen=True)
class Namespace:
    """`holder` is the process whose namespaces these are."""

    holder: int

    @property
    def root(self) -> Path:
        """The files as they are seen inside."""
        return Path(f"/proc/{self.holder}/root")

    def command(self, argv: Sequence[str], directory: Path) -> list[str]:
        """The same command, run inside and in this directory."""
        enter = ["nsenter", f"--target={self.holder}", "--net", "--mount", f"--wdns={directory}"]
        return [*enter, *AS_ANYBODY, "--", *argv]

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Sockets that this thread makes in the block belong to the namespace, wherever they are used."""
        with Path("/proc/thread-self/ns/net").open() as ours, Path(f"/proc/{self.holder}/ns/net").open() as theirs:
            _enter(theirs.fileno())
            try:
                yield
            finally:
                _enter(ours.fileno())


@contextmanager
def hold_namespace() -> Iterator[Namespace]:
    """It ends with the block. What a real sandbox keeps on this machine can't be seen inside. Needs root."""
    argv = ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-ec", HOLD, "sh", str(Paths().data)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        try:
            assert holder.stdout.readline() == "ready\n", "no namespaces: these tests need root"
            yield Namespace(holder.pid)
        finally:
            holder.stdin.close()


def _enter(descriptor: int) -> None:
    if LIBC.setns(descriptor, NETWORK):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
