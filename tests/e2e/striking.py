"""A real machine and the operator who works on it: a step is struck in its middle, and all is well again afterwards."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import yaml

from reconciler.api import FleetClient, Planned
from reconciler.model import Secret
from reconciler.sandbox.client import SandboxClient
from reconciler.sandbox.network import SWITCH
from reconciler.steps import CONVERGE
from tests.e2e.machinery import FLEET, Operator, ask_cloud, wait_until

CHILD: Final[dict[str, Any]] = {
    "region": "nbg1",
    "server_type": "cx23",
    "version": "2026.9.6",
    "model": {"name": "claude-sonnet-4-6", "key": "env:ANTHROPIC_API_KEY"},
    "files": {"SOUL.md": {"text": "You are one of two.\n", "mode": "managed"}},
}
BRIDGE: Final = "switch"  # in the namespace SWITCH; see sandbox/network.py
ORDER: Final = [step.name for step in CONVERGE]
DONE: Final = re.compile(r"  kim: (.+) \(\d+\.\d s\)")


class Fate(StrEnum):
    KILLED = "its operator is killed"
    CUT = "the network is cut"
    RESET = "the machine is reset"


@dataclass(frozen=True)
class Place:
    """The machine from outside, and the operator who works on it."""

    operator: Operator
    sandbox: SandboxClient

    def declare(self, **children: dict[str, Any]) -> None:
        specs = {
            name: {**CHILD, "bot": {"token": f"env:{name.upper()}_BOT_TOKEN"}, **more}
            for name, more in children.items()
        }
        fleet = {"fleet": "steps", "cloud": {"provider": "sandbox"}, "children": specs}
        (self.operator.directory / "fleet.yaml").write_text(yaml.safe_dump(fleet, sort_keys=False))

    def strike(self, after: str, seconds: float, fate: Fate) -> None:
        """An apply, so many seconds after it said that a step (or a later one) is done; and all is well again."""
        machine, running = self.machine(), Running(self.operator)
        try:
            running.await_step(after)
            time.sleep(seconds)  # it is the middle of something: there is nothing to wait for
            if fate is Fate.CUT:
                plug(machine, "nomaster")
            elif fate is Fate.RESET:
                self.reset(machine)
        finally:
            running.kill()
        if fate is Fate.CUT:
            plug(machine, "master", BRIDGE)

    def as_root(self, text: str) -> str:
        """What a script of root prints on the machine, as soon as that can be reached."""
        said: list[str] = []

        def ran() -> bool:
            done = self.operator.run("ssh", "kim", "--", "sudo", "-n", "sh", "-c", f"{text}; echo done")
            said[:] = [done.stdout]
            return done.stdout.endswith("done\n")

        wait_until(ran, f"root runs {text}", 120)
        return said[0].removesuffix("done\n").strip()

    def machine(self) -> int:
        """The emulator's id of kim's server, which names its machine too."""
        (row,) = ask_cloud("GET", "/servers", params={"name": "steps-kim"})["servers"]
        return int(row["id"])

    def reset(self, machine: int) -> None:
        """The plug is pulled and put back."""
        ask_cloud("POST", f"/servers/{machine}/actions/reset")

    def look(self) -> Planned:
        """What the product sees of both children."""
        key = self.operator.home / ".config/openclaw-deploy/steps.key"
        return FleetClient.load(self.operator.directory / "fleet.yaml", key=Secret(key.read_text().strip())).plan()

    def creates(self) -> list[str]:
        made = [
            entry for entry in self.sandbox.cloud_log() if entry["method"] == "POST" and entry["path"] == "/servers"
        ]
        names: list[Any] = [entry["body"]["name"] for entry in made if entry["status"] == 201]  # type: ignore[index,call-overload]
        return sorted(name for name in names if name.startswith("steps-"))


class Running:
    """`fleet apply kim` in a process group of its own, and the steps that it says are done."""

    def __init__(self, operator: Operator) -> None:
        self._steps: list[str] = []
        self._process = subprocess.Popen(
            [*FLEET, "apply", "kim", "--yes"],
            cwd=operator.directory,
            env=operator.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )
        self._reader = threading.Thread(target=self._gather)
        self._reader.start()

    def await_step(self, name: str) -> None:
        place = ORDER.index(name)
        deadline = time.monotonic() + 300
        while not any(ORDER.index(step) >= place for step in self._steps if step in ORDER):
            assert self._process.poll() is None, f"it ended after {self._steps}: it was never in danger"
            assert time.monotonic() < deadline, f"{name} is not done, only {self._steps}"
            time.sleep(0.005)

    def kill(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join()

    def _gather(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as printed:
            for line in printed:
                print(line, end="")
                if found := DONE.match(line):
                    self._steps.append(found[1])


def plug(machine: int, *where: str) -> None:
    """The machine's cable, out of the switch or in it."""
    subprocess.run(["ip", "-n", SWITCH, "link", "set", f"m{machine}", *where], check=True)
