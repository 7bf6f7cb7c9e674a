"""The part of a FakeCloud that servers share: firewalls and keys; and how its calls are made to fail."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network

from reconciler.errors import CloudError, NameTaken, NotFound
from reconciler.model import Firewall, FirewallSpec, Server


@dataclass(frozen=True, slots=True)
class Key:
    id: int
    name: str
    public_key: str
    labels: dict[str, str] = field(default_factory=dict)


class FakeProject:
    """`walls` are the firewalls by name, `keys` the ssh keys by name."""

    def __init__(self) -> None:
        self.walls: dict[str, Firewall] = {}
        self.keys: dict[str, Key] = {}
        self._ids = itertools.count(1)
        self._refusals: list[tuple[str, CloudError, bool]] = []
        self._lock = threading.RLock()

    # --- what tests do to it ----------------------------------------------------------------------------------

    def fail_next(self, method: str, error: CloudError, committed: bool = False) -> None:
        """The next call of this method raises; with `committed` only after it has had its effect."""
        self._refusals.append((method, error, committed))

    def change_wall(self, name: str, *rules: str) -> None:
        """Somebody gives a firewall other rules in the cloud's console."""
        self.walls[name] = replace(self.walls[name], rules=tuple(sorted(rules)))

    def walls_of(self, server: Server) -> list[Firewall]:
        return [wall for wall in self.walls.values() if any(_selects(text, server) for text in wall.selectors)]

    def lets_in(self, server: Server, source: str, port: int = 22) -> bool:
        """Whether a packet gets through; what no firewall covers is open."""
        covering = self.walls_of(server)
        return not covering or any(_lets_in(rule, source, port) for wall in covering for rule in wall.rules)

    # --- the port ---------------------------------------------------------------------------------------------

    def ensure_ssh_key(self, name: str, public_key: str, labels: dict[str, str]) -> int:
        with self._call("ensure_ssh_key"):
            named = self.keys.get(name)
            if named and _same_key(named.public_key, public_key):
                return named.id
            if named and not labels.items() <= named.labels.items():
                raise NameTaken(f"an ssh key named {name} is not this fleet's")
            self.keys.pop(name, None)
            for key in self.keys.values():
                if _same_key(key.public_key, public_key):
                    return key.id
            self.keys[name] = Key(next(self._ids), name, public_key, dict(labels))
            return self.keys[name].id

    def firewalls(self, fleet_id: str) -> tuple[Firewall, ...]:
        with self._call("firewalls"):
            label = ("openclaw-deploy/fleet-id", fleet_id)
            return tuple(wall for wall in self.walls.values() if label in wall.labels.items())

    def ensure_firewall(self, firewall: FirewallSpec) -> None:
        with self._call("ensure_firewall"):
            found = self.walls.get(firewall.name)
            if found and not firewall.labels.items() <= found.labels.items():
                raise NameTaken(f"a firewall named {firewall.name} is not this fleet's")
            number = found.id if found else next(self._ids)
            labels = found.labels if found else dict(firewall.labels)
            self.walls[firewall.name] = Firewall(number, firewall.name, labels, firewall.rules, (firewall.selector,))

    def restore_firewall(self, firewall: Firewall) -> None:
        with self._call("restore_firewall"):
            found = next((wall for wall in self.walls.values() if wall.id == firewall.id), None)
            if found is None:
                raise NotFound(f"no firewall {firewall.id}")
            self.walls[found.name] = replace(found, rules=firewall.rules, selectors=firewall.selectors)

    def label_firewall(self, firewall_id: int, labels: dict[str, str]) -> None:
        with self._call("label_firewall"):
            found = next((wall for wall in self.walls.values() if wall.id == firewall_id), None)
            if found is None:
                raise NotFound(f"no firewall {firewall_id}")
            self.walls[found.name] = replace(found, labels=dict(labels))

    def delete_firewall(self, name: str) -> None:
        with self._call("delete_firewall"):
            self.walls.pop(name, None)

    # --- helpers ----------------------------------------------------------------------------------------------

    @contextmanager
    def _call(self, method: str) -> Iterator[None]:
        with self._lock:
            self._let_time_pass()
            refusal = next((refusal for refusal in self._refusals if refusal[0] == method), None)
            if refusal:
                self._refusals.remove(refusal)
            if refusal and not refusal[2]:
                raise refusal[1]
            yield
            if refusal:
                raise refusal[1]

    def _let_time_pass(self) -> None:
        """What ends by itself ends here, before each call."""


def _same_key(one: str, other: str) -> bool:
    """The comment behind a public key says nothing."""
    return one.split()[:2] == other.split()[:2]


def _selects(selector: str, server: Server) -> bool:
    """`k=v` and `!k`, joined by commas: all that we ask for."""
    terms = [term.partition("=") for term in selector.split(",")]
    return all(
        key[1:] not in server.labels if key.startswith("!") else server.labels.get(key) == value
        for key, _, value in terms
    )


def _lets_in(rule: str, source: str, port: int) -> bool:
    what, _, sources = rule.partition(" from ")
    return what == f"in tcp {port}" and any(ip_address(source) in ip_network(one) for one in sources.split(", "))
