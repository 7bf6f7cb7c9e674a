"""Tells people at places whose URLs are secrets: resolved when something is to be said, and not before."""

from __future__ import annotations

from collections.abc import Callable

from reconciler.errors import SecretError
from reconciler.model import Level, Secret, SecretRef


class ResolvingTeller:
    """Implements `ports.Teller`."""

    def __init__(self, resolve: Callable[[SecretRef], Secret]) -> None:
        self._resolve = resolve

    def tell(self, place: SecretRef, title: str, body: str, level: Level | None) -> str:
        from reconciler.alerts.delivery import deliver  # its library takes a third of a second

        try:
            return deliver(self._resolve(place), title, body, level)
        except SecretError as error:
            return error.summary

    def ping(self, place: SecretRef) -> str:
        from reconciler.alerts.delivery import ping

        try:
            return ping(self._resolve(place))
        except SecretError as error:
            return error.summary
