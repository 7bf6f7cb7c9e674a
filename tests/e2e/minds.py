"""One child with a conversation on a real machine, whose memory tests follow wherever it goes."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from reconciler.commands.switching import SWITCH
from reconciler.managed import files
from reconciler.sandbox.anthropic import ModelRequest
from reconciler.sandbox.client import SandboxClient
from tests.e2e.machinery import Operator, ask_cloud, wait_until

RecordProperty = Callable[[str, object], None]  # pytest's: it comes into tests/RESULTS.md

OLDER, NEWER = "2026.9.5", "2026.9.6"
USER: Final = 4242
NOTICE: Final = "I am getting an update, and will be back in half a minute."
CHILD: Final[dict[str, Any]] = {
    "region": "nbg1",
    "server_type": "cx33",
    "image": "debian-12",
    "bot": {"token": "env:ADA_BOT_TOKEN"},
    "model": {"name": "claude-sonnet-4-6", "key": "env:ANTHROPIC_API_KEY"},
    "users": {"allowed": [USER], "owner": USER},
    "update": {"ready_within": 90, "soak": 10, "notice": NOTICE},
}


@dataclass(frozen=True)
class Story:
    operator: Operator
    sandbox: SandboxClient
    beside: ThreadPoolExecutor

    def declare(self, version: str, **changes: object) -> None:
        child = {**CHILD, "version": version, **changes}
        fleet = {
            "fleet": self.operator.directory.name,
            "cloud": {"provider": "sandbox"},
            "rollout": {"soak": 5},
            "children": {"ada": child},
        }
        (self.operator.directory / "fleet.yaml").write_text(yaml.safe_dump(fleet, sort_keys=False))

    def root(self, text: str, code: int | None = 0) -> str:
        return self.operator.on("ada", "sudo", "-n", "sh", "-c", text, code=code).strip()

    def meanwhile(self, then: str, afterwards: str = ":") -> None:
        """On the machine: `then` when the new release has been switched to, `afterwards` when that is over."""
        program = (
            f"until [ -e {SWITCH}/made ]; do sleep 0.05; done; {then}; "
            f"until [ ! -e {SWITCH}/made ] || [ -e {SWITCH}/undone ]; do sleep 0.05; done; {afterwards}"
        )
        self.root(f"systemd-run --quiet --collect --unit=meanwhile sh -c {shell(program)}")

    @property
    def bot(self) -> str:
        return str(self.operator.status()["ada"]["bot"])

    @property
    def token(self) -> str:
        return self.root(f"cat {files.TELEGRAM_TOKEN_PATH}")

    def tell(self, text: str) -> str:
        """The bot is told something; what its model was told before that, by then."""
        token, text = self.token, f"{text} {secrets.token_hex(6)}"
        self.sandbox.say(token, USER, text)
        found: list[ModelRequest] = []

        def is_answered() -> bool:
            """The gateway asks its model besides, for a recap, which nobody is told."""
            replies = self.sandbox.replies(token, USER)
            asked = [it for it in self.sandbox.model_requests() if text in it.text]
            found.extend(it for it in asked if any(it.answer in reply for reply in replies))
            return bool(found)

        wait_until(is_answered, "the answer came", 120)
        return found[0].earlier

    def version(self) -> tuple[str, str]:
        found = self.operator.status()["ada"]
        return found["health"], found["gateway"]["version"]

    def machine(self) -> int:
        (number,) = self.servers()
        return number

    def servers(self) -> list[int]:
        """Other fleets of the same sandbox have an ada too."""
        of_it = f"openclaw-deploy/fleet={self.operator.directory.name},openclaw-deploy/child=ada"
        found = ask_cloud("GET", "/servers", params={"label_selector": of_it})["servers"]
        return [int(row["id"]) for row in found]

    def await_switch(self) -> None:
        wait_until(lambda: self.root(f"test -e {SWITCH}/made && echo yes; true") == "yes", "the switch", 300)

    def sealed(self) -> list[Path]:
        return sorted((self.operator.directory / "backups").rglob("*.age"))

    def go_back(self) -> None:
        self.declare(OLDER)
        self.operator.fleet("apply", "--yes", timeout=900)
        assert self.version() == ("HEALTHY", OLDER)
        self.declare(NEWER)

    def allow_again(self) -> None:
        self.operator.fleet("quarantine", "clear", NEWER)

    def failed_update(self, code: int | None = 1) -> str:
        said = self.operator.run("apply", "--yes", "--retry", "ada", timeout=900)
        print(said.stdout, said.stderr)
        assert code is None or said.returncode == code
        return said.stdout + said.stderr

    @contextmanager
    def updating(self) -> Iterator[Future[str]]:
        """The same while a test goes on. Whatever fails there, it has ended before anything else begins."""
        update = self.beside.submit(self.failed_update)
        try:
            yield update
        finally:
            wait([update])
        update.result()

    def is_as_before(self) -> None:
        """The old version answers, and knows what it was told."""
        self.declare(OLDER)  # what is wanted and not there is no health
        wait_until(lambda: self.version() == ("HEALTHY", OLDER), "the old version is healthy again", 120)
        self.declare(NEWER)
        assert "Bello" in self.tell("what is my dog called?")
        assert self.root(f"readlink {files.CURRENT}").endswith(OLDER)


def step_seconds(said: str) -> dict[str, float]:
    """Of an apply of ada, in the order in which its steps ended; only those that did something are told."""
    return {name: float(took) for name, took in re.findall(r"ada: ([a-z ]+) \(([0-9.]+) s\)", said)}


def in_words(seconds: dict[str, float]) -> str:
    return ", ".join(f"{name} {took:.1f}" for name, took in seconds.items())


@contextmanager
def timed(record_property: RecordProperty, what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    record_property(what, f"{time.monotonic() - began:.0f} s")


def shell(text: str) -> str:
    return "'" + text.replace("'", "'\"'\"'") + "'"


@contextmanager
def told(sandbox: SandboxClient, directory: Path, home: Path, **environment: str) -> Iterator[Story]:
    """A fleet for it in this directory, and of its name; in the end nothing is left of it."""
    operator = Operator(directory, home, environment)
    operator.fleet("init", "--sandbox", "--name", directory.name)
    try:
        with ThreadPoolExecutor() as beside:
            yield Story(operator, sandbox, beside)
    finally:
        operator.fleet("destroy", "--all", "--yes", "--no-backup", "ada")
