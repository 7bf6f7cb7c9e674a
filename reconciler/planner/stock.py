"""What the cloud would refuse anyway, said before anything is touched, with what could be had instead. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconciler.model import Catalog, Child, ChildSpec, Diagnostic, Server, Severity
from reconciler.offers import architecture_of, candidates, in_stock, resize_target, resize_targets


def shortage(child: Child, catalog: Catalog | None, *, new_server: bool) -> Diagnostic | None:
    """Why this child's server cannot be made, or not be given another type. None without a catalogue."""
    if child.spec is None or catalog is None:
        return None
    found = _mixed(child.spec, catalog) or (
        _not_made(child.spec, catalog) if new_server else _not_resized(child.server, child.spec, catalog)
    )
    if found is None:
        return None
    problem, advice = found
    spec = child.spec
    return Diagnostic(Severity.ERROR, f"{child.name}: {problem}", advice, child.name, spec.file, spec.line)


def retired_notes(children: Iterable[Child], catalog: Catalog | None) -> Iterator[Diagnostic]:
    """Running servers of types that cannot be ordered any more: one note for each type and region."""
    groups: dict[tuple[str, str], list[str]] = {}
    for child in children:
        if child.spec and child.server and catalog and _is_retired(child.server, catalog):
            groups.setdefault((child.server.server_type, child.server.region), []).append(child.name)
    for (name, region), names in sorted(groups.items()):
        assert catalog is not None
        yield Diagnostic(
            Severity.NOTE,
            f"{name} is retired in {region}: {few(names)} can stay, but could not be made there again",
            _available(catalog, [region], catalog.types[name].architecture),
            address=names[0] if len(names) == 1 else "",
        )


def _mixed(spec: ChildSpec, catalog: Catalog) -> tuple[str, str] | None:
    """A server keeps its architecture, so a list of types of two is no list of preference."""
    found: dict[str, list[str]] = {}
    for name in spec.server_types:
        if name in catalog.types:
            found.setdefault(catalog.types[name].architecture, []).append(name)
    if len(found) < 2:
        return None
    kinds = [f"{', '.join(names)} ({architecture})" for architecture, names in found.items()]
    return "its server types are of more than one architecture", f"keep to one of them: {' or '.join(kinds)}"


def _not_made(spec: ChildSpec, catalog: Catalog) -> tuple[str, str] | None:
    if next(candidates(spec, catalog), None) is not None:
        return None
    return (
        _unknown(spec, catalog, architecture_of(spec, catalog))
        or _wrong_image(spec, catalog)
        or _sold_out(spec, catalog)
    )


def _not_resized(server: Server | None, spec: ChildSpec, catalog: Catalog) -> tuple[str, str] | None:
    if server is None or server.server_type in spec.server_types or resize_target(server, spec, catalog) is not None:
        return None
    if not resize_targets(server, spec, catalog):
        return _unknown(spec, catalog, server.architecture)
    names = " or ".join(spec.server_types)
    problem = f"it cannot be resized from {server.server_type} to {names} in {server.region} now"
    return problem, _available(catalog, [server.region], server.architecture)


def _unknown(spec: ChildSpec, catalog: Catalog, architecture: str | None) -> tuple[str, str] | None:
    """A word that the cloud does not know; what could stand for it is of the architecture, where that is known."""
    regions = [region for region in spec.regions if region not in catalog.regions]
    types = [name for name in spec.server_types if name not in catalog.types]
    if spec.image not in catalog.images:
        return f"there is no image {spec.image}", f"images: {', '.join(sorted(catalog.images))}"
    if regions:
        return f"there is no region {' or '.join(regions)}", f"regions: {', '.join(catalog.regions)}"
    if types:
        return f"there is no server type {' or '.join(types)}", _available(catalog, spec.regions, architecture)
    return None


def _wrong_image(spec: ChildSpec, catalog: Catalog) -> tuple[str, str] | None:
    [architecture] = {catalog.types[name].architecture for name in spec.server_types}
    if architecture in catalog.images[spec.image]:
        return None
    exists_for = ", ".join(sorted(catalog.images[spec.image]))
    problem = f"image {spec.image} does not exist for {architecture}, which {' and '.join(spec.server_types)} is"
    return problem, f"it exists for: {exists_for}"


def _sold_out(spec: ChildSpec, catalog: Catalog) -> tuple[str, str]:
    types, regions = list(spec.server_types), list(spec.regions)
    advice = _available(catalog, regions, catalog.types[types[0]].architecture)
    if len(types) == len(regions) == 1:
        is_gone = regions[0] in catalog.types[types[0]].retired
        why = "is retired in" if is_gone else "cannot be had now in"
        return f"server type {types[0]} {why} {regions[0]}", advice
    return f"none of its server types ({', '.join(types)}) can be had now in {', '.join(regions)}", advice


def _available(catalog: Catalog, regions: Iterable[str], architecture: str | None = None) -> str:
    """A line per region: what can be ordered there, cheapest first."""
    offers = ((region, in_stock(catalog, region, architecture)) for region in regions)
    return "\n".join(f"to be had in {region}: {', '.join(names) or 'nothing'}" for region, names in offers)


def _is_retired(server: Server, catalog: Catalog) -> bool:
    kind = catalog.types.get(server.server_type)
    return kind is not None and server.region in kind.retired


def few(names: list[str]) -> str:
    """Some names as a list in words: at most four of them are written out."""
    shown = names if len(names) <= 4 else [*names[:3], f"{len(names) - 3} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
