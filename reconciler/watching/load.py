"""How long programs wait for a core, over fifteen minutes."""

from __future__ import annotations

from typing import Final

from reconciler.diagnosis.case import Told
from reconciler.model import Cause
from reconciler.watching.case import Watched

NAME: Final = "load"
CAUSE: Final = Cause.LOAD_HIGH
_MEND: Final = "fleet exec {name} -- top -b -n 1\nor a larger server_type, and fleet apply {name}"


def judge(it: Watched) -> Told:
    load = it.examined.load if it.examined else None
    if load is None:
        return Told("nobody could ask", is_unknown=True)
    if load > it.limits.load:
        return Told(f"a load of {load:.1f} per core over 15 minutes, more than {it.limits.load:g}", CAUSE, _MEND)
    return Told(f"{load:.1f} per core")
