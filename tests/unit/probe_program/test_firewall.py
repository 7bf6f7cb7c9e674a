"""The look at the firewall: what is wanted, and everything that somebody may have done to it."""

from __future__ import annotations

import pytest

from reconciler.model import Json
from tests.unit.probe_program.conftest import Disk

WANTED = {"enabled": True, "incoming": "deny", "outgoing": "allow", "rules": ["22/tcp"], "foreign": []}


def firewall(disk: Disk, *, live: str = "", saved: str = "") -> Json:
    """A closed firewall that lets SSH in, with something more in the kernel or in ufw's file."""
    for tool, family, anywhere, file in (
        ("iptables", "ufw", "0.0.0.0/0", "user.rules"),
        ("ip6tables", "ufw6", "::/0", "user6.rules"),
    ):
        more = (live, saved) if tool == "iptables" else ("", "")
        disk.prints(
            tool,
            f"-P INPUT DROP\n-P FORWARD DROP\n-P OUTPUT ACCEPT\n-N {family}-user-input\n"
            f"-A INPUT -j {family}-before-input\n-A OUTPUT -j {family}-before-output\n"
            f"-A {family}-user-input -p tcp -m tcp --dport 22 -j ACCEPT\n{more[0]}",
        )
        disk.write(
            f"/etc/ufw/{file}",
            f"*filter\n### tuple ### allow tcp 22 {anywhere} any {anywhere} in\n"
            f"-A {family}-user-input -p tcp --dport 22 -j ACCEPT\n{more[1]}COMMIT\n",
        )
    disk.write("/etc/ufw/ufw.conf", "# ufw\nENABLED=yes\n")
    return disk.look(kind="firewall")


def test_a_closed_firewall_that_lets_ssh_in(disk: Disk) -> None:
    assert firewall(disk) == WANTED


@pytest.mark.parametrize(
    "rule",
    [
        "-A INPUT -p tcp -m tcp --dport 9999 -j ACCEPT",
        '-A OUTPUT -m comment --comment "ufw-like words" -j DROP',
        "-A ufw-user-input -p udp --dport 53 -j ACCEPT",
    ],
)
def test_a_rule_past_ufw_is_seen(disk: Disk, rule: str) -> None:
    assert firewall(disk, live=rule + "\n") == {**WANTED, "foreign": [rule]}


def test_a_rule_of_ufw_is_seen_with_all_its_words(disk: Disk) -> None:
    saved = "### tuple ### deny any any 0.0.0.0/0 any 192.0.2.4 in\n-A ufw-user-input -s 192.0.2.4 -j DROP\n"
    answer = firewall(disk, live="-A ufw-user-input -s 192.0.2.4/32 -j DROP\n", saved=saved)
    assert answer == {**WANTED, "rules": ["22/tcp", "deny any any 0.0.0.0/0 any 192.0.2.4 in (IPv4 only)"]}


def test_a_rule_that_is_written_but_not_in_force_is_seen(disk: Disk) -> None:
    answer = firewall(disk, saved="-A ufw-user-input -p tcp --dport 80 -j ACCEPT\n")
    assert answer == {**WANTED, "foreign": ["missing: -A ufw-user-input -p tcp --dport 80 -j ACCEPT"]}


def test_the_order_of_a_rules_words_says_nothing(disk: Disk) -> None:
    answer = firewall(
        disk,
        live="-A ufw-user-input -s 192.0.2.0/24 -p tcp -m tcp --dport 22 -j ACCEPT\n",
        saved="-A ufw-user-input -p tcp --dport 22 -s 192.0.2.0/24 -j ACCEPT\n",
    )
    assert answer == WANTED


def test_a_rule_for_one_network_is_told_as_such(disk: Disk) -> None:
    rule = "### tuple ### allow tcp 22 0.0.0.0/0 any {} in\n"
    saved = rule.format("192.0.2.0/24") + rule.format("192.0.2.4")
    answer = firewall(disk, saved=saved)
    assert answer == {**WANTED, "rules": ["22/tcp", "22/tcp from 192.0.2.0/24", "22/tcp from 192.0.2.4/32"]}


PRISTINE = (
    "*filter\n:ufw-before-input - [0:0]\n-A ufw-before-input -i lo -j ACCEPT\n"
    "-A ufw-before-input -m conntrack --ctstate INVALID -j DROP\nCOMMIT\n"
)


@pytest.mark.parametrize(
    ("kernel", "file", "seen"),
    [
        ("-i lo -j ACCEPT|-m conntrack --ctstate INVALID -j DROP|-j ufw-user-input", PRISTINE, []),
        (
            "-s 192.0.2.1/32 -j ACCEPT|-i lo -j ACCEPT|-m conntrack --ctstate INVALID -j DROP",
            PRISTINE,
            ["ufw-before-input is not as its file has it"],
        ),
        ("-i lo -j ACCEPT", PRISTINE, ["ufw-before-input is not as its file has it"]),
        (
            "-i lo -j ACCEPT|-m conntrack --ctstate INVALID -j DROP",
            PRISTINE.replace("-i lo", "-i lo -p tcp"),
            ["/etc/ufw/before.rules is not as the package has it"],
        ),
    ],
)
def test_ufws_own_chains_and_files_are_ours_too(disk: Disk, kernel: str, file: str, seen: list[str]) -> None:
    disk.write("/usr/share/ufw/iptables/before.rules", PRISTINE)
    disk.write("/etc/ufw/before.rules", file)
    live = "".join(f"-A ufw-before-input {rule}\n" for rule in kernel.split("|"))
    assert firewall(disk, live=live) == {**WANTED, "foreign": seen}


def test_every_other_table_is_foreign(disk: Disk) -> None:
    disk.prints("nft", "table ip filter\ntable ip6 filter\ntable inet openclaw_deploy\ntable ip nat\n")
    assert firewall(disk) == {**WANTED, "foreign": ["table ip nat"]}


def test_an_open_policy_and_an_unconfirmed_change_are_seen(disk: Disk) -> None:
    firewall(disk)
    disk.prints("ip6tables", "-P INPUT ACCEPT\n-P OUTPUT ACCEPT\n")
    (disk.root / "run/openclaw-deploy/firewall-before").mkdir(parents=True)
    answer = disk.look(kind="firewall")
    assert isinstance(answer, dict)
    assert (answer["incoming"], answer["unconfirmed"]) == ("mixed", True)


def test_without_ufw_everything_is_open(disk: Disk) -> None:
    answer = {"enabled": False, "incoming": "allow", "outgoing": "allow", "rules": [], "foreign": []}
    assert disk.look(kind="firewall") == answer
