"""A pass as Prometheus reads it: what is there, and that what nobody could tell is not."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from reconciler.errors import CloudUnavailable, HostTimedOut
from reconciler.metrics import PREFIX, Metrics
from tests.fakes.command_line import CommandLine
from tests.fakes.fleets import FakeFleet

NAMES = ("alice", "bob")
Series = dict[tuple[str, ...], float]


@pytest.fixture
def fleet(state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.delenv("CI", raising=False)
    world = FakeFleet(state, NAMES).applied()
    world.clock.sleep(3600)
    return CommandLine(world, capsys)


def series(text: str, name: str, *labels: str) -> Series:
    """The samples of one family, by the values of these labels."""
    for family in text_string_to_metric_families(text):
        if family.name == PREFIX + name:
            return {tuple(sample.labels[label] for label in labels): sample.value for sample in family.samples}
    raise AssertionError(f"no {name} in: {text[:500]}")


def written(fleet: CommandLine, tmp_path: Path) -> str:
    fleet("monitor", "--prometheus", str(tmp_path / "fleet.prom"))
    return (tmp_path / "fleet.prom").read_text()


def test_a_pass_is_written_whole(fleet: CommandLine, tmp_path: Path) -> None:
    text = written(fleet, tmp_path)
    assert series(text, "child_answers", "fleet", "child") == {("demo", "alice"): 1, ("demo", "bob"): 1}
    assert series(text, "children", "fleet") == {("demo",): 2}
    info = series(text, "child_info", "child", "region", "server_type", "version")
    assert info == {("alice", "nbg1", "cpx22", "2026.9.6"): 1, ("bob", "nbg1", "cpx22", "2026.9.6"): 1}
    assert series(text, "pass_timestamp_seconds", "fleet")[("demo",)] == pytest.approx(
        fleet.world.clock.now().timestamp(), abs=60
    )
    assert series(text, "host_disk_free_bytes", "child")[("alice",)] > 1 << 20
    assert list(tmp_path.iterdir()) == [tmp_path / "fleet.prom"]


def test_no_series_is_there_twice(fleet: CommandLine, tmp_path: Path) -> None:
    fleet.world.host("bob").gateway.wrong = {"channel_connected": False}
    lines = [line.rpartition(" ")[0] for line in written(fleet, tmp_path).splitlines() if not line.startswith("#")]
    assert len(lines) == len(set(lines))


def test_who_gives_no_answer_is_0_with_its_cause_and_who_cannot_be_asked_has_no_curve(
    fleet: CommandLine, tmp_path: Path
) -> None:
    fleet.world.dialer.silent[fleet.world.server("alice").id] = HostTimedOut("no answer within 10 s")
    text = written(fleet, tmp_path)
    assert series(text, "child_answers", "child") == {("alice",): 0, ("bob",): 1}
    assert series(text, "child_trouble", "child", "cause", "level") == {("alice", "host-silent", "critical"): 1}
    assert [child for (child,) in series(text, "host_disk_free_bytes", "child")] == ["bob"]
    healths = series(text, "child_health", "child", "health")
    assert healths[("alice", "UNREACHABLE")] == 1
    assert sum(value for (child, _), value in healths.items() if child == "alice") == 1


def test_what_nobody_can_tell_is_neither_up_nor_down(fleet: CommandLine, tmp_path: Path) -> None:
    fleet.world.host("alice").gateway.wrong = {"channel_connected": None}
    text = written(fleet, tmp_path)
    assert series(text, "child_answers", "child") == {("bob",): 1}
    assert ("alice", "channel") not in series(text, "child_check_ok", "child", "check")
    assert series(text, "child_check_ok", "child", "check")[("bob", "channel")] == 1


def test_uptimes_are_told_by_span(fleet: CommandLine, tmp_path: Path) -> None:
    written(fleet, tmp_path)
    fleet.world.host("alice").gateway.wrong = {"channel_connected": False}
    fleet.world.clock.sleep(600)
    text = written(fleet, tmp_path)
    assert series(text, "child_uptime_ratio", "child", "span") == {
        (child, span): share for child, share in (("alice", 0), ("bob", 1)) for span in ("24h", "7d", "30d")
    }


def test_a_cloud_that_is_silent_is_told_of_the_fleet(fleet: CommandLine, tmp_path: Path) -> None:
    fleet.world.cloud.fail_next("servers", CloudUnavailable("503 Service Unavailable"))
    text = written(fleet, tmp_path)
    assert series(text, "fleet_trouble", "cause", "level") == {("cloud-silent", "critical"): 1}
    assert series(text, "child_answers", "child") == {}


def test_it_is_answered_over_http_from_the_first_pass_on(fleet: CommandLine) -> None:
    metrics = Metrics("demo")
    port, _ = metrics.serve("127.0.0.1", 0)

    def got() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            return str(answer.read().decode())

    assert got() == ""
    client = fleet.world.client()
    metrics.show(client.watch(None, {}, remembers=True), {})
    assert series(got(), "child_answers", "child") == {("alice",): 1, ("bob",): 1}


def test_a_taken_port_and_a_wrong_place_are_said(fleet: CommandLine, tmp_path: Path) -> None:
    taken = Metrics("demo")
    port, _ = taken.serve("127.0.0.1", 0)
    said = fleet("monitor", "--watch", "60", "--listen", str(port))
    assert (said.code, f"nothing can listen on 127.0.0.1:{port}" in said.err) == (64, True), said
    said = fleet("monitor", "--listen", "9464")
    assert (said.code, "add --watch" in said.err) == (64, True), said
    said = fleet("monitor", "--watch", "60", "--listen", "nowhere")
    assert (said.code, "write 9464 or 127.0.0.1:9464" in said.err) == (64, True), said
    said = fleet("monitor", "--prometheus", str(tmp_path / "no" / "such.prom"))
    assert (said.code, "cannot write the metrics" in said.err) == (1, True), said
