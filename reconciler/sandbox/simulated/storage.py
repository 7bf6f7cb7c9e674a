"""The commands on files, directories and links: commands/files.py as a simulated host carries it out."""

from __future__ import annotations

from typing import Final

from reconciler.sandbox.simulated.calls import Call, Fails
from reconciler.sandbox.simulated.disk import File, exists, make_directories, parents, remove_tree, strays
from reconciler.sandbox.simulated.host import SimulatedHost

READ_LIMIT: Final = 1 << 20


def install_file(host: SimulatedHost, call: Call) -> None:
    """$1 path, $2 owner ("" keeps the acting user's), $3 mode, $4 mode of a missing directory, $5 size."""
    path, owner, mode, directory_mode, size = call.arguments
    acting = _acting(host, call)
    if path == host.gateway.config_path and host.gateway.active == "active":
        host.objections.append(f"{path} was written under a running gateway")
    directory, _, name = path.rpartition("/")
    if directory not in host.directories:
        _may_write(host, call, next(parent for parent in parents(path) if parent in host.directories))
        make_directories(host, directory, directory_mode, acting)
    _may_write(host, call, directory, exit_code=2)  # the shell's own, for a file that it cannot open
    part = f"{directory}/.{name}.part"
    if len(call.stdin) != int(size):
        raise Fails("the content did not arrive whole")
    host.files[part] = File(call.stdin, acting, "0600")
    _check_owner(host, owner)
    if path in host.directories:
        raise Fails(f"mv: cannot overwrite directory '{path}' with non-directory")
    del host.files[part]
    host.links.pop(path, None)
    host.files[path] = File(call.stdin, owner or acting, mode)


def read_file(host: SimulatedHost, call: Call) -> bytes:
    path = call.arguments[0]
    _acting(host, call)
    found = host.links.get(path, path)
    if found not in host.files:
        raise Fails(f"head: cannot open '{path}' for reading: No such file or directory")
    return host.files[found].content[:READ_LIMIT]


def make_directory(host: SimulatedHost, call: Call) -> None:
    path, owner, mode = call.arguments
    acting = _acting(host, call)
    if path in host.files or path in host.links:
        raise Fails(f"mkdir: cannot create directory '{path}': File exists")
    if path not in host.directories:
        _may_write(host, call, next(parent for parent in parents(path) if parent in host.directories))
        make_directories(host, path, "0755", acting)
    _check_owner(host, owner)
    host.directories[path] = owner or host.directories[path][0], mode


def make_link(host: SimulatedHost, call: Call) -> None:
    target, link = call.arguments
    directory, _, name = link.rpartition("/")
    if directory not in host.directories:
        raise Fails(f"ln: failed to create symbolic link '{directory}/.{name}.part': No such file or directory")
    if link in host.directories:
        raise Fails(f"mv: cannot overwrite directory '{link}' with non-directory")
    host.files.pop(link, None)
    host.links[link] = target


def remove_file(host: SimulatedHost, call: Call) -> None:
    path = call.arguments[0]
    _acting(host, call)
    directory = path.rpartition("/")[0]
    if directory not in host.directories:
        raise Fails(f"sync: error opening '{directory}': No such file or directory")
    if exists(host, path):
        _may_write(host, call, directory)
        remove_tree(host, path)


def clear_strays(host: SimulatedHost, call: Call) -> None:
    """$1 directory, $2 pattern of what is looked at, then patterns of what stays."""
    directory, pattern, *only = call.arguments
    for name in strays(host, directory, pattern, only):
        remove_tree(host, f"{directory}/{name}")


def forget_config_backups(host: SimulatedHost, call: Call) -> None:
    path = call.arguments[0]
    if "openclaw" not in host.accounts:
        raise Fails("runuser: user openclaw does not exist")
    for found in [name for name in host.files if name.startswith(f"{path}.bak") or name == f"{path}.last-good"]:
        del host.files[found]


def _acting(host: SimulatedHost, call: Call) -> str:
    """Who acts, as owner of what is made."""
    if call.user not in host.accounts:
        raise Fails(f"runuser: user {call.user} does not exist")
    return f"{call.user}:{call.user}"


def _may_write(host: SimulatedHost, call: Call, directory: str, exit_code: int = 1) -> None:
    """What root may, and others only where the directory is theirs."""
    owner = host.directories[directory][0].partition(":")[0]
    if call.user not in ("root", owner):
        raise Fails(f"cannot write in '{directory}': Permission denied", exit_code)


def _check_owner(host: SimulatedHost, owner: str) -> None:
    user, _, group = owner.partition(":")
    if owner and user not in host.accounts:
        raise Fails(f"chown: invalid user: '{owner}'")
    if owner and group not in host.accounts:  # each account has a group of its name
        raise Fails(f"chown: invalid group: '{owner}'")
