"""What a managed thing is: how the probe looks at it, and what the look shall show. Pure, and only the kinds of things.

The things themselves are in MANAGED, in the package.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass

from reconciler.managed import files
from reconciler.model import ChildSpec, Endpoints, Json, Secret


@dataclass(frozen=True, slots=True)
class Materials:
    """What a child's host is given beside its spec: derived keys and resolved secrets."""

    login_public_key: str
    host_private_key: Secret
    host_public_key: str
    gateway_token: Secret
    bot_token: Secret | None  # None of a throw-away, which has no bot
    model_key: Secret
    digest_key: Secret  # hex; keys the digests of secrets
    endpoints: Endpoints
    probe_public_key: str | None = None  # of who only looks; None where nobody does
    tree: str | None = None  # the digest of the release's content; as it is on the host where the fleet knows none

    @property
    def is_throwaway(self) -> bool:
        return self.bot_token is None

    @property
    def secrets(self) -> tuple[Secret, ...]:
        bot = () if self.bot_token is None else (self.bot_token,)
        return (self.host_private_key, self.gateway_token, *bot, self.model_key, self.digest_key)


@dataclass(frozen=True, slots=True)
class ManagedFile:
    """A file we write whole, or that is not there: without content.

    `owner` is `user:group`, `mode` four octal digits as text.
    """

    path: str
    owner: str
    mode: str
    content: Callable[[Materials], bytes | None]


@dataclass(frozen=True, slots=True)
class ManagedDirectory:
    """A directory of ours. With `only`, everything in it is ours: what matches none of these patterns goes."""

    path: str
    owner: str
    mode: str
    only: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Managed:
    """One thing we own: `look` is the probe's question, `wanted` its right answer.

    The question may depend on the child; None asks what can be asked of any host of ours.
    """

    name: str
    look: Callable[[ChildSpec | None], Json]
    wanted: Callable[[ChildSpec, Materials], Json]
    secret: bool = False
    file: ManagedFile | None = None
    directory: ManagedDirectory | None = None


def plain(name: str, look: Json, wanted: Json) -> Managed:
    """A thing that is the same for every child."""
    return Managed(name, lambda spec: look, lambda spec, materials: wanted)


def file(
    name: str, path: str, owner: str, mode: str, content: Callable[[Materials], bytes | None], *, secret: bool = False
) -> Managed:
    """A file, told by the digest of its content, its mode and its owner."""

    def wanted(spec: ChildSpec, materials: Materials) -> Json:
        del spec  # the same for every child
        found = content(materials)
        if found is None:
            return None
        return {**_fingerprint(found, materials, secret=secret), "mode": mode, "owner": owner}

    look: Json = {"kind": "file", "path": path, "secret": secret}
    return Managed(name, lambda spec: look, wanted, secret=secret, file=ManagedFile(path, owner, mode, content))


def secret_file(name: str, path: str, value: Callable[[Materials], Secret | None]) -> Managed:
    def content(materials: Materials) -> bytes | None:
        found = value(materials)
        return None if found is None else found.reveal().encode()

    # OpenClaw refuses a secret file that another account owns or a group may read ("permissions are too open",
    # "must be owned by the effective user"), so these are the gateway's own, in a directory that is root's.
    owner = f"{files.SERVICE_USER}:{files.SERVICE_USER}"
    return file(name, path, owner, "0400", content, secret=True)


def text_file(name: str, path: str, text: str, mode: str = "0644") -> Managed:
    """Root's, with this text."""
    return file(name, path, "root:root", mode, lambda materials: text.encode())


def directory(
    name: str, path: str, owner: str = "root:root", mode: str = "0755", only: tuple[str, ...] | None = None
) -> Managed:
    more: dict[str, Json] = {} if only is None else {"only": list(only)}
    look: Json = {"kind": "directory", "path": path, **more}
    right: Json = {"mode": mode, "owner": owner}
    return Managed(name, lambda s: look, lambda s, m: right, directory=ManagedDirectory(path, owner, mode, only))


def unit(name: str, unit_name: str) -> Managed:
    return plain(name, {"kind": "unit", "name": unit_name}, {"enabled": "enabled", "active": "active"})


def unit_at_boot(name: str, unit_name: str) -> Managed:
    """One that is started at every boot, and does not go on running."""
    return plain(name, {"kind": "unit", "name": unit_name, "at_boot": True}, {"enabled": "enabled"})


def _fingerprint(content: bytes, materials: Materials, *, secret: bool) -> dict[str, Json]:
    # A plain hash of a short secret could be guessed, so secrets are digested with a key of this child's own.
    if secret:
        key = bytes.fromhex(materials.digest_key.reveal())
        return {"hmac": hmac.digest(key, content, "sha256").hex()}
    return {"sha256": hashlib.sha256(content).hexdigest()}
