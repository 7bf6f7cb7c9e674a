"""A real machine and the operator who works on it, and what befalls them within a step, which their log proves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

import yaml

from reconciler.api import FleetClient, Planned
from reconciler.model import Secret
from reconciler.sandbox.client import SandboxClient
from reconciler.sandbox.network import SWITCH
from reconciler.steps import CONVERGE, START
from tests.e2e.machinery import Operator, ask_cloud, wait_until

CHILD: Final[dict[str, Any]] = {
    "region": "nbg1",
    "server_type": "cx23",
    "version": "2026.9.6",
    "model": {"name": "claude-sonnet-4-6", "key": "env:ANTHROPIC_API_KEY"},
    "files": {"SOUL.md": {"text": "You are one of two.\n", "mode": "managed"}},
}
BRIDGE: Final = "switch"  # in the namespace SWITCH; see sandbox/network.py
ORDER: Final = tuple(step.name for step in CONVERGE)
START_ORDER: Final = tuple(step.name for step in START)
TRIES: Final = 5
PATIENCE: Final = 300.0  # seconds until a step begins


class Fate(StrEnum):
    KILLED = "its operator is killed"
    CUT = "the network is cut"
    RESET = "the machine is reset"


@dataclass(frozen=True)
class Place:
    """The machine from outside, and the operator who works on it."""

    operator: Operator
    sandbox: SandboxClient

    def declare(self, *children: str) -> None:
        specs = {name: {**CHILD, "bot": {"token": f"env:{name.upper()}_BOT_TOKEN"}} for name in children}
        fleet = {"fleet": "steps", "cloud": {"provider": "sandbox"}, "children": specs}
        (self.operator.directory / "fleet.yaml").write_text(yaml.safe_dump(fleet, sort_keys=False))

    def strike(
        self, step: str, fate: Fate, seconds: float, undo: Callable[[], object], order: Iterable[str] = ORDER
    ) -> None:
        """Within a step of an apply, so many seconds after it began; its operator is dead in any case.

        `undo` gives the step something to do. A step that ended before it was struck is tried again, earlier.
        """
        for attempt in range(TRIES):
            undo()
            moment = seconds / 2**attempt if attempt < TRIES - 1 else 0
            if self._struck(Running(self.operator, order), step, fate, moment):
                return
        raise AssertionError(f"{step} ended {TRIES} times before it could be struck: it was never in danger")

    def go_on(self, until: str) -> None:
        """An apply of which nobody lives to see more than the end of this step."""
        running = Running(self.operator)
        running.await_begin(ORDER[ORDER.index(until) + 1])
        running.kill()

    def as_root(self, text: str, child: str = "kim") -> str:
        """What a script of root prints on the machine, as soon as that can be reached."""
        said: list[str] = []

        def ran() -> bool:
            done = self.operator.run("ssh", child, "--", "sudo", "-n", "sh", "-c", f"{text}; echo done")
            said[:] = [done.stdout]
            return done.stdout.endswith("done\n")

        wait_until(ran, f"root runs {text}", 120)
        return said[0].removesuffix("done\n").strip()

    def machine(self) -> int:
        """The emulator's id of kim's server, which names its machine too."""
        (row,) = ask_cloud("GET", "/servers", params={"name": "steps-kim"})["servers"]
        return int(row["id"])

    def look(self) -> Planned:
        """What the product sees of all children."""
        key = self.operator.home / ".config/openclaw-deploy/steps.key"
        return FleetClient.load(self.operator.directory / "fleet.yaml", key=Secret(key.read_text().strip())).plan()

    def creates(self) -> list[str]:
        made = [
            entry for entry in self.sandbox.cloud_log() if entry["method"] == "POST" and entry["path"] == "/servers"
        ]
        names: list[Any] = [entry["body"]["name"] for entry in made if entry["status"] == 201]  # type: ignore[index,call-overload]
        return sorted(name for name in names if name.startswith("steps-"))

    def _struck(self, running: Running, step: str, fate: Fate, seconds: float) -> bool:
        """Whether it was struck within that step. A machine that was reset is back."""
        machine = self.machine()
        try:
            running.await_begin(step)
            time.sleep(seconds)  # it is the middle of something: there is nothing to wait for
            if fate is Fate.CUT:
                plug(machine, "nomaster")
            elif fate is Fate.RESET:
                reset = ask_cloud("POST", f"/servers/{machine}/actions/reset")["action"]["id"]
        finally:
            was_at_work = running.end()
        if fate is Fate.CUT:
            plug(machine, "master", BRIDGE)
        elif fate is Fate.RESET:
            wait_until(lambda: ask_cloud("GET", f"/actions/{reset}")["action"]["status"] == "success", "it is reset")
            self.as_root("true")
        return was_at_work and running.is_within(step)


class Running:
    """`fleet apply kim` in a process group of its own, and the steps that its log says have ended."""

    def __init__(self, operator: Operator, order: Iterable[str] = ORDER) -> None:
        self._order = tuple(order)
        self._log = operator.directory / "apply.log"
        self._log.unlink(missing_ok=True)
        logging = replace(operator, more={**operator.more, "FLEET_LOG": str(self._log)})
        self._process = logging.start("apply", "kim", "--yes")

    def await_begin(self, step: str) -> None:
        """Until all steps before this one have ended."""
        before = self._order[: self._order.index(step)]
        deadline = time.monotonic() + PATIENCE
        while self.ended()[: len(before)] != before:
            assert self._process.poll() is None, f"it ended after {self.ended()}, before {step}"
            assert time.monotonic() < deadline, f"{step} has not begun, only {self.ended()} have ended"
            time.sleep(0.003)

    def is_within(self, step: str) -> bool:
        """That it has begun and not ended."""
        return self.ended() == self._order[: self._order.index(step)]

    def ended(self) -> tuple[str, ...]:
        """Without those that an action has before all others."""
        lines = self._log.read_text().split("\n")[:-1] if self._log.exists() else []
        events = [json.loads(line) for line in lines]
        steps = [event["step"] for event in events if event["event"] == "step-ended"]
        return tuple(steps[steps.index(ORDER[0]) if ORDER[0] in steps else len(steps) :])

    def kill(self) -> None:
        """In the midst of its work."""
        assert self.end(), f"it had come to its own end, after {self.ended()}"

    def end(self) -> bool:
        """It works no more; whether it did until now."""
        was_at_work = self._process.poll() is None
        if was_at_work:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        return was_at_work


def plug(machine: int, *where: str) -> None:
    """The machine's cable, out of the switch or in it."""
    subprocess.run(["ip", "-n", SWITCH, "link", "set", f"m{machine}", *where], check=True)
