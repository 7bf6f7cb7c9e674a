"""Reads what a Hetzner project can order: four requests, and one reading for all who ask at about the same time."""

from __future__ import annotations

import threading

from reconciler.clouds import answers
from reconciler.clouds.answers import understood
from reconciler.clouds.shared import Api
from reconciler.model import Catalog
from reconciler.ports import Clock

_AGE = 30.0  # seconds for which it is taken as known: many children may ask at once what could be had instead
_DOING = "read the catalogue"


class Catalogue:
    """Thread-safe."""

    def __init__(self, api: Api, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._lock = threading.Lock()
        self._read: Catalog | None = None
        self._until = 0.0

    def now(self) -> Catalog:
        """Not older than half a minute. Raises CloudError."""
        with self._lock:
            if self._read is None or self._clock.monotonic() > self._until:
                self._read = self._ask()
                self._until = self._clock.monotonic() + _AGE
            return self._read

    def _ask(self) -> Catalog:
        types = self._api.list_all(_DOING, "/server_types")
        locations = self._api.list_all(_DOING, "/locations")
        images = self._api.list_all(_DOING, "/images", type="system")
        pricing = self._api.ask(_DOING, "GET", "/pricing")
        with understood():
            return answers.catalog(types, locations, images, pricing["pricing"], self._clock.now())
