"""The commands on Node, OpenClaw's releases and the running gateway, as a simulated host carries them out."""

from __future__ import annotations

import json
from typing import Final

from reconciler.commands.release import BUILD_USER, RELEASES
from reconciler.commands.units import NOLOGIN
from reconciler.sandbox.simulated.calls import Call, Fails
from reconciler.sandbox.simulated.disk import Account, File, is_program, make_directories, remove_tree, tree_digest
from reconciler.sandbox.simulated.host import SimulatedHost

SHA256: Final = ".openclaw-deploy-sha256"
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
        _note_tree(host, directory)
    host.directories[directory] = "root:root", "0755"


def install_release(host: SimulatedHost, call: Call) -> None:
    version, node, _, _ = call.arguments
    final = f"{RELEASES}/{version}"
    if not (final in host.releases and is_intact(host, final)):
        _make_builder(host)
        make_directories(host, RELEASES)
        _check_npm(host, node)
        remove_tree(host, final)
        make_directories(host, f"{final}/node_modules/openclaw")
        host.files[f"{final}/node_modules/openclaw/openclaw.mjs"] = File(b"", mode="0755")
        host.releases.add(final)
        _note_tree(host, final)
    host.directories[final] = "root:root", "0755"


def newest_release(host: SimulatedHost, call: Call) -> bytes:
    node, _ = call.arguments
    _make_builder(host)
    _check_npm(host, node)
    return f"{host.newest_release}\n".encode()


def is_intact(host: SimulatedHost, directory: str) -> bool:
    """Whether an installed tree is as it was when it was installed."""
    return host.content(f"{directory}/{TREE}") == tree_digest(host, directory, TREE)


def _note_tree(host: SimulatedHost, directory: str) -> None:
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
        json.loads(call.stdin)
    except ValueError as error:
        raise Fails("", 1, json.dumps({"valid": False, "issues": [str(error)]}).encode()) from error
    return b'{"valid": true}'


def ask_for_models(host: SimulatedHost, call: Call) -> bytes:
    """The provider is always there, and takes any key."""
    request = json.loads(call.stdin)
    if request["key_path"] not in host.files:
        raise Fails(f"FileNotFoundError: [Errno 2] No such file or directory: '{request['key_path']}'")
    return host.models.encode() + b"\n"


def call_gateway(host: SimulatedHost, call: Call) -> bytes:
    request = json.loads(call.stdin)
    if request["token_path"] not in host.files:
        raise Fails(f"FileNotFoundError: [Errno 2] No such file or directory: '{request['token_path']}'")
    body = request["body"]
    return json.dumps(host.gateway.rpc(body["method"], body["params"])).encode()
