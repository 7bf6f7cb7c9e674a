"""The probe of a simulated host: the request on stdin, the answer as reconciler.probe_program prints it."""

from __future__ import annotations

import json
from typing import Any, Final

from reconciler.model import Json
from reconciler.sandbox.simulated.calls import Call, Fails
from reconciler.sandbox.simulated.host import SimulatedHost
from reconciler.sandbox.simulated.looks import LOOKS, secrets_in
from reconciler.sandbox.simulated.switching import versions

SHORTEST_SECRET: Final = 8  # characters


def probe(host: SimulatedHost, call: Call) -> bytes:
    """The program comes first on stdin, on one line; the request follows."""
    request = json.loads(call.stdin.partition(b"\n")[2])
    key, applied = bytes.fromhex(request["digest_key"]), host.read_json(request["applied_path"])
    looks = {name: _remembering(look, applied) for name, look in request["looks"].items()}
    answer = {
        "boot_id": host.boot_id,
        "clock": host.now(),
        "architecture": host.architecture,
        "managed": {name: _answer(host, look, key) for name, look in looks.items()},
        "gateway": _concealed(host.gateway.facts(request["gateway"]), _told_to_gateway(host, request["looks"])),
        "applied": applied,
        "disk_free_mb": host.disk_free_mb,
        "memory_free_mb": 2_000,
        "bot": _bot(host, request["bot_token_path"]),
        "versions": versions(host, request["notes"], request["releases"]),
    }
    return json.dumps(answer).encode()


def _bot(host: SimulatedHost, path: str) -> str | None:
    number, colon, _ = host.content(path).decode("utf-8", "replace").partition(":")
    return number if colon and number.isdecimal() else None


def _answer(host: SimulatedHost, look: Any, key: bytes) -> Json:
    if look["kind"] not in LOOKS:
        host.objections.append(f"nobody knows the look {look['kind']}")
        raise Fails(f"KeyError: '{look['kind']}'")
    return LOOKS[look["kind"]](host, look, key)


def _told_to_gateway(host: SimulatedHost, looks: Any) -> list[str]:
    found = {secret for look in looks.values() for secret in secrets_in(host, look)}
    return sorted((secret for secret in found if len(secret) >= SHORTEST_SECRET), key=len, reverse=True)


def _concealed(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, dict):
        return {name: _concealed(inner, secrets) for name, inner in value.items()}
    if isinstance(value, list):
        return [_concealed(inner, secrets) for inner in value]
    if isinstance(value, str):
        for secret in secrets:
            for written in (secret, json.dumps(secret)[1:-1]):
                value = value.replace(written, "***")
    return value


def _remembering(look: Any, applied: Any) -> Any:
    """The look with what the last apply has put there besides."""
    if look["kind"] == "json_keys":
        return {**look, "keys": [*look["keys"], *_noted(applied, "config_keys")]}
    if look["kind"] == "workspace":
        before = dict.fromkeys(_noted(applied, "managed_files"), "managed")
        sown = _noted(applied, "seeded_files")
        if look.get("as_noted"):
            before = {**dict.fromkeys(sown, "seed"), **before}
        return {**look, "files": {**before, **look["files"]}, "seeded": sown}
    return look


def _noted(applied: Any, name: str) -> list[Any]:
    found = applied.get(name) if isinstance(applied, dict) else None
    return found if isinstance(found, list) else []
