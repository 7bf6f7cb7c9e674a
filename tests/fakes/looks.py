"""How a FakeHost answers the probe's questions: the same words as reconciler.probe_program.looks."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any

from reconciler.managed import files
from reconciler.model import Json
from reconciler.probe_program.reading import parsed

if TYPE_CHECKING:
    from tests.fakes.host import FakeHost


def look_at(host: FakeHost, look: Any, key: str) -> Json:
    """The answer to one look; `key` (hex) is for the digests of secrets."""
    match look["kind"]:
        case "file":
            return _file(host, look, key)
        case "directory":
            return _directory(host, look)
        case "rules":
            closed = host.metadata_rules == files.METADATA_RULES.encode()
            return list(files.METADATA_RULES_IN_FORCE) if closed else None
        case "account":
            return _account(host, look["name"])
        case "packages":
            return {name: name in host.packages for name in look["names"]}
        case "firewall":
            return {**host.firewall, **({"unconfirmed": True} if host.firewall_before else {})}
        case "unit":
            return _unit(host, look["name"])
        case "release":
            return _release(host, look["path"])
        case "json_keys":
            return _json_keys(host, look)
    raise AssertionError(f"no host knows this look: {look}")


def _file(host: FakeHost, look: Any, key: str) -> Json:
    if look["path"] not in host.files:
        return None
    file = host.files[look["path"]]
    rights: dict[str, Json] = {"mode": file.mode, "owner": file.owner}
    if look["secret"]:
        return {"hmac": hmac.new(bytes.fromhex(key), file.content, hashlib.sha256).hexdigest(), **rights}
    return {"sha256": hashlib.sha256(file.content).hexdigest(), **rights}


def _directory(host: FakeHost, look: Any) -> Json:
    if look["path"] not in host.directories:
        return None
    owner, mode = host.directories[look["path"]]
    return {"mode": mode, "owner": owner} | ({"program": True} if "program" in look else {})


def _account(host: FakeHost, name: str) -> Json:
    if name not in host.accounts:
        return None
    home, shell = host.accounts[name]
    return {"home": home, "shell": shell, "locked": True}


def _unit(host: FakeHost, name: str) -> Json:
    if f"/etc/systemd/system/{name}" not in host.files:
        return None
    is_active = name in host.active if name != files.UNIT else host.gateway.active == "active"
    is_enabled = name in host.enabled
    return {"enabled": "enabled" if is_enabled else "disabled", "active": "active" if is_active else "inactive"}


def _release(host: FakeHost, path: str) -> Json:
    if path not in host.links:
        return None
    link = host.links[path]
    return {"version": link.rpartition("/")[2], "complete": link in host.releases, "link": link}


def _json_keys(host: FakeHost, look: Any) -> Json:
    if look["path"] not in host.files:
        return None
    document = parsed(host.content(look["path"]))
    if not isinstance(document, dict):
        return {"error": "not JSON"}
    answer: dict[str, Any] = {}
    for path in look["keys"]:
        value: Any = document
        for name in path[:-1]:
            value = value.get(name) or {}
        if path[-1] in value:
            inner = answer
            for name in path[:-1]:
                inner = inner.setdefault(name, {})
            inner[path[-1]] = value[path[-1]]
    return answer
