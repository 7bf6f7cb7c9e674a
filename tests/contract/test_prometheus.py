"""Our alert rules and our dashboard in the real Prometheus, on what a pass has written."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from reconciler.model import BackupSettings
from reconciler.schedules import asset
from tests.fakes.command_line import CommandLine
from tests.fakes.fleets import FakeFleet

PROGRAMS: Final = Path(__file__).parents[2] / ".venv/prometheus/usr/bin"  # scripts/test unpacks it there
RULES: Final = "prometheus-rules.yaml"
HERE: Final = Path(__file__).parent


def test_the_rules_are_right_and_do_as_their_cases_say(tmp_path: Path) -> None:
    (tmp_path / RULES).write_text(asset(RULES))
    shutil.copy(HERE / "prometheus_rules_test.yaml", tmp_path / "cases.yaml")
    assert promtool("check", "rules", str(tmp_path / RULES)) == ""
    assert promtool("test", "rules", str(tmp_path / "cases.yaml")) == ""


def test_every_rule_has_a_case() -> None:
    [group] = yaml.safe_load(asset(RULES))["groups"]
    cases = (HERE / "prometheus_rules_test.yaml").read_text()
    assert [rule["alert"] for rule in group["rules"] if rule["alert"] not in cases] == []


def test_every_expression_of_the_dashboard_gives_series_after_a_pass(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    fleet = CommandLine(of_all_kinds(state), capsys)
    assert fleet("backup", "create", "--all").code == 0
    for _ in range(2):  # uptimes are about what is between two
        fleet.world.clock.sleep(60)
        assert fleet("monitor", "--prometheus", str(tmp_path / "metrics")).code == 2
    with scraped(tmp_path) as ask:
        empty = [expression for expression in expressions() if not ask(expression)]
        assert empty == []
        assert ask("openclaw_deploy_child_answers == 0") != []


def of_all_kinds(state: Path) -> FakeFleet:
    """A fleet with a backup, a limit of spend, a warning, and one child that gives no answer."""
    world = FakeFleet(state, ("alice", "bob")).applied()
    for name in ("alice", "bob"):
        model = replace(world.specs[name].model, spend_limit=Decimal(50))
        world.change(name, backup=BackupSettings(every=timedelta(days=1)), model=model)
    world.host("alice").gateway.wrong = {"channel_connected": False}
    return world


def expressions() -> Iterator[str]:
    dashboard = json.loads(asset("grafana-dashboard.json"))
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield target["expr"].replace("$fleet", "demo").replace("$child", ".*")


@contextlib.contextmanager
def scraped(directory: Path) -> Iterator[Any]:
    """A Prometheus that reads the file `metrics` there over HTTP: expression -> its samples."""
    handler = functools.partial(Quiet, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with socket.create_server(("127.0.0.1", 0)) as held:
            port = held.getsockname()[1]
        config = {
            "global": {"scrape_interval": "1s"},
            "scrape_configs": [
                {"job_name": "fleet", "static_configs": [{"targets": [f"127.0.0.1:{server.server_port}"]}]}
            ],
        }
        (directory / "prometheus.yaml").write_text(json.dumps(config))
        words = [
            *(str(PROGRAMS / "prometheus"), f"--config.file={directory / 'prometheus.yaml'}"),
            *(f"--storage.tsdb.path={directory / 'series'}", f"--web.listen-address=127.0.0.1:{port}"),
        ]
        with (directory / "prometheus.log").open("wb") as log:
            process = subprocess.Popen(words, stdout=log, stderr=log)
        try:
            ask = functools.partial(_ask, port)
            deadline = time.monotonic() + 60
            while not (_is_there(ask) or time.monotonic() > deadline):
                time.sleep(0.2)
            yield ask
        finally:
            process.terminate()
            process.wait(30)
            server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  # its name
        pass

    def guess_type(self, path: Any) -> str:
        return "text/plain; version=0.0.4"


def _is_there(ask: Any) -> bool:
    try:
        return bool(ask("openclaw_deploy_children"))
    except OSError:
        return False


def _ask(port: int, expression: str) -> list[Any]:
    query = urllib.parse.urlencode({"query": expression})
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?{query}", timeout=10) as answer:
        return list(json.load(answer)["data"]["result"])


def promtool(*words: str) -> str:
    """What it complains of."""
    done = subprocess.run(
        [str(PROGRAMS / "promtool"), *words], capture_output=True, text=True, timeout=120, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr
