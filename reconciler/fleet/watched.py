"""What a fleet file says of its monitoring, as values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from reconciler.fleet.durations import duration
from reconciler.fleet.secret_references import reference
from reconciler.model import AlertPlace, AlertSettings, DriftPolicy, Level, Maintenance, Monitoring, Rung, SelfHelp

_OF_THEIR_OWN: Final = ("drill_within", "updates_within", "maintenance", "resuscitate", "drift")
_SOME_DAY: Final = datetime(2026, 1, 1, tzinfo=UTC)


def monitoring(values: Mapping[str, Any]) -> Monitoring:
    """Of one child, with the built-in values where nobody says anything."""
    within, help_ = values.get("drill_within"), values.get("resuscitate")
    others = {name: value for name, value in values.items() if name not in _OF_THEIR_OWN}
    lists = {"alert_on": tuple(values["alert_on"]), "open_ports": tuple(values["open_ports"])}
    return Monitoring(
        **{**others, **lists},
        drill_within=None if within is None else duration(within),
        updates_within=duration(values["updates_within"]),
        maintenance=tuple(
            Maintenance(it["cron"], duration(it["for"]), it.get("timezone", "UTC")) for it in values["maintenance"]
        ),
        resuscitate=None if help_ is None else _self_help(help_),
        drift={pattern: DriftPolicy(word) for pattern, word in values["drift"].items()},
    )


def alerts(values: Mapping[str, Any]) -> AlertSettings:
    known, ping = AlertSettings(), values.get("ping")
    return AlertSettings(
        interval=_span(values, "interval", known.interval),
        to=tuple(_place(it) for it in values.get("to", ())),
        ping=None if ping is None else reference(ping),
        repeat=_span(values, "repeat", known.repeat),
        group_from=values.get("group_from", known.group_from),
    )


def is_cron(text: str) -> bool:
    """Whether it says when something begins; and that comes at all."""
    from cronsim import CronSim, CronSimError

    try:
        return next(CronSim(text, _SOME_DAY), None) is not None
    except CronSimError:
        return False


def is_timezone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        return False
    return True


def _self_help(values: Mapping[str, Any]) -> SelfHelp:
    known = SelfHelp()
    return SelfHelp(Rung(values.get("up_to", known.up_to)), values.get("budget", known.budget))


def _place(values: Mapping[str, Any]) -> AlertPlace:
    levels = tuple(map(Level, values.get("levels", Level)))
    return AlertPlace(reference(values["url"]), levels, tuple(values.get("groups", ())))


def _span(values: Mapping[str, Any], name: str, otherwise: timedelta) -> timedelta:
    return duration(values[name]) if name in values else otherwise
