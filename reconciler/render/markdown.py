"""A plan as Markdown, for a comment on a pull request: a table per kind, the details folded.

Text that comes from hosts or files stands in code spans, where no Markdown, HTML or @mention works; words of ours that
may quote such text are escaped character by character.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from reconciler.actions import MODULE_OF
from reconciler.model import Action, Change, Child, Diagnostic, Kind, Plan
from reconciler.render.changes import parts, sides
from reconciler.render.plan import facts
from reconciler.render.summary import (
    ORDER,
    REFUSED,
    WORST_FIRST,
    costs,
    counts,
    monthly,
    nothing_to_do,
    shared_kind,
    takes,
)
from reconciler.render.text import harmless

LONGEST: Final = 60_000  # characters; GitHub takes 65,536 in a comment
FEW: Final = 50  # lines of a kind, where all would be too many

_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]|~])")  # others mean something at the start of a line only
_LINKS: Final = re.compile(r"([@#]|:(?=//))")  # with an empty comment behind them GitHub makes no link or mention
_TICKS: Final = re.compile(r"`+")


def plan_markdown(plan: Plan, children: Mapping[str, Child]) -> str:
    """The whole comment, ending in a newline. One that is too long for GitHub says less, and that it does."""
    text = _document(plan, children, whole=True)
    return text if len(text) <= LONGEST else _document(plan, children, whole=False)


def code(text: str) -> str:
    """A code span that nothing inside can end."""
    plain = harmless(text)
    fence = "`" * (max((len(run) for run in _TICKS.findall(plain)), default=0) + 1)
    padded = f" {plain} " if plain.startswith("`") or plain.endswith("`") or not plain.strip() else plain
    return f"{fence}{padded}{fence}"


def escaped(text: str) -> str:
    """Words as they are, whatever they mean in Markdown or HTML."""
    plain = harmless(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _LINKS.sub(r"\1<!-- -->", _SPECIAL.sub(r"\\\1", plain))


def _document(plan: Plan, children: Mapping[str, Child], *, whole: bool) -> str:
    lines = [f"### Plan of the fleet {code(plan.fleet)}", ""]
    lines += [f"**{REFUSED}**", ""] if plan.is_refused else []
    lines += [] if whole else ["This plan is too long for a comment: the details are left out.", ""]
    lines += _diagnostics(plan, whole=whole)
    for kind in ORDER:
        lines += _kind(kind, plan, children, whole=whole)
    if plan.shared:
        lines.append(f"#### {code(MODULE_OF[shared_kind(plan)].SYMBOL)} Firewalls of the fleet")
        lines += ["", *_shared(plan, whole=whole), ""]
    lines.append(escaped(nothing_to_do(plan)) if plan.is_empty else f"**{escaped(counts(plan))}**")
    lines += ["", escaped(costs(plan) if plan.is_empty else f"{costs(plan)} {takes(plan)}")]
    return "\n".join(lines) + "\n"


def _diagnostics(plan: Plan, *, whole: bool) -> list[str]:
    found = sorted(plan.diagnostics, key=lambda found: WORST_FIRST.index(found.severity))
    lines = _first([_diagnostic(one) for one in found], "- ", whole=whole)
    return [*lines, ""] if lines else []


def _diagnostic(found: Diagnostic) -> str:
    detail = "".join(f"<br>{escaped(line)}" for line in found.detail.splitlines())
    return f"- **{found.severity.capitalize()}:** {escaped(found.summary)}{detail}"


def _kind(kind: Kind, plan: Plan, children: Mapping[str, Child], *, whole: bool) -> Iterator[str]:
    actions = [action for action in plan.actions if action.kind is kind]
    if not actions:
        return
    yield from (f"#### {code(MODULE_OF[kind].SYMBOL)} {kind.capitalize()}", "")
    yield from ("| Child | Why | Cost |", "| --- | --- | --- |")
    yield from _first([_row(action, plan) for action in actions], "", whole=whole)
    details = [line for action in actions for line in _details(action, children[action.child])] if whole else []
    if details:
        yield from ("", "<details><summary>Details</summary>", "", *details, "", "</details>")
    yield ""


def _row(action: Action, plan: Plan) -> str:
    child = code(action.child).replace("|", "\\|")
    return f"| {child} | {escaped(action.reason.text)} | {escaped(monthly(action, plan) or '')} |"


def _first(lines: list[str], mark: str, *, whole: bool) -> list[str]:
    """All of them, or the first few and how many there are besides."""
    if whole or len(lines) <= FEW:
        return lines
    return [*lines[:FEW], f"{mark}and {len(lines) - FEW} more"]


def _details(action: Action, child: Child) -> Iterator[str]:
    points = [*_facts(action, child), *(f"note: {escaped(note)}" for note in action.notes)]
    if points:
        yield f"- {code(action.child)}"
        yield from (f"  - {point}" for point in points)


def _shared(plan: Plan, *, whole: bool) -> list[str]:
    if whole:
        return [f"- {_change(change)}" for change in plan.shared]
    return _first([f"- {code(change.path)}" for change in plan.shared], "- ", whole=False)


def _facts(action: Action, child: Child) -> list[str]:
    told = [f"{name}: {code(text)}" for name, text in facts(action, child).items()]
    return [*told, *(_change(change) for change in action.reason.changes)]


def _change(change: Change) -> str:
    where = code(change.path)
    if change.secret:
        return f"{where}: changed"
    if entries := parts(change):
        return "<br>".join((f"{where}: {entries[0]}", *map(code, entries[1:])))
    return f"{where}: {' → '.join(map(code, sides(change)))}"
