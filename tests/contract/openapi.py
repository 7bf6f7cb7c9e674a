"""Hetzner's own OpenAPI document as a judge of answers. The document is test input and no part of the project."""

from __future__ import annotations

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator, oas31_format_checker

_BESIDE_CHECKOUT = Path(__file__).parents[3] / "shared" / "hetzner" / "cloud.spec.json"
_HOW = "download https://docs.hetzner.cloud/cloud.spec.json and set HCLOUD_OPENAPI to its path"


def problems(method: str, path: str, status: int, body: bytes) -> list[str]:
    """What is wrong with this answer; nothing when it is as the document says. `path` begins behind /v1."""
    where = f"{method} {path} -> {status}"
    operation = _operation(method, path) if status < 400 else None
    if status < 400 and operation is None:
        return [f"{where}: no such operation in the document"]
    validator = _validator(operation, str(status)) if operation else _error_validator()
    if validator is None:
        return [f"{where}: a body where none belongs"] if body else []
    return [f"{where}: {error.json_path}: {error.message}" for error in validator.iter_errors(json.loads(body))]


@cache
def document() -> dict[str, Any]:
    path = Path(os.environ.get("HCLOUD_OPENAPI") or _BESIDE_CHECKOUT)
    if not path.is_file():
        pytest.fail(f"there is no OpenAPI document of the Hetzner Cloud API at {path}: {_HOW}", pytrace=False)
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def template(path: str) -> str | None:
    """The document's path that this one is an instance of; the one with the fewest parameters."""
    fitting = [known for known in document()["paths"] if _pattern(known).fullmatch(path)]
    return min(fitting, key=lambda known: known.count("{"), default=None)


@cache
def _pattern(known: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{[^}]+\}", "[^/]+", known))


def _operation(method: str, path: str) -> tuple[str, str] | None:
    known = template(path)
    return (method.lower(), known) if known and method.lower() in document()["paths"][known] else None


@cache
def _validator(operation: tuple[str, str], status: str) -> OAS31Validator | None:
    method, path = operation
    responses = document()["paths"][path][method]["responses"]
    if status not in responses:
        return OAS31Validator({"not": {}})
    content = responses[status].get("content")
    return _compiled(content["application/json"]["schema"]) if content else None


@cache
def _error_validator() -> OAS31Validator:
    responses = document()["paths"]["/servers"]["get"]["responses"]
    return _compiled(responses["4xx"]["content"]["application/json"]["schema"])


def _compiled(schema: dict[str, Any]) -> OAS31Validator:
    return OAS31Validator(schema, format_checker=oas31_format_checker)
