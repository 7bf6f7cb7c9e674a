"""Files fetched from upstream once and kept: the store behind the mirror. It knows neither Debian nor npm."""

from __future__ import annotations

import asyncio
import os
import time
import weakref
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile

import httpx


class UpstreamRefused(Exception):
    """Upstream answered, with something else than the object. `status` is its HTTP status."""

    def __init__(self, url: str, status: int) -> None:
        super().__init__(f"{url} answered {status}")
        self.status = status


class UpstreamSilent(Exception):
    """Upstream gave no answer and no copy is kept."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An object: where its copy is kept, where it comes from, how long (seconds) a copy is taken unasked.

    `fresh_for` None means that the object never changes. `transform` turns what upstream sent into what is kept.
    """

    path: Path
    url: str
    fresh_for: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    transform: Callable[[bytes], bytes] | None = None


class MirrorCache:
    """Fetches through one client. To be used from one event loop."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._locks: weakref.WeakValueDictionary[Path, asyncio.Lock] = weakref.WeakValueDictionary()

    async def fetch(self, wanted: Wanted) -> Path:
        """The path of a good copy. Raises UpstreamRefused or UpstreamSilent; many callers at once fetch once."""
        lock = self._locks.setdefault(wanted.path, asyncio.Lock())
        async with lock:
            if not _is_fresh(wanted):
                await self._renew(wanted)
        return wanted.path

    async def close(self) -> None:
        await self._client.aclose()

    async def _renew(self, wanted: Wanted) -> None:
        """Fetch it; an old copy is good enough when upstream is silent or broken."""
        try:
            await self._download(wanted)
        except httpx.HTTPError as error:
            if not wanted.path.exists():
                raise UpstreamSilent(f"{wanted.url} cannot be fetched: {type(error).__name__}") from error
        except UpstreamRefused as refused:
            if refused.status < 500 or not wanted.path.exists():
                raise

    async def _download(self, wanted: Wanted) -> None:
        tag = _tag_path(wanted.path)
        headers = {"accept-encoding": "gzip" if wanted.transform else "identity", **wanted.headers}
        if wanted.path.exists() and tag.exists():
            headers["if-none-match"] = tag.read_text()
        async with self._client.stream("GET", wanted.url, headers=headers) as response:
            if response.status_code == 304 and "if-none-match" in headers:
                os.utime(wanted.path)
                return
            if response.status_code != 200:
                raise UpstreamRefused(wanted.url, response.status_code)
            await _keep(wanted, response)
            etag = response.headers.get("etag")
        if etag and wanted.fresh_for is not None:
            tag.write_text(etag)
        else:
            tag.unlink(missing_ok=True)


def _is_fresh(wanted: Wanted) -> bool:
    try:
        age = time.time() - wanted.path.stat().st_mtime
    except FileNotFoundError:
        return False
    return wanted.fresh_for is None or age < wanted.fresh_for


def _tag_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.etag")


async def _keep(wanted: Wanted, response: httpx.Response) -> None:
    """Write beside, then rename: nobody ever reads half an object."""
    wanted.path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=wanted.path.parent, prefix=".part-", delete=False) as part:
        try:
            async for piece in _pieces(wanted, response):
                part.write(piece)
            part.flush()
            Path(part.name).chmod(0o644)
            Path(part.name).replace(wanted.path)
        except BaseException:
            Path(part.name).unlink(missing_ok=True)
            raise


async def _pieces(wanted: Wanted, response: httpx.Response) -> AsyncIterator[bytes]:
    if wanted.transform is not None:
        yield wanted.transform(await response.aread())
        return
    # Raw: a .gz file must stay one even when upstream labels it as a content encoding.
    async for piece in response.aiter_raw():
        yield piece
