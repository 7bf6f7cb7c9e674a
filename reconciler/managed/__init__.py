"""MANAGED: the one tuple that names everything we own on a host, in the order in which it is put there.

Each entry says how the probe looks at it and what the look shall show. Steps bring a host there; the planner compares.
Nothing here acts.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from reconciler.diff import digest
from reconciler.managed import files
from reconciler.managed.config import MANAGED_KEYS, wanted_config
from reconciler.model import ChildSpec, Endpoints, Json, Secret

PACKAGES: Final = ("ca-certificates", "curl", "nftables", "ufw", "xz-utils")


@dataclass(frozen=True, slots=True)
class Materials:
    """What a child's host is given beside its spec: derived keys and resolved secrets."""

    login_public_key: str
    host_private_key: Secret
    host_public_key: str
    gateway_token: Secret
    bot_token: Secret
    model_key: Secret
    digest_key: Secret  # hex; keys the digests of secrets
    endpoints: Endpoints


@dataclass(frozen=True, slots=True)
class ManagedFile:
    """A file we write whole. `owner` is `user:group`, `mode` four octal digits as text."""

    path: str
    owner: str
    mode: str
    content: Callable[[Materials], bytes]


@dataclass(frozen=True, slots=True)
class Managed:
    """One thing we own: `look` is the probe's question, `wanted` its right answer."""

    name: str
    look: Json
    wanted: Callable[[ChildSpec, Materials], Json]
    secret: bool = False
    file: ManagedFile | None = None


def wanted_values(spec: ChildSpec, materials: Materials) -> dict[str, Json]:
    """What every managed thing of this child shall look like to the probe."""
    return {entry.name: entry.wanted(spec, materials) for entry in MANAGED}


def digests(values: Mapping[str, Json]) -> dict[str, str]:
    """A digest per managed thing, as applied.json keeps them."""
    return {name: digest(value) for name, value in values.items()}


def looks() -> dict[str, Json]:
    """The probe's questions by name."""
    return {entry.name: entry.look for entry in MANAGED}


def entry_named(name: str) -> Managed:
    return _BY_NAME[name]


def _file(
    name: str, path: str, owner: str, mode: str, content: Callable[[Materials], bytes], *, secret: bool = False
) -> Managed:
    def wanted(spec: ChildSpec, materials: Materials) -> Json:
        del spec  # the same for every child
        return {**_fingerprint(content(materials), materials, secret=secret), "mode": mode, "owner": owner}

    look: Json = {"kind": "file", "path": path, "secret": secret}
    return Managed(name, look, wanted, secret=secret, file=ManagedFile(path, owner, mode, content))


def _secret(name: str, path: str, value: Callable[[Materials], Secret]) -> Managed:
    # OpenClaw refuses a secret file that another account owns or a group may read ("permissions are too open",
    # "must be owned by the effective user"), so these are the gateway's own, in a directory that is root's.
    owner = f"{files.SERVICE_USER}:{files.SERVICE_USER}"
    return _file(name, path, owner, "0400", lambda m: value(m).reveal().encode(), secret=True)


def _fingerprint(content: bytes, materials: Materials, *, secret: bool) -> dict[str, Json]:
    # A plain hash of a short secret could be guessed, so secrets are digested with a key of this child's own.
    if secret:
        key = bytes.fromhex(materials.digest_key.reveal())
        return {"hmac": hmac.new(key, content, hashlib.sha256).hexdigest()}
    return {"sha256": hashlib.sha256(content).hexdigest()}


def _text(text: str) -> Callable[[Materials], bytes]:
    return lambda materials: text.encode()


def _directory(name: str, path: str, owner: str, mode: str) -> Managed:
    return Managed(name, {"kind": "directory", "path": path}, lambda s, m: {"mode": mode, "owner": owner})


def _unit(name: str, unit: str) -> Managed:
    return Managed(name, {"kind": "unit", "name": unit}, lambda s, m: {"enabled": "enabled", "active": "active"})


MANAGED: Final[tuple[Managed, ...]] = (
    _file(
        "login key",
        files.AUTHORIZED_KEYS_PATH,
        f"{files.LOGIN_USER}:{files.LOGIN_USER}",
        "0600",
        lambda m: files.login_line(m.login_public_key).encode(),
    ),
    # The public half stands for both: an OpenSSH private key file is never written twice in the same bytes.
    _file("host key", f"{files.HOST_KEY_PATH}.pub", "root:root", "0644", lambda m: f"{m.host_public_key}\n".encode()),
    _file("sshd", files.SSHD_PATH, "root:root", "0644", _text(files.SSHD)),
    Managed(
        "packages",
        {"kind": "packages", "names": list(PACKAGES)},
        lambda s, m: dict.fromkeys(PACKAGES, True),
    ),
    Managed(
        "firewall",
        {"kind": "firewall"},
        lambda s, m: {"enabled": True, "incoming": "deny", "outgoing": "allow", "rules": ["22/tcp"], "foreign": []},
    ),
    _file("metadata rules", files.METADATA_RULES_PATH, "root:root", "0644", _text(files.METADATA_RULES)),
    _file("metadata unit", files.METADATA_UNIT_PATH, "root:root", "0644", _text(files.METADATA_SERVICE)),
    _unit("metadata drop", files.METADATA_UNIT),
    Managed(
        "metadata rules in force",
        {"kind": "rules", "table": ["inet", "openclaw_deploy"]},
        lambda s, m: list(files.METADATA_RULES_IN_FORCE),
    ),
    Managed(
        "account",
        {"kind": "account", "name": files.SERVICE_USER},
        lambda s, m: {"home": files.HOME, "shell": "/usr/sbin/nologin", "locked": True},
    ),
    _directory("home", files.HOME, f"{files.SERVICE_USER}:{files.SERVICE_USER}", "0700"),
    _directory("secrets directory", files.SECRETS_DIRECTORY, f"root:{files.SERVICE_USER}", "0750"),
    Managed(
        "node",
        {"kind": "directory", "path": f"/opt/openclaw/node-{files.NODE_VERSION}", "program": "bin/node"},
        lambda s, m: {"mode": "0755", "owner": "root:root", "program": True},
    ),
    Managed(
        "release",
        {"kind": "release", "path": files.CURRENT},
        lambda s, m: {"version": s.version, "complete": True, "link": f"{files.RELEASES}/{s.version}"},
    ),
    _secret("gateway token", files.GATEWAY_TOKEN_PATH, lambda m: m.gateway_token),
    _secret("bot token", files.TELEGRAM_TOKEN_PATH, lambda m: m.bot_token),
    _secret("model key", files.MODEL_KEY_PATH, lambda m: m.model_key),
    _file("stamp program", files.STAMP_PATH, "root:root", "0755", _text(files.STAMP)),
    _file("unit", files.UNIT_PATH, "root:root", "0644", _text(files.GATEWAY_UNIT)),
    Managed(
        "config",
        {"kind": "json_keys", "path": files.CONFIG_PATH, "keys": [list(key) for key in MANAGED_KEYS]},
        lambda s, m: wanted_config(s, m.endpoints),
    ),
    _unit("gateway", files.UNIT),
)

_BY_NAME: Final = {entry.name: entry for entry in MANAGED}
