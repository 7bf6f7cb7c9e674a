"""The metadata service of the sandbox's machines: Hetzner's paths, answered by the asking machine's address.

Only the keys that a machine without private networks has. It gives out user_data, as the real one does: whoever may
reach it on a machine may read that machine's first host key, which is why the product closes it to all but root.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from reconciler.sandbox.ports import MachineSpec

_ZONE = "sandbox-dc1"
_REGION = "sandbox"


def build_metadata(lookup: Callable[[str], MachineSpec | None]) -> Starlette:
    """`lookup` finds a machine by its IPv4 address; an unknown address gets 404, as does an unknown key.

    Source: Hetzner's "Server Metadata" page of the Cloud API (paths below /hetzner/v1, YAML).
    """

    async def document(request: Request) -> Response:
        return _answer(request, lambda machine: yaml.safe_dump(_keys(machine), sort_keys=False))

    async def key(request: Request) -> Response:
        return _answer(request, lambda machine: _keys(machine).get(request.path_params["key"]))

    async def user_data(request: Request) -> Response:
        return _answer(request, lambda machine: machine.user_data)

    def _answer(request: Request, content: Callable[[MachineSpec], object | None]) -> Response:
        machine = lookup(request.client.host) if request.client else None
        found = content(machine) if machine is not None else None
        if found is None:
            return PlainTextResponse("not found\n", status_code=404)
        return PlainTextResponse(found if isinstance(found, str) else _text(found))

    return Starlette(
        routes=[
            Route("/hetzner/v1/metadata", document),
            Route("/hetzner/v1/metadata/{key}", key),
            Route("/hetzner/v1/userdata", user_data),
        ]
    )


def _keys(machine: MachineSpec) -> Mapping[str, object]:
    return {
        "availability-zone": _ZONE,
        "hostname": machine.hostname,
        "instance-id": machine.id,
        "local-ipv4": "",
        "public-ipv4": machine.address,
        "public-keys": [],
        "region": _REGION,
    }


def _text(value: object) -> str:
    """A single key's value: lists as YAML, all else bare."""
    return yaml.safe_dump(value) if isinstance(value, list) else str(value)
