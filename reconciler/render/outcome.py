"""How an apply ended, child by child."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.model import Json, Outcome, OutcomeCode
from reconciler.render.text import count_text, harmless, seconds_text


def outcome_lines(outcomes: Sequence[Outcome]) -> list[tuple[str, str | None]]:
    """A line per action, each failure with what to do next, and the sum. Without any, only firewalls were mended."""
    if not outcomes:
        return [("Applied: the fleet's firewalls are as they shall be.", "green")]
    lines: list[tuple[str, str | None]] = [("", None)]
    for outcome in outcomes:
        lines += _outcome(outcome)
    done = sum(outcome.code is OutcomeCode.DONE for outcome in outcomes)
    failed = len(outcomes) - done
    summary = f"Applied: {count_text(done, 'action')} done"
    return [*lines, (f"{summary}, {failed} failed." if failed else f"{summary}.", "red" if failed else "green")]


def outcomes_json(outcomes: Sequence[Outcome], not_begun: Sequence[str] = ()) -> dict[str, Json]:
    """The same for machines; of those not begun the names, because one before them failed."""
    return {"outcomes": [outcome_json(outcome) for outcome in outcomes], "not_begun": [*not_begun]}


def outcome_json(outcome: Outcome) -> Json:
    return {
        "child": outcome.action.child,
        "kind": str(outcome.action.kind),
        "done": outcome.code is OutcomeCode.DONE,
        "seconds": round(outcome.seconds, 3),
        "error": outcome.error,
        "advice": outcome.advice,
    }


def _outcome(outcome: Outcome) -> list[tuple[str, str | None]]:
    what = f"  {outcome.action.child}: {outcome.action.kind}"
    if outcome.code is OutcomeCode.DONE:
        return [(f"{what} done in {seconds_text(outcome.seconds)}", None)]
    lines: list[tuple[str, str | None]] = [(f"{what} failed: {harmless(outcome.error)}", "red")]
    lines += [(f"      {harmless(line)}", None) for line in outcome.advice.splitlines()]
    return lines
