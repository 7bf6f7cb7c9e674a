"""The Hetzner Cloud API's JSON as our values (pure). Fields as of November 2026; others are ignored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from ipaddress import ip_network
from typing import Any, TypeAlias

from reconciler.errors import CloudUnavailable
from reconciler.model import Besides, Catalog, Firewall, Server, ServerStatus, ServerType
from reconciler.model.cloud import rule_in_words

CENT = Decimal("0.01")

Answer: TypeAlias = Mapping[str, Any]

_SIDES = {"in": ("from", "source_ips"), "out": ("to", "destination_ips")}


def server(data: Answer) -> Server:
    """A server as POST, PUT and GET show it."""
    image, kind = data["image"], data["server_type"]
    return Server(
        id=data["id"],
        name=data["name"],
        status=_status(data["status"]),
        region=data["location"]["name"],
        server_type=kind["name"],
        image=image["name"] if image else None,
        address=_address(data["public_net"]),
        created=datetime.fromisoformat(data["created"]),
        labels=dict(data["labels"]),
        architecture=kind["architecture"],
        ipv4=data["public_net"]["ipv4"] is not None,
        backups=data["backup_window"] is not None,
        disk_gb=int(data["primary_disk_size"]),
        outgoing=int(data["outgoing_traffic"] or 0),
        included=int(data["included_traffic"] or 0),
    )


def catalog(
    types: Iterable[Answer], locations: Iterable[Answer], images: Iterable[Answer], pricing: Answer, as_of: datetime
) -> Catalog:
    """What can be ordered. A price does not mean that a type is offered; only `locations[].available` does."""
    ipv4 = next(entry["prices"] for entry in pricing["primary_ips"] if entry["type"] == "ipv4")
    return Catalog(
        types={kind["name"]: _server_type(kind, as_of) for kind in types},
        regions=tuple(location["name"] for location in locations),
        images=_images(images, as_of),
        currency=pricing["currency"],
        ipv4_monthly=_monthly(ipv4),
        as_of=as_of,
        backup_percent=f"{Decimal(pricing['server_backup']['percentage']).normalize():f}",
    )


def besides(rows: Mapping[str, Iterable[Answer]], pricing: Answer) -> tuple[Besides, ...]:
    """By kind, as GET lists them; primary IPs that a server has are in that server's own price."""
    per_gb = {"snapshot": pricing["image"], "volume": pricing["volume"]}
    of_address = {
        kind: {entry["type"]: _monthly(entry["prices"]) for entry in pricing[key]}
        for kind, key in (("primary IP", "primary_ips"), ("floating IP", "floating_ips"))
    }
    of_balancer = {entry["name"]: _monthly(entry["prices"]) for entry in pricing["load_balancer_types"]}
    found = list[Besides]()
    for kind, those in rows.items():
        for row in those:
            if kind in per_gb:
                size = row["image_size"] if kind == "snapshot" else row["size"]
                price = Decimal(per_gb[kind]["price_per_gb_month"]["net"])
                gigabytes = None if size is None else Decimal(str(size))
                monthly = None if gigabytes is None else (price * gigabytes).quantize(CENT, ROUND_HALF_UP)
                found.append(Besides(kind, row["id"], _name(row), _region(row), gigabytes, monthly, row.get("server")))
                continue
            region = _region(row)
            if kind == "load balancer":
                listed = of_balancer.get(row["load_balancer_type"]["name"], {}).get(region)
                monthly = None if listed is None else Decimal(listed)
                found.append(Besides(kind, row["id"], _name(row), region, None, monthly, None))
                continue
            amount = of_address[kind].get(row["type"], {}).get(region)
            at = row["assignee_id"] if kind == "primary IP" else row["server"]
            is_counted = kind == "primary IP" and at is not None
            if not is_counted and amount not in ("0.00", "0"):
                monthly = None if amount is None else Decimal(amount)
                found.append(Besides(kind, row["id"], _name(row), region, None, monthly, at))
    return tuple(found)


def _name(row: Answer) -> str:
    return str(row.get("name") or row.get("description") or "")


def _region(row: Answer) -> str:
    place = row.get("location") or row.get("home_location") or {}
    return str(place.get("name", ""))


def firewall(data: Answer) -> Firewall:
    """A firewall as GET shows it. Order and descriptions of its rules change nothing about what passes."""
    targets = [target["label_selector"] for target in data["applied_to"] if target["type"] == "label_selector"]
    return Firewall(
        id=data["id"],
        name=data["name"],
        labels=dict(data["labels"]),
        rules=tuple(sorted({_rule_in_words(rule) for rule in data["rules"]})),
        selectors=tuple(sorted(target["selector"] for target in targets)),
    )


def rules_of_words(rules: Iterable[str]) -> list[dict[str, Any]]:
    """The wire form of rules that `rule_in_words` wrote down."""
    return [_rule_of_words(words) for words in rules]


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


def _address(public_net: Answer) -> str | None:
    """Where SSH goes. Of its IPv6 network (a /64), a server answers at the first address."""
    if public_net["ipv4"]:
        return str(public_net["ipv4"]["ip"])
    return str(ip_network(public_net["ipv6"]["ip"])[1]) if public_net["ipv6"] else None


def _server_type(data: Answer, now: datetime) -> ServerType:
    locations = data["locations"]
    return ServerType(
        name=data["name"],
        architecture=data["architecture"],
        cores=int(data["cores"]),
        memory_gb=float(data["memory"]),
        regions={location["name"]: bool(location["available"]) for location in locations},
        monthly=_monthly(data["prices"]),
        retired=frozenset(location["name"] for location in locations if _is_retired(location, now)),
        disk_gb=int(data["disk"]),
        traffic={price["location"]: _amount(price["price_per_tb_traffic"]["net"]) for price in data["prices"]},
    )


def _is_retired(location: Answer, now: datetime) -> bool:
    """Its last day of sale has passed, or it was announced and stock has run out: neither comes back."""
    return location["deprecation"] is not None and (not location["available"] or _is_over(location, now))


def _is_over(thing: Answer, now: datetime) -> bool:
    deprecation = thing["deprecation"]
    return deprecation is not None and datetime.fromisoformat(deprecation["unavailable_after"]) <= now


def _images(images: Iterable[Answer], now: datetime) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for image in images:
        if not _is_over(image, now):
            found.setdefault(image["name"], set()).add(image["architecture"])
    return {name: frozenset(architectures) for name, architectures in found.items()}


def _monthly(prices: Iterable[Answer]) -> dict[str, str]:
    return {price["location"]: _amount(price["price_monthly"]["net"]) for price in prices}


def _amount(net: str) -> str:
    """Two decimals; more where there is more to say."""
    exact = Decimal(net)
    cents = exact.quantize(CENT)
    return str(cents) if cents == exact else f"{exact.normalize():f}"


def _rule_in_words(rule: Answer) -> str:
    _, side = _SIDES[rule["direction"]]
    return rule_in_words(rule["direction"], rule["protocol"], rule["port"], rule[side])


def _rule_of_words(words: str) -> dict[str, Any]:
    direction, protocol, *rest = words.split(" ")
    preposition, side = _SIDES[direction]
    before, _, addresses = words.partition(f" {preposition} ")
    rule: dict[str, Any] = {"direction": direction, "protocol": protocol, "description": None}
    port = {"port": rest[0]} if before != f"{direction} {protocol}" else {}
    return rule | port | {"source_ips": [], "destination_ips": [], side: addresses.split(", ")}
