"""`fleet monitor install` on a real machine: its systemd and its cron call passes there, which see a real child.

The machine is the child itself: it looks after its own fleet, by the sandbox's cloud, which is lent to it. It has
nothing but a probe key and a token that may only read.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sysconfig
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest
import yaml

from reconciler import keys
from reconciler.commands.forced import BOT, CONFIG, UPDATES, WATCH, ask, models_of
from reconciler.commands.gateway import NO_FILE
from reconciler.errors import CommandFailed
from reconciler.managed import files
from reconciler.model import LABEL_PREFIX, Command, HostAddress, Secret
from reconciler.sandbox.client import SandboxClient
from reconciler.sandbox.info import SandboxInfo
from reconciler.sandbox.network import listen_in_switch
from reconciler.sandbox.paths import Paths
from reconciler.ssh import FabricDialer
from tests.e2e.machinery import ask_cloud, wait_until
from tests.e2e.minds import NEWER, Story, told

pytestmark = pytest.mark.e2e

PROJECT: Final = Path(__file__).parents[2]
PLACE: Final = "/opt/watcher"
SECRETS: Final = (files.GATEWAY_TOKEN_PATH, files.MODEL_KEY_PATH)
LENT: Final = 40999  # the port at which machines reach the cloud
LARGE: Final = ("__pycache__", "reconciler", "mypy", "mypyc", "playwright", "hypothesis", "pip", "grimp", "*.pyi")


@dataclass(frozen=True)
class Watcher:
    """A machine with the tool, a fleet file and its secrets on it."""

    story: Story
    name: str

    @property
    def key_file(self) -> str:
        return f"/root/.config/openclaw-deploy/{self.name}.key"

    def fleet(self, *words: str, code: int = 0) -> str:
        """As root who has logged in as that: of who calls sudo it would be the account."""
        environment = f". {self.key_file.removesuffix('.key')}.env; export FLEET_SANDBOX_TOKEN"
        program = f"env -u SUDO_USER HOME=/root PYTHONPATH={PLACE}/lib python3 -m reconciler {' '.join(words)}"
        return self.story.root(f"cd {PLACE}/fleet && {environment} && {program} 2>&1", code=code)

    def passes(self) -> int:
        """How many are remembered there, by when the last one was."""
        return int(self.story.root(f"stat -c %Y {PLACE}/fleet/state/monitor.sqlite 2>/dev/null || echo 0"))

    def forget(self) -> None:
        self.story.root(f"rm -f {PLACE}/fleet/state/monitor.sqlite*")


@pytest.fixture(scope="module")
def watcher(sandbox: SandboxClient, tmp_path_factory: pytest.TempPathFactory, operator_home: Path) -> Iterator[Watcher]:
    with told(sandbox, tmp_path_factory.mktemp("watcher"), operator_home) as story, lent() as endpoint:
        story.declare(NEWER)
        fleet_file = story.operator.directory / "fleet.yaml"
        fleet_file.write_text(f"{fleet_file.read_text()}keys: {{probe: 1}}\n")
        story.operator.fleet("apply", "--yes", timeout=900)
        name = story.operator.directory.name
        put_the_tool(machine_root(story.machine()), story, name, endpoint)
        yield Watcher(story, name)


def test_what_it_has_can_look_and_do_nothing_else(watcher: Watcher) -> None:
    seen = watcher.fleet("monitor", "--verbose", "--no-alerts")
    assert "HEALTHY" in seen, seen
    for words in (("plan",), ("apply", "--yes"), ("ssh", "ada", "--", "id"), ("restart", "ada", "--yes")):
        assert "is a probe key, which can only look" in watcher.fleet(*words, code=1), words
    probe = keys.parse_probe_key(Secret(watcher.story.root(f"cat {watcher.key_file}")))
    server = ask_cloud("GET", f"/servers/{watcher.story.machine()}")["server"]
    labels, address = server["labels"], server["public_net"]["ipv4"]["ip"]
    pin = str(keys.host_key_of_label(labels[f"{LABEL_PREFIX}host-key"]))
    login = (keys.probe_login_key(probe, labels[f"{LABEL_PREFIX}uid"]),)
    host = FabricDialer().connect(HostAddress(address, 22, files.LOGIN_USER, login, (pin,)), 10)
    with closing(host):
        for line in ("id", "watch; id", "cat /etc/openclaw/telegram.token"):
            with pytest.raises(
                CommandFailed, match="this key may only ask: watch, config, bot, updates, models-anthropic"
            ):
                host.run(Command("something", line))
        assert json.loads(host.run(ask(WATCH)).stdout.splitlines()[0])["gateway"]["ready"] is True
        assert host.run(ask(CONFIG, 90, check=False)).exit_code == 0
        assert host.run(ask(models_of("anthropic"))).stdout == b"200\n"
        assert json.loads(host.run(ask(BOT)).stdout) == {"code": "200", "webhook": ""}
        assert re.fullmatch(rb"\d+ \d{10}\n", host.run(ask(UPDATES)).stdout)
        every = [WATCH, CONFIG, BOT, UPDATES, models_of("anthropic")]
        said = b"".join(host.run(ask(word, check=False)).stdout for word in every)
        # What root alone may read its gateway does not get by a link.
        place = files.CONFIG_PATH
        watcher.story.root(f"cp -p {place} /run/config && ln -sfn /etc/shadow {place}")
        linked = host.run(ask(CONFIG, 90, check=False))
        watcher.story.root(f"rm {place} && cp -p /run/config {place}")
        assert (linked.exit_code, linked.stdout) == (NO_FILE, b"")
        secrets = [watcher.story.token, *(watcher.story.root(f"cat {path}") for path in SECRETS)]
        assert [secret for secret in secrets if secret.encode() in said] == []


def test_systemd_calls_it_once_installed_twice_and_no_more_when_it_is_taken_away(watcher: Watcher) -> None:
    said = watcher.fleet("monitor", "install", "systemd")
    unit = f"fleet-monitor-{watcher.name}"
    assert f"Running: {unit}.timer" in said
    assert "It is there already" in watcher.fleet("monitor", "install", "systemd")
    wait_until(lambda: watcher.passes() > 0, "a pass by systemd", 120)
    state = f"systemctl show -p Result -p ActiveState --value {unit}.service"
    wait_until(lambda: "inactive" in watcher.story.root(state), "its end", 60)
    assert "success" in watcher.story.root(state), watcher.story.root(f"journalctl -u {unit} -n 30 --no-pager")
    assert "HEALTHY" in watcher.fleet("history", "ada")
    watcher.fleet("monitor", "install", "systemd", "--remove")
    assert watcher.story.root(
        f"systemctl list-unit-files --no-legend '{unit}*'; ls /etc/systemd/system/{unit}* 2>&1; true"
    ) in (
        "",
        f"ls: cannot access '/etc/systemd/system/{unit}*': No such file or directory",
    )


def test_cron_calls_it_every_minute(watcher: Watcher) -> None:
    watcher.forget()
    assert "Written: its lines in the crontab of root" in watcher.fleet("monitor", "install", "cron")
    watcher.story.root("systemctl is-active cron || systemctl start cron")
    wait_until(lambda: watcher.passes() > 0, "a pass by cron", 150)
    first = watcher.passes()
    wait_until(lambda: watcher.passes() > first, "the next one", 150)
    assert "HEALTHY" in watcher.fleet("history", "ada")
    assert "Deleted" in watcher.fleet("monitor", "install", "cron", "--remove")
    assert watcher.story.root("crontab -l 2>/dev/null | grep -c fleet-monitor; true") == "0"


def test_a_gateways_own_cron_calls_it_and_asks_no_model(watcher: Watcher, sandbox: SandboxClient) -> None:
    """As its own account, which owns a copy of the fleet file; the model stands by and hears nothing."""
    story, home, unit = watcher.story, f"{files.HOME}/watch", f"fleet-monitor-{watcher.name}"
    node = f"/opt/openclaw/node-{files.NODE_VERSION}/bin"
    story.root(
        f"mkdir -p {home}/fleet {home}/bin {files.HOME}/.config/openclaw-deploy && "
        f"cp {PLACE}/fleet/fleet.yaml {home}/fleet && "
        f"cp /root/.config/openclaw-deploy/{watcher.name}.* {files.HOME}/.config/openclaw-deploy && "
        f"printf '#!/bin/sh\\nexec {node}/node {files.CURRENT}/node_modules/openclaw/openclaw.mjs \"$@\"\\n' "
        f">{home}/bin/openclaw && chmod 0755 {home}/bin/openclaw && "
        f"chown -R openclaw:openclaw {home} {files.HOME}/.config && chmod a+r {Paths.default().info}"
    )

    def as_openclaw(words: str) -> str:
        environment = f"HOME={files.HOME} PATH={home}/bin:{node}:/usr/bin:/bin PYTHONPATH={PLACE}/lib"
        return story.root(f"cd {home}/fleet && runuser -u openclaw -- env -u SUDO_USER {environment} {words} 2>&1")

    install = "python3 -m reconciler monitor install openclaw"
    before = len(sandbox.model_requests())
    assert f"Written: the job {unit}" in as_openclaw(install)
    as_openclaw(install)
    jobs = json.loads(as_openclaw("openclaw cron list --json"))["jobs"]
    assert [job["name"] for job in jobs if "fleet-monitor" in job["name"]] == [unit]
    seen = f"stat -c %Y {home}/fleet/state/monitor.sqlite 2>/dev/null || echo 0"
    wait_until(lambda: story.root(seen) != "0", "a pass by the gateway's cron", 200)
    assert "HEALTHY" in as_openclaw("python3 -m reconciler history ada")
    assert len(sandbox.model_requests()) == before
    assert f"Deleted: the job {unit}" in as_openclaw(f"{install} --remove")
    assert "It is not there." in as_openclaw(f"{install} --remove")


# --- the tool on a machine of the sandbox ---------------------------------------------------------------------------


def put_the_tool(root: Path, story: Story, name: str, endpoint: str) -> None:
    """Its packages, its source, a fleet file that wants a pass each minute, and secrets where they are looked for."""
    site, place = Path(sysconfig.get_paths()["purelib"]), root / PLACE.lstrip("/")
    shutil.copytree(site, place / "lib", symlinks=True, ignore=shutil.ignore_patterns(*LARGE))
    for name_of_it in ("reconciler", "schemas"):
        left_out = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PROJECT / name_of_it, place / "lib" / name_of_it, ignore=left_out, dirs_exist_ok=True)
    fleet = yaml.safe_load((story.operator.directory / "fleet.yaml").read_text())
    (place / "fleet").mkdir()
    (place / "fleet/fleet.yaml").write_text(yaml.safe_dump({**fleet, "monitoring": {"interval": "1m"}}))
    home = root / "root/.config/openclaw-deploy"
    home.mkdir(parents=True, exist_ok=True)
    (home / f"{name}.key").touch(0o600)
    (home / f"{name}.key").write_text(story.operator.fleet("key", "export", "--read-only"))
    token = Paths.default().read_only_token.read_text().strip()
    (home / f"{name}.env").write_text(f"PYTHONPATH='{PLACE}/lib'\nFLEET_SANDBOX_TOKEN='{token}'\n")
    (home / f"{name}.env").chmod(0o600)
    info = Paths.default().info.read_text().replace(SandboxInfo.from_file(Paths.default().info).endpoint, endpoint)
    told_there = root / str(Paths.default().info).lstrip("/")
    told_there.parent.mkdir(exist_ok=True)
    told_there.write_text(info)


def machine_root(machine: int) -> Path:
    """The root directory of a running machine, as its first process sees it."""
    found = subprocess.run(
        ["pgrep", "-f", f"systemd-nspawn .*--machine=fsb-{machine} "], capture_output=True, text=True
    )
    for outer in found.stdout.split():
        inner = subprocess.run(["pgrep", "-P", outer], capture_output=True, text=True, check=False).stdout.split()
        for number in inner:
            if Path(f"/proc/{number}/comm").read_text().strip() == "systemd":
                return Path(f"/proc/{number}/root")
    raise AssertionError(f"machine {machine} does not run")


@contextmanager
def lent() -> Iterator[str]:
    """The cloud's endpoint, at an address that machines reach."""
    info = SandboxInfo.from_file(Paths.default().info)
    target = "127.0.0.1", urlsplit(info.endpoint).port
    with listen_in_switch(info.service, LENT) as listener:
        threading.Thread(target=_serve, args=(listener, target), daemon=True).start()
        yield f"http://{info.service}:{LENT}/v1"


def _serve(listener: socket.socket, target: tuple[str, int | None]) -> None:
    with suppress(OSError):
        while True:
            near, _ = listener.accept()
            threading.Thread(target=_forward, args=(near, target), daemon=True).start()


def _forward(near: socket.socket, target: tuple[str, int | None]) -> None:
    with near, socket.create_connection(target) as far:
        back = threading.Thread(target=_pump, args=(far, near), daemon=True)
        back.start()
        _pump(near, far)
        back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
