"""New generations of SSH keys over real SSH: each is offered beside the one before, on one connection."""

from __future__ import annotations

from dataclasses import replace

from reconciler.api import FleetClient
from reconciler.managed import files
from reconciler.model import OutcomeCode
from tests.contract.serving import Host
from tests.contract.test_storms_over_the_wire import Wired, wired

NAMES = ("alice", "bob")


def test_each_generation_of_keys_takes_over_from_the_one_before(host: Host) -> None:
    with wired(host, NAMES) as wire:
        applied(wire, 1)
        for generation in (2, 3):
            before = {name: way_in(wire, name) for name in NAMES}
            applied(wire, generation)
            for name in NAMES:
                assert all(new != old for new, old in zip(way_in(wire, name), before[name], strict=True)), name
            assert client_of(wire, generation).plan().plan.is_empty
        assert wire.machines.objections() == {}


def client_of(wire: Wired, generation: int) -> FleetClient:
    return FleetClient(replace(wire.fleet.fleet(), ssh_generation=generation), wire.fleet.ports())


def applied(wire: Wired, generation: int) -> None:
    client = client_of(wire, generation)
    with client.lock("fleet apply"):
        outcomes = client.apply(client.plan())
    assert [(outcome.code, outcome.error) for outcome in outcomes] == [(OutcomeCode.DONE, "")] * len(NAMES)


def way_in(wire: Wired, name: str) -> tuple[bytes, bytes]:
    """The keys that the machine lets in, and the one that it shows."""
    return wire.machines.ask(
        wire.number(name), lambda host: (host.content(files.AUTHORIZED_KEYS_PATH), host.private_key)
    )
