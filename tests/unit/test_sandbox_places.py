"""Where the sandbox puts itself: its subnet, its control groups, and what it tells about them."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from reconciler.errors import SandboxError
from reconciler.model import NodeDistribution
from reconciler.sandbox import cgroups
from reconciler.sandbox.info import SandboxInfo
from reconciler.sandbox.subnet import CANDIDATES, choose_subnet, parse_subnet

OWN = "4:memory:/jobs/7\n3:cpu:/\n1:name=systemd:/\n0::/session\n"


def test_the_first_candidate_is_taken_on_a_quiet_machine() -> None:
    assert choose_subnet([IPv4Network("192.0.2.0/24")]) == CANDIDATES[0]


@pytest.mark.parametrize("taken", ["10.91.0.0/16", "10.91.0.128/25", "10.91.0.7/32"])
def test_a_candidate_that_is_routed_or_resolved_into_is_passed_over(taken: str) -> None:
    assert choose_subnet([IPv4Network(taken)]) == CANDIDATES[1]


def test_a_vpn_over_all_of_10_leaves_another_private_range() -> None:
    assert choose_subnet([IPv4Network("10.0.0.0/8")]) == IPv4Network("172.29.91.0/24")


def test_a_wanted_subnet_that_collides_is_refused_and_not_replaced() -> None:
    with pytest.raises(SandboxError, match=r"10\.50\.0\.0/24 is routed or in use"):
        choose_subnet([IPv4Network("10.50.0.0/20")], IPv4Network("10.50.0.0/24"))


@pytest.mark.parametrize("text", ["10.91.0.1/24", "10.91.0.0/16", "8.8.8.0/24", "nonsense"])
def test_what_is_no_private_24_is_refused(text: str) -> None:
    with pytest.raises(SandboxError, match="not a"):
        parse_subnet(text)


def test_beside_v1_there_is_a_group_in_each_hierarchy_below_our_own(tmp_path: Path) -> None:
    for folder in ("unified", "memory", "systemd", "cpu"):
        (tmp_path / folder).mkdir()
    (tmp_path / "unified/cgroup.controllers").touch()

    assert cgroups.find_trees(OWN, tmp_path) == {
        "v2": tmp_path / "unified/session/openclaw-sandbox",
        "name=systemd": tmp_path / "systemd/openclaw-sandbox",
        "memory": tmp_path / "memory/jobs/7/openclaw-sandbox",
    }


def test_with_v2_alone_there_is_one_group(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").touch()

    assert cgroups.find_trees("0::/user.slice/a.scope\n", tmp_path) == {
        "v2": tmp_path / "user.slice/a.scope/openclaw-sandbox"
    }


def test_from_inside_one_of_its_own_groups_the_sandbox_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").touch()

    assert cgroups.find_trees("0::/a/openclaw-sandbox/control\n", tmp_path) == {"v2": tmp_path / "a/openclaw-sandbox"}


def test_a_machine_without_cgroup_v2_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="no cgroup v2"):
        cgroups.find_trees(OWN, tmp_path)


def test_what_the_sandbox_tells_is_read_back_and_readable_by_all(tmp_path: Path) -> None:
    node = NodeDistribution("24.21.0", "http://10.91.0.2:8083/node/node.tar.gz", "0" * 64)
    info = SandboxInfo("http://127.0.0.1:1/v1", "t", "10.91.0.0/24", "g", "s", "tg", "m", "n", node)

    info.to_file(tmp_path / "sandbox.json")

    assert SandboxInfo.from_file(tmp_path / "sandbox.json") == info
    assert (tmp_path / "sandbox.json").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(("content", "words"), [(None, "no sandbox is up"), ("{}", "cannot be read"), ("[", "cannot")])
def test_a_missing_or_foreign_sandbox_file_says_what_to_do(tmp_path: Path, content: str | None, words: str) -> None:
    file = tmp_path / "sandbox.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SandboxError, match=words) as refusal:
        SandboxInfo.from_file(file)
    assert "fleet sandbox" in refusal.value.advice
