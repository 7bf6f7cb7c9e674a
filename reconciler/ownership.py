"""Which server is which child's, by name and labels; and where that is in doubt. Pure.

A server in doubt is an obstacle for the children that it may belong to, and for nobody else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconciler.model import Diagnostic, Fleet, Server, Severity
from reconciler.steps.server import server_name, successor_name


@dataclass(frozen=True, slots=True)
class Owned:
    """A child's server, what is wrong with it, and what a replacement that did not end has left beside it."""

    server: Server | None = None
    obstacle: Diagnostic | None = None
    spares: tuple[Server, ...] = ()
    retired: tuple[Server, ...] = ()

    @property
    def servers(self) -> tuple[Server, ...]:
        return (*([self.server] if self.server else []), *self.spares, *self.retired)


def settle(fleet: Fleet, servers: Iterable[Server]) -> dict[str, Owned]:
    """The owner of every server that carries this fleet's id: a child, declared or not.

    A server that no child can be found for goes under its own name.
    """
    successors = {before: after for after, before in fleet.moved.items()}
    clear: dict[str, list[Server]] = {}
    doubtful: list[Server] = []
    for server in sorted(servers, key=lambda server: server.id):
        if _is_clear(fleet, server):
            assert server.child is not None
            clear.setdefault(_follow(server.child, successors), []).append(server)
        else:
            doubtful.append(server)
    owned = {child: _owned(child, found) for child, found in clear.items()}
    for server in doubtful:
        _doubt(owned, fleet, server, successors)
    return owned


def name_before(fleet: Fleet, name: str) -> str:
    """The name that a moved child's server and record may still have; its own name for any other child."""
    return fleet.moved.get(name, name)


def _is_clear(fleet: Fleet, server: Server) -> bool:
    """Named after the child that its label says, or a successor of it, and its keys can be derived."""
    if server.uid is None or server.child is None:
        return False
    named_after = successor_name(fleet, server.uid) if server.is_successor else server_name(fleet, server.child)
    return server.name == named_after


def _owned(child: str, servers: list[Server]) -> Owned:
    """The child's own one, its successor while it is retired or gone, or else who is retired and has no successor.

    Of several successors, as two who replace it at once may have made, the one that a retired one was handed over to.
    """
    own = [server for server in servers if not (server.is_successor or server.is_retired)]
    spares = [server for server in servers if server.is_successor]
    retired = [server for server in servers if server.is_retired]
    if own:
        return Owned(own[0], _too_many(child, own), tuple(spares), tuple(retired))
    if spares:
        named = {server.heir for server in retired}
        heirs = [server for server in spares if server.uid in named] or spares
        others = tuple(server for server in spares if server not in heirs)
        return Owned(heirs[0], _too_many_successors(child, heirs), others, tuple(retired))
    return Owned(retired[0], _too_many(child, retired))


def _follow(child: str, successors: Mapping[str, str]) -> str:
    """The child's last name: `moved` goes in no circle, the fleet file was checked for that."""
    while child in successors:
        child = successors[child]
    return child


def _doubt(owned: dict[str, Owned], fleet: Fleet, server: Server, successors: Mapping[str, str]) -> None:
    """Whoever it may belong to by name or by label, unless that child has a clear one of its own."""
    prefix = server_name(fleet, "")
    by_name = server.name.removeprefix(prefix) if server.name.startswith(prefix) else None
    claims = {_follow(name, successors) for name in (by_name, server.child) if name is not None}
    unclear = sorted(claims - owned.keys()) or [_own_name(owned, fleet, server)]
    for child in unclear:
        owned[child] = Owned(server, _unclear(child, fleet, server))


def _own_name(owned: Mapping[str, Owned], fleet: Fleet, server: Server) -> str:
    """That of the server; with its id where a child has the same name by chance."""
    return f"{server.name} ({server.id})" if server.name in {*owned, *fleet.children} else server.name


def _unclear(child: str, fleet: Fleet, server: Server) -> Diagnostic:
    other = server.label("fleet")
    if other not in (None, fleet.name):
        return Diagnostic(
            Severity.ERROR,
            f"{child}: server {server.name} ({server.id}) is one of the fleet {other}, which has the same fleet key",
            f"leave it to that fleet, and give each new fleet a key of its own; if {fleet.name} was called {other} "
            "before, set `fleet` back: a fleet keeps its name; nothing is planned for it",
            address=child,
        )
    what = "has lost its label openclaw-deploy/uid" if server.uid is None else "has a name and labels that do not agree"
    return Diagnostic(
        Severity.ERROR,
        f"{child}: server {server.name} ({server.id}) carries this fleet's id, but {what}",
        "mend its labels openclaw-deploy/* in the cloud's console (the journal has its uid), or remove them all; "
        "nothing is planned for it",
        address=child,
    )


def _too_many_successors(child: str, servers: list[Server]) -> Diagnostic | None:
    """Somebody has deleted the server that they were to succeed: nobody can tell which of them is to be the child's."""
    if len(servers) == 1:
        return None
    return Diagnostic(
        Severity.ERROR,
        f"{child} has more than one new server: {' and '.join(f'{it.name} ({it.id})' for it in servers)}",
        "delete all but one in the cloud's console; nothing is planned for it",
        address=child,
    )


def _too_many(child: str, servers: list[Server]) -> Diagnostic | None:
    """What only `moved` can bring about: then none of them is touched."""
    if len(servers) == 1:
        return None
    return Diagnostic(
        Severity.ERROR,
        f"{child} has more than one server: {' and '.join(f'{server.name} ({server.id})' for server in servers)}",
        "`moved:` gives it the older name's server, and it has one of its own: to keep both, declare the older name "
        "again and take the entry out of `moved` at the same time; else delete all but one; nothing is planned for it",
        address=child,
    )
