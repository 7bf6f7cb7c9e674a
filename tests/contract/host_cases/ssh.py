"""Cases on sshd: its host key and its configuration. Each leaves a machine that lets us in."""

from __future__ import annotations

from typing import Final

from reconciler import keys
from reconciler.commands import (
    arm_access,
    confirm_access,
    daemon_reload,
    grant_sudo,
    install_file,
    reload_sshd,
    rotate_host_key,
    set_aside_drop_ins,
)
from reconciler.errors import LoginRefused
from reconciler.managed import files
from reconciler.model import Command, Secret
from tests.contract.host_cases.case import Case, LockedOut, Wait, file, holding

KEY: Final = keys.make_key(b"contract" * 4)
FIRST_HOST_KEY: Final = keys.host_key(KEY, "contract", 0)
HOST_KEY: Final = keys.host_key(KEY, "contract", 1)
LOGIN_KEY: Final = keys.login_key(KEY, "contract", 1)
DROP_INS: Final = "/etc/ssh/sshd_config.d"
DROP_IN: Final = f"{DROP_INS}/50-contract.conf"
OTHER: Final = b"# by a test\nX11Forwarding yes\n"
RULE: Final = "fleet ALL=(ALL:ALL) NOPASSWD: ALL\n"
PAST_THE_REVERT: Final = Wait(70)
NOBODY: Final = b"AllowUsers nobody\n"
GOOD: Final = b"# by a test\nX11Forwarding no\n"


def configure(content: bytes) -> Command:
    return install_file(DROP_IN, content, "root:root", "0644")


def public_file(private_key: Secret) -> bytes:
    return f"{keys.public_key(private_key)}\n".encode()


CASES: Final = (
    Case(
        "a fresh machine shows the host key of its user data",
        [],
        [
            (file(f"{files.HOST_KEY_PATH}.pub"), holding(keys.public_key(FIRST_HOST_KEY).encode(), mode="0600")),
            (file(files.HOST_KEY_PATH), holding(FIRST_HOST_KEY.reveal().encode(), mode="0600")),
        ],
        is_fresh=True,
    ),
    Case(
        "a host key is replaced with both its halves",
        [rotate_host_key(HOST_KEY, keys.public_key(HOST_KEY))],
        [
            (file(f"{files.HOST_KEY_PATH}.pub"), holding(public_file(HOST_KEY))),
            (file(files.HOST_KEY_PATH), holding(HOST_KEY.reveal().encode(), mode="0600")),
        ],
    ),
    Case(
        "a host key that is not the wanted one is refused",
        [rotate_host_key(HOST_KEY, keys.public_key(HOST_KEY)), rotate_host_key(FIRST_HOST_KEY, "ssh-ed25519 AAAA")],
        [(file(f"{files.HOST_KEY_PATH}.pub"), holding(public_file(HOST_KEY)))],
        codes=[0, 1],
    ),
    Case("sshd reads what lies on the disk", [configure(GOOD), reload_sshd()], [(file(DROP_IN), holding(GOOD))]),
    Case(
        "sshd refuses a configuration that it does not understand",
        [configure(b"Nonsense yes\n"), reload_sshd(), configure(GOOD), reload_sshd()],
        [(file(DROP_IN), holding(GOOD))],
        codes=[0, 255, 0, 0],
    ),
    Case(
        "who is shut out by a change of the way in gets in again when nobody confirms it",
        [configure(GOOD), arm_access(), configure(OTHER), install_file(files.SSHD_PATH, NOBODY, "root:root", "0644"),
         reload_sshd(), daemon_reload(), LockedOut(LoginRefused), PAST_THE_REVERT],
        [(file(DROP_IN), holding(GOOD)), (file(files.SSHD_PATH), holding(files.SSHD.encode()))],
    ),
    Case(
        "a confirmed change of the way in stays",
        [configure(GOOD), arm_access(), configure(OTHER), reload_sshd(), confirm_access(), PAST_THE_REVERT],
        [(file(DROP_IN), holding(OTHER))],
    ),
    Case("what nobody armed cannot be confirmed", [confirm_access()], codes=[1]),
    Case(
        "settings that beat ours are set aside",
        [install_file(f"{DROP_INS}/00-a.conf", GOOD, "root:root", "0644"), set_aside_drop_ins("00-contract.conf")],
        [(file(f"{DROP_INS}/00-a.conf"), None), (file(f"{DROP_INS}/00-a.conf.off"), holding(GOOD))],
    ),
    Case(
        "nobody else becomes root without a password",
        [install_file("/etc/sudoers.d/eve", b"eve ALL=(ALL) NOPASSWD: ALL\n", "root:root", "0440"),
         grant_sudo("fleet", "zz-contract", RULE)],
        [
            ({"kind": "sudoers", "user": "fleet", "ours": "zz-contract"}, []),
            (file("/etc/sudoers.d/eve"), None),
            (file("/etc/sudoers.d/zz-contract"), holding(RULE.encode(), mode="0440")),
        ],
    ),
)  # fmt: skip
