"""The hosts of many children at once: what goes wrong with one stops no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeVar

from reconciler.errors import FleetError, HostError
from reconciler.model import Server
from reconciler.parallel import in_parallel
from reconciler.ports import Host

T = TypeVar("T")
WORKERS: Final = 32  # connections at a time


def on_each(
    names: Iterable[str],
    servers: Mapping[str, Server | None],
    connect: Callable[[Server], Host],
    ask: Callable[[str, Host], T],
) -> dict[str, T | FleetError]:
    """What `ask` makes of a connection to the host of each child, by name and in threads; or why there is none."""
    wanted = tuple(names)

    def look(name: str) -> T | FleetError:
        try:
            host = connect(_server_of(name, servers.get(name)))
            try:
                return ask(name, host)
            finally:
                host.close()
        except FleetError as error:
            return error

    return dict(zip(wanted, in_parallel(look, wanted, WORKERS), strict=True))


def _server_of(name: str, server: Server | None) -> Server:
    if server is None:
        raise HostError(f"{name} has no server", f"fleet plan {name} says why")
    return server
