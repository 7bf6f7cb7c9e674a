"""Which of the fleet's firewalls at the cloud one server is under, and so who may reach its SSH: a label selects it.

No server goes to a firewall that is not there, for it would be open to all. A move that locks us out is taken back by
the apply that made it; if that one died, by the next, to which the label `ssh-from-before` tells what was there.
"""

from __future__ import annotations

from typing import Final

from reconciler.errors import NotFound
from reconciler.model import Server
from reconciler.steps.comparison import NETWORKS
from reconciler.steps.firewalls import (
    PROOF_PATIENCE,
    SSH_FROM,
    UNPROVEN,
    answers,
    is_covered,
    locked_out,
    sources_digest,
)
from reconciler.steps.work import Work

_SPREADING: Final = 5.0  # seconds until a new label has moved a server to another firewall: no action tells
_ALL: Final = "everywhere"  # the digest of no restriction, for a label that must have a value


def ensure_ssh_from(work: Work) -> bool:
    """The server is under the firewall of its `access.ssh_from`, and still answers; else it is put back.

    ensure_fleet_resources has made that firewall. Raises NotFound when it is gone, HostError when the server does not
    answer any more.
    """
    server, digest = work.existing(), sources_digest(work.declared().ssh_from)
    if not _differs(work, server, digest):
        return False
    if not is_covered(work.fleet, digest, work.ports):
        raise _not_there(work.name)
    server = work.ports.cloud.server(server.id) or server  # a label put there since the plan must survive
    before = _before(server)
    work.note("ssh-from-intended", durable=True, server=server.id, after=digest)
    work.server = _move(work, server, digest, unproven=before or _ALL)
    if not answers(server, work.fleet, work.ports, PROOF_PATIENCE, first_boot=work.is_first):
        work.server = _move(work, server, before)
        raise locked_out(work.name, "access.ssh_from")
    work.server = work.ports.cloud.set_labels(server.id, _labels(server, digest))
    return True


def ensure_way_in(work: Work) -> bool:
    """Where nobody gets in, the cloud's firewall may be why: it is what can be changed without the host.

    A change that an apply has made and not lived to prove is taken back. Else the file's networks are tried where the
    server has others and their firewall is there: `ssh from` proves them when somebody has got in.
    """
    server, digest = work.existing(), sources_digest(work.declared().ssh_from)
    if not _differs(work, server, digest):
        return False
    if answers(server, work.fleet, work.ports, PROOF_PATIENCE, first_boot=work.is_first):  # it may have to boot
        return False
    server = work.ports.cloud.server(server.id) or server
    before = _before(server)
    if server.is_unproven and is_covered(work.fleet, before, work.ports):
        work.note("ssh-from-revert-intended", durable=True, server=server.id)
        work.server = _move(work, server, before)
        return True
    if not is_covered(work.fleet, digest, work.ports):
        return False  # the next step says that nobody gets in, and the next plan has that firewall made
    work.note("ssh-from-intended", durable=True, server=server.id, after=digest)
    work.server = _move(work, server, digest, unproven=before or _ALL)
    return True


def _differs(work: Work, server: Server, digest: str) -> bool:
    """It has other networks than the file's, or they are not proven; and they are not left to a person."""
    is_right = server.labels.get(SSH_FROM, "") == digest and not server.is_unproven
    return not is_right and NETWORKS not in work.left_alone


def _before(server: Server) -> str:
    found = server.labels.get(UNPROVEN, server.labels.get(SSH_FROM, ""))
    return "" if found == _ALL else found


def _move(work: Work, server: Server, digest: str, unproven: str = "") -> Server:
    moved = work.ports.cloud.set_labels(server.id, _labels(server, digest, unproven))
    work.ports.clock.sleep(_SPREADING)
    return moved


def _labels(server: Server, digest: str, unproven: str = "") -> dict[str, str]:
    ours = {SSH_FROM: digest, UNPROVEN: unproven}
    kept = {name: value for name, value in server.labels.items() if name not in ours}
    return kept | {name: value for name, value in ours.items() if value}


def _not_there(child: str) -> NotFound:
    return NotFound(
        f"the cloud's firewall for the access.ssh_from of {child} is not there, so {child} was not moved to it",
        "run `fleet apply` again: it makes the firewall first",
    )
