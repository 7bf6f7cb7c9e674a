"""The commands on versions, as a simulated host carries them out: checkpoint, switch, and the host's own return."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any, Final

from reconciler.commands.release import RELEASES
from reconciler.commands.switching import CHECKPOINTS, HELD_PATH, PATIENCE, SWITCH
from reconciler.model import Json
from reconciler.sandbox.simulated.calls import Call, Fails
from reconciler.sandbox.simulated.disk import File, exists, make_directories, names_in, remove_tree
from reconciler.sandbox.simulated.host import SimulatedHost

STARTED: Final = "/run/openclaw-gateway/started.json"
CURRENT: Final = "/opt/openclaw/current"
HOME: Final = "/var/lib/openclaw"
UNIT: Final = "openclaw-gateway.service"
LEFT_OUT: Final = (f"{HOME}/.cache", f"{HOME}/.npm")


def begin(host: SimulatedHost, call: Call) -> None:
    checkpoint, origin, target, restore = call.arguments
    if SWITCH not in host.directories:
        make_directories(host, CHECKPOINTS, "0700")
        make_directories(host, SWITCH, "0700")
        for name, text in (("checkpoint", checkpoint), ("origin", origin), ("target", target), ("restore", restore)):
            host.files[f"{SWITCH}/{name}"] = File(f"{text}\n".encode())
        host.files[f"{SWITCH}/return"] = File(call.stdin)
    host.returns_at = host.now() + PATIENCE
    host.systemd.stop(UNIT)


def postpone(host: SimulatedHost, call: Call) -> None:
    del call
    _must_go_on(host)
    host.returns_at = host.now() + PATIENCE


def take(host: SimulatedHost, call: Call) -> None:
    checkpoint, version = call.arguments
    _must_go_on(host)
    _must_be_stopped(host)
    copy = f"{CHECKPOINTS}/{checkpoint}"
    remove_tree(host, copy)
    make_directories(host, copy, "0700")
    content = json.dumps(_packed(host)).encode()
    at = datetime.fromtimestamp(host.now(), UTC).isoformat(timespec="seconds")
    manifest = {"id": checkpoint, "version": version, "at": at, "size": len(content)}
    host.files[f"{copy}/state.tar"] = File(content)
    host.files[f"{copy}/state.sha256"] = File(hashlib.sha256(content).hexdigest().encode())
    host.files[f"{copy}/manifest.json"] = File(json.dumps(manifest).encode())


def make(host: SimulatedHost, call: Call) -> None:
    (version,) = call.arguments
    _must_go_on(host)
    _must_be_stopped(host)
    checkpoint, other = _word(host, "checkpoint"), _word(host, "restore")
    if not exists(host, f"{CHECKPOINTS}/{checkpoint}/manifest.json"):
        raise Fails(f"there is no checkpoint {checkpoint}")
    if not exists(host, f"{SWITCH}/made"):
        host.files[f"{SWITCH}/starts"] = File(str((host.read_json(STARTED) or {}).get("starts", "")).encode())
    host.files[f"{SWITCH}/made"] = File(b"")
    if other:
        _restore(host, other, f"{checkpoint}.left")
    host.links[CURRENT] = f"{RELEASES}/{version}"


def go_back(host: SimulatedHost, call: Call) -> None:
    if SWITCH not in host.directories:
        return
    if call.stdin:
        host.files[f"{SWITCH}/held.json"] = File(call.stdin)
    give_up(host)


def give_up(host: SimulatedHost) -> None:
    """What the program on the host does, whoever runs it."""
    host.returns_at = None
    if SWITCH not in host.directories:
        return
    host.files[f"{SWITCH}/undone"] = File(b"")
    if host.systemd.is_known(UNIT):
        host.systemd.stop(UNIT)
    try:
        if exists(host, f"{SWITCH}/made"):
            checkpoint = _word(host, "checkpoint")
            _restore(host, checkpoint, f"{checkpoint}.aside")
            host.links[CURRENT] = f"{RELEASES}/{_word(host, 'origin')}"
        if exists(host, f"{SWITCH}/held.json"):
            host.files[HELD_PATH] = host.files.pop(f"{SWITCH}/held.json")
        remove_tree(host, SWITCH)
    finally:  # a bot that may not be as it was is better than none
        host.systemd.reset_failed(UNIT)
        host.systemd.start(UNIT)


def stay(host: SimulatedHost, call: Call) -> None:
    _, checkpoint = call.arguments
    if exists(host, f"{SWITCH}/undone"):
        raise Fails("the host is going back to the version before by itself")
    if SWITCH not in host.directories:
        if exists(host, f"{CHECKPOINTS}/{checkpoint}.aside"):
            raise Fails("the host has gone back to the version before by itself")
        return
    host.returns_at = None
    host.files.pop(HELD_PATH, None)
    if call.stdin:
        host.files[HELD_PATH] = File(call.stdin)
    remove_tree(host, f"{CHECKPOINTS}/{checkpoint}.left")
    remove_tree(host, SWITCH)


def versions(host: SimulatedHost, notes: str, releases: str) -> dict[str, Json]:
    """The probe's words about them."""
    manifests = (
        host.read_json(f"{notes}/checkpoints/{name}/manifest.json") for name in names_in(host, f"{notes}/checkpoints")
    )
    words: dict[str, Json] = {name: _word(host, name) for name in ("checkpoint", "origin", "target", "restore")}
    marks: dict[str, Json] = {f"is_{name}": exists(host, f"{SWITCH}/{name}") for name in ("made", "undone")}
    is_on = f"{notes}/switch" in host.directories
    return {
        "checkpoints": [manifest for manifest in manifests if manifest is not None],
        "switch": {**words, **marks, "starts": _starts(host)} if is_on else None,
        "held": host.read_json(f"{notes}/held.json"),
        "releases": [*names_in(host, releases)],
    }


def _starts(host: SimulatedHost) -> int:
    word = _word(host, "starts")
    return int(word) if word.isdecimal() else 0


def _word(host: SimulatedHost, name: str) -> str:
    return host.content(f"{SWITCH}/{name}").decode().strip()


def _must_go_on(host: SimulatedHost) -> None:
    if SWITCH not in host.directories or exists(host, f"{SWITCH}/undone"):
        raise Fails("the host has gone back to the version before by itself")


def _must_be_stopped(host: SimulatedHost) -> None:
    if host.systemd.is_active(UNIT):
        raise Fails("the gateway runs, so its state cannot be taken as a whole")


def _restore(host: SimulatedHost, checkpoint: str, aside: str) -> None:
    copy, aside = f"{CHECKPOINTS}/{checkpoint}", f"{CHECKPOINTS}/{aside}"
    if not exists(host, aside):
        content = host.content(f"{copy}/state.tar")
        if host.content(f"{copy}/state.sha256") != hashlib.sha256(content).hexdigest().encode():
            raise Fails(f"checkpoint {checkpoint} is damaged")
        move_tree(host, HOME, aside)
    if HOME not in host.directories:
        _unpack(host, json.loads(host.content(f"{copy}/state.tar")))


def _packed(host: SimulatedHost) -> dict[str, Any]:
    def ours(path: str) -> bool:
        return path.startswith(f"{HOME}/") and not path.startswith(LEFT_OUT)

    return {
        "files": {
            path: [file.content.decode("latin-1"), file.owner, file.mode]
            for path, file in host.files.items()
            if ours(path)
        },
        "directories": {path: [*rights] for path, rights in host.directories.items() if ours(path)},
        "links": {path: target for path, target in host.links.items() if ours(path)},
    }


def _unpack(host: SimulatedHost, packed: dict[str, Any]) -> None:
    host.directories[HOME] = "openclaw:openclaw", "0700"
    host.directories.update({path: (owner, mode) for path, (owner, mode) in packed["directories"].items()})
    host.links.update(packed["links"])
    for path, (content, owner, mode) in packed["files"].items():
        host.files[path] = File(content.encode("latin-1"), owner, mode)


def move_tree(host: SimulatedHost, path: str, to: str) -> None:
    for store in (host.files, host.links, host.directories):
        for found in [name for name in store if name == path or name.startswith(f"{path}/")]:
            store[to + found.removeprefix(path)] = store.pop(found)  # type: ignore[assignment]
