"""The probe program, run as on a host: its own process, a request on stdin, a directory that stands for the disk."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.answers import parse_answer
from reconciler.commands import run_probe
from reconciler.commands.probe import BOOTSTRAP
from reconciler.model import GatewayFacts, HostFacts, Json
from reconciler.probe_program.tree import FINGERPRINT, MARK

KEY = "00ff" * 16


@dataclass
class Disk:
    """A host's files below `root`, and what its programs print."""

    root: Path
    port: int = 1
    asks_what_was_spent: bool = False

    def write(self, path: str, content: str | bytes, mode: int = 0o644) -> Path:
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)
        place.chmod(mode)
        return place

    def seal(self, tree: str) -> None:
        """Note the tree's fingerprint in it, as its installation does."""
        place = self.root / tree.lstrip("/")
        done = subprocess.run(["sh", "-c", FINGERPRINT, "sh", place], capture_output=True, check=True)
        (place / MARK).write_bytes(done.stdout)

    def prints(self, program: str, text: str) -> None:
        self.write(f"/answers/{program}", text)
        self.write(f"/bin/{program}", f"#!/bin/sh\ncat '{self.root}/answers/{program}'\n", 0o755)

    def probe(self, looks: dict[str, Json] | None = None) -> HostFacts:
        result = self.run(looks or {})
        assert result.returncode == 0, result.stderr.decode()
        return parse_answer(result.stdout)

    def look(self, **look: Json) -> Json:
        return self.probe({"it": look}).managed["it"]

    def gateway(self) -> GatewayFacts:
        return self.probe().gateway

    def run(self, looks: dict[str, Json]) -> subprocess.CompletedProcess[bytes]:
        request: Json = {
            "root": str(self.root),
            "digest_key": KEY,
            "looks": looks,
            "gateway": {
                "port": self.port,
                "token_path": "/etc/openclaw/gateway.token",
                "unit": "openclaw-gateway.service",
                "started_path": "/run/openclaw-gateway/started.json",
                "log_path": "/var/log/openclaw/openclaw.log",
                "spent": self.asks_what_was_spent,
            },
            "applied_path": "/var/lib/openclaw-deploy/applied.json",
            "bot_token_path": "/etc/openclaw/telegram.token",
            "notes": "/var/lib/openclaw-deploy",
            "releases": "/opt/openclaw/releases",
        }
        return subprocess.run(
            [sys.executable, "-I", "-c", BOOTSTRAP],
            input=run_probe(request).stdin,
            capture_output=True,
            env={"PATH": f"{self.root}/bin:/usr/bin:/bin", "http_proxy": "http://127.0.0.1:9"},
            timeout=30,
            check=False,
        )


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    disk = Disk(tmp_path)
    disk.write("/proc/sys/kernel/random/boot_id", "boot-1\n")
    disk.write("/proc/meminfo", "MemTotal: 9 kB\nMemAvailable: 2097152 kB\n")
    for program in ("systemctl", "journalctl", "iptables", "ip6tables", "nft", "sshd", "dpkg-query"):
        disk.prints(program, "")
    return disk
