"""What this machine must be like before the sandbox touches it."""

from __future__ import annotations

import os
import stat

import pytest

from reconciler.errors import SandboxError
from reconciler.sandbox.preflight import require_null_device, require_root


def _stat(kind: int, mode: int, device: int) -> os.stat_result:
    return os.stat_result((kind | mode, 0, 0, 1, 0, 0, 0, 0, 0, 0), {"st_rdev": device})


def test_the_null_device_of_every_linux_is_accepted() -> None:
    require_null_device(_stat(stat.S_IFCHR, 0o666, os.makedev(1, 3)))


@pytest.mark.parametrize(
    ("found", "mend"),
    [
        (_stat(stat.S_IFCHR, 0o644, os.makedev(1, 3)), "chmod 666 /dev/null"),
        (_stat(stat.S_IFCHR, 0o600, os.makedev(1, 3)), "chmod 666 /dev/null"),
        (_stat(stat.S_IFREG, 0o666, 0), "mknod -m 666 /dev/null c 1 3"),
        (_stat(stat.S_IFCHR, 0o666, os.makedev(1, 5)), "mknod -m 666 /dev/null c 1 3"),
        (_stat(stat.S_IFLNK, 0o777, 0), "mknod -m 666 /dev/null c 1 3"),
    ],
    ids=["readable only", "private", "a file", "the zero device", "a link"],
)
def test_a_null_device_that_would_break_gateways_is_refused_with_its_remedy(found: os.stat_result, mend: str) -> None:
    with pytest.raises(SandboxError) as refusal:
        require_null_device(found)
    assert mend in refusal.value.advice


def test_only_root_may_bring_it_up() -> None:
    require_root(0)
    with pytest.raises(SandboxError, match="root"):
        require_root(1000)
