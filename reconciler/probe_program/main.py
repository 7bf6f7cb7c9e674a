"""Where the probe starts: the request in, the answer out.

Request: {"root", "digest_key" (hex), "looks": {name: {"kind", ...}}, "gateway": {"port", "token_path", "unit",
"started_path"}, "applied_path", "bot_token_path", "notes", "releases"}. Answer: see `reconciler.answers`.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from typing import Any

from reconciler.probe_program import reading
from reconciler.probe_program.gateway import gateway
from reconciler.probe_program.looks import look_at, secrets_in
from reconciler.probe_program.reading import concealed
from reconciler.probe_program.versions import versions

SHORTEST_SECRET = 8  # characters; what is shorter names nothing and would blot out ordinary words


def main() -> None:
    """Answer the request on stdin. Ends with a message on stderr when any look fails."""
    try:
        request = json.load(sys.stdin.buffer)
        reading.look_below(request["root"])
        sys.stdout.write(json.dumps(answer(request)))
    except Exception as error:  # whatever it is: the person who reads it is on another machine
        sys.exit(f"{type(error).__name__}: {error}")


def answer(request: Any) -> dict[str, Any]:
    disk = os.statvfs(reading.root)
    applied = reading.parsed(reading.content(request["applied_path"]))
    return {
        "boot_id": reading.text("/proc/sys/kernel/random/boot_id").strip(),
        "clock": time.time(),
        "architecture": os.uname().machine,
        "managed": looked(request["looks"], bytes.fromhex(request["digest_key"]), applied),
        "gateway": concealed(gateway(request["gateway"]), told_to_gateway(request["looks"])),
        "applied": applied,
        "disk_free_mb": disk.f_bavail * disk.f_frsize >> 20,
        "memory_free_mb": reading.memory_free_mb(),
        "bot": bot_number(reading.content(request["bot_token_path"])),
        "versions": versions(request["notes"], request["releases"]),
    }


def bot_number(token: Any) -> Any:
    """The part of a Telegram token before the colon: it names the bot, and is no secret. None of what is no token."""
    found = re.match(rb"([0-9]{1,20}):", token or b"")
    return found.group(1).decode() if found else None


def told_to_gateway(looks: Any) -> list[str]:
    """Secrets that it may repeat, in its log or in the URL of a request that failed."""
    found = {secret for look in looks.values() for secret in secrets_in(look)}
    return sorted((secret for secret in found if len(secret) >= SHORTEST_SECRET), key=len, reverse=True)


def looked(looks: Any, key: bytes, applied: Any) -> dict[str, Any]:
    answers = {}
    for name, look in looks.items():
        try:
            answers[name] = look_at(remembering(look, applied), key)
        except Exception as error:
            raise RuntimeError(f"cannot look at {name}: {type(error).__name__}: {error}") from error
    return answers


def remembering(look: Any, applied: Any) -> Any:
    """The look with what the last apply has put there besides: only so is seen what has left the fleet file since."""
    if look["kind"] == "json_keys":
        return {**look, "keys": [*look["keys"], *noted(applied, "config_keys")]}
    if look["kind"] == "workspace":
        before = dict.fromkeys(noted(applied, "managed_files"), "managed")
        sown = noted(applied, "seeded_files")
        if look.get("as_noted"):
            before = {**dict.fromkeys(sown, "seed"), **before}
        return {**look, "files": {**before, **look["files"]}, "seeded": sown}
    return look


def noted(applied: Any, name: str) -> list[Any]:
    """A list in applied.json; empty where an older tool has written none."""
    found = applied.get(name) if isinstance(applied, dict) else None
    return found if isinstance(found, list) else []
