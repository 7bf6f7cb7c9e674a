"""What every Cloud must do: the fake that unit tests use, and HetznerCloud on the emulator."""

from __future__ import annotations

import time
from dataclasses import replace
from ipaddress import IPv6Address

import pytest

from reconciler.errors import (
    ActionFailed,
    InvalidRequest,
    NameTaken,
    NotFound,
    OutOfStock,
    ResourceLocked,
)
from reconciler.model import FirewallSpec, Secret, Server, ServerRequest, ServerStatus
from tests.contract.conftest import Bench

OURS = {"openclaw-deploy/fleet-id": "f1", "openclaw-deploy/child": "anna", "openclaw-deploy/uid": "u1"}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB8eHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgEA"
MISSING = 999_999


def request_for(name: str = "oc-anna", labels: dict[str, str] | None = None) -> ServerRequest:
    return ServerRequest(
        name, "cpx22", "debian-12", "fsn1", Secret("#cloud-config\n"), OURS if labels is None else labels
    )


def created(bench: Bench, request: ServerRequest | None = None) -> Server:
    server, actions = bench.cloud.create_server(request or request_for())
    bench.cloud.wait(actions, 10)
    return found(bench, server.id)


def found(bench: Bench, server_id: int) -> Server:
    server = bench.cloud.server(server_id)
    assert server is not None
    return server


def off(bench: Bench, server: Server) -> Server:
    bench.cloud.wait(bench.cloud.power_off(server.id), 10)
    return found(bench, server.id)


def firewall(**changes: object) -> FirewallSpec:
    spec = FirewallSpec("oc", "openclaw-deploy/fleet-id=f1", {"openclaw-deploy/fleet-id": "f1"})
    return replace(spec, **changes)  # type: ignore[arg-type]


# --- servers -------------------------------------------------------------------------------------------------


def test_a_created_server_runs_once_its_actions_are_done(bench: Bench) -> None:
    server, actions = bench.cloud.create_server(request_for())
    assert actions
    assert server.status is not ServerStatus.RUNNING
    bench.cloud.wait(actions, 10)
    running = found(bench, server.id)
    assert running.status is ServerStatus.RUNNING
    assert (running.name, running.region, running.server_type, running.image) == (
        "oc-anna",
        "fsn1",
        "cpx22",
        "debian-12",
    )
    assert running.labels == OURS
    assert running.address
    assert (running.architecture, running.ipv4, running.backups, running.disk_gb) == ("x86", True, False, 80)
    assert running.created.tzinfo is not None


def test_all_that_counts_is_in_the_answer_of_a_create(bench: Bench) -> None:
    """So nobody has to look again when its actions are done."""
    server, actions = bench.cloud.create_server(request_for())
    bench.cloud.wait(actions, 10)
    assert found(bench, server.id) == replace(server, status=ServerStatus.RUNNING)


def test_without_ipv4_a_server_is_reached_by_ipv6(bench: Bench) -> None:
    server = created(bench, replace(request_for(), ipv4=False))
    assert server.ipv4 is False
    assert server.address is not None
    assert IPv6Address(server.address).packed[-1] == 1


def test_only_servers_of_the_fleet_are_listed(bench: Bench) -> None:
    ours = created(bench)
    created(bench, request_for("theirs", {"openclaw-deploy/fleet-id": "f2"}))
    created(bench, request_for("bare", {}))
    assert bench.cloud.servers("f1") == (ours,)
    assert bench.cloud.servers("nobody") == ()


def test_a_server_is_found_by_its_exact_name_whoever_owns_it(bench: Bench) -> None:
    foreign = created(bench, request_for("theirs", {}))
    assert bench.cloud.server_named("theirs") == foreign
    assert bench.cloud.server_named("their") is None


@pytest.mark.parametrize("others", [0, 60], ids=["a few names", "many names"])
def test_servers_are_found_by_many_names_at_once(bench: Bench, others: int) -> None:
    foreign, ours = created(bench, request_for("theirs", {})), created(bench)
    created(bench, request_for("another", {}))
    names = {"theirs", "oc-anna", *(f"oc-{number}" for number in range(others))}
    assert sorted(bench.cloud.servers_named(names), key=lambda server: server.id) == [foreign, ours]
    assert bench.cloud.servers_named(()) == ()


def test_a_name_is_given_once(bench: Bench) -> None:
    first = created(bench)
    with pytest.raises(NameTaken):
        bench.cloud.create_server(request_for())
    assert bench.cloud.servers("f1") == (first,)


def test_servers_have_different_addresses(bench: Bench) -> None:
    addresses = {created(bench, request_for(name)).address for name in ("oc-a", "oc-b", "oc-c")}
    assert len(addresses) == 3


def test_labels_are_replaced_as_a_whole(bench: Bench) -> None:
    server = created(bench)
    changed = bench.cloud.set_labels(server.id, {"openclaw-deploy/fleet-id": "f1", "theirs": ""})
    assert changed.labels == {"openclaw-deploy/fleet-id": "f1", "theirs": ""}
    assert found(bench, server.id) == changed


def test_labels_of_a_firewall_are_replaced_as_a_whole(bench: Bench) -> None:
    bench.cloud.ensure_firewall(firewall())
    [wall] = bench.cloud.firewalls("f1")
    bench.cloud.label_firewall(wall.id, {**wall.labels, "openclaw-deploy/run-5a": "true"})
    [changed] = bench.cloud.firewalls("f1")
    assert changed == replace(wall, labels={**wall.labels, "openclaw-deploy/run-5a": "true"})
    bench.cloud.label_firewall(wall.id, dict(wall.labels))
    assert bench.cloud.firewalls("f1") == (wall,)
    with pytest.raises(NotFound):
        bench.cloud.label_firewall(wall.id + 1, {})


def test_a_servers_open_actions_are_those_that_run_or_have_failed(bench: Bench) -> None:
    server, actions = bench.cloud.create_server(request_for())
    assert set(bench.cloud.open_actions(server.id)) <= set(actions)
    bench.cloud.wait(actions, 10)
    assert bench.cloud.open_actions(server.id) == ()
    with pytest.raises(NotFound):
        bench.cloud.open_actions(server.id + 1)


def test_name_and_labels_change_together(bench: Bench) -> None:
    server = created(bench)
    other = created(bench, request_for("theirs", {}))
    renamed = bench.cloud.rename(server.id, "oc-bert", {"openclaw-deploy/child": "bert"})
    assert (renamed.name, renamed.labels) == ("oc-bert", {"openclaw-deploy/child": "bert"})
    assert found(bench, server.id) == renamed
    assert bench.cloud.rename(server.id, "oc-bert", dict(OURS)).labels == OURS
    with pytest.raises(NameTaken):
        bench.cloud.rename(server.id, other.name, {})
    assert found(bench, server.id) == replace(renamed, labels=OURS)


def test_a_server_that_is_off_gets_another_type_and_keeps_its_disk(bench: Bench) -> None:
    server = off(bench, created(bench))
    for name in ("cpx32", "cpx22"):  # there is a way back
        bench.cloud.wait(bench.cloud.change_type(server.id, name), 10)
        assert found(bench, server.id) == replace(server, server_type=name)


@pytest.mark.parametrize("impossible", ["cax11", "cpx12", "pdp11"], ids=["arm", "smaller disk", "unknown"])
def test_a_type_that_the_server_cannot_have_is_an_invalid_request(bench: Bench, impossible: str) -> None:
    server = off(bench, created(bench))
    with pytest.raises(InvalidRequest):
        bench.cloud.change_type(server.id, impossible)
    assert found(bench, server.id) == server


def test_a_type_changes_only_while_the_server_is_off_and_the_type_is_there(bench: Bench) -> None:
    server = created(bench)
    with pytest.raises(InvalidRequest):
        bench.cloud.change_type(server.id, "cpx32")
    small = off(bench, created(bench, replace(request_for("oc-small"), server_type="cpx12")))
    with pytest.raises(OutOfStock):
        bench.cloud.change_type(small.id, "cx23")
    assert found(bench, server.id) == server


def test_backups_go_on_and_off_and_may_be_there_already(bench: Bench) -> None:
    server = created(bench)
    for on in (True, True, False, False):
        bench.cloud.wait(bench.cloud.set_backups(server.id, on), 10)
        assert found(bench, server.id).backups is on


def test_the_power_button_turns_a_server_off(bench: Bench) -> None:
    server = created(bench)
    bench.cloud.wait(bench.cloud.shutdown(server.id), 10)
    deadline = time.monotonic() + 5
    while found(bench, server.id).status is not ServerStatus.OFF:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_power_goes_off_and_on(bench: Bench) -> None:
    server = created(bench)
    bench.cloud.wait(bench.cloud.power_off(server.id), 10)
    assert found(bench, server.id).status is ServerStatus.OFF
    bench.cloud.wait(bench.cloud.power_on(server.id), 10)
    assert found(bench, server.id).status is ServerStatus.RUNNING
    for again in (bench.cloud.reboot, bench.cloud.reset):
        bench.cloud.wait(again(server.id), 10)
        assert found(bench, server.id).status is ServerStatus.RUNNING


def test_a_deleted_server_is_gone_and_deleting_it_again_is_done(bench: Bench) -> None:
    server = created(bench)
    bench.cloud.wait(bench.cloud.delete_server(server.id), 10)
    assert bench.cloud.server(server.id) is None
    assert bench.cloud.server_named(server.name) is None
    assert bench.cloud.servers("f1") == ()
    assert bench.cloud.delete_server(server.id) == ()


def test_what_is_not_there_is_not_found(bench: Bench) -> None:
    assert bench.cloud.server(MISSING) is None
    with pytest.raises(NotFound):
        bench.cloud.set_labels(MISSING, {})
    with pytest.raises(NotFound):
        bench.cloud.rename(MISSING, "oc-anna", {})
    with pytest.raises(NotFound):
        bench.cloud.change_type(MISSING, "cpx22")
    with pytest.raises(NotFound):
        bench.cloud.set_backups(MISSING, True)
    powers = bench.cloud.power_on, bench.cloud.power_off, bench.cloud.shutdown, bench.cloud.reboot, bench.cloud.reset
    for switch in powers:
        with pytest.raises(NotFound):
            switch(MISSING)


def test_a_server_under_way_refuses_another_action(bench: Bench) -> None:
    server, actions = bench.cloud.create_server(request_for())
    with pytest.raises(ResourceLocked):
        bench.cloud.power_off(server.id)
    bench.cloud.wait(actions, 10)


# --- actions -------------------------------------------------------------------------------------------------


def test_waiting_for_nothing_or_for_what_is_done_returns(bench: Bench) -> None:
    bench.cloud.wait((), 10)
    server, actions = bench.cloud.create_server(request_for())
    bench.cloud.wait(actions, 10)
    bench.cloud.wait(actions, 10)
    assert found(bench, server.id).status is ServerStatus.RUNNING


def test_an_action_that_nobody_knows_is_an_error(bench: Bench) -> None:
    with pytest.raises(NotFound):
        bench.cloud.wait((MISSING,), 10)


def test_a_failed_action_is_an_error_and_the_server_stays(bench: Bench) -> None:
    bench.fail_next_action("create_server")
    server, actions = bench.cloud.create_server(request_for())
    with pytest.raises(ActionFailed):
        bench.cloud.wait(actions, 10)
    assert found(bench, server.id).status is not ServerStatus.RUNNING


# --- refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("region", ["fsn1", "ash"])
def test_a_type_that_cannot_be_had_is_out_of_stock(bench: Bench, region: str) -> None:
    with pytest.raises(OutOfStock):
        bench.cloud.create_server(replace(request_for(), server_type="cx23", region=region))
    assert bench.cloud.servers("f1") == ()


@pytest.mark.parametrize("wrong", [{"image": "windows-95"}, {"server_type": "pdp11"}])
def test_an_unknown_image_or_type_is_an_invalid_request(bench: Bench, wrong: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest):
        bench.cloud.create_server(replace(request_for(), **wrong))  # type: ignore[arg-type]
    assert bench.cloud.servers("f1") == ()


# --- what servers share --------------------------------------------------------------------------------------


def test_a_firewall_covers_the_servers_its_selector_matches(bench: Bench) -> None:
    bench.cloud.ensure_firewall(firewall())
    ours, foreign = created(bench), created(bench, request_for("theirs", {}))
    assert bench.ports_of(ours.id) == {"oc": {22}}
    assert bench.ports_of(foreign.id) == {}


def test_a_firewall_is_brought_back_to_what_is_wanted(bench: Bench) -> None:
    server = created(bench)
    bench.cloud.ensure_firewall(firewall(inbound_tcp=(22, 8080)))
    bench.cloud.ensure_firewall(firewall())
    bench.cloud.ensure_firewall(firewall())
    assert bench.ports_of(server.id) == {"oc": {22}}


def test_a_firewall_of_somebody_else_is_left_alone(bench: Bench) -> None:
    server = created(bench)
    bench.cloud.ensure_firewall(firewall(labels={}, inbound_tcp=(443,)))
    with pytest.raises(NameTaken):
        bench.cloud.ensure_firewall(firewall())
    assert bench.ports_of(server.id) == {"oc": {443}}


def test_a_firewall_is_deleted_though_it_is_applied(bench: Bench) -> None:
    server = created(bench)
    bench.cloud.ensure_firewall(firewall())
    bench.cloud.delete_firewall("oc")
    bench.cloud.delete_firewall("oc")
    assert bench.ports_of(server.id) == {}


def test_firewalls_are_told_in_words(bench: Bench) -> None:
    bench.cloud.ensure_firewall(firewall(inbound_tcp=(443, 22), sources=("2001:db8::/32", "192.0.2.0/24")))
    bench.cloud.ensure_firewall(firewall(name="theirs", labels={}))
    (live,) = bench.cloud.firewalls("f1")
    assert (live.name, live.labels) == ("oc", {"openclaw-deploy/fleet-id": "f1"})
    assert live.rules == ("in tcp 22 from 192.0.2.0/24, 2001:db8::/32", "in tcp 443 from 192.0.2.0/24, 2001:db8::/32")
    assert live.selectors == ("openclaw-deploy/fleet-id=f1",)


def test_rules_of_every_sort_are_told_mended_and_put_back(bench: Bench) -> None:
    bench.cloud.ensure_firewall(firewall())
    (wanted,) = bench.cloud.firewalls("f1")
    by_hand = replace(
        wanted,
        rules=(
            "in icmp from ::/0",
            "in tcp 22 from 0.0.0.0/0, ::/0",
            "in udp 51820-51821 from 192.0.2.1/32",
            "out tcp 25 to 0.0.0.0/0",
        ),
    )
    bench.cloud.restore_firewall(by_hand)
    assert bench.cloud.firewalls("f1") == (by_hand,)
    bench.cloud.ensure_firewall(firewall())
    assert bench.cloud.firewalls("f1") == (wanted,)


def test_a_firewall_that_is_gone_is_not_put_back(bench: Bench) -> None:
    bench.cloud.ensure_firewall(firewall())
    (live,) = bench.cloud.firewalls("f1")
    bench.cloud.delete_firewall("oc")
    with pytest.raises(NotFound):
        bench.cloud.restore_firewall(live)
    assert bench.cloud.firewalls("f1") == ()


def test_a_firewall_selects_what_it_shall_and_nothing_else(bench: Bench) -> None:
    plain = created(bench)
    marked = created(bench, request_for("oc-bert", {**OURS, "openclaw-deploy/ssh-from": "aa"}))
    bench.cloud.ensure_firewall(firewall())
    bench.cloud.ensure_firewall(firewall(selector="openclaw-deploy/fleet-id=f1,!openclaw-deploy/ssh-from"))
    bench.cloud.ensure_firewall(
        firewall(name="oc-ssh-aa", selector="openclaw-deploy/fleet-id=f1,openclaw-deploy/ssh-from=aa")
    )
    assert set(bench.ports_of(plain.id)) == {"oc"}
    assert set(bench.ports_of(marked.id)) == {"oc-ssh-aa"}


def test_an_ssh_key_is_registered_once(bench: Bench) -> None:
    first = bench.cloud.ensure_ssh_key("oc", KEY, OURS)
    assert bench.cloud.ensure_ssh_key("oc", f"{KEY} a comment", OURS) == first


def test_our_ssh_key_is_replaced_when_it_differs(bench: Bench) -> None:
    first = bench.cloud.ensure_ssh_key("oc", KEY, OURS)
    second = bench.cloud.ensure_ssh_key("oc", OTHER_KEY, OURS)
    assert second != first
    assert bench.cloud.ensure_ssh_key("oc", OTHER_KEY, OURS) == second


def test_the_same_ssh_key_under_another_name_serves_as_well(bench: Bench) -> None:
    first = bench.cloud.ensure_ssh_key("laptop", KEY, {})
    assert bench.cloud.ensure_ssh_key("oc", KEY, OURS) == first


def test_an_ssh_key_of_somebody_else_is_left_alone(bench: Bench) -> None:
    theirs = bench.cloud.ensure_ssh_key("oc", KEY, {})
    with pytest.raises(NameTaken):
        bench.cloud.ensure_ssh_key("oc", OTHER_KEY, OURS)
    assert bench.cloud.ensure_ssh_key("oc", KEY, {}) == theirs


def test_the_catalogue_tells_types_stock_and_prices(bench: Bench) -> None:
    catalog = bench.cloud.catalog()
    cpx22 = catalog.types["cpx22"]
    assert (cpx22.architecture, cpx22.cores, cpx22.memory_gb) == ("x86", 2, 4.0)
    assert cpx22.regions["fsn1"] is True
    assert cpx22.monthly["fsn1"] == "19.49"
    assert catalog.types["cx23"].regions["fsn1"] is False
    assert {"fsn1", "nbg1", "hel1"} <= set(catalog.regions)
    assert (cpx22.disk_gb, cpx22.retired) == (80, frozenset())
    assert "fsn1" in catalog.types["cpx11"].retired
    assert catalog.types["cpx11"].regions["fsn1"] is False
    assert catalog.types["cax11"].architecture == "arm"
    assert catalog.images["debian-12"] == {"x86", "arm"}
    assert catalog.backup_percent == "20"
    assert catalog.currency == "EUR"
    assert catalog.ipv4_monthly["fsn1"] == "0.50"
    assert catalog.as_of.tzinfo is not None
