"""When nothing of a child is told, for somebody works on it: times that come again and again. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim

from reconciler.model import Maintenance


def running(windows: Iterable[Maintenance], now: datetime) -> Maintenance | None:
    """The first of these that `now` (aware) falls into."""
    for window in windows:
        here = now.astimezone(ZoneInfo(window.timezone))
        began = next(CronSim(window.cron, here.replace(tzinfo=here.tzinfo), reverse=True), None)
        if began is not None and here - began < window.lasts:
            return window
    return None
