"""A simulated host does with files, directories and links what a real shell does, whatever stands there already."""

from __future__ import annotations

import stat
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler import commands, keys
from reconciler.commands.shell import PREAMBLE
from reconciler.managed import files
from reconciler.model import Command
from reconciler.sandbox.simulated.calls import Call, Fails, read_call
from reconciler.sandbox.simulated.disk import File
from reconciler.sandbox.simulated.host import SimulatedHost
from reconciler.sandbox.simulated.table import ACTIONS

OWNED = "/var/lib/openclaw"  # where the example of `make_way` is, which here works elsewhere
KEY = keys.make_key(bytes(range(32)))


def nothing(place: Path) -> None:
    del place


def file(place: Path) -> None:
    place.write_text("old")


def full_directory(place: Path) -> None:
    place.mkdir()
    (place / "x").write_text("x")


def link_to(target: str, make: Callable[[Path], None]) -> Callable[[Path], None]:
    def link(place: Path) -> None:
        make(place.parent / target)
        place.symlink_to(target)

    return link


def moved_aside_before(place: Path) -> None:
    for name in ("p.aside", "p.aside.~1~"):
        (place.parent / name).write_text(name)
    place.symlink_to("nowhere")


THERE = {
    "nothing": nothing,
    "a file": file,
    "an empty directory": Path.mkdir,
    "a full directory": full_directory,
    "a link to a file": link_to("t", file),
    "a link to a directory": link_to("d", full_directory),
    "a link to nothing": link_to("t", nothing),
    "a link to itself": link_to("p", nothing),
    "a link, after others": moved_aside_before,
}
DONE: dict[str, Callable[[str], Command]] = {
    "a file": lambda path: commands.install_file(path, b"new", "root:root", "0600"),
    "a file below": lambda path: commands.install_file(f"{path}/y", b"new", "root:root", "0600", "0700"),
    "a file far below": lambda path: commands.install_file(f"{path}/y/z", b"new", "root:root", "0600", "0700"),
    "a directory": lambda path: commands.make_directory(path, "root:root", "0700"),
    "a directory below": lambda path: commands.make_directory(f"{path}/y", "root:root", "0700"),
    "a link": lambda path: commands.make_symlink("/target", path),
    "a link below": lambda path: commands.make_symlink("/target", f"{path}/y"),
    "a removal": lambda path: commands.remove_file(path),
    "a removal below": lambda path: commands.remove_file(f"{path}/x"),
    "a read": lambda path: commands.read_file(path),
    "a read below": lambda path: commands.read_file(f"{path}/x"),
    "way for a file": lambda path: commands.make_way(OWNED + "/w", ["p"]),
    "way for a file below": lambda path: commands.make_way(OWNED + "/w", ["p/y", "p/x"]),
    "way for a file far below": lambda path: commands.make_way(OWNED + "/w", ["p/x/y"]),
    "way in it": lambda path: commands.make_way(OWNED + "/w/p", ["x/y", "z"]),
}


@pytest.mark.parametrize("there", THERE.values(), ids=THERE)
@pytest.mark.parametrize("does", DONE.values(), ids=DONE)
def test_it_does_as_a_shell_does(does: Callable[[str], Command], there: Callable[[Path], None], tmp_path: Path) -> None:
    top = tmp_path / "w"
    top.mkdir()
    there(top / "p")
    host, call = host_like(tmp_path), call_of(does(f"{top}/p"), tmp_path)
    simulated = carried_out(host, call)
    assert simulated == by_a_shell(call)
    assert on_simulated(host, tmp_path) == on_disk(tmp_path)


def call_of(command: Command, tmp_path: Path) -> Call:
    """What arrives at the host, by root below `tmp_path`."""
    call = read_call(command.line, command.stdin)
    assert call is not None
    arguments = tuple(argument.replace(OWNED, str(tmp_path)) for argument in call.arguments)
    return replace(call, arguments=arguments, user="root")


def by_a_shell(call: Call) -> tuple[int, bytes]:
    text = f"{PREAMBLE}\n{call.script}"
    done = subprocess.run(["sh", "-c", text, "sh", *call.arguments], input=call.stdin, capture_output=True, check=False)
    return done.returncode, done.stdout


def carried_out(host: SimulatedHost, call: Call) -> tuple[int, bytes]:
    try:
        return 0, ACTIONS[call.script](host, call) or b""
    except Fails as failure:
        return failure.exit_code, failure.stdout


def host_like(top: Path) -> SimulatedHost:
    """A host with the same below `top`."""
    first, login = keys.host_key(KEY, "uid", 0), keys.public_key(keys.login_key(KEY, "uid", 1))
    host = SimulatedHost("host", files.user_data(login, first, keys.public_key(first)).reveal(), lambda: 1000.0)
    host.directories |= dict.fromkeys(map(str, [top, *top.parents]), ("root:root", "0755"))
    for path in top.rglob("*"):
        if path.is_symlink():
            host.links[str(path)] = str(path.readlink())
        elif path.is_dir():
            host.directories[str(path)] = "root:root", mode_of(path)
        else:
            host.files[str(path)] = File(path.read_bytes(), mode=mode_of(path))
    return host


def on_disk(top: Path) -> dict[str, tuple[object, ...]]:
    found: dict[str, tuple[object, ...]] = {}
    for path in top.rglob("*"):
        if path.is_symlink():
            found[str(path)] = "link", str(path.readlink())
        elif path.is_dir():
            found[str(path)] = "directory", mode_of(path)
        else:
            found[str(path)] = "file", mode_of(path), path.read_bytes()
    return found


def on_simulated(host: SimulatedHost, top: Path) -> dict[str, tuple[object, ...]]:
    links = {path: ("link", target) for path, target in host.links.items()}
    directories = {path: ("directory", mode) for path, (_, mode) in host.directories.items()}
    plain = {path: ("file", file.mode, file.content) for path, file in host.files.items()}
    return {path: what for path, what in {**links, **directories, **plain}.items() if path.startswith(f"{top}/")}


def mode_of(path: Path) -> str:
    return f"{stat.S_IMODE(path.stat().st_mode):04o}"
