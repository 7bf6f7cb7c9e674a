"""The commands on versions, as a simulated host carries them out: checkpoint, switch, and the host's own return."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from reconciler.commands.release import RELEASES
from reconciler.commands.switching import (
    ASIDES,
    CHECKPOINTS,
    COPY_TIMEOUT,
    HELD_PATH,
    PATIENCE,
    RETURN_PATH,
    RETURN_TIMER,
    SWITCH,
    UNTIL_PATH,
    is_checkpoint_id,
)
from reconciler.model import Json
from reconciler.sandbox.simulated.calls import Call, Fails
from reconciler.sandbox.simulated.disk import File, exists, make_directories, names_in, remove_tree

if TYPE_CHECKING:
    from reconciler.sandbox.simulated.host import SimulatedHost

CURRENT: Final = "/opt/openclaw/current"
HOME: Final = "/var/lib/openclaw"
UNIT: Final = "openclaw-gateway.service"
LEFT_OUT: Final = ("/.cache", "/.npm")
WORDS: Final = ("checkpoint", "origin", "target", "restore")


def check_room(host: SimulatedHost, call: Call) -> None:
    """Its states are of no size worth a word."""
    release_kb, _ = call.arguments
    if host.disk_free_mb * 1024 < int(release_kb):
        needed, left = int(release_kb) // 1024, host.disk_free_mb
        raise Fails(f"another version takes {needed} MB of disk, and {left} MB are left")


def begin(host: SimulatedHost, call: Call) -> None:
    checkpoint, _, _, restore = call.arguments
    if exists(host, SWITCH):
        if _word(host, "checkpoint") != checkpoint:
            raise Fails("another change of version is on its way")
        postpone(host, call)
        host.systemd.stop(UNIT)
        return
    if HOME not in host.directories:
        raise Fails("there is no state")
    make_directories(host, CHECKPOINTS, "0700")
    make_directories(host, ASIDES, "0700")
    if exists(host, f"{CHECKPOINTS}/{checkpoint}") or _has_aside(host, checkpoint):
        raise Fails(f"there is a checkpoint {checkpoint} already")
    packed = checked(host, restore) if restore else None
    lay_down(host, call)
    if packed is not None:
        unpack_tree(host, packed, f"{SWITCH}/next")
    host.systemd.stop(UNIT)


def lay_down(host: SimulatedHost, call: Call) -> None:
    """All of it but for the stop."""
    make_directories(host, SWITCH, "0700")
    for name, text in zip(WORDS, call.arguments, strict=True):
        host.files[f"{SWITCH}/{name}"] = File(f"{text}\n".encode())
    host.files[f"{SWITCH}/closed"] = File(b"")
    _wait_for_word(host, PATIENCE)
    host.systemd.start(RETURN_TIMER)


def postpone(host: SimulatedHost, call: Call) -> None:
    del call
    _must_go_on(host)
    _wait_for_word(host, PATIENCE)


def take(host: SimulatedHost, call: Call) -> None:
    del call
    _must_go_on(host)
    must_be_stopped(host)
    _wait_for_word(host, COPY_TIMEOUT + PATIENCE)
    checkpoint, version = _word(host, "checkpoint"), _word(host, "origin")
    copy = f"{CHECKPOINTS}/{checkpoint}"
    remove_tree(host, copy)
    remove_tree(host, f"{SWITCH}/home")
    make_directories(host, copy, "0700")
    content = json.dumps(packed_home(host)).encode()
    at = datetime.fromtimestamp(host.now(), UTC).isoformat(timespec="seconds")
    manifest = {"id": checkpoint, "version": version, "at": at, "size": len(content), "left": False}
    host.files[f"{copy}/state.tar"] = File(content)
    host.files[f"{copy}/state.sha256"] = File(hashlib.sha256(content).hexdigest().encode())
    host.files[f"{copy}/manifest.json"] = File(json.dumps(manifest).encode())
    unpack_tree(host, checked(host, checkpoint), f"{SWITCH}/home")
    _wait_for_word(host, PATIENCE)


def make(host: SimulatedHost, call: Call) -> None:
    _must_go_on(host)
    must_be_stopped(host)
    _wait_for_word(host, PATIENCE)
    if f"{SWITCH}/home" not in host.directories:
        raise Fails("no checkpoint was taken")
    if call.stdin:
        host.files[f"{SWITCH}/held.json"] = File(call.stdin)
    host.files[f"{SWITCH}/made"] = File(b"")
    if f"{SWITCH}/next" in host.directories:
        if f"{SWITCH}/left" not in host.directories:
            move_tree(host, HOME, f"{SWITCH}/left")
        set_aside(host, _word(host, "checkpoint"), _word(host, "origin"))
        move_tree(host, f"{SWITCH}/next", HOME)
    host.links[CURRENT] = f"{RELEASES}/{_word(host, 'target')}"
    host.files.pop(f"{SWITCH}/closed", None)


def go_back(host: SimulatedHost, call: Call) -> None:
    length, origin = call.arguments
    if SWITCH in host.directories:
        if int(length):
            host.files[f"{SWITCH}/held.json"] = File(call.stdin)
    elif int(length) and host.links.get(CURRENT) == f"{RELEASES}/{origin}":
        host.files[HELD_PATH] = File(call.stdin)
    if not exists(host, RETURN_PATH):
        raise Fails(f"{RETURN_PATH}: not found", 127)
    give_up(host)


def give_up_when_due(host: SimulatedHost) -> None:
    """What the program does that the timer and every boot start."""
    until = float(host.content(UNTIL_PATH) or 0)
    if SWITCH not in host.directories or exists(host, f"{SWITCH}/undone") or host.now() >= until:
        give_up(host)


def give_up(host: SimulatedHost) -> None:
    """The same at once."""
    if SWITCH in host.directories:
        host.files[f"{SWITCH}/closed"] = host.files[f"{SWITCH}/undone"] = File(b"")
        if host.systemd.is_known(UNIT):
            host.systemd.stop(UNIT)
        if exists(host, f"{SWITCH}/made"):
            if f"{SWITCH}/home" in host.directories:
                set_aside(host, _word(host, "checkpoint"), _word(host, "target"))
                move_tree(host, f"{SWITCH}/home", HOME)
            host.links[CURRENT] = f"{RELEASES}/{_word(host, 'origin')}"
        if exists(host, f"{SWITCH}/held.json"):
            host.files[HELD_PATH] = host.files.pop(f"{SWITCH}/held.json")
        remove_tree(host, SWITCH)
        host.systemd.reset_failed(UNIT)
        if host.systemd.is_known(UNIT):
            host.systemd.start(UNIT)
    if host.systemd.is_active(RETURN_TIMER):
        host.systemd.stop(RETURN_TIMER)


def set_aside(host: SimulatedHost, checkpoint: str, version: str) -> None:
    """What the gateway has now, if anything, as that version has written it."""
    if HOME not in host.directories:
        return
    name = f"{ASIDES}/{checkpoint}@{version}" if version else f"{ASIDES}/{checkpoint}"
    while exists(host, name):
        name += "+"
    move_tree(host, HOME, name)


def stay(host: SimulatedHost, call: Call) -> None:
    _, checkpoint, target = call.arguments
    is_over = SWITCH not in host.directories and not _has_aside(host, checkpoint)
    if is_over and host.links.get(CURRENT) == f"{RELEASES}/{target}":
        return
    _must_go_on(host)
    note(host, call)
    place = f"{CHECKPOINTS}/{checkpoint}/manifest.json"
    if _word(host, "restore") and (found := host.read_json(place)) is not None:
        host.files[place] = File(json.dumps({**found, "left": True}).encode())
    remove_tree(host, SWITCH)
    host.systemd.stop(RETURN_TIMER)


def _has_aside(host: SimulatedHost, checkpoint: str) -> bool:
    return any(name.startswith(checkpoint) for name in names_in(host, ASIDES))


def note(host: SimulatedHost, call: Call) -> None:
    """What is held from now on."""
    host.files.pop(HELD_PATH, None)
    if call.stdin:
        host.files[HELD_PATH] = File(call.stdin)


def versions(host: SimulatedHost, notes: str, releases: str) -> dict[str, Json]:
    """The probe's words about them."""
    names = [name for name in names_in(host, f"{notes}/checkpoints") if is_checkpoint_id(name)]
    manifests = [(name, host.read_json(f"{notes}/checkpoints/{name}/manifest.json")) for name in names]
    words: dict[str, Json] = {name: _word(host, name) for name in WORDS}
    marks: dict[str, Json] = {f"is_{name}": exists(host, f"{SWITCH}/{name}") for name in ("made", "undone")}
    return {
        "checkpoints": [found for name, found in manifests if isinstance(found, dict) and found.get("id") == name],
        "asides": [*names_in(host, f"{notes}/asides")],
        "switch": {**words, **marks} if f"{notes}/switch" in host.directories else None,
        "held": host.read_json(f"{notes}/held.json"),
        "releases": [*names_in(host, releases)],
    }


def _word(host: SimulatedHost, name: str) -> str:
    return host.content(f"{SWITCH}/{name}").decode().strip()


def _wait_for_word(host: SimulatedHost, seconds: float) -> None:
    host.files[UNTIL_PATH] = File(str(host.now() + seconds).encode())


def _must_go_on(host: SimulatedHost) -> None:
    if SWITCH not in host.directories or exists(host, f"{SWITCH}/undone"):
        raise Fails("the host has gone back by itself")


def must_be_stopped(host: SimulatedHost) -> None:
    if host.systemd.is_active(UNIT):
        raise Fails("the gateway runs, so its state cannot be taken as a whole")


def checked(host: SimulatedHost, checkpoint: str) -> dict[str, Any]:
    """What is packed in a checkpoint whose digest is right."""
    copy = f"{CHECKPOINTS}/{checkpoint}"
    if not exists(host, f"{copy}/manifest.json"):
        raise Fails(f"there is no checkpoint {checkpoint}")
    content = host.content(f"{copy}/state.tar")
    if host.content(f"{copy}/state.sha256") != hashlib.sha256(content).hexdigest().encode():
        raise Fails(f"checkpoint {checkpoint} is damaged")
    packed: dict[str, Any] = json.loads(content)
    return packed


def packed_home(host: SimulatedHost, home: str = HOME) -> dict[str, Any]:
    """The home with everything in it, by paths from there."""

    def ours(path: str) -> bool:
        inner = path.removeprefix(home)
        return (path == home or path.startswith(f"{home}/")) and not inner.startswith(LEFT_OUT)

    return {
        "files": {
            path.removeprefix(home): [file.content.decode("latin-1"), file.owner, file.mode]
            for path, file in host.files.items()
            if ours(path)
        },
        "directories": {path.removeprefix(home): [*rights] for path, rights in host.directories.items() if ours(path)},
        "links": {path.removeprefix(home): target for path, target in host.links.items() if ours(path)},
    }


def unpack_tree(host: SimulatedHost, packed: dict[str, Any], to: str) -> None:
    host.directories.update({to + path: (owner, mode) for path, (owner, mode) in packed["directories"].items()})
    host.links.update({to + path: target for path, target in packed["links"].items()})
    for path, (content, owner, mode) in packed["files"].items():
        host.files[to + path] = File(content.encode("latin-1"), owner, mode)


def move_tree(host: SimulatedHost, path: str, to: str) -> None:
    for store in (host.files, host.links, host.directories):
        for found in [name for name in store if name == path or name.startswith(f"{path}/")]:
            store[to + found.removeprefix(path)] = store.pop(found)  # type: ignore[assignment]
