"""The commands on Node, OpenClaw's releases and the running gateway, as a simulated host carries them out."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Final

from reconciler.commands.gateway import NO_FILE
from reconciler.commands.release import BUILD_USER, LOCKFILE, RELEASES
from reconciler.commands.units import NOLOGIN
from reconciler.model import Json
from reconciler.sandbox.simulated.calls import Call, Fails
from reconciler.sandbox.simulated.disk import Account, File, is_program, make_directories, remove_tree, tree_digest
from reconciler.sandbox.simulated.host import SimulatedHost

SHA256: Final = ".openclaw-deploy-sha256"
CONTENT: Final = ".openclaw-deploy-content"  # the digest of what it holds
TREE: Final = ".openclaw-deploy-tree"  # the fingerprint of an installed tree, in its top directory


def fetch_archive(host: SimulatedHost, call: Call) -> None:
    """What the archive has is taken for Node: nothing is fetched."""
    _, sha256, directory = call.arguments
    noted = host.content(f"{directory}/{SHA256}") == f"{sha256}\n".encode()
    if not (noted and is_program(host, f"{directory}/bin/node") and is_intact(host, directory)):
        remove_tree(host, directory)
        make_directories(host, f"{directory}/bin")
        host.files[f"{directory}/bin/node"] = File(b"", mode="0755")
        host.files[f"{directory}/{SHA256}"] = File(f"{sha256}\n".encode())
        note_tree(host, directory)
    host.directories[directory] = "root:root", "0755"


def install_release(host: SimulatedHost, call: Call) -> bytes:
    """It consists of OpenClaw and of one package more: the one that the lock file names, or the newest."""
    version, node, _, manifest, wanted = call.arguments
    final = f"{RELEASES}/{version}"
    if final in host.releases and is_intact(host, final):
        if noted_content(host, final) is None:
            note_content(host, final)
        there = noted_content(host, final) or ""
        if wanted in ("", there):
            host.directories[final] = "root:root", "0755"
            return f"{there} kept\n".encode()
    _make_builder(host)
    make_directories(host, RELEASES)
    _check_npm(host, node)
    release = _release(json.loads(manifest), version, call.stdin or _lockfile(host, version))
    tree = content_digest(release)
    if wanted not in ("", tree):
        return f"{tree} other\n".encode()
    remove_tree(host, final)
    for name, file in release.items():
        make_directories(host, f"{final}/{name}".rpartition("/")[0])
        host.files[f"{final}/{name}"] = file
    host.releases.add(final)
    note_content(host, final)
    host.directories[final] = "root:root", "0755"
    return f"{tree} made\n".encode()


def _lockfile(host: SimulatedHost, version: str) -> bytes:
    """What npm chooses now."""
    packages = {"": {"dependencies": {"openclaw": version}}, "node_modules/dependency": {"version": host.dependency}}
    return json.dumps({"lockfileVersion": 3, "packages": packages}).encode()


def _release(manifest: Json, version: str, lockfile: bytes) -> dict[str, File]:
    """The files of a release by their names in it."""
    packages = json.loads(lockfile)["packages"]
    if packages[""]["dependencies"] != {"openclaw": version}:
        raise Fails("npm error `npm ci` can only install packages when your package.json and lock file are in sync")
    dependency = json.dumps({"version": packages["node_modules/dependency"]["version"]})
    return {
        "package.json": File(json.dumps(manifest).encode()),
        LOCKFILE: File(lockfile),
        "node_modules/openclaw/openclaw.mjs": File(b"", mode="0755"),
        "node_modules/dependency/package.json": File(dependency.encode()),
    }


def newest_release(host: SimulatedHost, call: Call) -> bytes:
    node, _ = call.arguments
    _make_builder(host)
    _check_npm(host, node)
    return f"{host.newest_release}\n".encode()


def is_intact(host: SimulatedHost, directory: str) -> bool:
    """Whether an installed tree is as it was when it was installed."""
    return host.content(f"{directory}/{TREE}") == tree_digest(host, directory, TREE)


def noted_content(host: SimulatedHost, directory: str) -> str | None:
    """The digest of what an installed tree holds, as it was noted when it was installed."""
    return host.content(f"{directory}/{CONTENT}").decode().strip() or None


def content_digest(tree: dict[str, File]) -> str:
    """Of the files of a tree by their names in it: the same on any host."""
    told = {
        name: (file.mode, file.content) for name, file in tree.items() if name not in (TREE, CONTENT, "package.json")
    }
    return hashlib.sha256(repr(sorted(told.items())).encode()).hexdigest()[:40]


def note_content(host: SimulatedHost, directory: str) -> None:
    start = f"{directory}/"
    tree = {path.removeprefix(start): file for path, file in host.files.items() if path.startswith(start)}
    host.files[f"{directory}/{CONTENT}"] = File(f"{content_digest(tree)}\n".encode())
    note_tree(host, directory)


def note_tree(host: SimulatedHost, directory: str) -> None:
    host.files[f"{directory}/{TREE}"] = File(tree_digest(host, directory, TREE))


def _make_builder(host: SimulatedHost) -> None:
    host.accounts.setdefault(BUILD_USER, Account("/nonexistent", NOLOGIN))


def _check_npm(host: SimulatedHost, node: str) -> None:
    if not is_program(host, f"{node}/bin/node"):
        raise Fails("env: 'npm': No such file or directory", 127)


def validate_config(host: SimulatedHost, call: Call) -> bytes:
    version, node_version = call.arguments
    node = f"/opt/openclaw/node-{node_version}/bin/node"
    if "openclaw" not in host.accounts:
        raise Fails("chown: invalid user: 'openclaw:openclaw'")
    if not is_program(host, node):
        raise Fails(f"env: '{node}': No such file or directory", 127)
    if f"{RELEASES}/{version}" not in host.releases:
        raise Fails(f"Error: Cannot find module '{RELEASES}/{version}/node_modules/openclaw/openclaw.mjs'")
    if host.invalid_config:
        raise Fails("", 1, host.invalid_config.encode())
    try:
        config = json.loads(call.stdin)
    except ValueError as error:
        raise Fails("", 1, json.dumps({"valid": False, "issues": [str(error)]}).encode()) from error
    if unknown := [key for key in config if key in host.gateway.refuses]:
        issue: Json = {"path": "<root>", "message": f"Unrecognized key: {unknown[0]}"}
        raise Fails("", 1, json.dumps({"valid": False, "issues": [issue]}).encode())
    return b'{"valid": true}'


def check_config(host: SimulatedHost, call: Call) -> bytes:
    path, link, node_version, _, most = call.arguments
    content = host.content(path)
    if not content:
        raise Fails("", NO_FILE)
    if len(content) >= int(most) or link not in host.links:
        raise Fails("", 75)
    version = host.links[link].rpartition("/")[2]
    return validate_config(host, replace(call, arguments=(version, node_version), stdin=content))


def ask_for_models(host: SimulatedHost, call: Call) -> bytes:
    """The provider is always there, and takes any key."""
    request = json.loads(call.stdin)
    if request["key_path"] not in host.files:
        raise Fails(f"FileNotFoundError: [Errno 2] No such file or directory: '{request['key_path']}'")
    return host.models.encode() + b"\n"


def ask_for_bot(host: SimulatedHost, call: Call) -> bytes:
    """Telegram is always there; `host.bot` is what it answers."""
    request = json.loads(call.stdin)
    there = request["token_path"] in host.files
    return json.dumps(host.bot if there else {"code": "FileNotFoundError", "webhook": ""}).encode() + b"\n"


def send_message(host: SimulatedHost, call: Call) -> bytes:
    """Telegram is always there, and its token too where one lies on the host."""
    request = json.loads(call.stdin)
    if request["token_path"] not in host.files:
        raise Fails(f"FileNotFoundError: [Errno 2] No such file or directory: '{request['token_path']}'")
    host.messages += [(user, request["text"]) for user in request["users"]]
    return json.dumps(["200" for _ in request["users"]]).encode() + b"\n"


def send_messages(host: SimulatedHost, call: Call) -> bytes:
    request = json.loads(call.stdin)
    if request["token_path"] not in host.files:
        raise Fails(f"FileNotFoundError: [Errno 2] No such file or directory: '{request['token_path']}'")
    if host.gateway.active != "active":
        raise Fails("the gateway does not answer on loopback: [Errno 111] Connection refused")
    return json.dumps([_send(host, asked["args"]) for asked in request["calls"]]).encode() + b"\n"


def _send(host: SimulatedHost, asked: dict[str, str]) -> Json:
    """Its message tool."""
    if host.gateway.refusal:
        return {"message": "", "problem": host.gateway.refusal}
    host.messages.append((int(asked["target"]), asked["message"]))
    return {"message": str(len(host.messages)), "problem": ""}


def await_ready(host: SimulatedHost, call: Call) -> bytes:
    """Nobody waits on a simulated host."""
    del call
    return b"ready\n" if host.gateway.was_ready else b""


def call_gateway(host: SimulatedHost, call: Call) -> bytes:
    request = json.loads(call.stdin)
    if request["token_path"] not in host.files:
        raise Fails(f"FileNotFoundError: [Errno 2] No such file or directory: '{request['token_path']}'")
    body = request["body"]
    return json.dumps(host.gateway.rpc(body["method"], body["params"])).encode()
