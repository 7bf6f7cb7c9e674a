"""A watch over three real children, and one fault after the other on each: found soon, told once, and once when over.

Each child has a lane of its own, so that three faults last at a time; the watch and who is told by it are one. The same
for 41 faults in memory: tests/unit/test_fault_matrix.py; sixteen more on a real machine: test_resuscitate.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from reconciler.managed import files
from reconciler.model import Cause
from reconciler.sandbox import cgroups
from reconciler.sandbox.anthropic import ModelFault
from reconciler.sandbox.client import SandboxClient
from reconciler.sandbox.paths import Paths
from reconciler.sandbox.telegram import Fault as TelegramFault
from tests.e2e.machinery import Operator, ask_cloud, wait_until
from tests.e2e.minds import CHILD, NEWER, RecordProperty

pytestmark = pytest.mark.e2e

EVERY: Final = 10  # seconds from pass to pass
SOON: Final = 240.0  # seconds, until somebody is told
NAMES: Final = ("ada", "bea", "cyd")
GATEWAY: Final = files.UNIT
STAMP: Final = files.STAMP_PATH
CUT: Final = (
    "nft add table inet cut && nft 'add chain inet cut incoming { type filter hook input priority -10; policy drop; }'"
)
LISTEN: Final = "import socket, time; s = socket.create_server(('0.0.0.0', 8080)); time.sleep(900)"
# What an open line hides for up to 150 seconds is there for the next pass to see.
NO_LINES: Final = "pkill -f '[s]shd: fleet' || true"  # and not the shell that says so
OTHER_KEY: Final = (
    "cd /etc/ssh && cp -p ssh_host_ed25519_key /run/key-before && rm ssh_host_ed25519_key && "
    "ssh-keygen -q -t ed25519 -N '' -f ssh_host_ed25519_key.new && mv ssh_host_ed25519_key.new ssh_host_ed25519_key && "
    f"systemctl reload ssh; {NO_LINES}"
)
KEY_AGAIN: Final = "mv /run/key-before /etc/ssh/ssh_host_ed25519_key && systemctl reload ssh"
BROKEN: Final = (
    f'python3 -c \'import json; p = "{files.CONFIG_PATH}"; c = json.load(open(p)); c["surprise"] = 1; '
    f'json.dump(c, open(p, "w"))\''
)


@dataclass
class Fleet:
    """Three children, the watch over them, and what it has told."""

    operator: Operator
    sandbox: SandboxClient
    told: list[str] = field(default_factory=list)
    machines: dict[str, int] = field(default_factory=dict)

    def servers(self, child: str) -> list[dict[str, Any]]:
        of_it = f"openclaw-deploy/fleet={self.operator.directory.name},openclaw-deploy/child={child}"
        return [dict(it) for it in ask_cloud("GET", "/servers", params={"label_selector": of_it})["servers"]]

    def server(self, child: str) -> dict[str, Any]:
        (found,) = self.servers(child)
        return found

    def inside(self, child: str, text: str) -> None:
        """On its machine, past its SSH: as somebody at its console."""
        number = self.machines[child]
        done = subprocess.run(
            ["nsenter", "-t", str(first_process(number)), "-m", "-u", "-i", "-n", "-p", "sh", "-c", text],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, (text, done.stderr)

    def passes(self) -> list[dict[str, Any]]:
        """Every pass by now, the first first."""
        lines = (line for line in self.operator.heard().splitlines() if line.startswith("{"))
        found = []
        for line in lines:
            with contextlib.suppress(ValueError):  # the last may be half
                found.append(json.loads(line))
        return found

    def titles(self, child: str) -> list[str]:
        return [title for title in tuple(self.told) if re.search(rf"\b{child}\b", title)]


def first_process(machine: int) -> int:
    found = subprocess.run(
        ["pgrep", "-f", f"systemd-nspawn .*--machine=fsb-{machine} "], capture_output=True, text=True
    )
    for outer in found.stdout.split():
        for number in subprocess.run(["pgrep", "-P", outer], capture_output=True, text=True).stdout.split():
            with contextlib.suppress(OSError):
                if Path(f"/proc/{number}/comm").read_text().strip() == "systemd":
                    return int(number)
    raise AssertionError(f"machine {machine} does not run")


Lasting = Callable[[Fleet, str], AbstractContextManager[None]]


def shell(do: str, undo: str) -> Lasting:
    @contextmanager
    def lasting(fleet: Fleet, child: str) -> Iterator[None]:
        fleet.inside(child, do)
        try:
            yield
        finally:
            fleet.inside(child, undo)

    return lasting


def telegram(fault: TelegramFault, undo: str = ":") -> Lasting:
    @contextmanager
    def lasting(fleet: Fleet, child: str) -> Iterator[None]:
        place = Path(f"/proc/{first_process(fleet.machines[child])}/root{files.TELEGRAM_TOKEN_PATH}")
        token = place.read_text().strip()
        fleet.sandbox.break_telegram(token, fault)
        try:
            yield
        finally:
            fleet.sandbox.break_telegram(token, None)
            fleet.inside(child, undo)

    return lasting


@contextmanager
def frozen(fleet: Fleet, child: str) -> Iterator[None]:
    trees, number = cgroups.load_trees(Paths.default().cgroups), str(fleet.machines[child])
    name = next(path.name for path in trees["v2"].iterdir() if path.name.rpartition("-")[2] == number)
    with cgroups.frozen(trees, name):
        yield


@contextmanager
def off(fleet: Fleet, child: str) -> Iterator[None]:
    number = fleet.server(child)["id"]
    ask_cloud("POST", f"/servers/{number}/actions/poweroff")
    try:
        yield
    finally:
        ask_cloud("POST", f"/servers/{number}/actions/poweron")


@contextmanager
def strangers(fleet: Fleet, child: str) -> Iterator[None]:
    """Somebody has taken the labels of its server away: there is one of its name that is nobody's we know."""
    server = fleet.server(child)
    ask_cloud("PUT", f"/servers/{server['id']}", json={"labels": {"owner": "somebody"}})
    try:
        yield
    finally:
        ask_cloud("PUT", f"/servers/{server['id']}", json={"labels": server["labels"]})


@contextmanager
def deleted(fleet: Fleet, child: str) -> Iterator[None]:
    """Until that has ended it is a server that is busy."""
    ask_cloud("DELETE", f"/servers/{fleet.server(child)['id']}")
    wait_until(lambda: not fleet.servers(child), "the server is gone", 120)
    yield
    fleet.operator.fleet("apply", child, "--yes", timeout=900)


@dataclass(frozen=True)
class Fault:
    """`evidence` are seconds until anybody could see it: what an open line hides, or a channel that is only silent."""

    name: str
    cause: Cause
    layer: str
    lasting: Lasting
    evidence: float = 0.0


ERRORS, CONFLICT, REVOKED = TelegramFault.SERVER_ERROR, TelegramFault.CONFLICT, TelegramFault.UNAUTHORIZED
# Three outages of one child within an hour are told as one that comes and goes: in a round each has two at most, and
# the watch of a round remembers nothing of the one before.
ROUNDS: Final[tuple[dict[str, tuple[Fault, ...]], ...]] = (
    {
        "ada": (
            Fault("frozen machine", Cause.HOST_SILENT, "network", frozen),
            Fault("hangs", Cause.GATEWAY_SILENT, "http",
                  shell(f"systemctl kill -s STOP {GATEWAY}", f"systemctl kill -s CONT {GATEWAY}")),
        ),
        "bea": (
            Fault("500s from Telegram", Cause.TELEGRAM_SILENT, "channel", telegram(ERRORS), evidence=100),
            Fault("silently hanging long poll", Cause.POLLER_STUCK, "channel", telegram(TelegramFault.HANG_POLL),
                  evidence=150),
        ),
        "cyd": (
            Fault("port open to the world", Cause.PORT_OPEN, "open ports", shell(
                f'systemd-run --quiet --collect --unit=stranger python3 -c "{LISTEN}"', "systemctl stop stranger")),
            Fault("reboot due", Cause.REBOOT_DUE, "reboot",
                  shell("touch /run/reboot-required", "rm /run/reboot-required")),
            Fault("drift", Cause.DRIFTED, "drift",
                  shell(f"cp -p {STAMP} /run/stamp; echo >>{STAMP}", f"mv /run/stamp {STAMP}")),
            Fault("config broken but still running", Cause.NEXT_START, "next start",
                  shell(f"cp -p {files.CONFIG_PATH} /run/config; {BROKEN}", f"cp -p /run/config {files.CONFIG_PATH}")),
            Fault("foreign server with our name", Cause.IDENTITY_IN_DOUBT, "server", strangers),
        ),
    },
    {
        "ada": (
            Fault("secret missing", Cause.SECRET_MISSING, "secrets",
                  shell(f"mv {files.MODEL_KEY_PATH} /run/kept", f"mv /run/kept {files.MODEL_KEY_PATH}")),
            Fault("host key changed", Cause.WRONG_HOST_KEY, "ssh", shell(OTHER_KEY, KEY_AGAIN)),
        ),
        "bea": (
            Fault("409 from a second poller", Cause.OTHER_POLLER, "channel", telegram(CONFLICT), evidence=60),
            Fault("401 after a revocation", Cause.BOT_TOKEN_REFUSED, "channel",
                  telegram(REVOKED, f"systemctl restart {GATEWAY}"), evidence=60),
        ),
        "cyd": (
            Fault("cut network", Cause.HOST_SILENT, "network", shell(CUT, "nft delete table inet cut")),
            Fault("stopped by hand", Cause.STOPPED, "unit",
                  shell(f"systemctl stop {GATEWAY}", f"systemctl start {GATEWAY}")),
        ),
    },
    {
        "ada": (Fault("server off", Cause.SERVER_OFF, "power", off),),
        "bea": (Fault("no sshd", Cause.SSH_REFUSED, "ssh",
                      shell(f"systemctl stop ssh.socket ssh.service; {NO_LINES}", "systemctl start ssh.service")),),
        "cyd": (Fault("server deleted by hand", Cause.NO_SERVER, "server", deleted),),
    },
)  # fmt: skip


@pytest.fixture(scope="module")
def recorder() -> Iterator[tuple[str, list[str]]]:
    """A place that alerts go to, as apprise's json:// has it; and the titles that came."""
    titles: list[str] = []

    class Place(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            titles.append(body["title"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Place) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"json://127.0.0.1:{server.server_address[1]}/", titles
        server.shutdown()


@pytest.fixture(scope="module")
def fleet(
    sandbox: SandboxClient,
    tmp_path_factory: pytest.TempPathFactory,
    operator_home: Path,
    recorder: tuple[str, list[str]],
) -> Iterator[Fleet]:
    """Its children answer, and nobody was told of anything yet; the watch goes on until the end."""
    directory, (url, told) = tmp_path_factory.mktemp("watched"), recorder
    operator = Operator(directory, operator_home, {"FLEET_SECRET_PLACE": url})
    operator.fleet("init", "--sandbox", "--name", directory.name)
    children = {name: {**CHILD, "version": NEWER, "bot": {"token": f"env:{name.upper()}_BOT_TOKEN"}} for name in NAMES}
    declared = {
        "fleet": directory.name,
        "cloud": {"provider": "sandbox"},
        "monitoring": {"to": [{"url": "env:FLEET_SECRET_PLACE"}]},
        "children": children,
    }
    (directory / "fleet.yaml").write_text(yaml.safe_dump(declared, sort_keys=False))
    try:
        operator.fleet("apply", "--yes", timeout=1200)
        made = Fleet(operator, sandbox, told)
        made.machines = {name: int(made.server(name)["id"]) for name in NAMES}
        yield made
    finally:
        spared = [word for name in NAMES for word in ("--no-backup", name)]
        operator.fleet("destroy", "--all", "--yes", *spared, code=None)


@contextmanager
def watching(fleet: Fleet) -> Iterator[None]:
    watch = fleet.operator.start("monitor", "--watch", str(EVERY), "--json")
    try:
        yield
    finally:
        os.killpg(watch.pid, signal.SIGINT)
        watch.wait(60)


def test_thirty_passes_over_three_real_children_raise_no_false_alarm(
    fleet: Fleet, record_property: RecordProperty
) -> None:
    with watching(fleet):
        wait_until(lambda: len(fleet.passes()) >= 30, "thirty passes", 30 * EVERY + 200)
        seen = fleet.passes()
    assert fleet.told == []
    ill = [(name, it["troubles"]) for found in seen for name, it in found["children"].items() if it["troubles"]]
    assert ill == []
    record_property("passes without an alarm over three real children", str(len(seen)))


@pytest.mark.parametrize("number", range(len(ROUNDS)))
def test_every_fault_is_found_soon_told_once_and_told_once_when_it_is_over(
    fleet: Fleet, number: int, record_property: RecordProperty
) -> None:
    wrong, lanes_of = list[str](), ROUNDS[number]
    for name in ("monitor.sqlite", "monitor.sqlite-wal", "monitor.sqlite-shm"):
        (fleet.operator.directory / "state" / name).unlink(missing_ok=True)
    fleet.told.clear()
    with watching(fleet):
        wait_until(lambda: len(fleet.passes()) >= 2, "the first passes", 120)
        with ThreadPoolExecutor(len(lanes_of)) as lanes:
            ends = [lanes.submit(go_through, fleet, name, faults) for name, faults in lanes_of.items()]
            for end in ends:
                told, problems = end.result()
                wrong += problems
                for what, seconds in told.items():
                    record_property(what, seconds)
    assert wrong == [], "\n".join(wrong)


def go_through(fleet: Fleet, child: str, faults: tuple[Fault, ...]) -> tuple[dict[str, str], list[str]]:
    """How long each took to be told, and what was not as it shall be."""
    seconds, wrong = dict[str, str](), list[str]()
    for fault in faults:
        before = len(fleet.titles(child))
        try:
            found, problems = befall(fleet, child, fault, before)
            seconds[f"{fault.name}: told after"] = f"{found:.0f} s"
            wrong += [f"{fault.name}: {it}" for it in problems]
        except AssertionError as error:
            wrong.append(f"{fault.name}: {error}; told: {fleet.titles(child)[before:]}")
    return seconds, wrong


def befall(fleet: Fleet, child: str, fault: Fault, before: int) -> tuple[float, list[str]]:
    """The seconds until it was told, and what was not as it shall be. AssertionError: it is not told, or not over."""
    began, passes = time.monotonic(), len(fleet.passes())
    with fault.lasting(fleet, child):
        wait_until(lambda: len(fleet.titles(child)) > before, f"{fault.name} is told", SOON + fault.evidence)
        took = time.monotonic() - began
        problems = list(judged(fleet, child, fault, passes))
    wait_until(lambda: len(fleet.titles(child)) > before + 1, f"{fault.name} is over", 420)
    titles = fleet.titles(child)[before:]
    if not (titles[0].endswith(fault.cause) and "RESOLVED" in titles[1] and len(titles) == 2):
        problems.append(str(titles))
    return took, problems


def judged(fleet: Fleet, child: str, fault: Fault, passes: int) -> Iterator[str]:
    """By the pass that has told it: its cause and its layer come first, and as few passes saw it as fire an alert."""
    seen = [it["children"][child]["troubles"] for it in fleet.passes()[passes:]]
    first = next((number for number, troubles in enumerate(seen) if troubles), None)
    if first is None:
        yield "no pass has seen it"
        return
    found = seen[-1][0] if seen[-1] else {}
    if (found.get("cause"), found.get("check")) != (fault.cause, fault.layer):
        yield f"seen was {seen[-1]}"
    if len(seen) - first > 4:
        yield f"told {len(seen) - first} passes after it was seen first: {seen[first:]}"


def test_what_is_asked_seldom_is_found_by_who_asks_all_at_once(fleet: Fleet) -> None:
    """A model key that was revoked: it is asked for once an hour in a watch."""
    elsewhere = {"CI": "1", "FLEET_STATE_DIR": str(fleet.operator.directory / "elsewhere")}
    once = Operator(fleet.operator.directory, fleet.operator.home, {**fleet.operator.more, **elsewhere})
    fleet.sandbox.break_model(ModelFault.UNAUTHORIZED)
    try:
        found = json.loads(once.fleet("monitor", "--json", "--no-alerts", code=2))["children"]
    finally:
        fleet.sandbox.break_model(None)
    causes = {name: it["troubles"][0]["cause"] for name, it in found.items()}
    assert causes == dict.fromkeys(NAMES, Cause.MODEL_KEY_REFUSED)


def test_a_watch_mends_what_the_file_lets_it_and_wakes_nobody(fleet: Fleet, record_property: RecordProperty) -> None:
    file = fleet.operator.directory / "fleet.yaml"
    declared = yaml.safe_load(file.read_text())
    lets = {"resuscitate": {"up_to": "config"}, "drift": {"*": "fix"}}
    file.write_text(yaml.safe_dump({**declared, "defaults": {"monitoring": lets}}, sort_keys=False))
    fleet.told.clear()
    with watching(fleet):
        wait_until(lambda: len(fleet.passes()) >= 2, "the first passes", 120)
        began, before = time.monotonic(), len(fleet.passes())
        fleet.inside("ada", f"{BROKEN}; systemctl restart {GATEWAY} || true")  # exit code 78
        fleet.inside("bea", f"echo >>{STAMP}")
        wait_until(lambda: "bea: put back: " in fleet.operator.heard(), "drift is put back", 120)
        wait_until(lambda: "ada: config-refused: well again" in fleet.operator.heard(), "ada is brought back", 300)
        record_property("config refused: mended by a watch after", f"{time.monotonic() - began:.0f} s")
        wait_until(lambda: is_well(fleet.passes()[-1]), "all are well", 120)
        seen = fleet.passes()[before:]
    assert fleet.told == []
    assert all(it["children"]["cyd"]["troubles"] == [] for it in seen)
    assert len(seen) >= 4  # they went on meanwhile


def is_well(found: dict[str, Any]) -> bool:
    return not any(it["troubles"] for it in found["children"].values())
