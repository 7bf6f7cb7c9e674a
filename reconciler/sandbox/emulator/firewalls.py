"""The emulated firewalls: which servers each one covers, and the actions that put them there.

Rules are kept and shown, never enforced: the sandbox's machines have their own. New labels may bring a server under
more firewalls than it can have: what the real API does then nobody has seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from reconciler.model import Json
from reconciler.sandbox.emulator import errors
from reconciler.sandbox.emulator.labels import parse_selector
from reconciler.sandbox.emulator.resources import Action, Firewall, Server, ServerOrder
from reconciler.sandbox.emulator.tables import Table

if TYPE_CHECKING:
    from reconciler.sandbox.emulator.world import World


_MOST_FIREWALLS = 5  # of a server. Source: Hetzner's documentation on limits, 2026-10


class Firewalls:
    """A firewall covers a server when one of its selectors matches, or when it names the server."""

    def __init__(self, world: World) -> None:
        self.by_id: Table[Firewall] = Table()
        self._world = world

    def add(self, name: str, rules: Sequence[Mapping[str, Json]], labels: Mapping[str, str]) -> Firewall:
        self._check_name(name)
        self._world.check_limit("firewalls", len(self.by_id))
        return self._put(Firewall(self._world.new_id(), name, self._world.stamp(), tuple(rules), labels=labels))

    def update(self, firewall: Firewall, name: str | None, labels: Mapping[str, str] | None) -> Firewall:
        if name is not None and name != firewall.name:
            self._check_name(name)
        labels = firewall.labels if labels is None else labels
        return self._put(replace(firewall, name=name or firewall.name, labels=labels))

    def set_rules(self, firewall: Firewall, rules: Sequence[Mapping[str, Json]]) -> tuple[Action, ...]:
        changed = self._put(replace(firewall, rules=tuple(rules)))
        return (self._start("set_firewall_rules", changed, None),)

    def attach(self, firewall: Firewall, selectors: Sequence[str], servers: Sequence[int]) -> tuple[Action, ...]:
        """Raises ApiError when it is applied there already."""
        if set(selectors) & set(firewall.selectors) or set(servers) & set(firewall.servers):
            raise errors.ApiError(422, "firewall_already_applied", "firewall is already applied to this resource")
        before = self.covered(firewall)
        self.check_room(selectors, servers, before)
        applied = (*firewall.selectors, *selectors), (*firewall.servers, *servers)
        changed = self._put(replace(firewall, selectors=applied[0], servers=applied[1]))
        new = [server for server in self.covered(changed) if server not in before]
        return tuple(self._start("apply_firewall", changed, server) for server in new)

    def check_room(self, selectors: Sequence[str], servers: Sequence[int], known: Iterable[Server] = ()) -> None:
        """Whether a firewall can be applied there as well. Raises ApiError 403; those `known` have it already."""
        under = {server.id for server in known}
        for server in self._world.servers.values():
            is_meant = server.id in servers or _selects(selectors, server.labels)
            if is_meant and server.id not in under and len(self.of(server)) >= _MOST_FIREWALLS:
                raise errors.limit_exceeded("firewalls")

    def check_order(self, order: ServerOrder) -> None:
        """Whether a new server can have those that the order names beside those that select it. Raises ApiError 403."""
        selecting = {wall.id for wall in self.by_id.values() if _selects(wall.selectors, order.labels)}
        if len({*order.firewalls, *selecting}) > _MOST_FIREWALLS:
            raise errors.limit_exceeded("firewalls")

    def detach(self, firewall: Firewall, selectors: Sequence[str], servers: Sequence[int]) -> tuple[Action, ...]:
        """Raises ApiError when it is not applied there."""
        if not (set(selectors) <= set(firewall.selectors) and set(servers) <= set(firewall.servers)):
            raise errors.ApiError(404, "firewall_resource_not_found", "firewall is not applied to this resource")
        before = self.covered(firewall)
        left = [selector for selector in firewall.selectors if selector not in selectors]
        named = [server for server in firewall.servers if server not in servers]
        changed = self._put(replace(firewall, selectors=tuple(left), servers=tuple(named)))
        kept = {server.id for server in self.covered(changed)}
        gone = [server for server in before if server.id not in kept]
        return tuple(self._start("remove_firewall", changed, server) for server in gone)

    def remove(self, firewall: Firewall) -> None:
        if firewall.selectors or firewall.servers:
            raise errors.ApiError(422, "resource_in_use", "firewall is still applied to a resource")
        self.by_id.remove(firewall.id)

    def of(self, server: Server) -> list[Firewall]:
        return [firewall for firewall in self.by_id.values() if _covers(firewall, server)]

    def covered(self, firewall: Firewall) -> list[Server]:
        return [server for server in self._world.servers.values() if _covers(firewall, server)]

    def is_pending(self, firewall: Firewall, server: Server) -> bool:
        return self._world.actions.is_running("apply_firewall", ("server", server.id), ("firewall", firewall.id))

    def spread(self, server: Server, before: Sequence[Firewall] = ()) -> None:
        """Start the actions for what covers this server now and did not before."""
        known = {firewall.id for firewall in before}
        for firewall in self.of(server):
            if firewall.id not in known:
                self._start("apply_firewall", firewall, server)

    def forget_server(self, server_id: int) -> None:
        for firewall in [firewall for firewall in self.by_id.values() if server_id in firewall.servers]:
            self._put(replace(firewall, servers=tuple(number for number in firewall.servers if number != server_id)))

    def _start(self, command: str, firewall: Firewall, server: Server | None) -> Action:
        about = (("server", server.id),) if server else ()
        return self._world.start(command, _nothing, *about, ("firewall", firewall.id))

    def _put(self, firewall: Firewall) -> Firewall:
        return self.by_id.put(firewall)

    def _check_name(self, name: str) -> None:
        if self.by_id.named(name):
            raise errors.uniqueness("name", "firewall name is already used")


def _covers(firewall: Firewall, server: Server) -> bool:
    return server.id in firewall.servers or _selects(firewall.selectors, server.labels)


def _selects(selectors: Iterable[str], labels: Mapping[str, str]) -> bool:
    return any(parse_selector(selector)(labels) for selector in selectors)


async def _nothing() -> None:
    """Applying is a matter of time only."""
    await asyncio.sleep(0)
