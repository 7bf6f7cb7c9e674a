"""The commands on Node, OpenClaw's releases and the running gateway, as a simulated host carries them out."""

from __future__ import annotations

import json
from typing import Final

from reconciler.commands.release import BUILD_USER, RELEASES
from reconciler.commands.units import NOLOGIN
from reconciler.sandbox.simulated.calls import Call, Fails
from reconciler.sandbox.simulated.disk import Account, File, is_program, make_directories, remove_tree
from reconciler.sandbox.simulated.host import SimulatedHost

MARK: Final = ".openclaw-deploy-sha256"


def fetch_archive(host: SimulatedHost, call: Call) -> None:
    """What the archive has is taken for Node: nothing is fetched."""
    _, sha256, directory = call.arguments
    if host.content(f"{directory}/{MARK}") != f"{sha256}\n".encode() or not is_program(host, f"{directory}/bin/node"):
        remove_tree(host, directory)
        make_directories(host, f"{directory}/bin")
        host.files[f"{directory}/bin/node"] = File(b"", mode="0755")
        host.files[f"{directory}/{MARK}"] = File(f"{sha256}\n".encode())
    host.directories[directory] = "root:root", "0755"


def install_release(host: SimulatedHost, call: Call) -> None:
    version, node, _, _ = call.arguments
    final = f"{RELEASES}/{version}"
    if final in host.releases:
        return
    host.accounts.setdefault(BUILD_USER, Account("/nonexistent", NOLOGIN))
    make_directories(host, RELEASES)
    if not is_program(host, f"{node}/bin/node"):
        raise Fails("env: 'npm': No such file or directory", 127)
    make_directories(host, final)
    host.releases.add(final)


def validate_config(host: SimulatedHost, call: Call) -> bytes:
    version, node_version = call.arguments
    if f"{RELEASES}/{version}" not in host.releases:
        raise Fails(f"Error: Cannot find module '{RELEASES}/{version}/node_modules/openclaw/openclaw.mjs'")
    if not is_program(host, f"/opt/openclaw/node-{node_version}/bin/node"):
        raise Fails("env: node: No such file or directory", 127)
    if host.invalid_config:
        raise Fails("", 1, host.invalid_config.encode())
    try:
        json.loads(call.stdin)
    except ValueError as error:
        raise Fails("", 1, json.dumps({"valid": False, "issues": [str(error)]}).encode()) from error
    return b'{"valid": true}'


def call_gateway(host: SimulatedHost, call: Call) -> bytes:
    request = json.loads(call.stdin)
    if request["token_path"] not in host.files:
        raise Fails(f"FileNotFoundError: [Errno 2] No such file or directory: '{request['token_path']}'")
    body = request["body"]
    return json.dumps(host.gateway.rpc(body["method"], body["params"])).encode()
