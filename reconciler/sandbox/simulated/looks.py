"""How a simulated host answers the probe: the same words as reconciler.probe_program, read from its state."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any, Final

from reconciler.model import Json
from reconciler.sandbox.simulated.calls import Call, Fails
from reconciler.sandbox.simulated.disk import exists, is_program
from reconciler.sandbox.simulated.host import SimulatedHost

SECRET_KEYS: Final = frozenset(
    ("token", "bottoken", "apikey", "password", "secret", "authorization", "x-api-key", "key")
)
LONGEST_VALUE: Final = 65536  # characters


def probe(host: SimulatedHost, call: Call) -> bytes:
    """The program comes first on stdin, on one line; the request follows."""
    request = json.loads(call.stdin.partition(b"\n")[2])
    key = bytes.fromhex(request["digest_key"])
    answer = {
        "boot_id": host.boot_id,
        "clock": host.now(),
        "architecture": host.architecture,
        "managed": {name: _answer(host, look, key) for name, look in request["looks"].items()},
        "gateway": host.gateway.facts(request["gateway"]),
        "applied": host.read_json(request["applied_path"]),
        "disk_free_mb": 30_000,
        "memory_free_mb": 2_000,
    }
    return json.dumps(answer).encode()


def _answer(host: SimulatedHost, look: Any, key: bytes) -> Json:
    if look["kind"] not in LOOKS:
        host.objections.append(f"nobody knows the look {look['kind']}")
        raise Fails(f"KeyError: '{look['kind']}'")
    return LOOKS[look["kind"]](host, look, key)


def _file(host: SimulatedHost, look: Any, key: bytes) -> Json:
    path = look["path"]
    if path not in host.files:
        return {"error": "not a regular file"} if exists(host, path) else None
    file = host.files[path]
    rights: dict[str, Json] = {"mode": file.mode, "owner": file.owner}
    if look.get("secret"):
        return {"hmac": hmac.new(key, file.content, hashlib.sha256).hexdigest(), **rights}
    return {"sha256": hashlib.sha256(file.content).hexdigest(), **rights}


def _directory(host: SimulatedHost, look: Any, key: bytes) -> Json:
    path = look["path"]
    if path not in host.directories:
        return {"error": "not a directory"} if exists(host, path) else None
    owner, mode = host.directories[path]
    program = {"program": is_program(host, f"{path}/{look['program']}")} if "program" in look else {}
    return {"mode": mode, "owner": owner, **program}


def _account(host: SimulatedHost, look: Any, key: bytes) -> Json:
    if look["name"] not in host.accounts:
        return None
    account = host.accounts[look["name"]]
    answer: dict[str, Json] = {"home": account.home, "shell": account.shell, "locked": account.locked}
    return {**answer, "groups": [*sorted(account.groups)]} if account.groups else answer


def _packages(host: SimulatedHost, look: Any, key: bytes) -> Json:
    return {name: name in host.packages for name in look["names"]}


def _json_keys(host: SimulatedHost, look: Any, key: bytes) -> Json:
    if look["path"] not in host.files:
        return None
    document = host.read_json(look["path"])
    if not isinstance(document, dict):
        return {"error": "not JSON"}
    answer: dict[str, Any] = {}
    for path in look["keys"]:
        value: Any = document
        for name in path:
            value = value.get(name, look) if isinstance(value, dict) else look  # `look` itself: nothing there
        if value is not look:
            _put(answer, path, _without_secrets(value, path[-1]))
    return answer


def _put(answer: dict[str, Any], path: list[str], value: Any) -> None:
    for name in path[:-1]:
        answer = answer.setdefault(name, {})
    answer[path[-1]] = value if len(json.dumps(value)) <= LONGEST_VALUE else {"error": "too large"}


def _without_secrets(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {inner: _without_secrets(more, inner) for inner, more in value.items()}
    if isinstance(value, list):
        return [_without_secrets(more, name) for more in value]
    return "(inline secret)" if name.lower() in SECRET_KEYS and isinstance(value, str) else value


def _unit(host: SimulatedHost, look: Any, key: bytes) -> Json:
    name = look["name"]
    if not host.systemd.is_known(name):
        return None
    return {"enabled": host.systemd.file_state(name), "active": host.systemd.state(name).active}


def _rules(host: SimulatedHost, look: Any, key: bytes) -> Json:
    lines = host.kernel.tables.get(" ".join(look["table"]))
    return list(lines) if lines else None


def _release(host: SimulatedHost, look: Any, key: bytes) -> Json:
    if look["path"] not in host.links:
        return None
    link = host.links[look["path"]]
    is_there = link in host.releases
    return {"version": link.rpartition("/")[2] if is_there else None, "complete": is_there, "link": link}


def _firewall(host: SimulatedHost, look: Any, key: bytes) -> Json:
    return {**host.firewall, **({"unconfirmed": True} if host.firewall_before else {})}


LOOKS: Final[dict[str, Callable[[SimulatedHost, Any, bytes], Json]]] = {
    "file": _file,
    "directory": _directory,
    "account": _account,
    "packages": _packages,
    "json_keys": _json_keys,
    "unit": _unit,
    "release": _release,
    "firewall": _firewall,
    "rules": _rules,
}
