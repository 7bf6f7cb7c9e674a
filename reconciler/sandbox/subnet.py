"""Which network the sandbox takes: one that nothing on this machine routes to, resolves with or resolves into."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from reconciler.errors import SandboxError

CANDIDATES = tuple(
    IPv4Network(network) for network in ("10.91.0.0/24", "10.147.0.0/24", "10.203.0.0/24", "172.29.91.0/24")
)
# Simulated machines are many.
LARGE_CANDIDATES = tuple(IPv4Network((network.network_address, 20), strict=False) for network in CANDIDATES)
RESOLVERS = Path("/etc/resolv.conf")


def parse_subnet(text: str) -> IPv4Network:
    """A private /24 as written by a person. SandboxError when it is none."""
    try:
        subnet = IPv4Network(text)
    except ValueError as error:
        raise SandboxError(f"{text!r} is not a network: {error}", "Write it as 10.91.0.0/24.") from error
    if subnet.prefixlen != 24 or not subnet.is_private:
        raise SandboxError(f"{text} is not a private /24 network", "Write it as 10.91.0.0/24.")
    return subnet


def choose_subnet(
    taken: Iterable[IPv4Network], wanted: IPv4Network | None = None, candidates: Sequence[IPv4Network] = CANDIDATES
) -> IPv4Network:
    """The wanted subnet, else the first candidate that overlaps nothing in `taken`. SandboxError when none is free."""
    used = tuple(taken)
    for candidate in (wanted,) if wanted else candidates:
        if not any(candidate.overlaps(network) for network in used):
            return candidate
    tried = str(wanted) if wanted else ", ".join(str(candidate) for candidate in candidates)
    raise SandboxError(
        f"the sandbox's network {tried} is routed or in use on this machine",
        "Name a free private /24 with `fleet sandbox up --subnet A.B.C.0/24`.",
    )


def networks_in_use(names: Iterable[str]) -> tuple[IPv4Network, ...]:
    """Everything routed here, the resolvers, and what the host names in `names` resolve to (the package registries)."""
    routed = [entry["dst"] for entry in _routes()]
    networks = [IPv4Network(destination, strict=False) for destination in routed if destination != "default"]
    networks += [IPv4Network(address) for address in _resolvers(RESOLVERS)]
    networks += [IPv4Network(address) for name in names for address in _resolve(name)]
    return tuple(networks)


def _routes() -> list[dict[str, Any]]:
    shown = subprocess.run(
        ["ip", "-j", "-4", "route", "show", "table", "all"], check=True, capture_output=True, text=True
    )
    routes: list[dict[str, Any]] = json.loads(shown.stdout)
    return routes


def _resolvers(file: Path) -> list[str]:
    words = (line.split() for line in (file.read_text().splitlines() if file.exists() else ()))
    return [word[1] for word in words if len(word) > 1 and word[0] == "nameserver" and ":" not in word[1]]


def _resolve(name: str) -> list[str]:
    try:
        found = socket.getaddrinfo(name, None, socket.AF_INET, socket.SOCK_STREAM)
    except OSError:
        return []
    return [str(IPv4Address(entry[4][0])) for entry in found]
