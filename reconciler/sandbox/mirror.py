"""The sandbox's package mirror: Debian, npm and Node for machines that have no way out, read through and kept.

    /debian/<n>/<path>   the n-th Debian source of this machine's apt configuration
    /npm/<...>           the npm registry this machine uses: package metadata and tarballs
    /node/<file>         Node tarballs built by node.py

It only reads, only from the places this machine is configured for, and gives out what they gave: apt checks signatures
and npm checks integrity as ever, since neither is touched.
"""

from __future__ import annotations

import hashlib
import json
import re
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from reconciler.errors import SandboxError
from reconciler.sandbox.apt_sources import one_line_entries, read_sources
from reconciler.sandbox.mirror_cache import MirrorCache, UpstreamRefused, UpstreamSilent, Wanted

RELEASE = "bookworm"  # what sandbox machines run
_FRESH = 3600.0  # seconds
_NAME = re.compile(r"(@[a-z0-9~_.-]+/)?[a-z0-9~_.-]+", re.IGNORECASE)
_SLIM = "application/vnd.npm.install-v1+json"
_HERE = b"@mirror-address@"  # in kept metadata, where an answer carries the address it was asked by


@dataclass(frozen=True, slots=True)
class Upstreams:
    """Where things come from: archive addresses in the order of `debian_sources()`, the registry; no closing slash."""

    debian: tuple[str, ...]
    npm: str


def debian_sources(etc: Path = Path("/etc")) -> tuple[str, ...]:
    """One-line apt entries for machines, `{base}` standing for the mirror's address. Raises SandboxError."""
    return one_line_entries(read_sources(etc, RELEASE))


def local_upstreams() -> Upstreams:
    """What this machine is configured to use. Raises SandboxError when apt or npm is not configured."""
    return Upstreams(tuple(source.uri for source in read_sources(Path("/etc"), RELEASE)), npm_registry())


def outside_client() -> httpx.AsyncClient:
    """A client that trusts what this machine trusts; a name that does not answer is tried three times."""
    trust = ssl.create_default_context()
    return httpx.AsyncClient(
        transport=httpx.AsyncHTTPTransport(verify=trust, retries=2),
        timeout=httpx.Timeout(60.0, connect=10.0),
        follow_redirects=True,
    )


def build_mirror(cache: Path, upstreams: Upstreams | None = None, client: httpx.AsyncClient | None = None) -> Starlette:
    """The mirror as an application, its copies below `cache`. Without the others it uses this machine's own."""
    mirror = _Mirror(cache, upstreams or local_upstreams(), MirrorCache(client or outside_client()))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await mirror.copies.close()

    return Starlette(
        lifespan=lifespan,
        routes=[
            Route("/debian/{number:int}/{path:path}", mirror.debian),
            Route("/npm/{path:path}", mirror.npm),
            Route("/node/{name}", mirror.node),
        ],
    )


class _Mirror:
    """The three kinds of objects, as requests ask for them."""

    def __init__(self, cache: Path, upstreams: Upstreams, copies: MirrorCache) -> None:
        self.copies = copies
        self._cache = cache
        self._upstreams = upstreams

    async def debian(self, request: Request) -> Response:
        number, path = request.path_params["number"], request.path_params["path"]
        if number >= len(self._upstreams.debian) or not _is_plain(path):
            return _nothing()
        uri = self._upstreams.debian[number]
        # Pool files and index files named by their hash never change; the signed lists of them do.
        forever = path.startswith("pool/") or "/by-hash/" in path
        kept = self._cache / "debian" / _digest(uri) / path
        return await self._file(Wanted(kept, f"{uri}/{_quoted(path)}", None if forever else _FRESH))

    async def npm(self, request: Request) -> Response:
        path = request.path_params["path"]
        if not _is_plain(path):
            return _nothing()
        kept = self._cache / "npm" / _digest(self._upstreams.npm) / path
        name, dash, file = path.partition("/-/")
        if dash and file.endswith(".tgz"):
            return await self._file(Wanted(kept, f"{self._upstreams.npm}/{_quoted(path)}"))
        if dash or not _NAME.fullmatch(name):
            return _nothing()
        return await self._packument(request, name, kept)

    async def node(self, request: Request) -> Response:
        path = self._cache / "node" / request.path_params["name"]
        return FileResponse(path) if _is_plain(path.name) and path.is_file() else _nothing()

    async def _packument(self, request: Request, name: str, kept: Path) -> Response:
        """A package's metadata, its tarballs' addresses turned to the mirror as the asker sees it."""
        kind = _SLIM if _SLIM in request.headers.get("accept", "") else "application/json"
        wanted = Wanted(
            path=kept / "-" / ("slim.json" if kind == _SLIM else "full.json"),
            url=f"{self._upstreams.npm}/{quote(name, safe='@')}",
            fresh_for=_FRESH,
            headers={"accept": kind},
            transform=lambda document: _turned(document, name, self._upstreams.npm),
        )
        try:
            copy = await self.copies.fetch(wanted)
        except (UpstreamRefused, UpstreamSilent) as error:
            return _failure(error)
        here = str(request.base_url).rstrip("/") + "/npm"
        return Response(copy.read_bytes().replace(_HERE, here.encode()), media_type=kind)

    async def _file(self, wanted: Wanted) -> Response:
        try:
            return FileResponse(await self.copies.fetch(wanted), media_type="application/octet-stream")
        except (UpstreamRefused, UpstreamSilent) as error:
            return _failure(error)


def _turned(document: bytes, name: str, registry: str) -> bytes:
    """A packument whose tarball addresses begin with the mark `_HERE`."""
    try:
        packument = json.loads(document)
        for version in packument["versions"].values():
            path = _tarball_path(version["dist"]["tarball"], name, registry)
            version["dist"]["tarball"] = f"{_HERE.decode()}/{path}"
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise httpx.DecodingError(f"the metadata of {name} is not a packument") from error
    return json.dumps(packument, separators=(",", ":")).encode()


def _tarball_path(url: str, name: str, registry: str) -> str:
    """Below the registry as it says itself; the usual place when it names another host or scheme."""
    if url.startswith(registry + "/"):
        return url.removeprefix(registry + "/")
    return f"{name}/-/{Path(urlsplit(url).path).name}"


def npm_registry() -> str:
    """The registry's address as npm here has it, without a closing slash. Raises SandboxError."""
    try:
        asked = subprocess.run(
            ["npm", "config", "get", "registry"], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise SandboxError(
            "the npm registry of this machine is not known: npm cannot be asked",
            "install npm (Debian: nodejs and npm); its configuration says which registry to use",
        ) from error
    return asked.stdout.strip().rstrip("/")


def _is_plain(path: str) -> bool:
    """No part of it climbs, hides or is empty."""
    return bool(path) and all(part and not part.startswith(".") for part in path.split("/"))


def _quoted(path: str) -> str:
    return quote(path, safe="/@+~:!$&'()*,;=")


def _digest(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()[:12]


def _nothing() -> Response:
    return PlainTextResponse("not found\n", status_code=404)


def _failure(error: UpstreamRefused | UpstreamSilent) -> Response:
    """What upstream refused is refused alike; all else is a bad gateway."""
    status = error.status if isinstance(error, UpstreamRefused) and 400 <= error.status < 500 else 502
    return PlainTextResponse(f"{error}\n", status_code=status)
