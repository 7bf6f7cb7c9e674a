"""What the cloud's catalogue offers for a child: what can be made, what a server can be resized to. Pure.

A price is no offer: retired and sold-out types keep theirs. Only the catalogue's word on stock counts (Hetzner's
`locations[].available`), and even that is no promise.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from decimal import Decimal

from reconciler.model import Catalog, Change, Child, ChildSpec, Server, ServerType


def candidates(spec: ChildSpec, catalog: Catalog | None) -> Iterator[tuple[str, str]]:
    """Server type and region, best first: a type in every region before the next type. Only what can be had now.

    Without a catalogue everything that is listed.
    """
    for name in spec.server_types:
        for region in spec.regions:
            if catalog is None or _can_be_had(catalog, name, region, spec.image):
                yield name, region


def in_stock(catalog: Catalog, region: str, architecture: str | None = None) -> list[str]:
    """The types that can be ordered in a region, cheapest first; only those of one architecture if it is given."""
    kinds = (kind for kind in catalog.types.values() if kind.regions.get(region))
    fitting = (kind for kind in kinds if architecture in (None, kind.architecture))
    return [kind.name for kind in sorted(fitting, key=lambda kind: (_price(kind, region), kind.name))]


def alternatives(catalog: Catalog, architecture: str | None, refused: Set[tuple[str, str]]) -> dict[str, list[str]]:
    """What can be ordered besides the types and regions that were refused, by region; regions without any are left out.

    A refusal is newer than the catalogue, which may go on to list what it was about.
    """
    offers = {region: in_stock(catalog, region, architecture) for region in catalog.regions}
    left = {region: [name for name in names if (name, region) not in refused] for region, names in offers.items()}
    return {region: names for region, names in left.items() if names}


def architecture_of(spec: ChildSpec, catalog: Catalog) -> str | None:
    """That of the first listed type that the cloud knows."""
    return next((catalog.types[name].architecture for name in spec.server_types if name in catalog.types), None)


def resize_targets(server: Server, spec: ChildSpec, catalog: Catalog | None) -> list[str]:
    """The listed types that this very server could become: same architecture, and a disk that holds what it has.

    Hetzner refuses another architecture and a disk smaller than the present one (OpenAPI document, change_type).
    Whether they are in stock is another question.
    """
    known = (catalog.types[name] for name in spec.server_types if catalog and name in catalog.types)
    disk = disk_of(server, catalog)
    return [kind.name for kind in known if kind.architecture == server.architecture and kind.disk_gb >= disk]


def resize_target(server: Server, spec: ChildSpec, catalog: Catalog | None) -> str | None:
    """The first of them that can be had where the server is; None as well where no resize is wanted."""
    if catalog is None or server.server_type in spec.server_types:
        return None
    targets = resize_targets(server, spec, catalog)
    return next((name for name in targets if catalog.types[name].regions.get(server.region)), None)


def disk_of(server: Server, catalog: Catalog | None) -> int:
    """Gigabytes: what the cloud says of this server, else what its type comes with."""
    kind = catalog.types.get(server.server_type) if catalog else None
    return server.disk_gb or (kind.disk_gb if kind else 0)


def needs_new_server(child: Child, catalog: Catalog | None) -> tuple[Change, ...]:
    """What the file says and this server can never become: region, image, a public IPv4, and some types."""
    if child.spec is None or child.server is None:
        return ()
    server, spec = child.server, child.spec
    found = [
        # An image that the cloud no longer knows by name is no news about the file.
        Change("image", server.image, spec.image) if server.image not in (None, spec.image) else None,
        Change("region", server.region, spec.regions[0]) if server.region not in spec.regions else None,
        Change("ipv4", server.ipv4, spec.ipv4) if server.ipv4 != spec.ipv4 else None,
        _type_change(server, spec, catalog),
    ]
    return tuple(change for change in found if change is not None)


def _type_change(server: Server, spec: ChildSpec, catalog: Catalog | None) -> Change | None:
    """A type that it cannot be resized to. Types that nobody knows are left to the check of what can be had."""
    if catalog is None or server.server_type in spec.server_types:
        return None
    known = [name for name in spec.server_types if name in catalog.types]
    if not known or resize_targets(server, spec, catalog):
        return None
    return Change("server_type", server.server_type, known[0])


def _can_be_had(catalog: Catalog, name: str, region: str, image: str) -> bool:
    kind = catalog.types.get(name)
    if kind is None or not kind.regions.get(region):
        return False
    return kind.architecture in catalog.images.get(image, ())


def _price(kind: ServerType, region: str) -> Decimal:
    return Decimal(kind.monthly.get(region, "Infinity"))
