"""What the end-to-end tests do with: the real command in a subprocess, and commands on a child's machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from reconciler.sandbox.info import SandboxInfo
from reconciler.sandbox.paths import Paths

FLEET = [sys.executable, "-m", "reconciler"]


@dataclass(frozen=True)
class Operator:
    """A person at a terminal: a working directory, an environment, and the `fleet` command."""

    directory: Path
    home: Path
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "OPENCLAW_DEPLOY_CACHE") if name in os.environ}
        return kept | {"HOME": str(self.home), "NO_COLOR": "1"} | dict(self.more)

    def fleet(self, *arguments: str, code: int | None = 0, timeout: float = 600) -> str:
        """Standard output of `fleet ARGUMENTS`; the test fails when the exit code is not `code` (None: any)."""
        done = self.run(*arguments, timeout=timeout)
        output = f"$ fleet {' '.join(arguments)}\n{done.stdout}{done.stderr}(exit {done.returncode})"
        print(output)
        assert code is None or done.returncode == code, output
        assert "Traceback" not in output, output
        return done.stdout

    def run(self, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """`fleet ARGUMENTS` to its end, without a terminal; judges nothing."""
        return subprocess.run(
            [*FLEET, *arguments],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """`fleet ARGUMENTS` running in a process group of its own, so that it can be killed whole. See `heard`."""
        with self._heard.open("wb") as heard:
            return subprocess.Popen(
                [*FLEET, *arguments],
                cwd=self.directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=heard,
                stderr=heard,
                start_new_session=True,
            )

    def heard(self) -> str:
        """What the last one that was started has said by now."""
        return self._heard.read_text()

    @property
    def _heard(self) -> Path:
        return self.directory.with_suffix(".heard")  # not within: what a command writes there is compared

    def status(self) -> dict[str, dict[str, Any]]:
        return {child["child"]: child for child in json.loads(self.fleet("status", "--json"))}

    def on(self, child: str, *command: str, code: int | None = 0) -> str:
        """Run a command on the child's machine as the login account."""
        return self.fleet("ssh", child, "--", *command, code=code)

    def as_openclaw(self, child: str, command: str) -> str:
        """Run a shell line on the machine as the gateway's account; ends with `exit N`."""
        line = f"sudo -n runuser -u openclaw -- sh -c '{command}' 2>&1; echo exit $?"
        return self.on(child, "sh", "-c", line).strip()


def ask_cloud(method: str, path: str, **more: Any) -> Any:
    """What the sandbox's cloud answers to a request that is not the product's."""
    info = SandboxInfo.from_file(Paths.default().info)
    headers = {"Authorization": f"Bearer {Path(info.token_file).read_text().strip()}"}
    answer = httpx.request(method, f"{info.endpoint}{path}", headers=headers, **more)
    answer.raise_for_status()
    return answer.json()


def wait_until(holds: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Until `holds()`; the test fails with `what` when it does not in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.3)


def tree(directory: Path) -> dict[str, bytes]:
    """Every file below a directory with its content: what "nothing was written" is compared by."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}
