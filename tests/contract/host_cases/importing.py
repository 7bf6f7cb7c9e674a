"""Cases on what an import asks of a server that nobody here has made."""

from __future__ import annotations

import re
from typing import Any, Final

from reconciler.commands import make_directory, make_system_user
from reconciler.commands.importing import make_login_account, prove_root, survey
from reconciler.model import Command
from tests.contract.host_cases.case import Case, account, directory, file, holding, rights

FRESH: Final = (
    b"system Debian GNU/Linux 12 (bookworm)\nmachine x86_64\ninit systemd\nhostkey ed25519\nsudo yes\nport 22\n"
    b"running openclaw-deploy-metadata.service\n"
)
OCCUPIED: Final = re.compile(rb"(?s)system .*\ngateway /opt/openclaw\n.*account contract-n\n")


def sudoers(name: str) -> str:
    return f"/etc/sudoers.d/{name}"


def rule(name: str) -> str:
    return f"{name} ALL=(ALL) NOPASSWD: ALL\n"


def make(name: str) -> Command:
    return make_login_account(name, sudoers(name), rule(name))


def login_account(home: str) -> dict[str, Any]:
    return {"home": home, "shell": "/bin/sh", "locked": True}


CASES: Final = (
    Case("a fresh machine has our account and nothing of a gateway", [survey("fleet")],
         says=FRESH + b"account fleet\n", is_fresh=True),
    Case("an account that is not there is not found", [survey("nobody-here")], says=FRESH, is_fresh=True),
    Case(
        "what a gateway has left behind is found",
        [make_directory("/opt/openclaw", "root:root", "0755"), make_system_user("contract-n", "/srv/n"),
         survey("contract-n")],
        says=OCCUPIED,
    ),
    Case(
        "a login account has a home, no password, and becomes root by its rule, also when it is made again",
        [make("contract-l"), make("contract-l")],
        [
            (account("contract-l"), login_account("/home/contract-l")),
            (directory("/home/contract-l"), rights("0755", "contract-l:contract-l")),
            (file(sudoers("contract-l")), holding(rule("contract-l").encode(), mode="0440")),
        ],
    ),
    Case(
        "an account of this name keeps its home and can be logged in to",
        [make_system_user("contract-m", "/srv/m"), make("contract-m")],
        [(account("contract-m"), login_account("/srv/m"))],
    ),
    Case(
        "a rule that sudo does not understand is not installed",
        [make_login_account("contract-o", sudoers("contract-o"), "nonsense\n")],
        [(file(sudoers("contract-o")), None)],
        codes=[1],
    ),
    Case("root is no login account", [make("root")], [(file(sudoers("root")), None)], codes=[1]),
    Case("our login leads to root", [prove_root()]),
)  # fmt: skip
