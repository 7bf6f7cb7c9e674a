"""The commands on the way in: commands/access.py as a simulated host carries it out."""

from __future__ import annotations

import re
from typing import Final

from reconciler.sandbox.simulated.calls import Call, Fails
from reconciler.sandbox.simulated.disk import File, move, names_in
from reconciler.sandbox.simulated.first_boot import HOST_KEY
from reconciler.sandbox.simulated.host import SSHD_DROP_INS, SimulatedHost
from reconciler.sandbox.simulated.keys import public_key

# What holds on Debian where no drop-in says otherwise, in the words of `sshd -T`. Another setting makes `sshd -t` fail.
DEFAULTS: Final = {
    "acceptenv": "LANG LC_*",
    "allowtcpforwarding": "yes",
    "allowusers": "",
    "authorizedkeyscommand": "none",
    "authorizedkeysfile": ".ssh/authorized_keys .ssh/authorized_keys2",
    "authorizedprincipalscommand": "none",
    "clientaliveinterval": "0",
    "hostbasedauthentication": "no",
    "kbdinteractiveauthentication": "no",
    "loglevel": "INFO",
    "maxauthtries": "6",
    "maxsessions": "10",
    "passwordauthentication": "yes",
    "permitemptypasswords": "no",
    "permitrootlogin": "without-password",
    "permituserenvironment": "no",
    "pubkeyauthentication": "yes",
    "trustedusercakeys": "none",
    "usepam": "yes",
    "x11forwarding": "yes",
}
CONDITIONS: Final = ("match", "include")
SUDOERS: Final = "/etc/sudoers.d"
_NO_QUESTION: Final = re.compile(r"NOPASSWD|!\s*authenticate")


def arm_access(host: SimulatedHost, call: Call) -> None:
    del call
    before = host.access_before[1] if host.access_before else host.access_files()
    host.access_before = host.now(), before


def confirm_access(host: SimulatedHost, call: Call) -> None:
    del call
    if host.access_before is None:
        raise Fails("the change was already taken back")
    host.access_before = None


def rotate_host_key(host: SimulatedHost, call: Call) -> None:
    wanted = call.arguments[0]
    if public_key(call.stdin.decode("utf-8", "replace")) != wanted:
        raise Fails("not the wanted key")
    host.files[HOST_KEY] = File(call.stdin, mode="0600")
    _check_sshd(host)
    host.load_sshd()
    host.files[f"{HOST_KEY}.pub"] = File(f"{wanted}\n".encode())


def set_authorized_keys(host: SimulatedHost, call: Call) -> None:
    user, size = call.arguments
    if user not in host.accounts:
        raise Fails(f"no account {user}", 1)
    if len(call.stdin) != int(size):
        raise Fails("the keys did not arrive whole")
    directory, owner = f"{host.accounts[user].home}/.ssh", f"{user}:{user}"
    host.directories[directory] = owner, "0700"
    host.files.pop(f"{directory}/.authorized_keys.part", None)  # of a run that was cut off; a whole one renames it
    host.files[f"{directory}/authorized_keys"] = File(call.stdin, owner, "0600")


def reload_sshd(host: SimulatedHost, call: Call) -> None:
    del call
    _check_sshd(host)
    host.load_sshd()


def grant_sudo(host: SimulatedHost, call: Call) -> None:
    """Files of others that make anybody root without a password get a name that sudo leaves out."""
    user, ours = call.arguments
    host.directories[SUDOERS] = "root:root", "0750"
    if b"=" not in call.stdin:
        raise Fails("sudo does not understand its rule")
    host.files[f"{SUDOERS}/{ours}"] = File(call.stdin, mode="0440")
    for path in granting_others(host, user, ours):
        if path.startswith(f"{SUDOERS}/"):
            move(host, path, f"{path}.off")


def set_aside_drop_ins(host: SimulatedHost, call: Call) -> None:
    for name in beating_drop_ins(host, call.arguments[0]):
        move(host, f"{SSHD_DROP_INS}{name}", f"{SSHD_DROP_INS}{name}.off")


def effective_settings(host: SimulatedHost) -> dict[str, str]:
    """What `sshd -T` says: the first value of a setting counts."""
    said: dict[str, str] = {}
    for path in _drop_ins(host):
        for line in _lines(host, path):
            if line and line[0].lower() not in CONDITIONS:
                said.setdefault(line[0].lower(), " ".join(line[1:]))
    return {**DEFAULTS, **said}


def beating_drop_ins(host: SimulatedHost, ours: str) -> list[str]:
    """Drop-ins that come before `ours`, or speak of conditions."""
    names = [path.removeprefix(SSHD_DROP_INS) for path in _drop_ins(host)]
    return [name for name in names if name != ours and (name < ours or _has_conditions(host, f"{SSHD_DROP_INS}{name}"))]


def granting_others(host: SimulatedHost, user: str, ours: str) -> list[str]:
    """The files of sudo that make another than `user` root without a password."""
    names = [name for name in names_in(host, SUDOERS) if "." not in name and not name.endswith("~") and name != ours]
    paths = ["/etc/sudoers", *(f"{SUDOERS}/{name}" for name in names)]
    return [path for path in paths if any(_grants(line, user) for line in _lines(host, path))]


def _grants(words: list[str], user: str) -> bool:
    return bool(words) and words[0] != user and _NO_QUESTION.search(" ".join(words)) is not None


def _check_sshd(host: SimulatedHost) -> None:
    """`sshd -t`."""
    for path in _drop_ins(host):
        for number, line in enumerate(_lines(host, path), 1):
            if line and line[0].lower() not in (*DEFAULTS, *CONDITIONS):
                raise Fails(f"{path}: line {number}: Bad configuration option: {line[0]}", 255)


def _drop_ins(host: SimulatedHost) -> list[str]:
    return sorted(path for path in host.files if path.startswith(SSHD_DROP_INS) and path.endswith(".conf"))


def _has_conditions(host: SimulatedHost, path: str) -> bool:
    return any(line and line[0].lower() in CONDITIONS for line in _lines(host, path))


def _lines(host: SimulatedHost, path: str) -> list[list[str]]:
    """The words of each line; a comment has none."""
    lines = host.content(path).decode("utf-8", "replace").splitlines()
    return [[] if line.lstrip().startswith("#") else line.split() for line in lines]
