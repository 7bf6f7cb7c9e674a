"""Files are whole or not there, also when the file system has no hard links or has no room."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from reconciler import wholefile


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def fails_with(monkeypatch: pytest.MonkeyPatch, function: str, number: int) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number), "somewhere")

    monkeypatch.setattr(os, function, fail)


def test_a_new_file_has_its_content_and_mode_and_nothing_beside_it(tmp_path: Path) -> None:
    wholefile.write_new(tmp_path / "key", b"content", 0o600)
    assert ((tmp_path / "key").read_bytes(), names(tmp_path)) == (b"content", ["key"])
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("links", [True, False])
def test_a_new_file_is_never_in_the_place_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    (tmp_path / "target").write_bytes(b"theirs")
    (tmp_path / "key").symlink_to("target")
    if not links:
        fails_with(monkeypatch, "link", errno.EPERM)
    with pytest.raises(FileExistsError) as raised:
        wholefile.write_new(tmp_path / "key", b"ours", 0o600)
    assert (raised.value.filename, raised.value.filename2) == (str(tmp_path / "key"), None)
    assert ((tmp_path / "target").read_bytes(), names(tmp_path)) == (b"theirs", ["key", "target"])


def test_a_file_system_without_hard_links_gets_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fails_with(monkeypatch, "link", errno.EPERM)
    wholefile.write_new(tmp_path / "key", b"content", 0o600)
    assert ((tmp_path / "key").read_bytes(), names(tmp_path)) == (b"content", ["key"])


@pytest.mark.parametrize("write", [wholefile.write_new, wholefile.replace])
def test_a_full_disk_leaves_nothing_and_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Any
) -> None:
    fails_with(monkeypatch, "fsync", errno.ENOSPC)
    with pytest.raises(OSError, match="No space left") as raised:
        write(tmp_path / "plan", b"content", 0o600)
    assert (raised.value.filename, names(tmp_path)) == (str(tmp_path / "plan"), [])


def test_what_replaces_a_link_leaves_its_target_alone(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"theirs")
    (tmp_path / "plan").symlink_to("target")
    wholefile.replace(tmp_path / "plan", b"ours", 0o600)
    assert ((tmp_path / "target").read_bytes(), (tmp_path / "plan").read_bytes()) == (b"theirs", b"ours")
    assert not (tmp_path / "plan").is_symlink()


def test_what_cannot_replace_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plan").write_bytes(b"before")
    fails_with(monkeypatch, "fsync", errno.EIO)
    with pytest.raises(OSError, match="Input/output"):
        wholefile.replace(tmp_path / "plan", b"after", 0o600)
    assert ((tmp_path / "plan").read_bytes(), names(tmp_path)) == (b"before", ["plan"])


@pytest.mark.parametrize("write", [wholefile.write_new, wholefile.replace])
def test_what_a_killed_run_of_the_same_process_id_left_is_in_nobodys_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Any
) -> None:
    with monkeypatch.context() as killed:
        killed.setattr(Path, "unlink", lambda *_, **__: None)
        fails_with(killed, "fsync", errno.EIO)
        for _ in range(2):
            with pytest.raises(OSError, match="Input/output"):
                write(tmp_path / "plan", b"half", 0o600)
    left = names(tmp_path)
    write(tmp_path / "plan", b"whole", 0o600)
    assert ((tmp_path / "plan").read_bytes(), names(tmp_path)) == (b"whole", [*left, "plan"])
    assert len(left) == 2
