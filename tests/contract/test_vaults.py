"""One suite for every place where backups are kept: a directory, and a real S3 server that checks signatures."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from reconciler.errors import VaultError
from reconciler.model import Bucket, Secret, SecretRef
from reconciler.ports import Vault
from reconciler.vaults.bucket import BucketVault
from reconciler.vaults.directory import DirectoryVault
from tests.storage import USER, s3_server

KEY, WRONG = Secret(USER), Secret("planted-wrong-key-of-storage")


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    with s3_server(tmp_path_factory.mktemp("s3")) as endpoint:
        reference = SecretRef("env", "ANY")
        yield Bucket("backups", endpoint, reference, reference, prefix="fleets/ours/")


@pytest.fixture(params=["directory", "bucket"])
def vault(request: pytest.FixtureRequest, tmp_path: Path) -> Vault:
    if request.param == "directory":
        return DirectoryVault(tmp_path / "backups")
    storage: Bucket = request.getfixturevalue("storage")
    return BucketVault(replace(storage, prefix=f"of {request.node.name}"), KEY, KEY)


def test_what_was_put_is_got_again(vault: Vault, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(6_000_000))  # more than one part of an upload
    vault.put("demo/alice/20261126T184500Z-0a.age", source)
    vault.get("demo/alice/20261126T184500Z-0a.age", target)
    assert target.read_bytes() == source.read_bytes()


def test_what_is_put_again_takes_the_place_of_what_was(vault: Vault, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    for text in (b"then", b"now"):
        source.write_bytes(text)
        vault.put("demo/alice/note.json", source)
    vault.get("demo/alice/note.json", target)
    assert target.read_bytes() == b"now"


def test_names_are_listed_by_what_they_begin_with(vault: Vault, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x")
    assert vault.names("demo/") == []
    for name in ("demo/alice/1.json", "demo/alice/1.age", "demo/bob/1.json", "other/alice/1.json"):
        vault.put(name, source)
    assert vault.names("demo/alice/") == ["demo/alice/1.age", "demo/alice/1.json"]
    assert vault.names("demo/") == ["demo/alice/1.age", "demo/alice/1.json", "demo/bob/1.json"]


def test_what_is_removed_is_gone_and_may_be_removed_again(vault: Vault, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x")
    vault.put("demo/alice/1.age", source)
    for _ in range(2):
        vault.remove("demo/alice/1.age")
    assert vault.names("demo/") == []


def test_what_is_not_there_is_said_with_its_place(vault: Vault, tmp_path: Path) -> None:
    with pytest.raises(VaultError, match=r"cannot read .*demo/alice/9.age") as error:
        vault.get("demo/alice/9.age", tmp_path / "target")
    assert error.value.advice


def test_a_wrong_key_is_refused_in_the_words_of_the_storage(storage: Bucket, tmp_path: Path) -> None:
    with pytest.raises(VaultError, match=r"cannot list .*: (SignatureDoesNotMatch|InvalidAccessKeyId)") as error:
        BucketVault(storage, WRONG, WRONG).names("")
    assert WRONG.reveal() not in error.value.summary + error.value.advice


def test_storage_that_does_not_answer_is_said(storage: Bucket) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # nobody listens
        gone = replace(storage, endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(VaultError, match=r"cannot list .*: Connection refused"):
            BucketVault(gone, KEY, KEY).names("")


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b"<html><br>welcome</html>", "what answers there is no S3 storage"),
        (200, b"\xff", "what answers there is no S3 storage"),
        (403, b"<html>no</html>", "what answers there is no S3 storage: HTTP status 403"),
        (502, b"", "HTTP status 502"),
    ],
)
def test_what_is_no_storage_is_said_and_none_of_its_words(
    storage: Bucket, tmp_path: Path, status: int, body: bytes, said: str
) -> None:
    with answering(status, body) as endpoint:
        vault = BucketVault(replace(storage, endpoint=endpoint), KEY, KEY)
        with pytest.raises(VaultError, match=rf"cannot list .*: .*({said})") as listed:
            vault.names("")
        assert "<" not in listed.value.summary
        if status != 200:
            with pytest.raises(VaultError, match="cannot read"):
                vault.get("demo/1.age", tmp_path / "target")


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """A server that says the same to everybody; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Nobody asks."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_what_was_never_finished_goes_when_nobody_can_be_at_it_any_more(tmp_path: Path) -> None:
    vault, source = DirectoryVault(tmp_path / "backups"), tmp_path / "source"
    source.write_bytes(b"x")
    vault.put("demo/alice/1.age", source)
    old, young = (tmp_path / "backups" / "demo" / "alice" / f"{name}.part" for name in "ab")
    old.touch()
    young.touch()
    os.utime(old, (0, 0))
    vault.put("demo/alice/2.age", source)
    assert (old.exists(), young.exists()) == (False, True)
    assert vault.names("demo/") == ["demo/alice/1.age", "demo/alice/2.age"]


def test_an_endpoint_that_is_none_is_said(storage: Bucket) -> None:
    with pytest.raises(VaultError, match=r"cannot use http://127\.0\.0\.1:99999/"):
        BucketVault(replace(storage, endpoint="http://127.0.0.1:99999"), KEY, KEY)


def test_links_are_followed_and_lead_in_no_circle(tmp_path: Path) -> None:
    vault, source = DirectoryVault(tmp_path / "backups"), tmp_path / "source"
    source.write_bytes(b"x")
    DirectoryVault(tmp_path / "disk").put("1.age", source)
    vault.put("demo/bob/1.age", source)
    (tmp_path / "backups" / "demo" / "alice").symlink_to(tmp_path / "disk")
    for name in ("up", "again"):
        (tmp_path / "disk" / name).symlink_to(tmp_path / "backups" / "demo")
    assert {"demo/alice/1.age", "demo/bob/1.age"} <= set(vault.names("demo/"))


def test_a_directory_that_nobody_may_write_to_is_said(tmp_path: Path) -> None:
    (tmp_path / "in the way").write_text("a file")
    source = tmp_path / "source"
    source.write_bytes(b"x")
    with pytest.raises(VaultError, match=r"cannot write below .*in the way: Not a directory"):
        DirectoryVault(tmp_path / "in the way").put("demo/1.age", source)


def test_a_directory_that_is_none_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "backups").write_text("not a directory")
    with pytest.raises(VaultError, match="cannot list"):
        DirectoryVault(tmp_path / "backups").names("demo/alice/")
