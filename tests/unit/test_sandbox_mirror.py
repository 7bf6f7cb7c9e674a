"""The mirror fetches once, keeps what it got, serves it without upstream, and gives out nothing half or foreign."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from reconciler.errors import SandboxError
from reconciler.sandbox.mirror import Upstreams, build_mirror, debian_sources

pytestmark = pytest.mark.anyio
DEBIAN = "http://upstream/archive/debian"
NPM = "http://upstream/registry"
SLIM = "application/vnd.npm.install-v1+json"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Upstream:
    """Both upstreams: what they have (path below the host), what they were asked, whether they can be reached."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.tarball = f"{NPM}/left-pad/-/left-pad-1.0.0.tgz"
        self.asked: list[str] = []
        self.answers = 200
        routes = [Route("/registry/{name:path}", self._npm), Route("/{path:path}", self._file)]
        self.app = Starlette(routes=routes)

    async def _npm(self, request: Request) -> Response:
        if "/-/" in request.url.path:
            return await self._file(request)
        self.asked.append(request.url.path)
        if request.headers.get("if-none-match") == '"1"':
            return Response(status_code=304)
        accept = request.headers["accept"]
        document = {"name": "left-pad", "accept": accept, "versions": {"1.0.0": {"dist": {"tarball": self.tarball}}}}
        return JSONResponse(document, status_code=self.answers, headers={"etag": '"1"'})

    async def _file(self, request: Request) -> Response:
        self.asked.append(request.url.path)
        await asyncio.sleep(0.01)
        content = self.files.get(request.url.path)
        return PlainTextResponse(content or "", status_code=self.answers if content else 404)


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


def mirror_of(upstream: Starlette, cache: Path) -> httpx.AsyncClient:
    outside = httpx.AsyncClient(transport=httpx.ASGITransport(upstream))
    app = build_mirror(cache, Upstreams((DEBIAN,), NPM), outside)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://10.91.0.2:8100")


@pytest.fixture
def mirror(upstream: Upstream, tmp_path: Path) -> httpx.AsyncClient:
    return mirror_of(upstream.app, tmp_path)


async def unreachable(scope: object, receive: object, send: object) -> None:
    raise httpx.ConnectError("no route")


def age(cache: Path) -> None:
    """Make every kept thing two hours old."""
    for path in cache.rglob("*"):
        os.utime(path, (time.time() - 7200,) * 2)


async def test_many_requests_for_one_package_fetch_it_once(upstream: Upstream, mirror: httpx.AsyncClient) -> None:
    upstream.files["/archive/debian/pool/j/jq_1+b1~x.deb"] = "package"
    answers = await asyncio.gather(*(mirror.get("/debian/0/pool/j/jq_1+b1~x.deb") for _ in range(8)))
    assert {answer.text for answer in answers} == {"package"}
    assert upstream.asked == ["/archive/debian/pool/j/jq_1+b1~x.deb"]


async def test_a_list_is_asked_for_again_after_an_hour_but_a_package_never(
    upstream: Upstream, mirror: httpx.AsyncClient, tmp_path: Path
) -> None:
    paths = ("dists/bookworm/InRelease", "dists/bookworm/by-hash/SHA256/00", "pool/a.deb")
    for round_ in ("old", "new"):
        upstream.files |= {f"/archive/debian/{path}": round_ for path in paths}
        answers = [(await mirror.get(f"/debian/0/{path}")).text for path in paths for _ in range(2)]
        age(tmp_path)
    assert answers == ["new", "new", "old", "old", "old", "old"]
    assert len(upstream.asked) == 4


async def test_without_upstream_an_old_copy_is_served_and_the_rest_is_a_bad_gateway(
    upstream: Upstream, mirror: httpx.AsyncClient, tmp_path: Path
) -> None:
    upstream.files["/archive/debian/dists/bookworm/InRelease"] = "list"
    await mirror.get("/debian/0/dists/bookworm/InRelease")
    await mirror.get("/npm/left-pad")
    age(tmp_path)
    cut_off = mirror_of(unreachable, tmp_path)  # type: ignore[arg-type]  # an application that is never reached
    assert (await cut_off.get("/debian/0/dists/bookworm/InRelease")).text == "list"
    assert (await cut_off.get("/npm/left-pad")).status_code == 200
    assert (await cut_off.get("/debian/0/pool/other.deb")).status_code == 502


async def test_a_broken_upstream_spoils_no_copy(upstream: Upstream, mirror: httpx.AsyncClient, tmp_path: Path) -> None:
    upstream.files["/archive/debian/dists/bookworm/InRelease"] = "list"
    await mirror.get("/debian/0/dists/bookworm/InRelease")
    age(tmp_path)
    upstream.answers = 503
    assert (await mirror.get("/debian/0/dists/bookworm/InRelease")).text == "list"
    upstream.files["/archive/debian/pool/new.deb"] = "half"
    assert (await mirror.get("/debian/0/pool/new.deb")).status_code == 502
    upstream.answers = 200
    assert (await mirror.get("/debian/0/pool/new.deb")).text == "half"


async def test_what_upstream_has_not_is_not_found_and_not_kept(upstream: Upstream, mirror: httpx.AsyncClient) -> None:
    assert (await mirror.get("/debian/0/pool/late.deb")).status_code == 404
    upstream.files["/archive/debian/pool/late.deb"] = "package"
    assert (await mirror.get("/debian/0/pool/late.deb")).text == "package"


@pytest.mark.parametrize("kind", [SLIM, "application/json"])
async def test_metadata_names_the_mirror_as_the_asker_sees_it(mirror: httpx.AsyncClient, kind: str) -> None:
    for host in ("10.91.0.2:8100", "other:1"):
        answer = await mirror.get("/npm/left-pad", headers={"accept": kind, "host": host})
        tarball = answer.json()["versions"]["1.0.0"]["dist"]["tarball"]
        assert tarball == f"http://{host}/npm/left-pad/-/left-pad-1.0.0.tgz"
        assert answer.json()["accept"] == kind


async def test_a_tarball_that_upstream_keeps_elsewhere_is_asked_from_the_registry(
    upstream: Upstream, mirror: httpx.AsyncClient
) -> None:
    upstream.tarball = "https://elsewhere/files/left-pad-1.0.0.tgz"
    upstream.files["/registry/left-pad/-/left-pad-1.0.0.tgz"] = "tarball"
    tarball = (await mirror.get("/npm/left-pad")).json()["versions"]["1.0.0"]["dist"]["tarball"]
    assert (await mirror.get(tarball)).text == "tarball"


async def test_unchanged_metadata_is_not_sent_again(
    upstream: Upstream, mirror: httpx.AsyncClient, tmp_path: Path
) -> None:
    first = await mirror.get("/npm/left-pad")
    age(tmp_path)
    assert (await mirror.get("/npm/left-pad")).json() == first.json()
    assert (await mirror.get("/npm/left-pad")).json() == first.json()
    assert len(upstream.asked) == 2


async def test_a_scoped_package_is_found_however_it_is_written(upstream: Upstream, mirror: httpx.AsyncClient) -> None:
    for path in ("/npm/@scope%2fname", "/npm/@scope/name"):
        assert (await mirror.get(path)).status_code == 200
    assert upstream.asked == ["/registry/@scope/name"]


@pytest.mark.parametrize(
    "path",
    [
        "/debian/0/../../etc/passwd",
        "/debian/0/%2e%2e/%2e%2e/etc/passwd",
        "/debian/0//etc/passwd",
        "/debian/1/pool/a.deb",
        "/npm/-/npm/v1/security/audits",
        "/npm/left-pad/-/..%2f..%2fsecret.tgz",
        "/node/..%2fsecret",
        "/node/.part-1",
        "/node/absent.tar.gz",
    ],
)
async def test_nothing_outside_is_given_out(
    upstream: Upstream, mirror: httpx.AsyncClient, tmp_path: Path, path: str
) -> None:
    (tmp_path / "secret").write_text("secret")
    assert (await mirror.get(path)).status_code == 404
    assert upstream.asked == []


async def test_a_built_node_tarball_is_served(mirror: httpx.AsyncClient, tmp_path: Path) -> None:
    (tmp_path / "node").mkdir()
    (tmp_path / "node" / "node-v1.tar.gz").write_bytes(b"node")
    assert (await mirror.get("/node/node-v1.tar.gz")).content == b"node"


async def test_no_part_of_a_broken_download_is_left(tmp_path: Path) -> None:
    class Torn(httpx.AsyncByteStream):
        async def __aiter__(self):  # type: ignore[no-untyped-def]
            yield b"half"
            raise httpx.ReadError("cut")

    outside = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, stream=Torn())))
    app = build_mirror(tmp_path, Upstreams((DEBIAN,), NPM), outside)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mirror") as mirror:
        assert (await mirror.get("/debian/0/pool/a.deb")).status_code == 502
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_sources_of_both_formats_are_read_and_foreign_archives_left_out(tmp_path: Path) -> None:
    lists = tmp_path / "apt" / "sources.list.d"
    lists.mkdir(parents=True)
    (tmp_path / "apt" / "sources.list").write_text(
        "# deb http://old/debian bookworm main\n"
        "deb [arch=amd64 signed-by=/k.gpg] http://a/debian/ bookworm main contrib # ours\n"
        "deb-src http://a/debian bookworm main\n"
        "deb http://vendor/apt cloud-bookworm main\n"
    )
    (lists / "debian.sources").write_text(
        "Types: deb deb-src\n# a comment\nURIs: http://b/security\nSuites: bookworm-security\n bookworm-updates\n"
        "Components: main\n\nTypes: deb\nURIs: http://off/debian\nSuites: bookworm\nComponents: main\nEnabled: no\n"
    )
    assert debian_sources(tmp_path) == (
        "deb [check-valid-until=no] {base}/debian/0 bookworm main contrib",
        "deb [check-valid-until=no] {base}/debian/1 bookworm-security main",
        "deb [check-valid-until=no] {base}/debian/1 bookworm-updates main",
    )


def test_a_machine_without_debian_sources_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="no source of Debian bookworm"):
        debian_sources(tmp_path)
