"""A machine of the sandbox behaves like a fresh cloud VM. Needs root; uses the sandbox that is up, else its own."""

from __future__ import annotations

import subprocess
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.sandbox import lifecycle, network
from reconciler.sandbox.machine import NspawnMachines
from reconciler.sandbox.paths import Paths
from reconciler.sandbox.ports import MachineSpec

pytestmark = pytest.mark.e2e

PATHS = Paths.default()
FIRST, SECOND = 900_001, 900_002


@dataclass(frozen=True)
class Lab:
    """Two booted machines, made without the emulator, and a key that opens them."""

    machines: NspawnMachines
    folder: Path
    addresses: dict[int, str]

    def ssh(self, machine: int, command: str) -> str:
        """What the command prints there, failed or not; "" while the machine cannot be reached."""
        options = ["-q", "-i", str(self.folder / "key"), "-o", f"UserKnownHostsFile={self.folder / 'known_hosts'}"]
        strict = ["-o", "StrictHostKeyChecking=yes", "-o", "ConnectTimeout=2", "-o", "BatchMode=yes"]
        login = f"fleet@{self.addresses[machine]}"
        asked = subprocess.run(["ssh", *options, *strict, login, command], capture_output=True, text=True, timeout=90)
        return asked.stdout.strip()

    def boot_id(self, machine: int) -> str:
        return self.ssh(machine, "cat /proc/sys/kernel/random/boot_id")

    def boots_anew(self, machine: int, act: Callable[[int], None]) -> bool:
        """Whether the machine is back under another boot id after `act`, its disk still the same."""
        before = self.boot_id(machine)
        self.ssh(machine, "echo kept | sudo tee /root/note && sync")
        act(machine)
        _until(lambda: self.boot_id(machine) not in ("", before))
        return self.ssh(machine, "sudo cat /root/note") == "kept"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    info, started = lifecycle.up(PATHS, lambda what, seconds: None)
    folder = tmp_path_factory.mktemp("lab")
    user_data, host_key = _user_data(folder)
    addresses = {FIRST: str(info.network[201]), SECOND: str(info.network[202])}
    (folder / "known_hosts").write_text("".join(f"{address} {host_key}\n" for address in addresses.values()))
    machines = NspawnMachines(PATHS, info.network)
    try:
        for machine, address in addresses.items():
            machines.create(MachineSpec(machine, f"lab-{machine}", address, "debian-12", user_data, 1024))
        ready = Lab(machines, folder, addresses)
        for machine in addresses:
            _until(lambda at=machine: "done" in ready.ssh(at, "cloud-init status --wait"))  # type: ignore[misc]
        yield ready
    finally:
        for machine in addresses:
            machines.destroy(machine)
        if started:
            lifecycle.down(PATHS)


def test_cloud_init_has_run_the_user_data_on_a_healthy_system(lab: Lab) -> None:
    assert lab.ssh(FIRST, "cat /etc/greeting; hostname; systemctl is-system-running") == f"hi\nlab-{FIRST}\nrunning"
    assert lab.ssh(FIRST, "stat -c %a /dev/null; systemctl is-enabled apt-daily.timer") == "666\nenabled"


def test_nothing_of_ours_is_in_the_image(lab: Lab) -> None:
    found = lab.ssh(FIRST, "getent passwd openclaw; command -v ufw node npm openclaw; ls -d /opt/* /etc/openclaw*")
    assert found == ""


def test_a_machine_reaches_its_neighbour_and_no_way_out(lab: Lab) -> None:
    neighbour, gateway = lab.addresses[SECOND], f"{lab.machines.subnet[1]}"
    assert "1 received" in lab.ssh(FIRST, f"ping -c1 -W2 {neighbour}")
    assert "Net Unreachable" in lab.ssh(FIRST, "ping -c1 -W2 192.0.2.1")
    lab.ssh(FIRST, f"sudo ip route add 192.0.2.0/24 via {gateway}")
    assert "0 received" in lab.ssh(FIRST, "ping -c1 -W2 192.0.2.1"), "the operator's machine forwards"
    assert lab.ssh(FIRST, f"timeout 2 bash -c 'echo > /dev/tcp/{gateway}/22' 2>&1; echo $?") == "124"


@pytest.mark.parametrize("way", ["reboot", "reset", "power off and on", "shutdown and on", "reboot from inside"])
def test_every_way_to_boot_again_is_a_new_boot_of_the_same_disk(lab: Lab, way: str) -> None:
    def off_and_on(stop: Callable[[int], None]) -> Callable[[int], None]:
        def act(machine: int) -> None:
            stop(machine)
            _until(lambda: not lab.machines.is_running(machine))
            lab.machines.power_on(machine)

        return act

    ways: dict[str, Callable[[int], object]] = {
        "reboot": lab.machines.reboot,
        "reset": lab.machines.reset,
        "power off and on": off_and_on(lab.machines.power_off),
        "shutdown and on": off_and_on(lab.machines.shutdown),
        "reboot from inside": lambda machine: lab.ssh(machine, "sudo systemctl reboot"),
    }
    neighbour = lab.boot_id(SECOND)

    assert lab.boots_anew(FIRST, lambda machine: (ways[way](machine), None)[1])
    assert lab.boot_id(SECOND) == neighbour


def test_its_memory_is_limited_to_what_was_ordered(lab: Lab) -> None:
    eat = "import sys; b = bytearray(1500 * 2**20); print(len(b))"
    assert lab.ssh(FIRST, f"python3 -c '{eat}'; echo $?") == "137"


def test_no_environment_of_ours_gets_into_a_machine(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HCLOUD_TOKEN", "operator's own")
    lab.machines.power_off(SECOND)
    lab.machines.power_on(SECOND)
    _until(lambda: lab.boot_id(SECOND) != "")

    assert "HCLOUD_TOKEN" not in lab.ssh(SECOND, "sudo cat /proc/1/environ | tr '\\0' '\\n'")
    assert "container=systemd-nspawn" in lab.ssh(SECOND, "sudo cat /proc/1/environ | tr '\\0' '\\n'")


def _user_data(folder: Path) -> tuple[str, str]:
    """A cloud-config with a login and a known host key; the host's public key beside it."""
    for name in ("key", "host"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", folder / name], check=True)
    host_key = (folder / "host.pub").read_text().strip()
    private = textwrap.indent((folder / "host").read_text(), "    ")
    document = (
        f"#cloud-config\nssh_deletekeys: true\nssh_keys:\n  ed25519_private: |\n{private}  ed25519_public: {host_key}\n"
        "users:\n- name: fleet\n  shell: /bin/bash\n  sudo: ['ALL=(ALL) NOPASSWD:ALL']\n  ssh_authorized_keys:\n"
        f"  - {(folder / 'key.pub').read_text().strip()}\n"
        "write_files:\n- path: /etc/greeting\n  content: |\n    hi\n"
    )
    return document, host_key


def _until(holds: Callable[[], bool], timeout: float = 40.0) -> None:
    deadline = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def test_the_switch_keeps_its_address_whatever_comes_and_goes(lab: Lab) -> None:
    """Whoever has spoken to the cloud's services knows them by it, and would get no answer for seconds."""

    def address() -> str:
        shown = subprocess.run(
            ["ip", "-n", network.SWITCH, "-o", "link", "show", "switch"], capture_output=True, text=True
        )
        return shown.stdout.split("link/ether ")[1].split()[0]

    before, others = address(), range(900_101, 900_107)
    for number in others:
        network.machine_up(number)
    try:
        assert address() == before
    finally:
        for number in others:
            network.machine_down(number)
    assert address() == before
