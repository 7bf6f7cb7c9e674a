"""What an operator is doing when it is killed: a first apply of five children, and then a change of four of them."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

from reconciler import commands
from reconciler.managed import files
from reconciler.sandbox.simulated.disk import Account, File
from reconciler.sandbox.simulated.host import SimulatedHost
from reconciler.sandbox.simulated.table import execute
from tests.kills.scene import Declared, Scene

NODE: Final = f"/opt/openclaw/node-{files.NODE_VERSION}"
FIRST: Final[Declared] = {name: {} for name in ("alice", "bob", "carol", "dave", "eve")}

# alice is updated, bob repaired, carol replaced, dave removed; nobody touches eve.
CHANGED: Final[Declared] = {
    "alice": {
        "version": "2026.9.7",
        "config": {"agents": {"defaults": {"timeoutSeconds": 900}}},
        "files": {"SOUL.md": {"text": "You are alice.", "mode": "managed"}},
        "labels": {"team": "red"},
        "backups": True,
    },
    "bob": {},
    "carol": {"region": "hel1"},
    "eve": {},
}
ALLOWED: Final = ("--allow-replace", "carol", "--max-destroys", "2")
BYSTANDER: Final = "eve"
CREATES: Final = {f"demo-{name}": 1 for name in FIRST}
CREATES_CHANGED: Final = CREATES | {"a successor": 1}


def in_words(creates: Counter[str]) -> Counter[str]:
    """The same, where the name of a server that takes over, which is its uid, is told by that word."""
    return Counter(re.sub("^demo-[0-9a-f]{16}$", "a successor", name) for name in creates.elements())


def change(scene: Scene) -> None:
    """From now on there is something to do again."""
    scene.declare(CHANGED)
    scene.ask("bob", meddle)


def meddle(host: SimulatedHost) -> None:
    """Somebody changes what is ours on a host, so that every step that acts there has something to do."""
    for path in (files.SSHD_PATH, files.METADATA_RULES_PATH, files.UNIT_PATH, files.STAMP_PATH):
        host.files[path].content += b"# theirs\n"
    host.files[files.AUTHORIZED_KEYS_PATH].content += b"ssh-ed25519 AAAAtheirs\n"
    host.files[f"{files.HOST_KEY_PATH}.pub"].content += b"theirs\n"
    host.files[files.TELEGRAM_TOKEN_PATH] = File(b"1:theirs", "openclaw:openclaw", "0400")
    host.files[files.CONFIG_PATH].content = host.content(files.CONFIG_PATH).replace(b"loopback", b"lan")
    host.files[f"{NODE}/bin/node"].content = b"theirs"
    host.directories[files.SECRETS_DIRECTORY] = "root:root", "0777"
    host.accounts[files.SERVICE_USER] = Account(files.HOME, "/bin/sh")
    host.packages.discard("xz-utils")
    host.firewall = {**host.firewall, "rules": ["22/tcp", "80/tcp"]}
    host.links[files.CURRENT] = "/opt/openclaw/releases/theirs"
    for command in (commands.stop_unit(files.UNIT), commands.reload_sshd(), commands.daemon_reload()):
        execute(host, command.line, command.stdin)
