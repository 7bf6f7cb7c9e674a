"""The hosts of many children at once: what goes wrong with one stops no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Final, Self, TypeVar

from reconciler.errors import CloudError, FleetError, HostError, StateError
from reconciler.model import Server
from reconciler.parallel import in_parallel
from reconciler.ports import Clock, Host

T = TypeVar("T")
WORKERS: Final = 32  # connections at a time
MOST_KEPT: Final = 200  # open files of a process are limited, often to 1,024
LOOK_AGAIN: Final = 60.0  # seconds


class Lines:
    """Connections that are `kept` open from one question to the next; one that fails is made anew for the next."""

    def __init__(
        self,
        look: Callable[[], Mapping[str, Server | None]],
        connect: Callable[[Server], Host],
        clock: Clock,
        *,
        kept: bool,
    ) -> None:
        """`look` lists the servers; again after a failure, for there may be another one. Raises what it raises."""
        self._look, self._connect, self._clock, self._kept = look, connect, clock, kept
        self._servers, self._looked, self._is_stale = look(), clock.monotonic(), False
        self._hosts: dict[str, Host] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for name in tuple(self._hosts):
            self._hang_up(name)

    @property
    def servers(self) -> Mapping[str, Server | None]:
        """As they were listed."""
        return self._servers

    def without_server(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of them that have none, so that nobody can be asked."""
        return tuple(name for name in names if self._servers.get(name) is None)

    def ask(
        self, names: Iterable[str], ask: Callable[[str, Host], T], workers: int = WORKERS
    ) -> dict[str, T | FleetError]:
        """What `ask` makes of the host of each child, by name and in threads; or why there is nothing."""
        wanted = tuple(names)
        if self._is_stale and self._clock.monotonic() - self._looked >= LOOK_AGAIN:
            self._looked = self._clock.monotonic()
            with suppress(CloudError):  # a moment without the cloud ends no watch over hosts that answer
                self._servers, self._is_stale = self._look(), False

        def look(name: str) -> T | FleetError:
            try:
                return ask(name, self._host(name))
            except StateError:
                raise  # what was done cannot be noted: that is no answer of a host
            except FleetError as error:
                self._hang_up(name)
                self._is_stale = True
                return error
            finally:
                if not self._kept or len(self._hosts) > MOST_KEPT:
                    self._hang_up(name)

        return dict(zip(wanted, in_parallel(look, wanted, workers), strict=True))

    def _host(self, name: str) -> Host:
        if name not in self._hosts:
            self._hosts[name] = self._connect(_server_of(name, self._servers.get(name)))
        return self._hosts[name]

    def _hang_up(self, name: str) -> None:
        if (host := self._hosts.pop(name, None)) is not None:
            host.close()


def _server_of(name: str, server: Server | None) -> Server:
    if server is None:
        raise HostError(f"{name} has no server", f"fleet plan {name} says why")
    return server
