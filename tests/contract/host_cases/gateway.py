"""Cases on JSON that others write, and on a gateway that is not there; one that runs is in releases.py."""

from __future__ import annotations

import json
import re
from typing import Final

from reconciler.commands import (
    await_ready,
    call_by_cli,
    examine,
    gateway_rpc,
    install_file,
    install_release,
    make_system_user,
    read_logs,
    read_messages,
    read_pairings,
    send_messages,
    validate_config,
    watch,
)
from reconciler.model import Command, Json
from tests.contract.host_cases.case import APPLIED, Case, account, directory, json_keys, rights

PATH: Final = "/srv/config.json"
NO_NODE: Final = "/opt/openclaw/node-0.0.0"
LONG: Final = "x" * 70_000
WATCHED: Final[Json] = {
    "root": "/", "digest_key": "00", "looks": {}, "applied_path": APPLIED, "bot_token_path": "/etc/x",
    "notes": "/srv/no-notes", "releases": "/srv/no-releases",
    "gateway": {"port": 18789, "token_path": "/etc/x", "unit": "no.service", "started_path": "/run/no"},
}  # fmt: skip


def config(value: object) -> Command:
    return install_file(PATH, json.dumps(value).encode(), "root:root", "0644")


def note(content: bytes) -> Command:
    return install_file(APPLIED, content, "root:root", "0600", "0700")


def looked_closely(secrets: tuple[str, ...] = ()) -> Command:
    unit, node = "openclaw-gateway.service", f"{NO_NODE}/bin/node"
    return examine(18789, unit, "openclaw", "/var", node, secrets, "/etc/x", "/etc/y")


CASES: Final = (
    Case("no gateway is on a fresh machine", [], [(directory("/opt/openclaw"), None)], is_fresh=True),
    Case(
        "keys are told as they are, and missing ones not at all",
        [config({"a": {"b": [1, None], "other": 2}, "c": False})],
        [(json_keys(PATH, ("a", "b"), ("a", "none"), ("c",), ("c", "d")), {"a": {"b": [1, None]}, "c": False})],
    ),
    Case(
        "a secret written inline is not carried away",
        [config({"auth": {"token": "hush", "list": [{"apiKey": "hush"}]}, "pins": {"password": 5, "maxTokens": 5}})],
        [(json_keys(PATH, ("auth",), ("pins",)),
          {"auth": {"token": "(inline secret)", "list": [{"apiKey": "(inline secret)"}]},
           "pins": {"password": "(inline secret)", "maxTokens": 5}})],
    ),
    Case(
        "a secret written inline is known by its key, however that is spelled",
        [config({"headers": {"X-Goog-Api-Key": "hush", "cookie": "hush", "Accept": "*/*"}, "mainKey": "main"})],
        [(json_keys(PATH, ("headers",), ("mainKey",)),
          {"headers": {"X-Goog-Api-Key": "(inline secret)", "cookie": "(inline secret)", "Accept": "*/*"},
           "mainKey": "main"})],
    ),
    Case("a value that is too large is not carried away", [config({"a": LONG, "b": 1})],
         [(json_keys(PATH, ("a",), ("b",)), {"a": {"error": "too large"}, "b": 1})]),
    Case("what is no JSON object is told as that", [config([1, 2])],
         [(json_keys(PATH, ("a",)), {"error": "not JSON"})]),
    Case("what is no JSON at all is told as that", [install_file(PATH, b"{,", "root:root", "0644")],
         [(json_keys(PATH, ("a",)), {"error": "not JSON"})]),
    Case("keys of a file that is not there are not there", [], [(json_keys("/srv/no-config.json", ("a",)), None)]),
    Case("what was applied is told whole", [note(b'{"tool": "1", "x": [1]}')], applied={"tool": "1", "x": [1]}),
    Case("a note that is no JSON counts as none", [note(b"{")], applied=None),
    Case("a gateway that is not there answers nothing", [gateway_rpc("config.get", {})], codes=[1]),
    Case("a gateway that is not there does not become ready", [await_ready(1)], says=b""),
    Case("a gateway that is not there uses no tools", [send_messages([{"tool": "message", "args": {}}])], codes=[1]),
    Case("a gateway that is not there lets nobody in",
         [call_by_cli("channels.pairing.list", {}, NO_NODE)], codes=[1]),
    Case(
        "nothing was logged where no gateway has ever run",
        [read_logs(10, None)],
        says=re.compile(
            rb'\{"now": [0-9.]+, "log": \{"entries": \[\], "cursor": (?:null|0), "is_cut": false, "more": false\}, '
            rb'"journal": \{"entries": \[\], "cursor": (?:null|0), "is_cut": false, "more": false\}\}\n?'
        ),
        is_fresh=True,
    ),
    Case(
        "a close look says of a fresh machine that nothing is there",
        [looked_closely(("/etc/x",))],
        says=re.compile(
            rb'\{"first_boot": "(?:done|running|error)", "inodes_free": (?:\d+|null), "disk_free_mb": \d+, "node": "", '
            rb'"lacking_secrets": \["/etc/x"\], "listeners": \[\], "strays": \[\], "up_for": null, '
            rb'"clock": [0-9.]+, "probe_problem": "", "inbound": null, "outbound": null, "load": [0-9.]+, '
            rb'"open_ports": \[(?:\d+(?:, )?)*\], "killed": 0, "reboot_due": false, "config_at": null\}\n?'
        ),
        is_fresh=True,
    ),
    Case(
        "a watch is a probe and a close look, a line each",
        [watch(WATCHED, looked_closely())],
        says=re.compile(
            rb'\{"boot_id": "[^\n]+"releases": \[[^\n]*\]\}\}\n'
            rb'\{"first_boot": "[^\n]+"reboot_due": false, "config_at": null\}\n?'
        ),
        is_fresh=True,
    ),
    Case("nothing was said where no gateway has ever run", [read_messages(10)], codes=[1], is_fresh=True),
    Case("nobody asks where no gateway has ever run", [read_pairings()], codes=[1], is_fresh=True),
    Case(
        "a configuration cannot be judged without Node",
        [make_system_user("openclaw", "/var/lib/openclaw"), validate_config("2026.1.1", "0.0.0", b"{}")],
        codes=[0, 127],
    ),
    Case(
        "a release cannot be installed without Node, and leaves nothing that looks like one",
        [install_release("2026.1.1", NO_NODE, None, 60)],
        [
            (directory("/opt/openclaw/releases/2026.1.1"), None),
            (directory("/opt/openclaw/releases"), rights("0755")),
            (account("openclaw-build"), {"home": "/nonexistent", "shell": "/usr/sbin/nologin", "locked": True}),
        ],
        codes=[127],
    ),
)  # fmt: skip
