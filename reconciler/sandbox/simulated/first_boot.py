"""A fresh image, and what cloud-init does on it at first boot: as much of a cloud-config as the product writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import yaml

from reconciler.model import Json
from reconciler.sandbox.simulated.disk import Account, Disk, File, make_directories, parents

if TYPE_CHECKING:
    from reconciler.sandbox.simulated.host import SimulatedHost

HOST_KEY: Final = "/etc/ssh/ssh_host_ed25519_key"

# What the sandbox's real image has and anybody looks at (sandbox/image.py).
PACKAGES: Final = ("ca-certificates", "curl", "iptables", "nftables", "openssh-server", "sudo", "xz-utils")
DIRECTORIES: Final = {
    **dict.fromkeys(
        ("/", "/boot", "/etc", "/etc/ssh", "/etc/ssh/sshd_config.d", "/etc/systemd", "/etc/systemd/system", "/home",
         "/opt", "/run", "/srv", "/usr", "/usr/local", "/usr/local/bin", "/usr/local/lib", "/usr/local/sbin", "/var",
         "/var/cache", "/var/lib", "/var/log"),
        ("root:root", "0755"),
    ),
    "/etc/sudoers.d": ("root:root", "0750"),
    "/root": ("root:root", "0700"),
    "/tmp": ("root:root", "1777"),  # noqa: S108  # a simulated one
}  # fmt: skip
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C, where libyaml is there


NO_FIREWALL: Final[dict[str, Json]] = {
    "enabled": False, "incoming": "allow", "outgoing": "allow", "rules": [], "foreign": [],
}  # fmt: skip


def fresh_disk() -> Disk:
    """The image of Debian that every machine starts from, unless it is made from a snapshot."""
    return Disk(
        directories=dict(DIRECTORIES),
        accounts={"root": Account("/root", "/bin/bash")},
        packages=set(PACKAGES),
        firewall=dict(NO_FIREWALL),
    )


def read_user_data(user_data: str) -> Any:
    """The cloud-config; empty where there is none."""
    return yaml.load(user_data, Loader=_LOADER) or {}  # noqa: S506  # a safe one


def lay_down(host: SimulatedHost, config: Any) -> None:
    """What cloud-init puts on the disk before anything of it is started."""
    keys = config.get("ssh_keys", {})
    host.files[HOST_KEY] = File(keys.get("ed25519_private", "").encode(), mode="0600")
    # cloud-init 22.4 writes both halves alike, the public one as it was given (measured).
    host.files[f"{HOST_KEY}.pub"] = File(keys.get("ed25519_public", "").encode(), mode="0600")
    # cloud-init makes root's file whether there are keys for it or not.
    host.directories["/root/.ssh"] = "root:root", "0700"
    host.files["/root/.ssh/authorized_keys"] = File(b"", mode="0600")
    for user in config.get("users", []):
        _add_user(host, user)
    for item in config.get("write_files", []):
        make_directories(host, parents(item["path"])[0])
        mode = str(item.get("permissions", "0644"))
        host.files[item["path"]] = File(item["content"].encode(), item.get("owner", "root:root"), mode)


def run_commands(host: SimulatedHost, config: Any) -> None:
    """runcmd, which comes last. Only systemctl is known; anything else is an objection."""
    for command in config.get("runcmd", []):
        _run(host, command)


def _add_user(host: SimulatedHost, user: Any) -> None:
    name, home = user["name"], f"/home/{user['name']}"
    owner = f"{name}:{name}"
    host.accounts[name] = Account(home, user.get("shell", "/bin/sh"), user.get("lock_passwd", True))
    host.directories[home] = owner, "0700"
    host.directories[f"{home}/.ssh"] = owner, "0700"
    lines = "".join(f"{key}\n" for key in user.get("ssh_authorized_keys", []))
    host.files[f"{home}/.ssh/authorized_keys"] = File(lines.encode(), owner, "0600")
    rules = "".join(f"{name} {rule}\n" for rule in user.get("sudo", []))
    host.files["/etc/sudoers.d/90-cloud-init-users"] = File(rules.encode(), mode="0440")


def _run(host: SimulatedHost, command: Sequence[str]) -> None:
    match command:
        case ["systemctl", "daemon-reload"]:
            host.systemd.reload()
        case ["systemctl", "enable", "--now", unit]:
            host.systemd.enable(unit)
            host.systemd.start(unit)
        case ["systemctl", "reload", "ssh"]:
            host.load_sshd()
        case _:
            host.objections.append(f"cloud-init: unknown runcmd {command}")
