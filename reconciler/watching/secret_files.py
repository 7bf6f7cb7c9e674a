"""Who may read the secrets on the host: their gateway, and nobody else."""

from __future__ import annotations

from typing import Final

from reconciler.diagnosis.case import Told
from reconciler.managed import files
from reconciler.model import Cause
from reconciler.watching.case import Watched

NAME: Final = "secret files"
CAUSE: Final = Cause.SECRETS_EXPOSED
THINGS: Final = ("gateway token", "bot token", "model key")
_DIRECTORY: Final = "secrets directory"
NAMES: Final = (*THINGS, _DIRECTORY)  # of managed things
_OWNERS: Final = (f"{files.SERVICE_USER}:{files.SERVICE_USER}", "root:root")
_MEND: Final = "fleet apply {name}, which puts it back; then give it another, if somebody may have read it"


def judge(it: Watched) -> Told:
    if it.facts is None:
        return Told("nobody could ask", is_unknown=True)
    open_to_others = [name for name in THINGS if _is_exposed(it.facts.managed.get(name))]
    directory = it.facts.managed.get(_DIRECTORY)
    if isinstance(directory, dict) and str(directory.get("mode", ""))[-1:] != "0":
        open_to_others.append("their directory")
    if open_to_others:
        return Told(f"others may read {', '.join(open_to_others)}", CAUSE, _MEND)
    return Told("their gateway alone reads them")


def _is_exposed(found: object) -> bool:
    """A file that is there, and is another's or not for its owner alone."""
    if not isinstance(found, dict) or "mode" not in found:
        return False
    return str(found["mode"])[-2:] != "00" or found.get("owner") not in _OWNERS
