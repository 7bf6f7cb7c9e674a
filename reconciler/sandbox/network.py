"""The sandbox's network: a switch in its own namespace, one cable to the operator, one to each machine.

    outside                       namespace fsb-switch                       namespace fsb-<id>
    fsb-operator  subnet.1  ----  operator -+
                                            +- switch (bridge)  subnet.2
                                   m<id>   -+  169.254.169.254   ----------  eth0  the machine's address

The machines' default route ends at subnet.2, and the switch namespace has no way out: no NAT, no other route. On the
outside there is one link, its address and one unreachable route, nothing else: no packet filter, no global sysctl.
"""

from __future__ import annotations

import ctypes
import os
import re
import socket
import subprocess
import threading
from collections.abc import Callable
from ipaddress import IPv4Network
from pathlib import Path
from typing import TypeVar

from reconciler.errors import SandboxError

SWITCH = "fsb-switch"
OPERATOR_LINK = "fsb-operator"
METADATA_ADDRESS = "169.254.169.254"

NAMESPACES = Path("/run/netns")

# Inside the switch: the operator reaches the machines and they answer; of this computer they reach nothing unasked.
ONE_WAY = """\
table bridge sandbox {{
  chain forward {{
    type filter hook forward priority 0; policy accept;
    oifname "operator" ether type ip6 drop
    oifname "operator" ether type ip ip daddr != {gateway} drop
    oifname "operator" ether type ip tcp flags & (syn|ack) == syn drop
    oifname "operator" ether type ip meta l4proto udp drop
  }}
}}
"""

_OURS = re.compile(r"fsb-(switch|\d+)")
_BRIDGE = "switch"
# Else a bridge has the lowest of its ports' addresses, another one whenever a machine comes or goes: for seconds nobody
# who has spoken to it before gets through.
_BRIDGE_MAC = "96:00:ff:ff:ff:fe"
_ROUTE_PROTOCOL = "79"  # marks our unreachable route, so that `down` finds it without any note
_CLONE_NEWNET = 0x40000000

T = TypeVar("T")


def gateway_address(subnet: IPv4Network) -> str:
    """The operator's own address in the sandbox."""
    return str(subnet[1])


def service_address(subnet: IPv4Network) -> str:
    """Where the stand-ins and the mirror listen; also the machines' default route."""
    return str(subnet[2])


def switch_up(subnet: IPv4Network) -> None:
    """Make the switch. The route comes first: from now on nothing for this subnet ever leaves this machine."""
    gateway, service = gateway_address(subnet), f"{service_address(subnet)}/{subnet.prefixlen}"
    _ip("route", "add", "unreachable", str(subnet), "metric", "4000", "proto", _ROUTE_PROTOCOL)
    _ip("netns", "add", SWITCH)
    _ip("link", "add", OPERATOR_LINK, "type", "veth", "peer", "name", "operator", "netns", SWITCH)
    _switch(
        f"link add {_BRIDGE} address {_BRIDGE_MAC} type bridge mcast_snooping 0",
        f"addr add {service} dev {_BRIDGE}",
        f"addr add {METADATA_ADDRESS}/32 dev {_BRIDGE}",
        f"link set operator master {_BRIDGE} up",
        f"link set {_BRIDGE} addrgenmode none up",
        "link set lo up",
    )
    # Forwarding to nowhere: a machine that looks for a way out is told at once that there is none.
    in_namespace(SWITCH, lambda: _set_forwarding(_BRIDGE, "1"))
    _run(["ip", "netns", "exec", SWITCH, "nft", "-f", "-"], stdin=ONE_WAY.format(gateway=gateway))
    # A machine could name us as its gateway: this link forwards nothing, whatever the machine at large does.
    _set_forwarding(OPERATOR_LINK, "0")
    _ip("addr", "add", f"{gateway}/{subnet.prefixlen}", "dev", OPERATOR_LINK)
    _ip("link", "set", OPERATOR_LINK, "addrgenmode", "none", "up")


def switch_is_up() -> bool:
    """Whether the switch's namespace and the operator's end of the cable are there."""
    return (NAMESPACES / SWITCH).exists() and Path("/sys/class/net", OPERATOR_LINK).exists()


def switch_down() -> None:
    """Remove everything of the sandbox's network, whole or half made; the unreachable route goes last."""
    _ip_quietly("link", "delete", OPERATOR_LINK)
    for name in sorted(_our_namespaces()):
        _ip_quietly("netns", "delete", name)
    _ip_quietly("-4", "route", "flush", "type", "unreachable", "proto", _ROUTE_PROTOCOL)


def machine_namespace(machine_id: int) -> str:
    return f"fsb-{machine_id}"


def machine_up(machine_id: int) -> None:
    """A namespace with `eth0`, plugged into the switch. The address inside is cloud-init's business."""
    namespace = machine_namespace(machine_id)
    _ip("netns", "add", namespace)
    _switch(
        f"link add m{machine_id} type veth peer name eth0 address {_mac(machine_id)} netns {namespace}",
        f"link set m{machine_id} master {_BRIDGE} addrgenmode none up",
    )
    in_namespace(namespace, _quiet_ipv6)


def machine_down(machine_id: int) -> None:
    """Unplugged and gone; nothing to do when it is not there."""
    if (NAMESPACES / SWITCH).exists():
        _ip_quietly("-n", SWITCH, "link", "delete", f"m{machine_id}")
    _ip_quietly("netns", "delete", machine_namespace(machine_id))


def listen_in_switch(address: str, port: int) -> socket.socket:
    """A TCP socket that listens inside the switch's namespace; whoever holds it may stay outside."""
    return in_namespace(SWITCH, lambda: listen(address, port))


def listen(address: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # asyncio sets it only on sockets that it made itself; without it each answer may wait 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.bind((address, port))
    listener.listen(128)
    return listener


def in_namespace(name: str, work: Callable[[], T]) -> T:
    """Run `work` inside a named network namespace, in a thread of its own that ends there."""
    outcome: list[T] = []
    failure: list[BaseException] = []

    def enter_and_work() -> None:
        try:
            _enter(NAMESPACES / name)
            outcome.append(work())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=enter_and_work)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]


def namespaces_found() -> str:
    """How the directory of named namespaces is now: absent, plain or mounted. `ip netns add` changes it for good."""
    if not NAMESPACES.is_dir():
        return "absent"
    return "mounted" if os.path.ismount(NAMESPACES) or _is_mount_point(NAMESPACES) else "plain"


def restore_namespaces(before: str) -> None:
    """Undo what `ip netns add` did to that directory, unless somebody else keeps a namespace there."""
    if before == "mounted" or not NAMESPACES.is_dir() or any(NAMESPACES.iterdir()):
        return
    if _is_mount_point(NAMESPACES):
        subprocess.run(["umount", str(NAMESPACES)], check=False, capture_output=True)
    if before == "absent":
        NAMESPACES.rmdir()


def _enter(namespace: Path) -> None:
    # os.setns came with Python 3.12.
    with namespace.open("rb") as handle:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(handle.fileno(), _CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(namespace))


def _set_forwarding(link: str, value: str) -> None:
    Path(f"/proc/sys/net/ipv4/conf/{link}/forwarding").write_text(value)


def _quiet_ipv6() -> None:
    for key, value in (("accept_dad", "0"), ("accept_ra", "0")):
        setting = Path("/proc/sys/net/ipv6/conf/eth0", key)
        if setting.exists():
            setting.write_text(value)


def _mac(machine_id: int) -> str:
    # Hetzner's own vendor-less prefix; the id makes it the same after every power cycle.
    return "96:00:" + ":".join(f"{byte:02x}" for byte in (machine_id & 0xFFFFFFFF).to_bytes(4, "big"))


def _our_namespaces() -> set[str]:
    if not NAMESPACES.is_dir():
        return set()
    return {entry.name for entry in NAMESPACES.iterdir() if _OURS.fullmatch(entry.name)}


def _is_mount_point(path: Path) -> bool:
    # os.path.ismount compares devices, and a directory bound onto itself has the same one.
    return any(line.split()[4] == str(path) for line in Path("/proc/self/mountinfo").read_text().splitlines())


def _switch(*lines: str) -> None:
    """Several `ip` commands at once, inside the switch."""
    _run(["ip", "-n", SWITCH, "-batch", "-"], stdin="\n".join(lines) + "\n")


def _ip(*arguments: str) -> None:
    _run(["ip", *arguments])


def _run(command: list[str], stdin: str = "") -> None:
    ended = subprocess.run(command, input=stdin, check=False, capture_output=True, text=True)
    if ended.returncode:
        raise SandboxError(
            f"`{' '.join(command)}` failed: {ended.stderr.strip()}",
            "Run `fleet sandbox down`, then `fleet sandbox up` again.",
        )


def _ip_quietly(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], stdin=subprocess.DEVNULL, check=False, capture_output=True)
