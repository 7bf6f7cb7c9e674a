"""Snapshots of machines: a copy of a machine's own layer, above the layers that it lies on.

A snapshot that was removed stays on the disk for as long as a machine or another snapshot lies on it.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from reconciler.errors import SandboxError
from reconciler.sandbox.disk import Description
from reconciler.sandbox.image import image_folder
from reconciler.sandbox.paths import MachinePaths, Paths

_LAYER, _BELOW, _REMOVED = "layer", "below", "removed"

# What is one machine's alone, or of its one boot. Without it a machine made from the snapshot boots for the first time.
_PERSONAL = ("var/lib/cloud", "tmp", "var/tmp", "run", "etc/hostname", "etc/machine-id")


def layers_of(paths: Paths, image: str) -> str:
    """The layers of a snapshot or of a built image, uppermost first, joined by colons. SandboxError without one."""
    snapshot = paths.snapshots / image
    if snapshot.is_dir():
        return f"{snapshot / _LAYER}:{(snapshot / _BELOW).read_text()}"
    built = image_folder(paths.images, image)
    if not built.is_dir():
        raise SandboxError(f"the image {image} is not built", "Run `fleet sandbox up`.")
    return str(built)


def take(paths: Paths, machine: MachinePaths, image: str) -> None:
    """Copy the machine's own layer; nothing may write to it meanwhile. Raises SandboxError, e.g. on a full disk."""
    target = paths.snapshots / image
    making = target.with_name(f".{image}.tmp")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True, mode=0o700)
    # cp keeps what overlayfs means by extended attributes and by devices 0/0: deleted and replaced names.
    command = ["cp", "-a", str(machine.upper), str(making / _LAYER)]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if ended.returncode:
        shutil.rmtree(making, ignore_errors=True)
        raise SandboxError(
            f"the machine's disk could not be copied: {ended.stderr.strip()[-200:]}", "Make room on the disk."
        )
    _generalise(making / _LAYER)
    (making / _BELOW).write_text(Description.from_file(machine.description).image_folder)
    making.rename(target)


def remove(paths: Paths, image: str) -> None:
    """Gone at once, or as soon as nothing lies on it; nothing to do when there is no such snapshot."""
    if (snapshot := paths.snapshots / image).is_dir():
        (snapshot / _REMOVED).touch()
    sweep(paths)


def sweep(paths: Paths) -> None:
    """Delete the removed snapshots that nothing lies on any more."""
    while unused := [snapshot for snapshot in _removed(paths) if not _is_used(paths, snapshot)]:
        for snapshot in unused:
            shutil.rmtree(snapshot)


def _removed(paths: Paths) -> list[Path]:
    return [mark.parent for mark in paths.snapshots.glob(f"*/{_REMOVED}")]


def _is_used(paths: Paths, snapshot: Path) -> bool:
    return any(str(snapshot / _LAYER) in layers.split(":") for layers in _stacks(paths))


def _stacks(paths: Paths) -> Iterator[str]:
    """What every machine and every snapshot lies on."""
    yield from (below.read_text() for below in paths.snapshots.glob(f"*/{_BELOW}"))
    for machine_id in paths.machine_ids():
        with contextlib.suppress(FileNotFoundError):  # it is just being made or removed
            yield Description.from_file(paths.machine(machine_id).description).image_folder


def _generalise(layer: Path) -> None:
    for path in [layer / name for name in _PERSONAL] + list((layer / "etc/ssh").glob("ssh_host_*")):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
