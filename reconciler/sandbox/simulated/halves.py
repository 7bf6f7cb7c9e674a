"""What a command leaves behind when the power goes in its middle. A command that is not here has done nothing by then.

Each half is a moment that the command's own script has: what it removes first, what it writes before it loads it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from reconciler.commands.backups import ARCHIVE
from reconciler.commands.switching import SWITCH
from reconciler.sandbox.simulated import access, backups, storage, switching, system
from reconciler.sandbox.simulated.calls import Call, Fails
from reconciler.sandbox.simulated.disk import File, exists, located, parents, part_of, remove_tree
from reconciler.sandbox.simulated.first_boot import HOST_KEY, NO_FIREWALL
from reconciler.sandbox.simulated.host import SimulatedHost

Half = Callable[[SimulatedHost, Call], None]


def install_packages(host: SimulatedHost, call: Call) -> None:
    """dpkg is at work."""
    del call
    host.packages_interrupted = True


def install_file(host: SimulatedHost, call: Call) -> None:
    """The content arrives."""
    place = located(host, call.arguments[0])
    if parents(place)[0] in host.directories:
        half = call.stdin[: len(call.stdin) // 2]
        host.files[part_of(place)] = File(half, f"{call.user}:{call.user}", "0600")


def rotate_host_key(host: SimulatedHost, call: Call) -> None:
    """The private half lies there, sshd has not read it, and the public half is not written yet."""
    host.files.pop(f"{HOST_KEY}.pub", None)
    host.files[HOST_KEY] = File(call.stdin, mode="0600")


def apply_firewall(host: SimulatedHost, call: Call) -> None:
    """Everything is reset, the way back is armed, and nothing is let in or kept out yet."""
    if "ufw" in host.packages:
        system.apply_firewall(host, call)
        host.firewall = dict(NO_FIREWALL)


def grant_sudo(host: SimulatedHost, call: Call) -> None:
    """The rule is there, and those of others are too."""
    host.directories[access.SUDOERS] = "root:root", "0750"
    host.files[f"{access.SUDOERS}/{call.arguments[1]}"] = File(call.stdin, mode="0440")


def set_authorized_keys(host: SimulatedHost, call: Call) -> None:
    """The directory is made, and the keys arrive."""
    user = call.arguments[0]
    directory, owner = f"{host.accounts[user].home}/.ssh", f"{user}:{user}"
    host.directories[directory] = owner, "0700"
    host.files[f"{directory}/.authorized_keys.part"] = File(call.stdin[:10], owner, "0600")


def plain_units(host: SimulatedHost, call: Call) -> None:
    """Additions have other names, and systemd has not read that."""
    loaded = dict(host.systemd.loaded)
    system.plain_units(host, call)
    host.systemd.loaded = loaded


def begin_switch(host: SimulatedHost, call: Call) -> None:
    """All is prepared for the switch, and the gateway still runs."""
    if not exists(host, SWITCH):
        switching.lay_down(host, call)


def take_checkpoint(host: SimulatedHost, call: Call) -> None:
    """The copy is whole, and not unpacked yet."""
    switching.take(host, call)
    remove_tree(host, f"{SWITCH}/home")


def make_switch(host: SimulatedHost, call: Call) -> None:
    """It is noted that the state may change, and there is none where it belongs."""
    link = host.links[switching.CURRENT]
    switching.make(host, call)
    host.links[switching.CURRENT] = link
    host.files[f"{SWITCH}/closed"] = File(b"")
    if f"{SWITCH}/left" in host.directories:
        switching.move_tree(host, switching.HOME, f"{SWITCH}/next")


def go_back(host: SimulatedHost, call: Call) -> None:
    """The newer state is set aside, and nothing is in its place yet."""
    if SWITCH not in host.directories:
        return
    host.files[f"{SWITCH}/undone"] = host.files[f"{SWITCH}/closed"] = File(b"")
    host.systemd.stop(switching.UNIT)
    if f"{SWITCH}/home" in host.directories and exists(host, f"{SWITCH}/made"):
        checkpoint, target = (host.content(f"{SWITCH}/{word}").decode().strip() for word in ("checkpoint", "target"))
        switching.set_aside(host, checkpoint, target)


def stay(host: SimulatedHost, call: Call) -> None:
    """What is held from now on is noted, and the host would go back all the same."""
    if SWITCH in host.directories:
        switching.note(host, call)


def make_archive(host: SimulatedHost, call: Call) -> None:
    """The archive is being written."""
    backups.make(host, call)
    whole = host.files.pop(backups.MADE).content
    host.files[f"{ARCHIVE}/state.tar"] = File(whole[: len(whole) // 2])


def receive_archive(host: SimulatedHost, call: Call) -> None:
    """The piece arrives."""
    half = replace(call, stdin=call.stdin[: len(call.stdin) // 2])
    with suppress(Fails):
        backups.receive(host, half)


def copy_state(host: SimulatedHost, call: Call) -> None:
    """The archive lies there, and nobody has heard of it."""
    backups.copy(host, call)


def place_state(host: SimulatedHost, call: Call) -> None:
    """What lay in the home is set aside, and nothing is in its place yet."""
    packed = backups.to_place(host, call)
    if packed is not None:
        backups.make_way(host, call)


HALVES: Final[dict[Callable[..., object], Half]] = {
    system.install_packages: install_packages,
    system.apply_firewall: apply_firewall,
    system.plain_units: plain_units,
    storage.install_file: install_file,
    switching.begin: begin_switch,
    switching.take: take_checkpoint,
    switching.make: make_switch,
    switching.go_back: go_back,
    switching.stay: stay,
    backups.make: make_archive,
    backups.receive: receive_archive,
    backups.copy: copy_state,
    backups.place: place_state,
    access.rotate_host_key: rotate_host_key,
    access.grant_sudo: grant_sudo,
    access.set_authorized_keys: set_authorized_keys,
}
