"""Firewall rules: read from a request as the official OpenAPI document says they are, and shown with every field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_network

from reconciler.model import Json
from reconciler.sandbox.emulator.bodies import choice, items, some_text
from reconciler.sandbox.emulator.errors import invalid_input

_MOST_RULES = 50  # of a firewall
_MOST_NETWORKS = 100  # of a rule, on each side
_LONGEST_DESCRIPTION = 255
_LAST_PORT = 65535
_DIRECTIONS = ("in", "out")
_PROTOCOLS = ("tcp", "udp", "icmp", "esp", "gre")
_WITH_PORTS = ("tcp", "udp")
_PORTS = re.compile(r"([1-9][0-9]{0,4})(?:-([1-9][0-9]{0,4}))?")
_CIDR = re.compile(r"[0-9A-Fa-f:.]{2,45}/[0-9]{1,3}")


def rules(body: Mapping[str, Json]) -> list[dict[str, Json]]:
    """Those in a body, in wire form. Raises ApiError 422."""
    given = items(body, "rules")
    if len(given) > _MOST_RULES:
        raise invalid_input("rules", f"at most {_MOST_RULES} rules")
    return [_rule(rule) for rule in given]


def _rule(rule: Json) -> dict[str, Json]:
    if not isinstance(rule, dict):
        raise invalid_input("rules", "must be objects")
    direction, protocol = choice(rule, "direction", _DIRECTIONS), choice(rule, "protocol", _PROTOCOLS)
    description = some_text(rule, "description")
    if description is not None and len(description) > _LONGEST_DESCRIPTION:
        raise invalid_input("description", f"at most {_LONGEST_DESCRIPTION} characters")
    sides: dict[str, Json] = {side: [*_networks(rule, side)] for side in ("source_ips", "destination_ips")}
    own_side = "source_ips" if direction == "in" else "destination_ips"
    if not sides[own_side]:
        raise invalid_input(own_side, "is required")
    port = _port(rule, protocol)
    return {"direction": direction, "protocol": protocol, "port": port, **sides, "description": description}


def _port(rule: Mapping[str, Json], protocol: str) -> str | None:
    """One, or the first and the last of a range."""
    port = some_text(rule, "port")
    if (port is not None) != (protocol in _WITH_PORTS):
        raise invalid_input("port", "tcp and udp need a port, other protocols have none")
    if port is None:
        return None
    found = _PORTS.fullmatch(port)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 0 < first <= last <= _LAST_PORT:
        raise invalid_input("port", "must be a port, or a range such as 1024-5000")
    return port


def _networks(rule: Mapping[str, Json], side: str) -> list[str]:
    """In their canonical form."""
    given = items(rule, side)
    if len(given) > _MOST_NETWORKS:
        raise invalid_input(side, f"at most {_MOST_NETWORKS} CIDR blocks")
    return [_network(network, side) for network in given]


def _network(network: Json, side: str) -> str:
    try:
        if isinstance(network, str) and _CIDR.fullmatch(network):
            return str(ip_network(network))
    except ValueError:
        pass  # said below, with what was never tried
    raise invalid_input(side, "must be CIDR blocks with empty host bits")
