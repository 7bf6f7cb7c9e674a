"""What somebody has changed on the host or at the cloud since the last apply, as far as the file wants to hear it."""

from __future__ import annotations

from typing import Final

from reconciler.diagnosis.case import Told
from reconciler.model import Cause, DriftPolicy
from reconciler.watching import secret_files
from reconciler.watching.case import Watched

NAME: Final = "drift"
CAUSE: Final = Cause.DRIFTED
_SHOWN: Final = 5
_ADOPT: Final = "fleet adopt {name} config, to have it in the fleet file; or to put it back: fleet apply {name}"


def judge(it: Watched) -> Told:
    if it.facts is None:
        return Told("nobody could ask", is_unknown=True)
    paths = [path for path in it.drift if it.limits.policy_of(path) is not DriftPolicy.IGNORE]
    if secret_files.judge(it).cause is not None:  # one trouble is one alert
        paths = [path for path in paths if path.partition(".")[0] not in secret_files.NAMES]
    if paths:
        more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
        text = f"changed outside: {', '.join(paths[:_SHOWN])}{more}"
        is_ours = any(it.limits.policy_of(path) is not DriftPolicy.ADOPT for path in paths)
        return Told(text, CAUSE, "fleet plan {name}, then fleet apply {name}" if is_ours else _ADOPT)
    return Told("changed outside, and to be ignored" if it.drift else "as it was applied")
