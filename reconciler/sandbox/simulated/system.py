"""The commands on packages, accounts, units and the firewall, as a simulated host carries them out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from reconciler.sandbox.simulated.calls import Call, Fails
from reconciler.sandbox.simulated.disk import Account, move
from reconciler.sandbox.simulated.first_boot import NO_FIREWALL
from reconciler.sandbox.simulated.host import SimulatedHost
from reconciler.sandbox.simulated.systemd import Systemd


def wait_for_first_boot(host: SimulatedHost, call: Call) -> None:
    """Over before anybody gets in."""
    del host, call


def repair_packages(host: SimulatedHost, call: Call) -> None:
    del call
    host.packages_interrupted = False


def refresh_packages(host: SimulatedHost, call: Call) -> None:
    """The lists are always fresh."""
    del host, call


def find_reboot_reason(host: SimulatedHost, call: Call) -> bytes:
    del call
    if "/run/reboot-required" not in host.files:
        return b""
    names = " ".join(sorted({*host.content("/run/reboot-required.pkgs").decode().split()}))
    return f"an update asks for it{f': {names}' if names else ''}\n".encode()


def install_packages(host: SimulatedHost, call: Call) -> None:
    if host.packages_interrupted:
        raise Fails("E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem.", 100)
    host.packages |= set(call.arguments)


def make_account(host: SimulatedHost, call: Call) -> None:
    name, home, shell = call.arguments
    host.accounts[name] = Account(home, shell)


def apply_firewall(host: SimulatedHost, call: Call) -> None:
    """The ports, then "from" and from where; what filters packets besides goes."""
    words = [*call.arguments, "from"]
    ports, sources = words[: words.index("from")], words[words.index("from") + 1 : -1]
    if "ufw" not in host.packages:
        raise Fails("cp: cannot stat '/etc/ufw/ufw.conf': No such file or directory")
    before = host.firewall_before[1] if host.firewall_before else host.firewall
    host.firewall_before = host.now(), before
    limits = [f" from {source}" for source in sources] or [""]
    rules = sorted(f"{port}/tcp{limit}" for port in ports for limit in limits)
    host.firewall = NO_FIREWALL | {"enabled": True, "incoming": "deny", "rules": rules}
    host.kernel.forget_foreign()


def confirm_firewall(host: SimulatedHost, call: Call) -> None:
    del call
    if host.firewall_before is None:
        raise Fails("the change was already taken back")
    host.firewall_before = None


def plain_units(host: SimulatedHost, call: Call) -> None:
    """What was added to these units elsewhere gets a name that systemd does not read."""
    for path in [path for unit in call.arguments for path in host.systemd.drop_ins(unit)]:
        move(host, path, f"{path}.off")
    host.systemd.reload()


def reload_units(host: SimulatedHost, call: Call) -> None:
    del call
    host.systemd.reload()


def reset_failed(host: SimulatedHost, call: Call) -> None:
    host.systemd.reset_failed(call.arguments[0])


def systemctl(host: SimulatedHost, call: Call) -> None:
    """One script for all verbs: $1 is the verb, what follows are units."""
    verb, *units = call.arguments
    if verb not in VERBS:
        raise Fails(f"Unknown command verb {verb}.")
    for unit in units:
        VERBS[verb](host.systemd, unit)


VERBS: Final[dict[str, Callable[[Systemd, str], None]]] = {
    "enable": Systemd.enable,
    "disable": Systemd.disable,
    "start": Systemd.start,
    "stop": Systemd.stop,
    "restart": Systemd.restart,
    "reload-or-restart": Systemd.reload_or_restart,
}


def count_updates(host: SimulatedHost, call: Call) -> bytes:
    del call
    return f"{host.updates} {int(host.now())}\n".encode()
