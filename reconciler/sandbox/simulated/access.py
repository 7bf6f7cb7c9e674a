"""The commands on the way in: commands/access.py as a simulated host carries it out."""

from __future__ import annotations

from typing import Final

from reconciler.sandbox.simulated.calls import Call, Fails
from reconciler.sandbox.simulated.disk import File
from reconciler.sandbox.simulated.first_boot import HOST_KEY
from reconciler.sandbox.simulated.host import SSHD_DROP_INS, SimulatedHost
from reconciler.sandbox.simulated.keys import public_key

# Lower case, as sshd reads them; another word makes `sshd -t` fail.
KNOWN_SETTINGS: Final = frozenset(
    ("acceptenv", "allowgroups", "allowtcpforwarding", "allowusers", "authenticationmethods", "clientaliveinterval",
     "clientalivecountmax", "denyusers", "kbdinteractiveauthentication", "logingracetime", "loglevel", "maxauthtries",
     "maxsessions", "maxstartups", "passwordauthentication", "permitemptypasswords", "permitrootlogin", "port",
     "pubkeyauthentication", "usedns", "usepam", "x11forwarding"),
)  # fmt: skip


def rotate_host_key(host: SimulatedHost, call: Call) -> None:
    wanted = call.arguments[0]
    if public_key(call.stdin.decode("utf-8", "replace")) != wanted:
        raise Fails("not the wanted key")
    host.files[HOST_KEY] = File(call.stdin, mode="0600")
    _check_sshd(host)
    host.load_host_key()
    host.load_sshd_config()
    host.files[f"{HOST_KEY}.pub"] = File(f"{wanted}\n".encode())


def set_authorized_keys(host: SimulatedHost, call: Call) -> None:
    user, size = call.arguments
    if user not in host.accounts:
        raise Fails(f"no account {user}", 1)
    if len(call.stdin) != int(size):
        raise Fails("the keys did not arrive whole")
    directory, owner = f"{host.accounts[user].home}/.ssh", f"{user}:{user}"
    host.directories[directory] = owner, "0700"
    host.files[f"{directory}/authorized_keys"] = File(call.stdin, owner, "0600")


def reload_sshd(host: SimulatedHost, call: Call) -> None:
    del call
    _check_sshd(host)
    host.load_host_key()
    host.load_sshd_config()


def _check_sshd(host: SimulatedHost) -> None:
    """`sshd -t`."""
    for path in sorted(path for path in host.files if path.startswith(SSHD_DROP_INS) and path.endswith(".conf")):
        for number, line in enumerate(host.content(path).decode("utf-8", "replace").splitlines(), 1):
            word = line.split()[:1]
            if word and not word[0].startswith("#") and word[0].lower() not in KNOWN_SETTINGS:
                raise Fails(f"{path}: line {number}: Bad configuration option: {word[0]}", 255)
