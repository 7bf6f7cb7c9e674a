"""The Hetzner Cloud API's JSON as our values (pure). Fields as of November 2026; others are ignored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeAlias

from reconciler.errors import CloudUnavailable
from reconciler.model import Catalog, FirewallSpec, Server, ServerStatus, ServerType

Answer: TypeAlias = Mapping[str, Any]

_EVERYWHERE = ["0.0.0.0/0", "::/0"]


def server(data: Answer) -> Server:
    """A server as POST, PUT and GET show it."""
    ipv4 = data["public_net"]["ipv4"]
    image = data["image"]
    return Server(
        id=data["id"],
        name=data["name"],
        status=_status(data["status"]),
        region=data["location"]["name"],
        server_type=data["server_type"]["name"],
        image=image["name"] if image else None,
        address=ipv4["ip"] if ipv4 else None,
        created=datetime.fromisoformat(data["created"]),
        labels=dict(data["labels"]),
    )


def catalog(
    types: Iterable[Answer], locations: Iterable[Answer], images: Iterable[Answer], pricing: Answer, as_of: datetime
) -> Catalog:
    """What can be ordered. A price does not mean that a type is offered; only `locations[].available` does."""
    ipv4 = next(entry["prices"] for entry in pricing["primary_ips"] if entry["type"] == "ipv4")
    return Catalog(
        types={kind["name"]: _server_type(kind) for kind in types},
        regions=tuple(location["name"] for location in locations),
        images=_images(images),
        currency=pricing["currency"],
        ipv4_monthly=_monthly(ipv4),
        as_of=as_of,
    )


def rules_wanted(firewall: FirewallSpec) -> list[dict[str, Any]]:
    """Its rules in wire form: the ports, from everywhere."""
    return [
        {
            "direction": "in",
            "protocol": "tcp",
            "port": str(port),
            "source_ips": _EVERYWHERE,
            "destination_ips": [],
            "description": None,
        }
        for port in firewall.inbound_tcp
    ]


def same_rules(one: Sequence[Answer], other: Sequence[Answer]) -> bool:
    """Order and descriptions change nothing about what passes."""
    return {_rule_essence(rule) for rule in one} == {_rule_essence(rule) for rule in other}


def carries(data: Answer, labels: Mapping[str, str]) -> bool:
    """Whether a resource has all of these labels; the mark of one that we made."""
    theirs: dict[str, str] = data["labels"]
    return labels.items() <= theirs.items()


@contextmanager
def understood() -> Iterator[None]:
    """Turns an answer of another shape than documented into an error of ours."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as odd:
        raise CloudUnavailable(
            f"Hetzner Cloud gave an answer that is not understood ({type(odd).__name__}: {odd})",
            "If it stays so, its API has changed: update openclaw-deploy.",
        ) from odd


def action_ids(*actions: Any) -> tuple[int, ...]:
    """What to wait for."""
    return tuple(int(action["id"]) for action in actions)


def _status(word: str) -> ServerStatus:
    return ServerStatus(word) if word in set(ServerStatus) else ServerStatus.UNKNOWN


def _server_type(data: Answer) -> ServerType:
    return ServerType(
        name=data["name"],
        architecture=data["architecture"],
        cores=int(data["cores"]),
        memory_gb=float(data["memory"]),
        regions={location["name"]: bool(location["available"]) for location in data["locations"]},
        monthly=_monthly(data["prices"]),
    )


def _images(images: Iterable[Answer]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for image in images:
        found.setdefault(image["name"], set()).add(image["architecture"])
    return {name: frozenset(architectures) for name, architectures in found.items()}


def _monthly(prices: Iterable[Answer]) -> dict[str, str]:
    return {price["location"]: _amount(price["price_monthly"]["net"]) for price in prices}


def _amount(net: str) -> str:
    """Two decimals; more where there is more to say."""
    exact = Decimal(net)
    cents = exact.quantize(Decimal("0.01"))
    return str(cents) if cents == exact else f"{exact.normalize():f}"


def _rule_essence(rule: Answer) -> tuple[Any, ...]:
    ways = (frozenset(rule[side] or ()) for side in ("source_ips", "destination_ips"))
    return (rule["direction"], rule["protocol"], rule["port"], *ways)
