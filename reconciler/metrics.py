"""A pass as Prometheus reads it: as text, in a file for its node exporter, or over HTTP. Alone knows prometheus_client.

What nobody could tell has no sample at all: a rule that needs one then says so, and none is taken for well.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final

from prometheus_client import exposition
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry

from reconciler import __version__
from reconciler.errors import StateError, UsageProblem
from reconciler.model import Health, Pass, Row, Sync, Uptime, Verdict

PREFIX: Final = "openclaw_deploy_"
# name, what it says, and how it is told of a row; None: no sample
_OF_CHILD: Final[tuple[tuple[str, str, Callable[[Row], float | None]], ...]] = (
    ("child_answers", "Whether its user gets an answer (1) or not (0).", lambda row: row.answers),
    (
        "child_excused",
        "Nothing is told of it: maintenance, a start, an apply.",
        lambda row: bool(_excuse(row)),
    ),
    ("host_disk_free_bytes", "Free where the gateway's state is.", lambda row: row.measures.disk_free),
    ("host_memory_free_bytes", "Memory that is available.", lambda row: row.measures.memory_free),
    ("host_load_per_core", "Load of fifteen minutes for each core.", lambda row: row.measures.load),
    ("host_clock_skew_seconds", "How far its clock is ahead of ours.", lambda row: row.measures.skew),
    ("gateway_up_seconds", "Since the gateway's process was started.", lambda row: row.measures.up_for),
    ("gateway_restarts", "By systemd, since somebody started the unit.", lambda row: row.measures.restarts),
    ("gateway_recent_errors", "Lines of its log, of the last five minutes.", lambda row: row.measures.errors),
    ("gateway_spent_dollars", "Of this month, where the fleet file has a limit.", lambda row: row.measures.spent),
    ("channel_activity_timestamp_seconds", "Its channel's last sign of life.", lambda row: row.measures.activity),
    ("message_received_timestamp_seconds", "The last message to its bot.", lambda row: row.measures.inbound),
    ("message_sent_timestamp_seconds", "The last message of its bot.", lambda row: row.measures.outbound),
    ("backup_timestamp_seconds", "When its newest backup was made.", lambda row: row.measures.backup),
    ("backup_proven_timestamp_seconds", "When a backup of it was restored last.", lambda row: row.measures.proven),
)


class Metrics(Collector):
    """The last pass of one fleet; empty before the first."""

    def __init__(self, fleet: str) -> None:
        self._fleet = fleet
        self._families: tuple[GaugeMetricFamily, ...] = ()
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def show(self, found: Pass, uptimes: Mapping[timedelta, Mapping[str, Uptime]]) -> None:
        """From now on this pass is told. `uptimes`: by span and child."""
        self._families = tuple(families(self._fleet, found, uptimes))

    def collect(self) -> Iterable[GaugeMetricFamily]:
        return self._families

    def write(self, path: Path) -> None:
        """Whole or not at all, as a node exporter's textfile collector wants it. Raises StateError."""
        try:
            exposition.write_to_textfile(str(path), self._registry)
        except OSError as error:
            raise StateError(f"cannot write the metrics to {path}: {error.strerror}", "mend that path") from error

    def serve(self, host: str, port: int) -> tuple[int, threading.Thread]:
        """GET /metrics answers there until the process ends; the port that it is. Raises UsageProblem."""
        try:
            server, thread = exposition.start_http_server(port, host, self._registry)
        except OSError as error:
            raise UsageProblem(
                f"nothing can listen on {host}:{port}: {error.strerror}", "another address or port: --listen HOST:PORT"
            ) from error
        return server.server_port, thread


def families(fleet: str, found: Pass, uptimes: Mapping[timedelta, Mapping[str, Uptime]]) -> Iterator[GaugeMetricFamily]:
    """Every series of this pass."""
    yield from _of_pass(fleet, found)
    info = _family("child_info", "Words to choose by.", "child", "group", "region", "server_type", "version")
    for row in found.rows:
        it = row.measures
        info.add_metric([fleet, row.child, it.group, it.region, it.server_type, it.version], 1)
    yield info
    for name, text, value_of in _OF_CHILD:
        family = _family(name, text, "child")
        for row in found.rows:
            value = value_of(row)
            if value is not None:
                family.add_metric([fleet, row.child], float(value))
        yield family
    yield _one_of("health", "Which of these it is (1).", fleet, {row.child: row.health for row in found.rows}, Health)
    yield _one_of("sync", "Which of these it is (1).", fleet, {row.child: row.sync for row in found.rows}, Sync)
    yield _checks(fleet, found)
    yield _troubles(fleet, found)
    yield _uptimes(fleet, {row.child for row in found.rows}, uptimes)


def _of_pass(fleet: str, found: Pass) -> Iterator[GaugeMetricFamily]:
    values = (
        ("pass_timestamp_seconds", "When the last pass began.", found.at.timestamp()),
        ("pass_duration_seconds", "How long it took.", found.seconds),
        ("pass_cloud_requests", "About how many of the cloud's API it took.", found.requests),
        ("children", "Of the fleet, looked at or not.", len(found.everyone)),
    )
    for name, text, value in values:
        family = _family(name, text)
        family.add_metric([fleet], float(value))
        yield family
    info = _family("build_info", "Of which version of this tool the pass is.", "version")
    info.add_metric([fleet, __version__], 1)
    yield info
    trouble = _family("fleet_trouble", "What is wrong with all children at once.", "cause", "level")
    for it in found.fleet:
        trouble.add_metric([fleet, it.cause, it.level], 1)
    yield trouble


def _one_of(
    label: str, text: str, fleet: str, values: Mapping[str, Health | Sync], all_values: Iterable[Health | Sync]
) -> GaugeMetricFamily:
    family, every = _family(f"child_{label}", text, "child", label), list(all_values)
    for child, value in values.items():
        for one in every:
            family.add_metric([fleet, child, one], float(one is value))
    return family


def _checks(fleet: str, found: Pass) -> GaugeMetricFamily:
    family = _family("child_check_ok", "Whether a check is content; no sample: nobody could tell.", "child", "check")
    for row in found.rows:
        content = dict[str, bool]()  # a check before an outage and one that explains it may have the same name
        for finding in (*row.diagnosis.findings, *row.findings):
            if finding.verdict in (Verdict.OK, Verdict.FAILED):
                content[finding.check] = content.get(finding.check, True) and finding.verdict is Verdict.OK
        for check, is_content in content.items():
            family.add_metric([fleet, row.child, check], float(is_content))
    return family


def _troubles(fleet: str, found: Pass) -> GaugeMetricFamily:
    family = _family("child_trouble", "What is wrong with it; gone when it is over.", "child", "cause", "level")
    for row in found.rows:
        for cause, level in {(it.cause, it.level) for it in row.troubles}:
            family.add_metric([fleet, row.child, cause, level], 1)
    return family


def _uptimes(
    fleet: str, children: Iterable[str], uptimes: Mapping[timedelta, Mapping[str, Uptime]]
) -> GaugeMetricFamily:
    family = _family("child_uptime_ratio", "Of what is known of that span, how much it answered.", "child", "span")
    for span, by_child in uptimes.items():
        for child in sorted(children):
            share = by_child[child].share if child in by_child else None
            if share is not None:
                family.add_metric([fleet, child, _span(span)], share)
    return family


def _family(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, text, labels=("fleet", *labels))


def _span(span: timedelta) -> str:
    return f"{span.days}d" if span > timedelta(days=1) else f"{span // timedelta(hours=1)}h"


def _excuse(row: Row) -> str:
    return row.sighting.excuse
