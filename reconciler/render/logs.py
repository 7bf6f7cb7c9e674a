"""Lines of logs, for people and for machines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconciler.model import ChildLog, Json, LogLine
from reconciler.render.text import harmless

_COLORS = {"FATAL": "red", "ERROR": "red", "WARN": "yellow"}
_CUT = "(older lines are left out here: a host tells so much at once; --since, --errors or -n narrow it)"


def log_lines(logs: Iterable[ChildLog], *, width: int | None) -> Iterator[tuple[str, str | None]]:
    """The lines of several children, each behind its name in `width` columns; without a width below one another."""
    for log in logs:
        before = "" if width is None else f"{log.child:<{width}} | "
        if log.is_cut:
            yield f"{before}{_CUT}", None
        for line in log.lines:
            yield before + _line(line), _COLORS.get(line.level)


def log_json(line: LogLine) -> dict[str, Json]:
    return {
        "child": line.child,
        "at": line.at.isoformat() if line.at is not None else None,
        "source": str(line.source),
        "level": line.level,
        "name": line.name,
        "text": line.text,
    }


def problem_lines(log: ChildLog) -> list[str]:
    """What stands in the way, for standard error."""
    if not log.problem:
        return []
    return [f"{log.child}: {harmless(log.problem)}", *(f"  {line}" for line in harmless(log.advice).splitlines())]


def cut_line(log: ChildLog) -> str:
    return f"{log.child}: {_CUT}"


def unknown_line(log: ChildLog) -> str:
    names = " and ".join(harmless(name) for name in log.unknown)
    return (
        f"Warning: {log.child}: {names} cannot be resolved here, so in its log only what looks like a secret is masked."
    )


def _line(line: LogLine) -> str:
    at = f"{line.at:%Y-%m-%d %H:%M:%S}" if line.at is not None else " " * 19
    name = f"{harmless(line.name)}: " if line.name else ""
    return f"{at} {harmless(line.level):<5} {name}{harmless(line.text)}".rstrip()
