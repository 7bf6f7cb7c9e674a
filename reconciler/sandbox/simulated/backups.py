"""The commands on backups, as a simulated host carries them out: an archive made, read, sent and unpacked."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any, Final

from reconciler.commands.backups import ARCHIVE, PLACED
from reconciler.commands.release import RELEASES
from reconciler.commands.switching import ASIDES, CHECKPOINTS, NOTES, SWITCH
from reconciler.model import Json
from reconciler.sandbox.simulated.calls import Call, Fails
from reconciler.sandbox.simulated.disk import File, exists, make_directories, remove_tree
from reconciler.sandbox.simulated.host import SimulatedHost
from reconciler.sandbox.simulated.switching import (
    CURRENT,
    HOME,
    checked,
    must_be_stopped,
    packed_home,
    set_aside,
    unpack_tree,
)

MADE: Final = f"{ARCHIVE}/state.tar.gz"
RECEIVED: Final = f"{ARCHIVE}/received"
_OUT: Final = f"{ARCHIVE}.then"


def make(host: SimulatedHost, call: Call) -> bytes:
    version = call.arguments[0]
    if f"{RELEASES}/{version}" not in host.releases:
        raise Fails(f"Cannot find module '{RELEASES}/{version}/node_modules/openclaw/openclaw.mjs'")
    return _pack(host, version)


def copy(host: SimulatedHost, call: Call) -> bytes:
    del call
    must_be_stopped(host)
    if HOME not in host.directories:
        raise Fails("there is no state")
    if CURRENT not in host.links:
        raise Fails("no release is linked, so nobody knows which one wrote this state")
    return _pack(host, host.links[CURRENT].rpartition("/")[2])


def pack_earlier(host: SimulatedHost, call: Call) -> bytes:
    _, place, name, version = call.arguments
    if not exists(host, f"{NOTES}/{place}/{name}"):
        raise Fails(f"there is no {name} in {place}")
    kept = f"{ASIDES}/{name}"
    if place == "asides":
        return _pack(host, version, kept)
    remove_tree(host, _OUT)
    unpack_tree(host, checked(host, name), _OUT)
    try:
        return _pack(host, version, _OUT)
    finally:
        remove_tree(host, _OUT)


def place(host: SimulatedHost, call: Call) -> None:
    _, digest = call.arguments
    packed = to_place(host, call)
    if packed is not None:
        make_way(host, call)
        unpack_tree(host, packed, HOME)
        host.files[PLACED] = File(f"{digest}\n".encode())


def to_place(host: SimulatedHost, call: Call) -> dict[str, Any] | None:
    """The state that the gateway shall be given; None where it was."""
    checkpoint, digest = call.arguments
    if host.content(PLACED).decode().strip() == digest:
        return None
    must_be_stopped(host)
    if exists(host, SWITCH):
        raise Fails("a change of version is on its way")
    return checked(host, checkpoint)


def make_way(host: SimulatedHost, call: Call) -> None:
    """What lies in the home is kept aside; directories alone, as our steps have made them, are nothing."""
    checkpoint, _ = call.arguments
    make_directories(host, ASIDES, "0700")
    if any(path.startswith(f"{HOME}/") for path in (*host.files, *host.links)):
        set_aside(host, checkpoint, host.links.get(CURRENT, "").rpartition("/")[2])
    remove_tree(host, HOME)


def read(host: SimulatedHost, call: Call) -> bytes:
    offset, most = map(int, call.arguments)
    if MADE not in host.files:
        raise Fails(f"tail: cannot open '{MADE}' for reading: No such file or directory")
    return host.content(MADE)[offset : offset + most]


def find(host: SimulatedHost, call: Call) -> bytes:
    del call
    own = (f"{HOME}/.openclaw/agents/", f"{HOME}/.openclaw/state/")
    return b"state\n" if any(path.startswith(own) for path in (*host.files, *host.links)) else b""


def summarize(host: SimulatedHost, call: Call) -> bytes:
    del call  # its databases are files that are written whole, so one that is live looks as any other
    return json.dumps(_holds(host)).encode()


def drop(host: SimulatedHost, call: Call) -> None:
    del call
    remove_tree(host, ARCHIVE)


def receive(host: SimulatedHost, call: Call) -> None:
    offset, length = map(int, call.arguments)
    make_directories(host, NOTES, "0700")
    make_directories(host, ARCHIVE, "0700")
    before = host.content(RECEIVED)
    if len(before) < offset:
        raise Fails("a piece before this one is missing")
    host.files[RECEIVED] = File(before[:offset] + call.stdin)
    if len(call.stdin) != length:
        raise Fails("the piece has not arrived as a whole")


def unpack(host: SimulatedHost, call: Call) -> None:
    checkpoint, version, at, digest, left, of = call.arguments
    copy, content = f"{CHECKPOINTS}/{checkpoint}", host.content(RECEIVED)
    if exists(host, copy):
        if (host.read_json(f"{copy}/manifest.json") or {}).get("archive") != digest:
            raise Fails(f"another checkpoint has the id {checkpoint}")
    else:
        if hashlib.sha256(content).hexdigest() != digest:
            raise Fails("what has arrived is not what was sent")
        make_directories(host, copy, "0700")
        marks = {"archive": digest, "left": left == "true", "of": of}
        manifest = {"id": checkpoint, "version": version, "at": at, "size": len(content), **marks}
        host.files[f"{copy}/state.tar"] = File(content)
        host.files[f"{copy}/state.sha256"] = File(digest.encode())
        host.files[f"{copy}/manifest.json"] = File(json.dumps(manifest).encode())
    remove_tree(host, ARCHIVE)


def count(host: SimulatedHost, call: Call) -> bytes:
    """What was said, in the checkpoint and now."""
    checkpoint, _ = call.arguments
    packed = checked(host, checkpoint)["files"].get("/.openclaw/state/openclaw.sqlite")
    then = None if packed is None else _said(json.loads(packed[0].encode("latin-1")))
    return json.dumps({"then": then, "now": _said(host.read_json(f"{HOME}/.openclaw/state/openclaw.sqlite"))}).encode()


def _said(state: Json) -> int | None:
    said = state.get("said", []) if isinstance(state, dict) else None
    return len(said) if isinstance(said, list) else None


def _pack(host: SimulatedHost, version: str, state: str = HOME) -> bytes:
    remove_tree(host, ARCHIVE)
    make_directories(host, ARCHIVE, "0700")
    content = json.dumps(packed_home(host, state)).encode()
    host.files[MADE] = File(content)
    said: dict[str, Json] = {
        "at": datetime.fromtimestamp(host.now(), UTC).isoformat(timespec="seconds"),
        "version": version,
        "size": len(content),
        "digest": hashlib.sha256(content).hexdigest(),
        "holds": _holds(host, state),
    }
    return json.dumps(said).encode()


def _holds(host: SimulatedHost, home: str = HOME) -> Json:
    """As the real summary counts: rows by table, and the workspace by its files."""
    state = f"{home}/.openclaw/state/openclaw.sqlite"
    found = host.read_json(state)
    said = len(found.get("said", [])) if isinstance(found, dict) else 0
    workspace = sorted(path for path in host.files if path.startswith(f"{home}/workspace/"))
    digest = hashlib.sha256()
    for path in workspace:
        name = path.removeprefix(f"{home}/workspace/").encode()
        digest.update(name + b"\0" + hashlib.sha256(host.content(path)).digest())
    return {
        "databases": {".openclaw/state/openclaw.sqlite": {"transcript_events": said}} if state in host.files else {},
        "workspace": {"files": len(workspace), "digest": digest.hexdigest()},
    }
