"""A client that we did not write - Debian's hcloud - works on the emulator."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.contract.conftest import TOKEN, Emulator
from tests.contract.test_cloud_contract import KEY

Hcloud: TypeAlias = Callable[..., str]


@pytest.fixture
def hcloud(emulator: Emulator, tmp_path: Path) -> Hcloud:
    """Runs `hcloud` on the emulator, away from the user's own configuration; its output."""
    ours = {"HCLOUD_TOKEN": TOKEN, "HCLOUD_ENDPOINT": emulator.url, "HOME": str(tmp_path), "NO_PROXY": "127.0.0.1"}

    def run(*arguments: str) -> str:
        command = ["hcloud", *arguments]
        done = subprocess.run(command, env={**os.environ, **ours}, capture_output=True, text=True, timeout=20)
        assert done.returncode == 0, f"{command}: {done.stderr} (the program is in Debian's package hcloud-cli)"
        return done.stdout

    return run


def test_the_debian_client_creates_lists_describes_and_deletes(
    hcloud: Hcloud, emulator: Emulator, tmp_path: Path
) -> None:
    (tmp_path / "key.pub").write_text(KEY)
    hcloud("ssh-key", "create", "--name", "me", "--public-key-from-file", str(tmp_path / "key.pub"))
    hcloud("firewall", "create", "--name", "fw", "--label", "env=prod")
    where = ("--location", "fsn1", "--type", "cpx22", "--image", "debian-12")
    hcloud("server", "create", "--name", "web", *where, "--ssh-key", "me", "--firewall", "fw", "--label", "env=prod")

    (listed,) = _json(hcloud("server", "list", "-l", "env=prod", "-o", "json"))
    described = _json(hcloud("server", "describe", "web", "-o", "json"))
    assert listed["id"] == described["id"]
    assert (described["name"], described["status"]) == ("web", "running")
    assert described["labels"] == {"env": "prod"}
    assert described["public_net"]["ipv4"]["ip"] == "10.213.0.10"
    assert list(emulator.machines.running) == [described["id"]]

    emulator.settle()
    hcloud("server", "delete", "web")
    emulator.settle()
    assert hcloud("server", "list", "-o", "noheader").strip() == ""
    assert emulator.machines.machines == {}
    hcloud("firewall", "delete", "fw")
    hcloud("ssh-key", "delete", "me")
    assert emulator.world.ssh_keys.by_id == {}


def test_the_debian_client_switches_and_labels(hcloud: Hcloud, emulator: Emulator) -> None:
    hcloud("server", "create", "--name", "web", "--type", "cpx22", "--image", "debian-12", "--location", "hel1")
    hcloud("server", "add-label", "web", "a=b")
    hcloud("server", "poweroff", "web")
    (server,) = emulator.world.servers.values()
    assert (server.status, server.labels) == ("off", {"a": "b"})
    hcloud("server", "poweron", "web")
    assert emulator.world.servers[server.id].status == "running"


@pytest.mark.parametrize(
    "kind",
    [
        "server-type",
        "location",
        "image",
        "network",
        "volume",
        "placement-group",
        "primary-ip",
        "load-balancer",
        "floating-ip",
    ],
)
def test_the_debian_client_lists_every_kind_of_resource(hcloud: Hcloud, kind: str) -> None:
    listed = hcloud(kind, "list", "-o", "noheader").splitlines()
    expected = {"server-type": "cpx22", "location": "fsn1", "image": "debian-12"}.get(kind)
    assert any(expected in line for line in listed) if expected else listed == []


def _json(text: str) -> Any:
    return json.loads(text)
