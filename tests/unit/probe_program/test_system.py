"""Who may get in and what systemd has read: what is ours, and what somebody put beside it."""

from __future__ import annotations

import pytest

from reconciler.model import Json
from tests.unit.probe_program.conftest import Disk

SSHD: dict[str, Json] = {
    "kind": "sshd",
    "user": "fleet",
    "settings": ["permitrootlogin", "allowusers"],
    "ours": "10-ours.conf",
}


def test_what_sshd_says_holds(disk: Disk) -> None:
    disk.prints("sshd", "port 22\npermitrootlogin no\nallowusers fleet\nallowusers root\n")
    settings = {"permitrootlogin": "no", "allowusers": "fleet root"}
    assert disk.look(**SSHD) == {"settings": settings, "foreign": []}
    (disk.root / "run/openclaw-deploy/access-before").mkdir(parents=True)
    assert disk.look(**SSHD) == {"settings": settings, "foreign": [], "unconfirmed": True}


@pytest.mark.parametrize(
    ("name", "text", "foreign"),
    [
        ("10-ours.conf", "PermitRootLogin no", []),
        ("50-cloud-init.conf", "PasswordAuthentication no", []),
        ("50-other.conf.off", "Match User root", []),
        ("00-first.conf", "Banner none", ["00-first.conf"]),
        ("90-last.conf", "Port 22\n  match user root\n PermitRootLogin yes", ["90-last.conf"]),
        ("90-last.conf", "Include /root/more", ["90-last.conf"]),
    ],
)
def test_a_drop_in_that_may_beat_ours_is_foreign(disk: Disk, name: str, text: str, foreign: Json) -> None:
    disk.write(f"/etc/ssh/sshd_config.d/{name}", text)
    assert disk.look(**SSHD) == {"settings": {}, "foreign": foreign}


def test_conditions_in_sshds_main_file_are_foreign(disk: Disk) -> None:
    disk.write("/etc/ssh/sshd_config", "#Match User x\nUsePAM yes\n")
    assert disk.look(**SSHD) == {"settings": {}, "foreign": []}
    disk.write("/etc/ssh/sshd_config", "UsePAM yes\nMatch User root\n")
    assert disk.look(**SSHD) == {"settings": {}, "foreign": ["sshd_config has conditions"]}


@pytest.mark.parametrize(
    ("name", "text", "is_foreign"),
    [
        ("90-cloud-init-users", "# User rules\nfleet ALL=(ALL) NOPASSWD:ALL\n", False),
        ("zz-ours", "ann ALL=(ALL) NOPASSWD: ALL", False),
        ("ann", "ann ALL=(ALL) ALL", False),
        ("ann.off", "ann ALL=(ALL) NOPASSWD: ALL", False),
        ("ann~", "ann ALL=(ALL) NOPASSWD: ALL", False),
        ("README", "# %sudo ALL=(ALL) NOPASSWD: ALL", False),
        ("ann", "ann ALL=(ALL) NOPASSWD: ALL", True),
        ("number", "#1000 ALL=(ALL) NOPASSWD: ALL", True),
        ("two-lines", "%staff ALL=(ALL) \\\n  NOPASSWD: ALL", True),
        ("defaults", "Defaults:ann ! authenticate", True),
    ],
)
def test_only_our_account_becomes_root_without_a_password(disk: Disk, name: str, text: str, is_foreign: bool) -> None:
    path = disk.write(f"/etc/sudoers.d/{name}", text, 0o440)
    answer = disk.look(kind="sudoers", user="fleet", ours="zz-ours")
    assert answer == ([f"/etc/sudoers.d/{path.name}"] if is_foreign else [])


def test_a_unit_as_it_is_loaded(disk: Disk) -> None:
    disk.prints("systemctl", "FragmentPath=/etc/a.service\nDropInPaths=/run/a /run/b\nNeedDaemonReload=yes\n")
    answer: Json = {"from": "/etc/a.service", "drop_ins": ["/run/a", "/run/b"], "outdated": True}
    assert disk.look(kind="loaded", units=["a.service"]) == {"a.service": answer}
    disk.prints("systemctl", "FragmentPath=\nDropInPaths=\nNeedDaemonReload=no\n")
    assert disk.look(kind="loaded", units=["a.service"]) == {"a.service": None}
