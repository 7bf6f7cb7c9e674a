"""The commands on files, directories and links: commands/files.py as a simulated host carries it out.

What a path names is found as the kernel finds it, through links; tests/unit/test_simulated_files.py has a real shell
say the same.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from itertools import count
from typing import Final

from reconciler.sandbox.simulated.calls import Call, Fails
from reconciler.sandbox.simulated.disk import (
    File,
    exists,
    located,
    make_directories,
    parents,
    part_of,
    real,
    remove_tree,
    rename,
    strays,
)
from reconciler.sandbox.simulated.host import SimulatedHost

READ_LIMIT: Final = 1 << 20


def install_file(host: SimulatedHost, call: Call) -> None:
    """$1 path, $2 owner ("" keeps the acting user's), $3 mode, $4 mode of a missing directory, $5 size."""
    path, owner, mode, directory_mode, size = call.arguments
    acting = _acting(host, call)
    if path == host.gateway.config_path and host.gateway.active == "active":
        host.objections.append(f"{path} was written under a running gateway")
    directory = _make_path(host, call, parents(path)[0], directory_mode)
    _may_write(host, call, directory, exit_code=2)  # the shell's own, for a file that it cannot open
    place = located(host, path)
    part = part_of(place)
    if len(call.stdin) != int(size):
        raise Fails("the content did not arrive whole")
    host.files[part] = File(call.stdin, acting, "0600")
    _check_owner(host, owner)
    if place in host.directories:
        raise Fails(f"mv: cannot overwrite directory '{path}' with non-directory")
    del host.files[part]
    host.links.pop(place, None)
    host.files[place] = File(call.stdin, owner or acting, mode)


def make_way(host: SimulatedHost, call: Call) -> None:
    """$1 the directory below which the names on stdin are, those that shall be directories with a slash at the end."""
    top = call.arguments[0]
    _acting(host, call)
    if real(host, top) not in host.directories:
        _move_aside(host, call, top)
    for name in call.stdin.decode().splitlines():
        place = located(host, f"{top}/{name}")
        if (place in host.directories) is not name.endswith("/"):
            _move_aside(host, call, place)


def read_file(host: SimulatedHost, call: Call) -> bytes:
    path = call.arguments[0]
    _acting(host, call)
    found = real(host, path)
    if found not in host.files:
        raise Fails(f"head: cannot open '{path}' for reading: No such file or directory")
    return host.files[found].content[:READ_LIMIT]


def read_time(host: SimulatedHost, call: Call) -> bytes:
    """Now, unless a test says otherwise: no file here has a time of its own."""
    path = call.arguments[0]
    _acting(host, call)
    if real(host, path) not in host.files:
        raise Fails(f"stat: cannot statx '{path}': No such file or directory")
    return f"{int(host.times.get(real(host, path), host.now()))}\n".encode()


def make_directory(host: SimulatedHost, call: Call) -> None:
    path, owner, mode = call.arguments
    _acting(host, call)
    place = _make_path(host, call, path, "0755")
    _check_owner(host, owner)
    host.directories[place] = owner or host.directories[place][0], mode


def make_link(host: SimulatedHost, call: Call) -> None:
    target, link = call.arguments
    place = located(host, link)
    if parents(place)[0] not in host.directories:
        raise Fails(f"ln: failed to create symbolic link '{part_of(link)}': No such file or directory")
    if place in host.directories:
        host.links[part_of(place)] = target
        raise Fails(f"mv: cannot overwrite directory '{link}' with non-directory")
    host.files.pop(place, None)
    host.links[place] = target


def remove_file(host: SimulatedHost, call: Call) -> None:
    path = call.arguments[0]
    _acting(host, call)
    place, directory = located(host, path), real(host, parents(path)[0])
    if exists(host, place):
        _may_write(host, call, directory)
        remove_tree(host, place)
    if not exists(host, directory):
        raise Fails(f"sync: error opening '{parents(path)[0]}': No such file or directory")


def clear_strays(host: SimulatedHost, call: Call) -> None:
    """$1 directory, $2 pattern of what is looked at, then patterns of what stays."""
    directory, pattern, *only = call.arguments
    for name in strays(host, directory, pattern, only):
        remove_tree(host, f"{directory}/{name}")


def forget_config_backups(host: SimulatedHost, call: Call) -> None:
    """$1 the configuration, then patterns of what the names of its copies end with."""
    path, *ends = call.arguments
    if "openclaw" not in host.accounts:
        raise Fails("runuser: user openclaw does not exist")
    directory, name = path.rpartition("/")[::2]
    for found in strays(host, directory, f"{name}.*", ()):
        if any(fnmatchcase(found, f"{name}{end}") for end in ends):
            remove_tree(host, f"{directory}/{found}")


def _acting(host: SimulatedHost, call: Call) -> str:
    """Who acts, as owner of what is made."""
    if call.user not in host.accounts:
        raise Fails(f"runuser: user {call.user} does not exist")
    return f"{call.user}:{call.user}"


def _make_path(host: SimulatedHost, call: Call, path: str, mode: str) -> str:
    """As `mkdir -p -m mode` where there is no such directory; where it is, all links followed."""
    place = "/"
    for step in [*reversed(parents(path)), path]:
        place = real(host, step)
        if place in host.directories:
            continue
        if exists(host, located(host, step)):
            why = "Not a directory" if place in host.files and step != path else "File exists"
            raise Fails(f"mkdir: cannot create directory '{step}': {why}")
        _may_write(host, call, parents(place)[0])
        make_directories(host, place, mode if step == path else "0755", f"{call.user}:{call.user}")
    return place


def _move_aside(host: SimulatedHost, call: Call, place: str) -> None:
    """As `mv -T --backup=numbered`, to its own name with .aside at the end; nothing where nothing is."""
    if not exists(host, place):
        return
    _may_write(host, call, parents(place)[0])
    aside = f"{place}.aside"
    if exists(host, aside):
        rename(host, aside, next(f"{aside}.~{n}~" for n in count(1) if not exists(host, f"{aside}.~{n}~")))
    rename(host, place, aside)


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
