"""What the cloud cannot give a child, and what it has instead: told from a recipe and the catalogue of cases.py."""

from __future__ import annotations

from typing import Final

from reconciler.model import PlanOptions
from tests.properties import expecting
from tests.properties.expecting import IMAGES, REGIONS, STOCK
from tests.properties.recipes import Recipe

CHEAPEST_FIRST: Final = ("cx23", "cax11", "cx33", "cpx22")


def lacks(name: str, recipe: Recipe, options: PlanOptions) -> str:
    """In words, the first thing that keeps its server from being made, or made another; empty where nothing does."""
    if expecting.mixes(recipe):
        return "more than one architecture"
    if needs_making(name, recipe, options):
        return "" if expecting.can_be_made(recipe, True) else unknown(recipe) or _not_sold(recipe)
    if recipe.server_type in recipe.types or expecting.resizable(recipe):
        return ""
    return "cannot be resized from" if expecting.fitting(recipe) else unknown(recipe)


def needs_making(name: str, recipe: Recipe, options: PlanOptions) -> bool:
    moves = name not in options.without_copy  # what it knows is asked of its host
    allowed = options.may_replace(name) and not (moves and expecting.is_locked_out(recipe))
    allowed = allowed and name not in options.hibernate  # who goes to sleep needs no other server
    return not recipe.there or (allowed and expecting.makes_other(name, recipe, options, True))


def unknown(recipe: Recipe) -> str:
    """A word in the file that the cloud does not know."""
    if recipe.image not in IMAGES:
        return f"there is no image {recipe.image}"
    if not set(recipe.regions) <= set(REGIONS):
        return f"there is no region {recipe.regions[0]}"
    strange = [kind for kind in recipe.types if kind not in expecting.DISKS]
    return f"there is no server type {strange[0]}" if strange else ""


def _not_sold(recipe: Recipe) -> str:
    architecture = expecting.architecture(recipe.types[0])
    if architecture not in IMAGES[recipe.image]:
        return f"image {recipe.image} does not exist for {architecture}"
    if len(recipe.types) * len(recipe.regions) > 1:
        return f"none of its server types ({', '.join(recipe.types)}) can be had now in {', '.join(recipe.regions)}"
    why = "is retired in" if recipe.types == ("cpx11",) else "cannot be had now in"
    return f"server type {recipe.types[0]} {why} {recipe.regions[0]}"


def advice(name: str, recipe: Recipe, options: PlanOptions) -> list[str]:
    """The lines that say what can be had instead of a type that cannot."""
    making = needs_making(name, recipe, options)
    lost = "server type" in lacks(name, recipe, options) or "resized" in lacks(name, recipe, options)
    if not lost or expecting.mixes(recipe):
        return []
    known = [kind for kind in recipe.types if kind in expecting.DISKS]
    architecture = (expecting.architecture(known[0]) if known else None) if making else "x86"
    regions = ("nbg1",) if "resized" in lacks(name, recipe, options) else recipe.regions
    return [to_be_had(region, architecture) for region in regions]


def to_be_had(region: str, architecture: str | None) -> str:
    names = [
        kind
        for kind in CHEAPEST_FIRST
        if region in STOCK[kind] and architecture in (None, expecting.architecture(kind))
    ]
    return f"to be had in {region}: {', '.join(names) or 'nothing'}"
