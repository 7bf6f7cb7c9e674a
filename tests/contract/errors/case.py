"""A case file: a command line, the world that it meets, and the error that it must end with.

    raises: WrongHostKey            a class of reconciler/errors.py; left out for what click or a signal ends
    run: status
    before: [apply --yes]           what was done in this world, and went well, before it turned bad
    fleet: one                      tests/cases/errors/fleets/one.yaml; `none`: no such file
    edited: another                 the fleet file after `before`
    files: {state/lock: text}       beside the fleet file; these and the next ones made after `before`
    directories: [state/journal.jsonl]
    modes: {fleet.yaml: "000"}
    environment: {FLEET_KEY: null}  null takes a variable away; `before` does not see it
    sandbox: down                   no sandbox is up; any other text: what its file holds
    faults: ['refuse "GET /servers" locked 3']        KIND ON VALUE TIMES, as the emulator takes them
    trouble: {alice: shows-another-key}               one of TROUBLES in world.py
    meanwhile: fleet apply          holds the lock
    terminal: "n\\n"                 runs on a terminal, where this is typed
    piped: text                     what comes from a pipe
    signal: INT                     sent when the cloud was asked
    closed: true                    nobody reads standard output
    shows: stdout                   the snapshot has what is printed there, too; `end`: its last paragraph only

Beside it lies the snapshot, `.out`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parents[2] / "cases" / "errors"
CASES = sorted(HERE.glob("*.yaml"))
NO_FILE = "none"

# What differs from run to run and means nothing to the reader.
VOLATILE = (
    (re.compile(r"http://127\.0\.0\.1:\d+/\d+"), "http://127.0.0.1:1"),
    (re.compile(r"correlation id [0-9a-f]{16}"), "correlation id <16 digits>"),
    (re.compile(r"SHA256:[A-Za-z0-9+/]{43}"), "SHA256:<fingerprint>"),
    (re.compile(r"\b\d+\.\d (s|min)\b"), "<time>"),
    (re.compile(r"process \d+, since \S+"), "process <number>, since <time>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d\S*"), "<date>"),
)


@dataclass(frozen=True)
class Case:
    """See the module's text."""

    run: str
    raises: str = ""
    before: tuple[str, ...] = ()
    fleet: str = "one"
    edited: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    directories: tuple[str, ...] = ()
    modes: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str | None] = field(default_factory=dict)
    sandbox: str = ""
    faults: tuple[str, ...] = ()
    trouble: Mapping[str, str] = field(default_factory=dict)
    meanwhile: str = ""
    terminal: str | None = None
    piped: str = ""
    signal: str = ""
    closed: bool = False
    shows: str = ""

    @classmethod
    def from_file(cls, path: Path) -> Case:
        read: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        fields: dict[str, Any] = {name: tuple(it) if isinstance(it, list) else it for name, it in read.items()}
        return cls(**fields)


def fleet_text(name: str) -> str:
    return (HERE / "fleets" / f"{name}.yaml").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Said:
    """How a command ended. `raised` are the errors it met, each (class, summary); `home` lies in nobody's snapshot."""

    code: int
    stdout: str
    stderr: str
    raised: tuple[tuple[str, str], ...]
    home: Path

    def transcript(self, case: Case) -> str:
        """What the snapshot holds."""
        parts = {"stdout": self.stdout, "end": self.stdout.rpartition("\n\n")[2]}
        shown = parts.get(case.shows, "") + self.stderr
        shown = shown.replace(str(self.home), "<home>")
        for pattern, word in VOLATILE:
            shown = pattern.sub(word, shown)
        return f"$ fleet {case.run}\n{shown}(exit {self.code})\n"


def assert_snapshot(path: Path, said: str) -> None:
    """UPDATE_TRANSCRIPTS=1 writes it anew."""
    snapshot = path.with_suffix(".out")
    if os.environ.get("UPDATE_TRANSCRIPTS"):
        snapshot.write_text(said, encoding="utf-8")
    assert said == snapshot.read_text(encoding="utf-8"), "if that is better: UPDATE_TRANSCRIPTS=1, and look at git diff"
