"""How a simulated host answers each look: the same words as reconciler.probe_program.looks, read from its state."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from reconciler.model import Json
from reconciler.sandbox.simulated.access import beating_drop_ins, effective_settings, granting_others
from reconciler.sandbox.simulated.disk import exists, is_program, located, parents, strays
from reconciler.sandbox.simulated.host import SimulatedHost
from reconciler.sandbox.simulated.keys import public_key
from reconciler.sandbox.simulated.releases import is_intact, noted_content

SECRET_KEYS: Final = re.compile(
    "(token|apikeys?|passwords?|passwd|passphrases?|secrets?|privatekeys?|credentials?|authorization|cookies?)$"
    "|^keys?$|^(access|api|auth|bearer|bot|id|refresh|)tokens$"
)
LONGEST_VALUE: Final = 65536  # characters
MOST_NAMES: Final = 20


def _file(host: SimulatedHost, look: Any, key: bytes) -> Json:
    path = located(host, look["path"])
    if path not in host.files:
        return {"error": "not a regular file"} if exists(host, path) else None
    file = host.files[path]
    rights: dict[str, Json] = {"mode": file.mode, "owner": file.owner}
    if look.get("secret"):
        return {"hmac": hmac.new(key, file.content, hashlib.sha256).hexdigest(), **rights}
    return {"sha256": hashlib.sha256(file.content).hexdigest(), **rights}


def _directory(host: SimulatedHost, look: Any, key: bytes) -> Json:
    path = located(host, look["path"])
    if path not in host.directories:
        return {"error": "not a directory"} if exists(host, path) else None
    owner, mode = host.directories[path]
    answer: dict[str, Json] = {"mode": mode, "owner": owner}
    if "program" in look:
        answer |= {"program": is_program(host, f"{path}/{look['program']}"), "intact": is_intact(host, path)}
    more = strays(host, path, "*", look["only"])[:MOST_NAMES] if "only" in look else []
    return {**answer, "strays": [*more]} if more else answer


def _names(host: SimulatedHost, look: Any, key: bytes) -> Json:
    return [*strays(host, look["path"], look["pattern"], look["only"])[:MOST_NAMES]]


def _paths(host: SimulatedHost, look: Any, key: bytes) -> Json:
    return [path for path in look["paths"] if exists(host, located(host, path))]


def _workspace(host: SimulatedHost, look: Any, key: bytes) -> Json:
    """Managed files by digest; of a seed only that it was sown."""
    answer: dict[str, Json] = {}
    for name, mode in look["files"].items():
        path = f"{look['path']}/{name}"
        if any(parent in host.links for parent in parents(path)):
            answer[name] = {"error": "a link on the way to it"}
        elif mode == "seed":
            if name in look.get("seeded", ()) or exists(host, path):
                answer[name] = "seeded"
        elif path in host.files:
            answer[name] = hashlib.sha256(host.content(path)).hexdigest()
        elif exists(host, path):
            answer[name] = {"error": "not a regular file"}
    return answer


def _private_key(host: SimulatedHost, look: Any, key: bytes) -> Json:
    if look["path"] not in host.files:
        return None
    file = host.files[look["path"]]
    return {"public": public_key(file.content.decode("utf-8", "replace")), "mode": file.mode, "owner": file.owner}


def _sshd(host: SimulatedHost, look: Any, key: bytes) -> Json:
    said = effective_settings(host)
    settings: dict[str, Json] = {name: said[name] for name in look["settings"] if said.get(name)}
    answer: dict[str, Json] = {"settings": settings, "foreign": [*beating_drop_ins(host, look["ours"])]}
    return {**answer, "unconfirmed": True} if host.access_before else answer


def _sudoers(host: SimulatedHost, look: Any, key: bytes) -> Json:
    return [*granting_others(host, look["user"], look["ours"])]


def _loaded(host: SimulatedHost, look: Any, key: bytes) -> Json:
    return {name: host.systemd.show_loaded(name) for name in look["units"]}


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
    is_written_out = isinstance(value, str | int | float) and not isinstance(value, bool)
    return "(inline secret)" if is_written_out and _is_secret(name) else value


@lru_cache(1_000)
def _is_secret(name: str) -> bool:
    return SECRET_KEYS.search(re.sub("[^a-z0-9]", "", name.lower())) is not None


def secrets_in(host: SimulatedHost, look: Any) -> list[str]:
    """What the thing that is looked at holds of secrets."""
    if look.get("secret"):
        return [host.content(look["path"]).decode("utf-8", "replace").strip()]
    return _inline_secrets(host.read_json(look["path"]), "") if look["kind"] == "json_keys" else []


def _inline_secrets(value: Any, name: str) -> list[str]:
    if isinstance(value, dict):
        return [secret for inner, more in value.items() for secret in _inline_secrets(more, inner)]
    if isinstance(value, list):
        return [secret for more in value for secret in _inline_secrets(more, name)]
    return [value] if isinstance(value, str) and _is_secret(name) else []


def _unit(host: SimulatedHost, look: Any, key: bytes) -> Json:
    name = look["name"]
    if not host.systemd.is_known(name):
        return None
    enabled: Json = host.systemd.file_state(name)
    return (
        {"enabled": enabled} if look.get("at_boot") else {"enabled": enabled, "active": host.systemd.state(name).active}
    )


def _rules(host: SimulatedHost, look: Any, key: bytes) -> Json:
    return [*host.kernel.listed(" ".join(look["table"]), names=look.get("names", False))] or None


def _release(host: SimulatedHost, look: Any, key: bytes) -> Json:
    if look["path"] not in host.links:
        return None
    link = host.links[look["path"]]
    is_there, intact = link in host.releases, is_intact(host, link)
    answer: dict[str, Json] = {
        "version": link.rpartition("/")[2] if is_there else None, "complete": is_there, "link": link, "intact": intact,
        "tree": noted_content(host, link),
    }  # fmt: skip
    owner, mode = host.directories.get(link, ("", ""))
    return {**answer, "mode": mode, "owner": owner} if is_there else answer


def _firewall(host: SimulatedHost, look: Any, key: bytes) -> Json:
    answer = {**host.firewall, "foreign": [*host.firewall["foreign"], *host.kernel.foreign()]}
    return {**answer, **({"unconfirmed": True} if host.firewall_before else {})}


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
    "names": _names,
    "paths": _paths,
    "workspace": _workspace,
    "private_key": _private_key,
    "sshd": _sshd,
    "sudoers": _sudoers,
    "loaded": _loaded,
}
