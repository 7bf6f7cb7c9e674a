"""How healthy a child was: its changes, and how much of the time its user had an answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta

from reconciler.model import Health, Json, Turn, Uptime
from reconciler.render.status import COLORS
from reconciler.render.text import harmless

_WORDS = {timedelta(hours=24): "24 hours", timedelta(days=7): "7 days", timedelta(days=30): "30 days"}


def turn_lines(turns: Sequence[Turn]) -> Iterator[tuple[str, str | None]]:
    for turn in turns:
        why = f"  {turn.cause}: {harmless(turn.text)}" if turn.cause else ""
        yield f"{turn.at:%Y-%m-%d %H:%M:%S}  {turn.health:<11}{why}".rstrip(), COLORS.get(Health(turn.health))


def uptime_lines(uptimes: Mapping[timedelta, Uptime | None]) -> Iterator[tuple[str, str | None]]:
    for span, found in uptimes.items():
        if found is not None and found.share is not None:
            unknown = f", {found.unknown / 3600:.1f} h unknown" if found.unknown else ""
            yield (
                f"answers in {_WORDS[span]}: {found.share:.3%} of {(found.well + found.ill) / 3600:.1f} h{unknown}",
                None,
            )


def history_json(turns: Sequence[Turn], uptimes: Mapping[timedelta, Uptime | None]) -> Json:
    return {
        "changes": [{**asdict(turn), "at": turn.at.isoformat()} for turn in turns],
        "uptime": {
            _WORDS[span]: None
            if found is None
            else {"share": found.share, "well": found.well, "ill": found.ill, "unknown": found.unknown}
            for span, found in uptimes.items()
        },
    }
