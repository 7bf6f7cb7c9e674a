"""How children are brought back, as people read it, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from reconciler.model import ASKING, Diagnosis, Json, Ladder, Rescue, Rung, Try
from reconciler.render.text import count_text, harmless, seconds_text

Line = tuple[str, str | None]


def ladder_lines(found: Iterable[Ladder]) -> list[Line]:
    """What is wrong with each, and what would be tried for it. Of who is well only that."""
    lines = list[Line]()
    for it in found:
        lines += [("", None)] if lines else []
        lines += _ladder(it)
    return lines


def try_lines(tried: Try, now: Diagnosis) -> list[Line]:
    """One rung, whether it has helped, and what helps a person further where it has not."""
    what = f"{tried.child}: {tried.rung}"
    if now.cause is None:
        seconds = seconds_text(tried.seconds)
        return [(f"{what} helped, in {seconds}: nothing is wrong any more that can be seen", "green")]
    if tried.problem:
        advice: list[Line] = [(f"    {harmless(line)}", None) for line in tried.advice.splitlines()]
        return [(f"{what} did not help: {harmless(tried.problem)}", "yellow"), *advice]
    return [(f"{what} is done, and did not help: {now.cause}: {harmless(now.evidence)}", "yellow")]


def rescue_lines(rescues: Iterable[Rescue]) -> list[Line]:
    """Who is still ill, why nothing more was tried, and what a person can do; and the sum."""
    rescues = [it for it in rescues if it.found.cause is not None]
    lines: list[Line] = [("", None)]
    for it in rescues:
        if it.is_well:
            continue
        lines.append((f"{it.child}: {it.now.cause}: {harmless(it.now.evidence)}", "red"))
        lines.append((f"  {harmless(it.rest)}", None))
        lines += [(f"  {'to mend:' if number == 0 else '':8} {harmless(line)}", None)
                  for number, line in enumerate(it.now.mend.splitlines())]  # fmt: skip
    well = sum(it.is_well for it in rescues)
    if well == len(rescues):
        return [*lines, (f"Resuscitated: {count_text(well, 'child', 'children')}.", "green")]
    return [*lines, (f"Resuscitated: {well} of {len(rescues)}.", "red")]


def rung_words(rungs: Iterable[Rung]) -> str:
    return ", ".join(f"{it} (asks)" if it in ASKING else str(it) for it in rungs)


def ladders_json(found: Iterable[Ladder]) -> Json:
    """By child, what is wrong and what would be tried."""
    return {it.child: {"cause": it.found.cause, "evidence": it.found.evidence, "mend": it.found.mend,
                       "unseen": it.found.unseen, "rungs": [*it.rungs], "spent": [*it.spent]}
            for it in found}  # fmt: skip


def rescues_json(rescues: Iterable[Rescue]) -> Json:
    """By child, what was found, each try, and how it is now."""
    return {it.child: {"is_well": it.is_well, "found": it.found.cause, "now": it.now.cause,
                       "evidence": it.now.evidence, "mend": it.now.mend, "rest": it.rest,
                       "tries": [asdict(tried) for tried in it.tries]}
            for it in rescues}  # fmt: skip


def _ladder(it: Ladder) -> list[Line]:
    found = it.found
    if found.cause is None:
        unsure = f", but {harmless(found.unseen)}" if found.unseen else "."
        return [(it.child, None), (f"  Nothing is wrong that can be seen{unsure}", "yellow" if found.unseen else None)]
    lines: list[Line] = [(it.child, None), (f"  Cause:      {found.cause}: {harmless(found.evidence)}", "red")]
    if it.rungs:
        lines.append((f"  To try:     {rung_words(it.rungs)}", None))
    if it.spent:
        lines.append((f"  Left out:   {rung_words(it.spent)}: tried twice within a day (--again)", "yellow"))
    if not it.rungs:
        lines += [(f"  {'To mend:' if number == 0 else '':10}  {harmless(line)}", None)
                  for number, line in enumerate(found.mend.splitlines())]  # fmt: skip
    return lines
