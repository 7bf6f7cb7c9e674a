"""What the fleet's servers share at the cloud: firewalls, one per set of addresses that may reach SSH; and a key.

The cloud adds up the rules of all firewalls of a server, so each server must be selected by exactly one of ours: those
with `access.ssh_from` carry the label `ssh-from`, a digest of the addresses, and the default firewall selects the
others. A change that locks us out is taken back by the apply that made it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import Final

from reconciler import keys
from reconciler.errors import HostError
from reconciler.model import EVERYWHERE, LABEL_PREFIX, Change, Firewall, FirewallSpec, Fleet, Json, Server, ServerStatus
from reconciler.ports import Ports
from reconciler.steps.runs import fleet_firewalls, may_be_unfinished, open_runs
from reconciler.steps.work import CONNECT_TIMEOUT, address_of

SSH_FROM: Final = LABEL_PREFIX + "ssh-from"
UNPROVEN: Final = LABEL_PREFIX + "ssh-from-before"  # the digest before a change after which nobody has got in yet
PROOF_PATIENCE: Final = 30.0  # seconds in which SSH must answer again after a change
_PROOF_PAUSE: Final = 2.0
_WITNESSES: Final = 3  # servers that are asked for one that answers before the change

Note = Callable[..., None]


def sources_digest(sources: Sequence[str]) -> str:
    """The label's value: 16 hex digits for a set of CIDRs, whatever their order; empty for everywhere."""
    if not sources:
        return ""
    return hashlib.sha256("\n".join(sorted(set(sources))).encode()).hexdigest()[:16]


def wanted_firewalls(fleet: Fleet, fleet_id: str) -> tuple[FirewallSpec, ...]:
    """The default firewall, and one per distinct `ssh_from`. Pure."""
    labels = {LABEL_PREFIX + "fleet": fleet.name, LABEL_PREFIX + "fleet-id": fleet_id}
    restricted = {sources_digest(child.ssh_from): child.ssh_from for child in fleet.children.values() if child.ssh_from}
    return (
        FirewallSpec(fleet.name, _selector(fleet_id, ""), labels),
        *(_restricted(fleet, fleet_id, labels, restricted[digest]) for digest in sorted(restricted)),
    )


def firewall_changes(wanted: Sequence[FirewallSpec], live: Sequence[Firewall]) -> tuple[Change, ...]:
    """What an apply will do to the fleet's firewalls, for Plan.shared. Rules that differ were changed outside. Pure."""
    found = {firewall.name: firewall for firewall in live}
    changes = [change for spec in wanted for change in _differences(spec, found.pop(spec.name, None))]
    unwanted = (Change(f"firewall {name}", _words(one.rules), None) for name, one in sorted(found.items()))
    return (*changes, *unwanted)


def ensure_fleet_resources(fleet: Fleet, ports: Ports, note: Note) -> int:
    """The wanted firewalls as wanted, and the fleet's key without a private half; the key's id.

    A server that answered before a change must answer after it, or the old rules are put back. Raises CloudError,
    HostError.
    """
    fleet_id = keys.fleet_id(ports.fleet_key)
    live = {firewall.name: firewall for firewall in fleet_firewalls(fleet, ports)}
    wanted = wanted_firewalls(fleet, fleet_id)
    for spec in wanted:
        if _differences(spec, live.get(spec.name)):
            _mend(fleet, ports, note, spec, live)
    return ports.cloud.ensure_ssh_key(fleet.name, keys.cloud_key(ports.fleet_key), dict(wanted[0].labels))


def remove_unwanted_firewalls(fleet: Fleet, ports: Ports, live: Sequence[Firewall], note: Note) -> None:
    """Of the live ones those that nobody wants any more are gone, at the end of an apply: labels have moved by then.

    One whose digest a server still carries stays, for without it that server would be open to all. Raises CloudError.
    """
    fleet_id = keys.fleet_id(ports.fleet_key)
    wanted = {spec.name for spec in wanted_firewalls(fleet, fleet_id)}
    unwanted = [firewall for firewall in live if firewall.name not in wanted]
    if not unwanted:
        return
    needed = firewalls_in_use(fleet, ports.cloud.servers(fleet_id))
    for firewall in unwanted:
        if firewall.name not in needed:
            note("firewall-delete-intended", durable=True, firewall=firewall.name)
            ports.cloud.delete_firewall(firewall.name)


def firewalls_in_use(fleet: Fleet, servers: Iterable[Server]) -> set[str]:
    """The names of those with networks of their own that one of these servers is under, or may go back to. Pure."""
    digests = {server.labels.get(label) for server in servers for label in (SSH_FROM, UNPROVEN)}
    return {_restricted_name(fleet, digest) for digest in digests if digest}


def is_covered(fleet: Fleet, digest: str, ports: Ports) -> bool:
    """Whether a firewall of the fleet selects the servers of this digest now; where none does, they are open to all."""
    fleet_id = keys.fleet_id(ports.fleet_key)
    return any(_selector(fleet_id, digest) in live.selectors for live in fleet_firewalls(fleet, ports))


def answers(server: Server, fleet: Fleet, ports: Ports, patience: float, *, first_boot: bool = False) -> bool:
    """Whether a new connection gets in, tried for so many seconds: an open one outlives any change of rules."""
    deadline = ports.clock.monotonic() + patience
    while True:
        try:
            ports.dialer.connect(address_of(server, fleet, ports, first_boot), CONNECT_TIMEOUT).close()
        except HostError:
            if ports.clock.monotonic() >= deadline:
                return False
        else:
            return True
        ports.clock.sleep(_PROOF_PAUSE)


def locked_out(server: str, what: str) -> HostError:
    return HostError(
        f"{server} no longer answered SSH after the change of {what}, so the change was taken back",
        "check that access.ssh_from has the address that you work from, as the servers see it",
    )


def _differences(spec: FirewallSpec, found: Firewall | None) -> list[Change]:
    name = f"firewall {spec.name}"
    if found is None:
        return [Change(name, None, _words(spec.rules))]
    pairs = (("rules", found.rules, spec.rules), ("servers", found.selectors, (spec.selector,)))
    return [
        Change(f"{name}: {what}", _words(now), _words(wanted), drift=True)
        for what, now, wanted in pairs
        if now != wanted
    ]


def _words(words: Sequence[str]) -> Json:
    return list(words)


def _mend(fleet: Fleet, ports: Ports, note: Note, spec: FirewallSpec, live: Mapping[str, Firewall]) -> None:
    before, witness = live.get(spec.name), _witness(fleet, ports, spec, open_runs(fleet, live.values()))
    note("firewall-change-intended", durable=True, firewall=spec.name, rules=list(spec.rules))
    ports.cloud.ensure_firewall(spec)
    try:
        if witness is None or answers(witness, fleet, ports, PROOF_PATIENCE):
            return
    except BaseException:  # a person who waits for the proof may press Ctrl-C
        _put_back(ports, note, spec, before)
        raise
    _put_back(ports, note, spec, before)
    raise locked_out(witness.name, f"firewall {spec.name}")


def _put_back(ports: Ports, note: Note, spec: FirewallSpec, before: Firewall | None) -> None:
    note("firewall-revert-intended", durable=True, firewall=spec.name)
    if before is None:
        ports.cloud.delete_firewall(spec.name)
    else:
        ports.cloud.restore_firewall(before)


def _witness(fleet: Fleet, ports: Ports, spec: FirewallSpec, runs: Collection[str]) -> Server | None:
    """A finished server under this firewall that answers now, so that its silence afterwards would say something."""
    digest = "" if spec.sources == EVERYWHERE else sources_digest(spec.sources)
    covered = (
        server
        for server in ports.cloud.servers(keys.fleet_id(ports.fleet_key))
        if server.labels.get(SSH_FROM, "") == digest
        and server.status is ServerStatus.RUNNING
        and not may_be_unfinished(server, runs, None)
    )
    asked = islice(covered, _WITNESSES)
    return next((server for server in asked if answers(server, fleet, ports, 0.0)), None)


def _restricted(fleet: Fleet, fleet_id: str, labels: dict[str, str], sources: Sequence[str]) -> FirewallSpec:
    digest, addresses = sources_digest(sources), tuple(sorted(set(sources)))
    return FirewallSpec(_restricted_name(fleet, digest), _selector(fleet_id, digest), labels, sources=addresses)


def _restricted_name(fleet: Fleet, digest: str) -> str:
    return f"{fleet.name}-ssh-{digest}"


def _selector(fleet_id: str, digest: str) -> str:
    ours = f"{LABEL_PREFIX}fleet-id={fleet_id}"
    return f"{ours},{SSH_FROM}={digest}" if digest else f"{ours},!{SSH_FROM}"
