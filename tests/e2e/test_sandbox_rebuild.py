"""A machine's disk put away as a snapshot, made anew from an image, and its memory changed. Needs root.

Uses the sandbox that is up, else its own; works without the emulator.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.sandbox import lifecycle
from reconciler.sandbox.machine import NspawnMachines
from reconciler.sandbox.paths import Paths
from reconciler.sandbox.ports import MachineSpec
from tests.e2e.machinery import wait_until
from tests.e2e.test_sandbox_machines import Lab

pytestmark = pytest.mark.e2e

PATHS = Paths.default()
FIRST, SECOND = 900_011, 900_012
IMAGE = "snapshot-900011"
EAT = "python3 -c 'b = bytearray(700 * 2**20)'; echo $?"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """One booted machine, and the address of a second that is not made yet."""
    info, started = lifecycle.up(PATHS, lambda what, seconds: None)
    machines = NspawnMachines(PATHS, info.network)
    addresses = {FIRST: str(info.network[203]), SECOND: str(info.network[204])}
    lab = Lab(machines, tmp_path, addresses)
    _make_keys(lab)
    try:
        machines.create(_spec(lab, FIRST, "debian-12"))
        _wait_for_first_boot(lab, FIRST)
        yield lab
    finally:
        for machine in addresses:
            machines.destroy(machine)
        machines.remove_image(IMAGE)
        if started:
            lifecycle.down(PATHS)


def test_a_rebuild_is_a_first_boot_on_a_fresh_disk_at_the_same_address(lab: Lab) -> None:
    lab.ssh(FIRST, "echo mine | sudo tee /root/note")
    before = lab.ssh(FIRST, "cat /etc/machine-id")

    lab.machines.rebuild(FIRST, "debian-12", None)
    _wait_for_first_boot(lab, FIRST)
    assert lab.ssh(FIRST, "sudo cat /root/note; cat /etc/greeting") == "hi", "its user data has run again"
    assert lab.ssh(FIRST, "cat /etc/machine-id") not in {"", before}

    lab.machines.rebuild(FIRST, "debian-12", _user_data(lab.folder, "hello"))
    _wait_for_first_boot(lab, FIRST)
    assert lab.ssh(FIRST, "cat /etc/greeting") == "hello"


def test_a_snapshot_makes_another_machine_and_lasts_as_long_as_that(lab: Lab) -> None:
    lab.ssh(FIRST, "echo mine | sudo tee /root/note; sudo rm /etc/cron.d/* ; sudo touch /var/lib/cloud/instance/mark")
    identity = "cat /etc/machine-id; hostname; sudo ls /var/lib/cloud/instance/mark"
    first = lab.ssh(FIRST, identity)

    lab.machines.snapshot(FIRST, IMAGE)
    assert lab.ssh(FIRST, "echo awake") == "awake", "it was frozen only for the copy"
    lab.machines.destroy(FIRST)
    lab.machines.create(_spec(lab, SECOND, IMAGE))
    _wait_for_first_boot(lab, SECOND)
    assert lab.ssh(SECOND, "sudo cat /root/note; ls /etc/cron.d | wc -l") == "mine\n0"
    assert not set(lab.ssh(SECOND, identity).split()) & set(first.split())
    assert lab.ssh(SECOND, "systemctl is-system-running") == "running"

    lab.machines.remove_image(IMAGE)
    assert lab.ssh(SECOND, "sudo cat /root/note") == "mine"
    lab.machines.destroy(SECOND)
    assert not (PATHS.snapshots / IMAGE).exists()


def test_a_resize_counts_from_the_next_boot(lab: Lab) -> None:
    assert lab.ssh(FIRST, EAT) == "137"
    lab.machines.power_off(FIRST)
    lab.machines.resize(FIRST, 1024)
    lab.machines.power_on(FIRST)
    wait_until(lambda: lab.boot_id(FIRST) != "", "the machine is back", 40)
    assert lab.ssh(FIRST, EAT) == "0"


def _spec(lab: Lab, machine: int, image: str) -> MachineSpec:
    return MachineSpec(
        machine, f"lab-{machine}", lab.addresses[machine], image, _user_data(lab.folder, "hi"), memory_mb=512
    )


def _wait_for_first_boot(lab: Lab, machine: int) -> None:
    wait_until(lambda: "done" in lab.ssh(machine, "cloud-init status --wait"), "cloud-init is done", 60)


def _make_keys(lab: Lab) -> None:
    for name in ("key", "host"):
        file = lab.folder / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", file], check=True)
    host_key = (lab.folder / "host.pub").read_text().strip()
    known = "".join(f"{address} {host_key}\n" for address in lab.addresses.values())
    (lab.folder / "known_hosts").write_text(known)


def _user_data(folder: Path, greeting: str) -> str:
    private = "".join(f"    {line}\n" for line in (folder / "host").read_text().splitlines())
    return (
        f"#cloud-config\nssh_deletekeys: true\nssh_keys:\n  ed25519_private: |\n{private}"
        f"  ed25519_public: {(folder / 'host.pub').read_text().strip()}\n"
        "users:\n- name: fleet\n  shell: /bin/bash\n  sudo: ['ALL=(ALL) NOPASSWD:ALL']\n  ssh_authorized_keys:\n"
        f"  - {(folder / 'key.pub').read_text().strip()}\n"
        f"write_files:\n- path: /etc/greeting\n  content: |\n    {greeting}\n"
    )
