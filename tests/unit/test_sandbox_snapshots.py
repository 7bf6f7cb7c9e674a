"""Which layers a snapshot is made of, what it leaves out, and when it may go."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.errors import SandboxError
from reconciler.sandbox import snapshots
from reconciler.sandbox.disk import Description
from reconciler.sandbox.paths import MachinePaths, Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "run", tmp_path / "data", tmp_path / "cache")


def machine(paths: Paths, number: int, layers: str, **files: str) -> MachinePaths:
    """A machine that is off, with these files on its disk."""
    made = paths.machine(number)
    for name, content in files.items():
        file = made.upper / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    Description(number, "web", "10.0.0.9", "debian-12", layers, 1024, "0" * 32).to_file(made.description)
    return made


def test_a_snapshot_lies_above_what_its_machine_lay_on(paths: Paths) -> None:
    snapshots.take(paths, machine(paths, 1, "/base", **{"srv/note": "kept"}), "first")
    assert snapshots.layers_of(paths, "first") == f"{paths.snapshots}/first/layer:/base"
    assert (paths.snapshots / "first/layer/srv/note").read_text() == "kept"

    again = machine(paths, 2, snapshots.layers_of(paths, "first"), note="")
    snapshots.take(paths, again, "second")
    assert snapshots.layers_of(paths, "second") == (
        f"{paths.snapshots}/second/layer:{paths.snapshots}/first/layer:/base"
    )


def test_what_is_one_machines_alone_is_left_out(paths: Paths) -> None:
    own = ("etc/ssh/ssh_host_ed25519_key", "etc/machine-id", "var/lib/cloud/instance/x", "tmp/x", "etc/hostname")
    snapshots.take(paths, machine(paths, 1, "/base", **dict.fromkeys((*own, "etc/ssh/sshd_config"), "x")), "first")
    layer = paths.snapshots / "first/layer"
    assert [str(file.relative_to(layer)) for file in layer.rglob("*") if file.is_file()] == ["etc/ssh/sshd_config"]


def test_a_removed_snapshot_stays_until_nothing_lies_on_it(paths: Paths) -> None:
    snapshots.take(paths, machine(paths, 1, "/base", note=""), "first")
    machine(paths, 1, snapshots.layers_of(paths, "first"))
    snapshots.take(paths, paths.machine(1), "second")

    snapshots.remove(paths, "first")
    assert (paths.snapshots / "first").is_dir()
    machine(paths, 1, "/base")
    snapshots.remove(paths, "second")
    assert list(paths.snapshots.iterdir()) == []


def test_an_image_that_nobody_has_is_refused(paths: Paths) -> None:
    with pytest.raises(SandboxError, match="no image 'first'"):
        snapshots.layers_of(paths, "first")
    with pytest.raises(SandboxError, match="not built"):
        snapshots.layers_of(paths, "debian-12")
