"""What is tried on a simulated host that is ill: commands/mending.py as it carries it out."""

from __future__ import annotations

import json

from reconciler.sandbox.simulated.calls import Call, Fails
from reconciler.sandbox.simulated.disk import exists, is_program, remove_tree, rename
from reconciler.sandbox.simulated.host import SimulatedHost
from reconciler.sandbox.simulated.switching import HOME, UNIT

CACHES = (f"{HOME}/.cache", f"{HOME}/.npm")


def set_aside_config(host: SimulatedHost, call: Call) -> None:
    """$1 the configuration, $2 when, then what the names of its copies end with."""
    path, when, *ends = call.arguments
    if call.user not in host.accounts:
        raise Fails(f"runuser: user {call.user} does not exist")
    for end in ("", *ends):
        if exists(host, f"{path}{end}"):
            rename(host, f"{path}{end}", f"{path}.refused-{when}{end}")


def clear_space(host: SimulatedHost, call: Call) -> bytes:
    """`host.clearable_mb` is how much can be fetched or made again."""
    del call
    for cache in CACHES:
        remove_tree(host, cache)
    freed, host.clearable_mb = host.clearable_mb, 0
    host.disk_free_mb += freed
    if "disk_free_mb" in host.closer:
        host.closer["disk_free_mb"] += freed
    return json.dumps({"freed_mb": freed, "free_mb": host.disk_free_mb}).encode()


def free_port(host: SimulatedHost, call: Call) -> bytes:
    """Those of `host.closer` that are not ours end, unless their name says that they do not listen to that."""
    del call
    found = [it for name in ("listeners", "strays") for it in host.closer.get(name, []) if not it["is_ours"]]
    left = [it for it in found if it["name"] == "stubborn"]
    for name in ("listeners", "strays"):
        if name in host.closer:
            host.closer[name] = [it for it in host.closer[name] if it in left]
            if not host.closer[name]:
                del host.closer[name]
    ended = [{**it, "unit": ""} for it in found if it not in left]
    return json.dumps({"ended": ended, "left": left}).encode()


def run_doctor(host: SimulatedHost, call: Call) -> None:
    """It takes away what the release does not know in openclaw.json, and mends the versions in `host.doctor_mends`."""
    if host.systemd.state(UNIT).active in ("active", "activating"):
        raise Fails("the gateway runs, so its state cannot be taken as a whole")
    node = f"/opt/openclaw/node-{call.arguments[0]}/bin/node"
    if not is_program(host, node):
        raise Fails(f"env: '{node}': No such file or directory", 127)
    gateway, path = host.gateway, f"{HOME}/.openclaw/openclaw.json"
    for version in host.doctor_mends:
        gateway.flawed.pop(version, None)
    config = host.read_json(path)
    if isinstance(config, dict):
        known = {key: value for key, value in config.items() if key not in gateway.refuses}
        host.files[path].content = json.dumps(known).encode()
