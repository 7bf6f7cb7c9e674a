"""Lists as the API gives them: filtered, sorted, in pages with `meta.pagination` and a `Link` header."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar, cast

from starlette.requests import Request
from starlette.responses import JSONResponse

from reconciler.model import Json
from reconciler.sandbox.emulator.errors import invalid_input
from reconciler.sandbox.emulator.labels import parse_selector
from reconciler.sandbox.emulator.tables import number_in

_PER_PAGE = 25
_MOST_PER_PAGE = 50

RowT = TypeVar("RowT")


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list of this kind can be filtered and sorted by, beside its labels. `key` is its name in the body.

    Without labels a selector means nothing, like any parameter that is not known.
    """

    key: str
    filters: tuple[str, ...] = ("name",)
    sorts: tuple[str, ...] = ("id", "name", "created")
    has_labels: bool = True


def answer_list(
    request: Request, listing: Listing, rows: Iterable[RowT], show: Callable[[RowT], Mapping[str, Json]]
) -> JSONResponse:
    """One page of the rows, and only these are put in wire form. Raises ApiError for a wrong page, sort or selector."""
    chosen = _sorted(request, listing, _filtered(request, listing, rows))
    page = _number(request, "page", 1, None)
    per_page = _number(request, "per_page", _PER_PAGE, _MOST_PER_PAGE)
    last = max(1, -(-len(chosen) // per_page))
    pagination: dict[str, Json] = {
        "page": page,
        "per_page": per_page,
        "previous_page": page - 1 if page > 1 else None,
        "next_page": page + 1 if page < last else None,
        "last_page": last,
        "total_entries": len(chosen),
    }
    shown = [show(row) for row in chosen[(page - 1) * per_page : page * per_page]]
    body = {listing.key: shown, "meta": {"pagination": pagination}}
    links = _links(request, pagination)
    return JSONResponse(body, headers={"Link": links} if links else {})


def number(text: str, field: str) -> int:
    """A whole number from 1 on, or ApiError 422."""
    given = number_in(text)
    if not given:
        raise invalid_input(field, "must be a positive number")
    return given


def value_of(row: object, field: str) -> object:
    """Of a value of the project, or of the catalogue's ready-made JSON."""
    return row.get(field) if isinstance(row, Mapping) else getattr(row, field)


def _filtered(request: Request, listing: Listing, rows: Iterable[RowT]) -> list[RowT]:
    chosen = list(rows)
    for field in listing.filters:
        if wanted := request.query_params.getlist(field):
            chosen = [row for row in chosen if str(value_of(row, field)) in wanted]
    if listing.has_labels and (selector := request.query_params.get("label_selector")):
        matches = parse_selector(selector)
        chosen = [row for row in chosen if matches(cast(Mapping[str, str], value_of(row, "labels") or {}))]
    return chosen


def _sorted(request: Request, listing: Listing, rows: list[RowT]) -> list[RowT]:
    """By id unless asked otherwise; of several sorts the first weighs most."""
    rows = sorted(rows, key=_by("id"))
    for sort in reversed(request.query_params.getlist("sort")):
        field, _, direction = sort.partition(":")
        if field not in listing.sorts or direction not in {"", "asc", "desc"}:
            raise invalid_input("sort", f"{sort} is not supported")
        rows.sort(key=_by(field), reverse=direction == "desc")
    return rows


def _by(field: str) -> Callable[[object], tuple[int, str]]:
    def weigh(row: object) -> tuple[int, str]:
        value = value_of(row, field)
        return (value, "") if isinstance(value, int) else (0, str(value))

    return weigh


def _number(request: Request, field: str, default: int, most: int | None) -> int:
    """More than the most is capped, as the real API does."""
    given = number(request.query_params.get(field, str(default)), field)
    return given if most is None else min(given, most)


def _links(request: Request, pagination: Mapping[str, Json]) -> str:
    targets = {
        "prev": pagination["previous_page"],
        "next": pagination["next_page"],
        "last": pagination["last_page"],
    }
    url = request.url
    return ", ".join(
        f'<{url.include_query_params(page=target)}>; rel="{relation}"'
        for relation, target in targets.items()
        if target is not None
    )
