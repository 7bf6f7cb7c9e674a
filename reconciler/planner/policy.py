"""The gates of fleet.yaml's `policy`: what a plan as a whole may do. One breach and nothing of it is applied. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Final

from reconciler.model import POLICY, Action, Child, ChildSpec, Diagnostic, Fleet, Kind, Percent, PlanOptions, Severity

DEFAULT: Final = Percent(10)
SHOWN_NAMES: Final = 10


def breaches(
    fleet: Fleet, children: Collection[Child], actions: Sequence[Action], servers: int, options: PlanOptions
) -> Iterator[Diagnostic]:
    """Every gate that this plan does not pass. `servers` counts the whole fleet's, also those nobody asked about.

    What a drill has left counts nowhere: no user has anything on it.
    """
    yield from _too_many_children(fleet)
    throwaways = {child.name for child in children if child.server is not None and child.server.is_throwaway}
    yield from _too_many_destroys(fleet, [it for it in actions if it.child not in throwaways], servers, options)
    for child in children:
        if child.spec is not None:
            yield from _not_allowed(fleet, child.spec, is_before=_is_brought_back(child, options))


def over_budget(fleet: Fleet, delta: Decimal | None, bill: Decimal | None, currency: str) -> Iterator[Diagnostic]:
    """Only what makes the bill larger is refused: whoever is above already must be able to get down."""
    most = fleet.policy.max_monthly
    if most is None or (delta is not None and delta <= 0):
        return
    if bill is None:
        yield _breach(
            "max_monthly",
            f"nobody can tell what the fleet would cost, and its policy allows {most} {currency} a month",
            "there is a server without a list price: name another type, or take the limit out",
        )
    elif bill > most:
        yield _breach(
            "max_monthly",
            f"the fleet would cost {bill} {currency} a month, and its policy allows {most}",
            "leave something out, or raise `policy: max_monthly` in the fleet file",
        )


def destroys_allowed(fleet: Fleet, servers: int, options: PlanOptions) -> int:
    """How many servers one apply may delete: what the command says, else the file, else the greater of 1 and 10 %."""
    limit = fleet.policy.max_destroys if options.max_destroys is None else options.max_destroys
    limit = DEFAULT if limit is None else limit
    return limit.of(servers) if isinstance(limit, Percent) else limit


def _too_many_children(fleet: Fleet) -> Iterator[Diagnostic]:
    allowed, declared = fleet.policy.max_children, len(fleet.children)
    if allowed is not None and declared > allowed:
        yield _breach(
            "max_children",
            f"the fleet file declares {declared} children, and its policy allows {allowed}",
            "take children out, or raise `policy: max_children`",
        )


def _too_many_destroys(
    fleet: Fleet, actions: Sequence[Action], servers: int, options: PlanOptions
) -> Iterator[Diagnostic]:
    names = [action.child for action in actions if _deletes_unasked(action, options)]
    allowed = destroys_allowed(fleet, servers, options)
    if len(names) <= allowed:
        return
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    source = _says(fleet, servers, options)
    yield _breach(
        "max_destroys",
        f"this plan deletes {_servers(len(names))}, and one apply may delete {allowed} ({source})",
        f"they are: {', '.join(names[:SHOWN_NAMES])}{more}\n"
        f"if that is meant, give --max-destroys {len(names)}, or raise `policy: max_destroys` in the fleet file",
    )


def _deletes_unasked(action: Action, options: PlanOptions) -> bool:
    """Who is put to sleep now was named for it. What an earlier command has left, nobody may have in mind any more."""
    is_left = action.kind is Kind.HIBERNATE and action.child not in options.hibernate
    return is_left or action.kind in (Kind.DESTROY, Kind.REPLACE)


def _says(fleet: Fleet, servers: int, options: PlanOptions) -> str:
    """Where the limit comes from."""
    if options.max_destroys not in (None, fleet.policy.max_destroys):
        return "--max-destroys"
    limit = fleet.policy.max_destroys
    if limit is None:
        return f"a tenth of the fleet's {_servers(servers)}, but at least 1"
    if isinstance(limit, Percent):
        return f"the fleet file's policy: {limit.value}% of {_servers(servers)}"
    return "the fleet file's policy"


def _is_brought_back(child: Child, options: PlanOptions) -> bool:
    """To a version of then, with what it remembered on it: the file's own is for the apply after this one."""
    is_tried = child.spec is not None and child.spec.is_throwaway
    return child.asleep is not None or child.name in options.rollback or is_tried


def _not_allowed(fleet: Fleet, spec: ChildSpec, *, is_before: bool) -> Iterator[Diagnostic]:
    policy = fleet.policy
    gates = (
        ("regions", "region", spec.regions, policy.regions),
        ("server_types", "server type", spec.server_types, policy.server_types),
        ("versions", "version", () if is_before else (spec.version,), policy.versions),
    )
    for key, noun, wanted, allowed in gates:
        refused = [value for value in wanted if allowed and not _matches(value, allowed)]
        if refused:
            yield _breach(
                key,
                f"{spec.name}: the fleet's policy does not allow {noun} {', '.join(refused)}",
                f"it allows: {', '.join(allowed)}",
                spec,
            )


def _matches(value: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(value, pattern) for pattern in patterns)


def _servers(count: int) -> str:
    return "1 server" if count == 1 else f"{count} servers"


def _breach(key: str, summary: str, detail: str, spec: ChildSpec | None = None) -> Diagnostic:
    file, line = (spec.file, spec.line) if spec else ("", 0)
    return Diagnostic(Severity.REFUSED, summary, detail, f"{POLICY}.{key}", file, line)
