"""Who listens beyond loopback, beside sshd: a firewall in front of it is no reason to. And who is reached from here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from reconciler.diagnosis.case import Told
from reconciler.model import Cause
from reconciler.watching.case import Watched

NAME: Final = "open ports"
CAUSE: Final = Cause.PORT_OPEN
SSH: Final = 22
_MEND: Final = "who is it: fleet exec {name} -- sudo ss -tlnp\nwhere that is right: monitoring: {open_ports: [...]}"


def judge(it: Watched) -> Told:
    if it.examined is None:
        return Told("nobody could ask", is_unknown=True)
    allowed = (SSH, *it.limits.open_ports)
    reached = (it.examined.slow.reached or ()) if it.examined.slow else ()
    found = [port for port in it.examined.open_ports if port not in allowed]
    if found:
        from_here = [port for port in reached if port in found]
        more = f", and one gets through to {_text(from_here)} from here" if from_here else ""
        return Told(f"somebody listens beyond loopback on {_text(found)}{more}", CAUSE, _MEND)
    return Told("that of SSH alone")


def _text(ports: Sequence[int]) -> str:
    return ", ".join(map(str, ports))
