"""Reads request bodies: JSON objects in, checked values out, ApiError with the field's name for what is wrong."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Network, ip_address

from starlette.requests import Request

from reconciler.model import Json
from reconciler.sandbox.emulator.errors import ApiError, invalid_input
from reconciler.sandbox.emulator.labels import check_labels, parse_selector
from reconciler.sandbox.emulator.tables import RowT, Table

MISSING = "missing data for required field"
HOSTNAME = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)


async def body_of(request: Request) -> dict[str, Json]:
    """The request's JSON object. 400 for anything else, and for what no answer could repeat; no body is empty."""
    raw = await request.body()
    try:
        data = json.loads(raw) if raw else {}
        json.dumps(data, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise ApiError(400, "json_error", "invalid json request body") from error
    if not isinstance(data, dict):
        raise ApiError(400, "json_error", "json request body must be an object")
    return data


def text(body: Mapping[str, Json], field: str, longest: int = 253) -> str:
    """A required, non-empty text."""
    value = body.get(field)
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        raise invalid_input(field, MISSING if value is None else "invalid value")
    return value


def reference(body: Mapping[str, Json], field: str) -> str:
    """An id or a name: the document says text, the official clients send numbers."""
    value = body.get(field)
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        raise invalid_input(field, MISSING if value is None else "invalid value")
    return str(value)


def items(body: Mapping[str, Json], field: str) -> list[Json]:
    """A list; an absent one is empty."""
    value = body.get(field)
    if value is None:
        return []
    if not isinstance(value, list):
        raise invalid_input(field, "must be a list")
    return value


def flag(body: Mapping[str, Json], field: str, default: bool | None = None) -> bool:
    """Without a default it is required."""
    value = body.get(field, default)
    if not isinstance(value, bool):
        raise invalid_input(field, MISSING if value is None else "must be a boolean")
    return value


def some_text(body: Mapping[str, Json], field: str) -> str | None:
    """A text that may be absent, null or empty."""
    value = body.get(field)
    if value is not None and not isinstance(value, str):
        raise invalid_input(field, "must be a string")
    return value


def choice(body: Mapping[str, Json], field: str, choices: Sequence[str], default: str | None = None) -> str:
    """Without a default it is required."""
    value = body.get(field, default)
    if value not in choices:
        raise invalid_input(field, MISSING if value is None else f"must be one of {', '.join(choices)}")
    return str(value)


def ip_range(body: Mapping[str, Json], field: str) -> str:
    """An IPv4 network such as 10.0.0.0/16."""
    try:
        return str(IPv4Network(text(body, field)))
    except ValueError as error:
        raise invalid_input(field, "must be an IPv4 network") from error


def address(body: Mapping[str, Json], field: str) -> str:
    try:
        return str(ip_address(text(body, field)))
    except ValueError as error:
        raise invalid_input(field, "must be an IP address") from error


def addresses(body: Mapping[str, Json], field: str) -> tuple[str, ...]:
    return tuple(address({field: item}, field) for item in items(body, field))


def row(body: Mapping[str, Json], field: str, rows: Table[RowT]) -> RowT:
    """The row that a required field names by id or by name."""
    wanted = reference(body, field)
    found = rows.referred(wanted)
    if found is None:
        raise invalid_input(field, f"{field} {wanted} not found")
    return found


def rows(body: Mapping[str, Json], field: str, known: Table[RowT]) -> tuple[RowT, ...]:
    return tuple(row({field: item}, field, known) for item in items(body, field))


def labels(body: Mapping[str, Json]) -> dict[str, str]:
    return check_labels({} if body.get("labels") is None else body["labels"])


def changes(body: Mapping[str, Json]) -> tuple[str | None, dict[str, str] | None]:
    """The name and labels of a PUT; None where nothing is to change."""
    name = text(body, "name") if body.get("name") is not None else None
    return name, labels(body) if body.get("labels") is not None else None


def changed(body: Mapping[str, Json], before: str, check_name: Callable[[str], None]) -> dict[str, object]:
    """The same as keywords for `replace`; a name that is new is checked."""
    name, new_labels = changes(body)
    if name is not None and name != before:
        check_name(name)
    return ({} if name is None else {"name": name}) | ({} if new_labels is None else {"labels": new_labels})


def fingerprint(public_key: str) -> str:
    """MD5 in hex pairs, as the API shows it. 422 for what is no OpenSSH public key."""
    kind, _, rest = public_key.strip().partition(" ")
    try:
        blob = base64.b64decode(rest.split(" ")[0], validate=True)
    except binascii.Error as error:
        raise invalid_input("public_key", "SSH key not valid") from error
    if blob[4 : 4 + len(kind)] != kind.encode() or len(blob) < 32:
        raise invalid_input("public_key", "SSH key not valid")
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[at : at + 2] for at in range(0, 32, 2))


def targets(body: Mapping[str, Json], field: str, required: bool = False) -> tuple[list[str], list[int]]:
    """The selectors and server ids in `apply_to` or `remove_from`."""
    if required and field not in body:
        raise invalid_input(field, MISSING)
    selectors: list[str] = []
    servers: list[int] = []
    for target in items(body, field):
        match target:
            case {"type": "label_selector", "label_selector": {"selector": str(selector)}}:
                parse_selector(selector)
                selectors.append(selector)
            case {"type": "server", "server": {"id": int(identifier)}}:
                servers.append(identifier)
            case _:
                raise invalid_input(field, "unknown kind of resource")
    return selectors, servers
