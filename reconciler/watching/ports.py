"""Who listens beyond loopback, beside sshd: a firewall in front of it is no reason to."""

from __future__ import annotations

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
    found = [str(port) for port in it.examined.open_ports if port not in (SSH, *it.limits.open_ports)]
    if found:
        return Told(f"somebody listens beyond loopback on {', '.join(found)}", CAUSE, _MEND)
    return Told("that of SSH alone")
