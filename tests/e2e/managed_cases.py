"""What somebody may do to each thing that we own on a host: one line of shell, run by root, for each entry of MANAGED.

All lines of a kind are run together and mended by one apply, so none may keep the next look from getting in.
tests/e2e/test_managed.py does them on a real machine; tests/unit/test_managed_cases.py wants a case for every entry.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Final

from reconciler.commands.forced import PROGRAM_PATH
from reconciler.commands.switching import RETURN_PATH, RETURN_SERVICE, RETURN_TIMER
from reconciler.managed import PACKAGES, files

NODE: Final = f"/opt/openclaw/node-{files.NODE_VERSION}"
NPM: Final = f"{NODE}/lib/node_modules/npm/package.json"
PACKAGE: Final = f"{files.CURRENT}/node_modules/openclaw"
FOREIGN_KEY: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVV theirs"
THEIRS: Final = "theirs ALL=(ALL) NOPASSWD: ALL"
SKILL: Final = f"{files.WORKSPACE}/skills/greet/SKILL.md"


@dataclass(frozen=True)
class Damage:
    """Shell that changes, deletes or adds; "" where that cannot be, and `without` says why."""

    changed: str = ""
    deleted: str = ""
    added: str = ""
    without: str = ""


def of_file(path: str, without: str = "a file is whole: what is added changes it") -> Damage:
    return Damage(changed=f"echo '# theirs' >>{path}", deleted=f"rm {path}", without=without)


def of_directory(path: str) -> Damage:
    return Damage(
        changed=f"chmod 0777 {path}", deleted=f"rm -rf {path}", added=f"touch {path}/theirs; mkdir -p {path}/.theirs/x"
    )


def not_to_be(added: str) -> Damage:
    return Damage(added=added, without="it shall not be there at all")


def edited(python: str) -> str:
    """The gateway's configuration after some Python on `c`."""
    path = files.CONFIG_PATH
    return f'python3 -c \'import json; c = json.load(open("{path}")); {python}; json.dump(c, open("{path}", "w"))\''


CASES: Final[dict[str, Damage]] = {
    "login key": Damage(
        changed=f"echo '{FOREIGN_KEY}' >>{files.AUTHORIZED_KEYS_PATH}",
        without="deleted, nobody gets in any more: the rescue system's business",
    ),
    "other login keys": not_to_be(
        f"for file in {' '.join(files.OTHER_KEYS)}; do mkdir -p ${{file%/*}}; echo '{FOREIGN_KEY}' >$file; done"
    ),
    "host key": of_file(f"{files.HOST_KEY_PATH}.pub"),
    "host key file": Damage(
        changed=f"chown {files.LOGIN_USER} {files.HOST_KEY_PATH}",
        without="deleted, or readable by others, sshd lets nobody in any more",
    ),
    "sshd": of_file(files.SSHD_PATH),
    "sshd in force": Damage(
        added="echo 'PermitRootLogin yes' >/etc/ssh/sshd_config.d/00-theirs.conf; "
        "printf 'Match User root\\n  PermitRootLogin yes\\n' >/etc/ssh/sshd_config.d/99-theirs.conf",
        without="what is in force changes and goes with the file: sshd",
    ),
    "login account": Damage(
        changed=f"usermod --password '$6$x$y' {files.LOGIN_USER}",
        added=f"usermod --append --groups adm {files.LOGIN_USER}",
        without="deleted, nobody gets in any more",
    ),
    "sudoers": of_file(files.SUDOERS_PATH),
    "other sudoers": not_to_be(f"echo '{THEIRS}' >/etc/sudoers.d/theirs; chmod 0440 /etc/sudoers.d/theirs"),
    "packages": Damage(
        deleted=f"dpkg --remove --force-depends {' '.join(PACKAGES)} >/dev/null 2>&1",
        without="what else is installed is not ours",
    ),
    "firewall": Damage(
        changed="ufw default allow incoming",
        deleted="ufw --force disable",
        added="ufw allow 8080/tcp; iptables -I INPUT -p tcp --dport 8081 -j ACCEPT; nft add table inet theirs; "
        "ip6tables -I ufw6-before-input -p tcp --dport 8082 -j ACCEPT; "
        "sed -i '/^COMMIT/i -A ufw-before-input -p tcp --dport 8083 -j ACCEPT' /etc/ufw/before.rules",
    ),
    "settings directory": of_directory("/etc/openclaw-deploy"),
    "metadata rules": of_file(files.METADATA_RULES_PATH),
    "metadata unit": of_file(files.METADATA_UNIT_PATH),
    "metadata drop": Damage(
        changed=f"systemctl disable {files.METADATA_UNIT}",
        deleted=f"systemctl stop {files.METADATA_UNIT}",
        without="a unit's state",
    ),
    "metadata rules in force": Damage(
        changed="nft insert rule inet openclaw_deploy output ip daddr 169.254.169.254 accept",
        deleted="nft delete table inet openclaw_deploy",
        added="nft add chain inet openclaw_deploy theirs",
    ),
    "account": Damage(
        changed=f"usermod --shell /bin/sh {files.SERVICE_USER}",
        deleted=f"userdel --force {files.SERVICE_USER}",
        added=f"usermod --append --groups sudo {files.SERVICE_USER}",
    ),
    "home": Damage(
        changed=f"chmod 0755 {files.HOME}",
        deleted=f"mv {files.HOME} {files.HOME}.aside",
        without="what is in it is the agent's",
    ),
    "secrets directory": of_directory(files.SECRETS_DIRECTORY),
    "software directory": of_directory("/opt/openclaw"),
    "releases directory": of_directory(files.RELEASES),
    "notes directory": of_directory("/var/lib/openclaw-deploy"),
    "programs directory": of_directory("/usr/local/lib/openclaw-deploy"),
    "node": Damage(
        changed=f"touch -r {NPM} /run/old; printf ' ' >>{NPM}; touch -r /run/old {NPM}",
        deleted=f"rm -rf {NODE}",
        without="seen by the same fingerprint as a change",
    ),
    "release": Damage(
        changed=f"printf '//' >>{PACKAGE}/openclaw.mjs; chmod 0777 {PACKAGE}/dist",
        deleted=f"rm {files.CURRENT}",
        without="seen by the same fingerprint as a change",
    ),
    "gateway token": of_file(files.GATEWAY_TOKEN_PATH),
    "bot token": of_file(files.TELEGRAM_TOKEN_PATH),
    "model key": of_file(files.MODEL_KEY_PATH),
    "stamp program": of_file(files.STAMP_PATH),
    "return program": of_file(RETURN_PATH),
    "probe program": of_file(PROGRAM_PATH),
    "return unit": Damage(
        changed=f"echo '# theirs' >>/etc/systemd/system/{RETURN_SERVICE}",
        deleted=f"rm /etc/systemd/system/{RETURN_SERVICE} /etc/systemd/system/*.wants/{RETURN_SERVICE}",
        without="what is added to a unit elsewhere: units as loaded",
    ),
    "return timer": Damage(
        changed=f"echo '# theirs' >>/etc/systemd/system/{RETURN_TIMER}",
        deleted=f"rm /etc/systemd/system/{RETURN_TIMER} /etc/systemd/system/*.wants/{RETURN_TIMER}",
        without="what is added to a unit elsewhere: units as loaded",
    ),
    "return at boot": Damage(
        changed=f"systemctl disable {RETURN_SERVICE}", without="deleted with its file: return unit"
    ),
    "return again and again": Damage(
        changed=f"systemctl disable {RETURN_TIMER}", without="deleted with its file: return timer"
    ),
    "unit": Damage(
        changed=f"echo '# theirs' >>{files.UNIT_PATH}",
        deleted=f"systemctl stop {files.UNIT}; rm {files.UNIT_PATH} /etc/systemd/system/*.wants/{files.UNIT}",
        without="what is added to a unit elsewhere: units as loaded",
    ),
    "other units": not_to_be(
        "printf '[Service]\\nExecStart=/bin/true\\n' >/etc/systemd/system/openclaw-theirs.service; "
        "systemctl daemon-reload"
    ),
    "units as loaded": Damage(
        changed=f"touch {files.UNIT_PATH}",
        added=f"mkdir -p /etc/systemd/system/{files.UNIT}.d; "
        f"printf '[Service]\\nEnvironment=THEIRS=1\\n' >/etc/systemd/system/{files.UNIT}.d/theirs.conf; "
        f"systemctl set-property --runtime {files.UNIT} CPUWeight=50; systemctl daemon-reload",
        without="deleted with its file: unit",
    ),
    "config": Damage(
        changed=edited('c["channels"]["telegram"]["dmPolicy"] = "open"'),
        deleted=edited('c["agents"]["defaults"].pop("thinkingDefault")'),
        added=edited('c["commands"]["ownerAllowFrom"].append("telegram:777")'),
    ),
    "workspace files": Damage(
        changed=f"echo theirs >>{SKILL}", deleted=f"rm {SKILL}", without="other files there are the agent's"
    ),
    "gateway": Damage(
        changed=f"systemctl disable {files.UNIT}",
        without="deleted with its file: unit",
    ),
}

# systemd reads all units again when one is disabled.
ORDER_OF_CHANGE: Final = (*(name for name in CASES if name != "units as loaded"), "units as loaded")
# Deletions that take others with them come last: a directory goes with what is in it, a package with its programs.
_LAST: Final = ("config", "home", "account", "packages")
ORDER_OF_DELETION: Final = (
    *(name for name in CASES if not name.endswith("directory") and name not in _LAST),
    *_LAST,
    *(name for name in CASES if name.endswith("directory")),
)
# What is seen and mended along with something else when all of a kind are done at once: it must be so alone as well.
ALONE: Final = (
    ("return at boot", "changed"),
    ("return again and again", "changed"),
    ("units as loaded", "changed"),
    ("units as loaded", "added"),
    ("gateway", "changed"),
)


KINDS: Final = ("changed", "deleted", "added")


def script(kind: str, alone: str = "") -> str:
    """All damages of this kind in one script, or one alone; a line that fails is a case that proves nothing."""
    names = (alone,) if alone else ORDER_OF_DELETION if kind == "deleted" else ORDER_OF_CHANGE
    lines = [(name, getattr(CASES[name], kind)) for name in names if getattr(CASES[name], kind)]
    return "\n".join(
        f"sh -ec {shlex.quote(line)} >/dev/null || {{ echo 'no damage done: {name}'; exit 1; }}" for name, line in lines
    )


def damaged(kind: str) -> set[str]:
    return {name for name, damage in CASES.items() if getattr(damage, kind)}
