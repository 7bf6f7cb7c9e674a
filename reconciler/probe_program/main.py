"""Where the probe starts: the request in, the answer out.

Request: {"root", "digest_key" (hex), "looks": {name: {"kind", ...}}, "gateway": {"port", "token_path", "unit",
"started_path"}, "applied_path"}. Answer: see `reconciler.answers`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from reconciler.probe_program import reading
from reconciler.probe_program.gateway import gateway
from reconciler.probe_program.looks import look_at


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
    return {
        "boot_id": reading.text("/proc/sys/kernel/random/boot_id").strip(),
        "clock": time.time(),
        "architecture": os.uname().machine,
        "managed": looked(request["looks"], bytes.fromhex(request["digest_key"])),
        "gateway": gateway(request["gateway"]),
        "applied": reading.parsed(reading.content(request["applied_path"])),
        "disk_free_mb": disk.f_bavail * disk.f_frsize >> 20,
        "memory_free_mb": reading.memory_free_mb(),
    }


def looked(looks: Any, key: bytes) -> dict[str, Any]:
    answers = {}
    for name, look in looks.items():
        try:
            answers[name] = look_at(look, key)
        except Exception as error:
            raise RuntimeError(f"cannot look at {name}: {type(error).__name__}: {error}") from error
    return answers
