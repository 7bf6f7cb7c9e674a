"""Who may get in and what systemd has read: sshd's effective settings, sudoers, units as they are loaded.

Part of the probe: Python 3.9, standard library and this package only.
"""

from __future__ import annotations

import os
import re
from typing import Any

from reconciler.probe_program.reading import at, fields, names_in, opened, output, rights, text

SSHD_DIRECTORY = "/etc/ssh/sshd_config.d"
SUDOERS_DIRECTORY = "/etc/sudoers.d"
# A connection for which sshd shall say what holds: conditions (Match) are looked for besides.
CONNECTION = "user={},host=elsewhere,addr=192.0.2.1"
CONDITION = re.compile(r"^\s*(match|include)\s", re.IGNORECASE | re.MULTILINE)
COMMENT = re.compile(r"\s*#(?!\d)")  # "#1000" is a user by its number
NO_QUESTION = re.compile(r"NOPASSWD|!\s*authenticate")


def look_at_sshd(look: Any, key: bytes) -> Any:
    """What holds for `user`, and drop-ins that come before `ours` or speak of conditions."""
    settings: dict[str, Any] = {}
    for line in output("sshd", "-T", "-C", CONNECTION.format(look["user"])).splitlines():
        name, _, value = line.partition(" ")
        if name in look["settings"]:
            settings[name] = f"{settings[name]} {value}" if name in settings else value
    answer = {"settings": settings, "foreign": foreign_drop_ins(look["ours"])}
    # A change that was never confirmed takes itself back soon: it is not what is wanted, whatever it looks like.
    return {**answer, "unconfirmed": True} if os.path.lexists(at("/run/openclaw-deploy/access-before")) else answer


def foreign_drop_ins(ours: str) -> list[str]:
    found = [name for name in names_in(SSHD_DIRECTORY) if name.endswith(".conf") and name != ours]
    beating = [name for name in found if name < ours or CONDITION.search(text(f"{SSHD_DIRECTORY}/{name}"))]
    main = [line for line in text("/etc/ssh/sshd_config").splitlines() if line.lower().lstrip().startswith("match ")]
    return [*beating, *(["sshd_config has conditions"] if main else [])]


def look_at_sudoers(look: Any, key: bytes) -> Any:
    """Files that let another than `user` become root without a password."""
    # sudo leaves out names with a dot or a tilde at the end.
    names = [name for name in names_in(SUDOERS_DIRECTORY) if "." not in name and not name.endswith("~")]
    paths = ["/etc/sudoers", *(f"{SUDOERS_DIRECTORY}/{name}" for name in names if name != look["ours"])]
    return [path for path in paths if grants_others(text(path), look["user"])]


def grants_others(sudoers: str, user: str) -> bool:
    rules = [line.split() for line in sudoers.replace("\\\n", " ").splitlines() if not COMMENT.match(line)]
    return any(NO_QUESTION.search(" ".join(words)) for words in rules if words and words[0] != user)


def look_at_loaded(look: Any, key: bytes) -> Any:
    """What systemd has read of each unit: from where, what was added to it, and whether the disk says otherwise now."""
    return {name: loaded(name) for name in look["units"]}


def loaded(name: str) -> Any:
    shown = fields(output("systemctl", "show", "-p", "FragmentPath,DropInPaths,NeedDaemonReload", "--", name))
    if not shown.get("FragmentPath"):
        return None
    return {
        "from": shown["FragmentPath"],
        "drop_ins": shown.get("DropInPaths", "").split(),
        "outdated": shown.get("NeedDaemonReload") == "yes",
    }


def look_at_private_key(look: Any, key: bytes) -> Any:
    """A private key file by its public half: it is never written twice in the same bytes."""
    found = opened(look["path"])
    if found is None:
        return None
    public = output("ssh-keygen", "-y", "-P", "", "-f", str(at(look["path"]))).split()[:2]
    return {"public": " ".join(public), **rights(found[1])}


def look_at_paths(look: Any, key: bytes) -> Any:
    """Which of these paths are there."""
    return [path for path in look["paths"] if os.path.lexists(at(path))]
