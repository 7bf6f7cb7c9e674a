"""What a FakeCloud sells: a small shop with one type of each sort."""

from __future__ import annotations

from collections.abc import Set
from datetime import datetime

from reconciler.model import Catalog, ServerType

REGIONS = ("fsn1", "nbg1", "hel1")
BOTH = frozenset({"x86", "arm"})

# name -> architecture, cores, memory GB, disk GB, price; cpx11 is retired, cx23 sold out at first.
TYPES = {
    "cpx22": ("x86", 2, 4.0, 80, "19.49"),
    "cpx32": ("x86", 4, 8.0, 160, "35.49"),
    "cpx12": ("x86", 1, 2.0, 40, "11.49"),
    "cpx11": ("x86", 2, 2.0, 40, "5.49"),
    "cx23": ("x86", 2, 4.0, 40, "5.49"),
    "cax11": ("arm", 2, 4.0, 40, "5.99"),
}
RETIRED = "cpx11"
IMAGES = {"debian-12": BOTH, "debian-13": BOTH}


def make_catalog(sold_out: Set[tuple[str, str]], as_of: datetime) -> Catalog:
    types = {name: _server_type(name, sold_out) for name in TYPES}
    return Catalog(types, REGIONS, dict(IMAGES), "EUR", dict.fromkeys(REGIONS, "0.50"), as_of)


def _server_type(name: str, sold_out: Set[tuple[str, str]]) -> ServerType:
    architecture, cores, memory, disk, price = TYPES[name]
    is_retired = name == RETIRED
    return ServerType(
        name,
        architecture,
        cores,
        memory,
        {region: not is_retired and (name, region) not in sold_out for region in REGIONS},
        dict.fromkeys(REGIONS, price),
        frozenset(REGIONS) if is_retired else frozenset(),
        disk,
        dict.fromkeys(REGIONS, "1.00"),
    )
