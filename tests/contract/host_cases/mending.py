"""Cases on what is tried on a host that is ill; of a gateway that runs, in releases.py."""

from __future__ import annotations

import re
from typing import Final

from reconciler.commands import (
    clear_space,
    free_port,
    install_file,
    make_directory,
    make_system_user,
    run_doctor,
    set_aside_config,
)
from reconciler.managed import files
from tests.contract.host_cases.case import OURS, Case, directory, file, holding

HOME: Final = f"{files.HOME}/ill"
WHEN: Final = "20261128T081000Z"
ACCOUNT: Final = (make_system_user(files.SERVICE_USER, files.HOME), make_directory(files.HOME, OURS, "0700"))

CASES: Final = (
    Case(
        "a configuration and the gateway's copies of it are set aside, and nothing else",
        [*ACCOUNT,
         *(install_file(f"{HOME}/a.json{end}", end.encode() or b"{}", OURS, "0600", "0700")
           for end in ("", ".bak", ".bak.4", ".last-good", ".other")),
         set_aside_config(f"{HOME}/a.json", WHEN, (".last-good", ".bak", ".bak.4"))],
        [(file(f"{HOME}/a.json"), None), (file(f"{HOME}/a.json.bak"), None), (file(f"{HOME}/a.json.last-good"), None),
         (file(f"{HOME}/a.json.other"), holding(b".other", OURS, "0600")),
         (file(f"{HOME}/a.json.refused-{WHEN}"), holding(b"{}", OURS, "0600")),
         (file(f"{HOME}/a.json.refused-{WHEN}.bak.4"), holding(b".bak.4", OURS, "0600")),
         (file(f"{HOME}/a.json.refused-{WHEN}.last-good"), holding(b".last-good", OURS, "0600"))],
    ),
    Case("where there is none nothing is set aside",
         [*ACCOUNT, make_directory(HOME, OURS, "0700"), set_aside_config(f"{HOME}/b.json", WHEN, (".bak",))],
         [(file(f"{HOME}/b.json.refused-{WHEN}"), None)]),
    Case(
        "what can be fetched again is cleared, and what the gateway remembers stays",
        [*ACCOUNT,
         *(install_file(f"{files.HOME}/{name}", b"x", OURS, "0600", "0700")
           for name in (".cache/a/b", ".npm/c", "mind")),
         clear_space()],
        [(directory(f"{files.HOME}/.cache"), None), (directory(f"{files.HOME}/.npm"), None),
         (file(f"{files.HOME}/mind"), holding(b"x", OURS, "0600"))],
        says=re.compile(rb'\{"freed_mb": \d+, "free_mb": \d+\}\n?'),
    ),
    Case("nobody holds a port that nobody listens on", [free_port(18999, files.UNIT)],
         says=re.compile(rb'\{"ended": \[\], "left": \[\]\}\n?')),
    Case("there is no doctor without Node", [*ACCOUNT, run_doctor("0.0.0")], codes=[0, 0, 127]),
)  # fmt: skip
