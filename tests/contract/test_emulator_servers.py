"""What the actions on servers do to the machines behind them and to what the API shows afterwards."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from reconciler.model import Json
from reconciler.sandbox.emulator.faults import checked
from tests.contract.conftest import Emulator, StartEmulator

ORDER: dict[str, Json] = {"server_type": "cpx22", "image": "debian-12", "location": "fsn1"}


def create(emulator: Emulator, name: str = "web", **changes: Json) -> dict[str, Any]:
    answer = emulator.client.post("/servers", json={**ORDER, "name": name, **changes})
    assert answer.status_code == 201, answer.text
    emulator.settle()
    return shown(emulator, answer.json()["server"]["id"])


def shown(emulator: Emulator, server: int) -> dict[str, Any]:
    found: dict[str, Any] = emulator.client.get(f"/servers/{server}").json()["server"]
    return found


def act(emulator: Emulator, server: dict[str, Any], verb: str, **body: Json) -> httpx.Response:
    answer = emulator.client.post(f"/servers/{server['id']}/actions/{verb}", json=body)
    emulator.settle()
    return answer


def code(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["code"])


def test_a_rebuild_keeps_id_address_and_labels_and_runs_the_user_data_again(emulator: Emulator) -> None:
    before = create(emulator, user_data="#cloud-config\n", labels={"a": "b"})
    assert act(emulator, before, "rebuild", image="debian-12").status_code == 201
    after = shown(emulator, before["id"])
    assert after == before
    assert emulator.machines.machines[before["id"]].user_data == "#cloud-config\n"
    act(emulator, before, "rebuild", image="debian-12", user_data="#cloud-config\n{}\n")
    assert emulator.machines.machines[before["id"]].user_data == "#cloud-config\n{}\n"


def test_a_rebuild_that_fails_leaves_the_server_as_it_was(emulator: Emulator) -> None:
    server = create(emulator)
    emulator.machines.fails = True
    answer = act(emulator, server, "rebuild", image="debian-12")
    assert emulator.world.actions.by_id[answer.json()["action"]["id"]].status == "error"
    assert shown(emulator, server["id"])["status"] == "running"


def test_a_snapshot_boots_other_servers_and_lives_without_the_first(emulator: Emulator) -> None:
    first = create(emulator)
    snapshot = act(emulator, first, "create_image", type="snapshot", labels={"of": "web"}).json()["image"]
    assert (snapshot["status"], snapshot["name"]) == ("creating", None)
    emulator.client.delete(f"/servers/{first['id']}")
    emulator.settle()
    (found,) = emulator.client.get("/images?label_selector=of=web&type=snapshot").json()["images"]
    assert (found["status"], found["created_from"]) == ("available", {"id": first["id"], "name": "web"})

    second = create(emulator, "second", image=found["id"])
    assert emulator.machines.machines[second["id"]].image == f"snapshot-{found['id']}"
    assert emulator.client.delete(f"/images/{found['id']}").status_code == 204
    assert shown(emulator, second["id"])["image"] is None
    assert emulator.machines.images == set()


def test_backups_are_bound_to_their_server_and_go_with_it(emulator: Emulator) -> None:
    server = create(emulator)
    act(emulator, server, "enable_backup")
    assert shown(emulator, server["id"])["backup_window"] == "22-02"
    act(emulator, server, "create_image", type="backup")
    listed = f"/images?type=backup&bound_to={server['id']}"
    assert len(emulator.client.get(listed).json()["images"]) == 1
    emulator.client.delete(f"/servers/{server['id']}")
    emulator.settle()
    assert emulator.client.get(listed).json()["images"] == []


def test_a_snapshot_that_fails_is_no_image(emulator: Emulator) -> None:
    server = create(emulator)
    emulator.machines.fails = True
    act(emulator, server, "create_image", type="snapshot")
    assert emulator.client.get("/images?type=snapshot").json()["images"] == []


@pytest.mark.parametrize(("upgrade", "disk"), [(False, 80), (True, 160)])
def test_a_resize_changes_memory_and_the_disk_only_on_request(emulator: Emulator, upgrade: bool, disk: int) -> None:
    server = create(emulator)
    act(emulator, server, "poweroff")
    assert act(emulator, server, "change_type", server_type="cpx32", upgrade_disk=upgrade).status_code == 201
    after = shown(emulator, server["id"])
    assert (after["server_type"]["name"], after["primary_disk_size"], after["status"]) == ("cpx32", disk, "off")
    assert emulator.machines.machines[server["id"]].memory_mb == 8192
    back = act(emulator, server, "change_type", server_type="cpx22", upgrade_disk=False)
    assert back.status_code == (422 if upgrade else 201)


@pytest.mark.parametrize(
    ("server_type", "refusal"),
    [
        ("cpx22", (422, "invalid_server_type")),
        ("cax21", (422, "invalid_server_type")),
        ("cpx12", (422, "invalid_server_type")),
        ("cpx31", (422, "invalid_input")),
        ("pdp11", (422, "invalid_input")),
    ],
)
def test_a_resize_that_cannot_be_is_refused(emulator: Emulator, server_type: str, refusal: tuple[int, str]) -> None:
    server = create(emulator, start_after_create=False)
    answer = act(emulator, server, "change_type", server_type=server_type, upgrade_disk=False)
    assert (answer.status_code, code(answer)) == refusal


@pytest.mark.parametrize(
    ("verb", "body", "refusal"),
    [
        ("change_type", {"server_type": "cpx32", "upgrade_disk": False}, "server_not_stopped"),
        ("change_protection", {"delete": True, "rebuild": False}, "invalid_input"),
        ("change_dns_ptr", {"ip": "192.0.2.1", "dns_ptr": None}, "invalid_input"),
        ("remove_from_placement_group", {}, "invalid_input"),
        ("rebuild", {"image": "windows"}, "invalid_input"),
        ("create_image", {"type": "holiday"}, "invalid_input"),
    ],
)
def test_what_does_not_fit_a_running_server_is_refused(
    emulator: Emulator, verb: str, body: dict[str, Json], refusal: str
) -> None:
    assert code(act(emulator, create(emulator), verb, **body)) == refusal


def test_a_machine_switched_off_from_inside_can_be_resized_at_once(emulator: Emulator) -> None:
    server = create(emulator)
    emulator.machines.running.clear()
    assert act(emulator, server, "change_type", server_type="cpx32", upgrade_disk=False).status_code == 201


@pytest.mark.parametrize(
    ("limit", "changes"),
    [("1", {}), ("9", {"networks": ["empty"]})],
    ids=["the second address is one too many", "the network has no subnet"],
)
def test_a_refused_order_leaves_nothing_behind(emulator: Emulator, limit: str, changes: dict[str, Json]) -> None:
    emulator.client.post("/networks", json={"name": "empty", "ip_range": "10.0.0.0/16"})
    emulator.world.faults.set(checked("limit", "primary_ips", limit))
    assert emulator.client.post("/servers", json={**ORDER, "name": "web", **changes}).is_client_error
    assert not emulator.world.servers
    assert not emulator.world.primary_ips
    emulator.world.faults.clear()
    assert create(emulator)["public_net"]["ipv4"]["ip"] == "10.213.0.10"


def test_an_eleventh_server_finds_its_placement_group_full(emulator: Emulator) -> None:
    group = emulator.client.post("/placement_groups", json={"name": "pg", "type": "spread"}).json()["placement_group"]
    for number in range(10):
        create(emulator, f"web{number}", placement_group=group["id"])
    body = {**ORDER, "name": "web10", "placement_group": group["id"]}
    assert code(emulator.client.post("/servers", json=body)) == "placement_group_member_limit_reached"
    assert len(emulator.client.get(f"/placement_groups/{group['id']}").json()["placement_group"]["servers"]) == 10


# --- addresses -----------------------------------------------------------------------------------------------


def test_a_server_without_ipv4_shows_none_and_its_machine_is_set_up_all_the_same(emulator: Emulator) -> None:
    server = create(emulator, public_net={"enable_ipv4": False, "enable_ipv6": True})
    assert server["public_net"]["ipv4"] is None
    assert server["public_net"]["ipv6"]["ip"].startswith("2001:db8:")
    assert emulator.machines.machines[server["id"]].address == "10.213.0.10"
    assert {row["type"] for row in emulator.client.get("/primary_ips").json()["primary_ips"]} == {"ipv6"}


def test_a_server_without_any_interface_is_not_started(emulator: Emulator) -> None:
    none: Json = {"enable_ipv4": False, "enable_ipv6": False}
    answer = emulator.client.post("/servers", json={**ORDER, "name": "web", "public_net": none})
    assert code(answer) == "invalid_input"
    assert create(emulator, public_net=none, start_after_create=False)["status"] == "off"


def test_a_kept_address_outlives_its_server_and_serves_the_next(emulator: Emulator) -> None:
    body: Json = {"name": "kept", "type": "ipv4", "location": "fsn1"}
    kept = emulator.client.post("/primary_ips", json=body).json()["primary_ip"]
    assert (kept["assignee_type"], kept["assignee_id"]) == ("unassigned", None)
    for name in ("first", "second"):
        server = create(emulator, name, public_net={"ipv4": kept["id"]})
        assert server["public_net"]["ipv4"]["ip"] == kept["ip"] == emulator.machines.machines[server["id"]].address
        assert code(emulator.client.delete(f"/primary_ips/{kept['id']}")) == "must_be_unassigned"
        emulator.client.delete(f"/servers/{server['id']}")
        emulator.settle()
    assert [row["name"] for row in emulator.client.get("/primary_ips").json()["primary_ips"]] == ["kept"]


@pytest.mark.parametrize(
    ("address", "wanted", "refusal"),
    [
        ({"type": "ipv6", "location": "fsn1"}, "ipv4", (412, "primary_ip_version_mismatch")),
        ({"type": "ipv4", "location": "hel1"}, "ipv4", (422, "primary_ip_datacenter_mismatch")),
        ({"type": "ipv4", "location": "fsn1"}, "taken", (422, "primary_ip_assigned")),
    ],
)
def test_an_address_that_does_not_fit_is_refused(
    emulator: Emulator, address: dict[str, Json], wanted: str, refusal: tuple[int, str]
) -> None:
    made = emulator.client.post("/primary_ips", json={"name": "ip", **address}).json()["primary_ip"]
    net: Json = {"ipv4": made["id"]}
    if wanted == "taken":
        create(emulator, "first", public_net=net)
    answer = emulator.client.post("/servers", json={**ORDER, "name": "web", "public_net": net})
    assert (answer.status_code, code(answer)) == refusal
    assert "web" not in {server.name for server in emulator.world.servers.values()}


def test_a_reverse_name_is_kept_and_taken_away(emulator: Emulator) -> None:
    server = create(emulator)
    ip = server["public_net"]["ipv4"]["ip"]
    act(emulator, server, "change_dns_ptr", ip=ip, dns_ptr="web.example.com")
    assert shown(emulator, server["id"])["public_net"]["ipv4"]["dns_ptr"] == "web.example.com"
    act(emulator, server, "change_dns_ptr", ip=ip, dns_ptr=None)
    assert shown(emulator, server["id"])["public_net"]["ipv4"]["dns_ptr"] == server["public_net"]["ipv4"]["dns_ptr"]


def test_a_network_gives_out_addresses_once(emulator: Emulator) -> None:
    subnet: Json = {"type": "cloud", "network_zone": "eu-central", "ip_range": "10.0.1.0/29"}
    body: Json = {"name": "net", "ip_range": "10.0.0.0/16", "subnets": [subnet]}
    network = emulator.client.post("/networks", json=body).json()["network"]
    for name in ("a", "b"):
        assert emulator.client.post("/servers", json={**ORDER, "name": name, "networks": [network["id"]]}).is_success
    emulator.settle()
    servers = emulator.client.get("/servers").json()["servers"]
    assert {server["private_net"][0]["ip"] for server in servers} == {"10.0.1.2", "10.0.1.3"}
    third = create(emulator, "c")
    assert code(act(emulator, third, "attach_to_network", network=network["id"], ip="10.0.1.3")) == "ip_not_available"
    assert code(act(emulator, servers[0], "attach_to_network", network=network["id"])) == "server_already_attached"
    emulator.client.delete(f"/networks/{network['id']}")
    assert shown(emulator, servers[0]["id"])["private_net"] == []


def test_what_a_stopped_process_left_half_done_is_no_image_and_no_rebuild(
    start_emulator: StartEmulator, tmp_path: Any
) -> None:
    with start_emulator(directory=tmp_path) as before:
        server = create(before)
        machines = before.machines
        before.world.actions.pace = 60
        before.client.post(f"/servers/{server['id']}/actions/create_image", json={"type": "snapshot"})
    with start_emulator(directory=tmp_path, machines=machines) as after:
        assert after.client.get("/images?type=snapshot").json()["images"] == []
        last = after.client.get(f"/servers/{server['id']}/actions?sort=id:desc").json()["actions"][0]
        assert (last["command"], last["status"]) == ("create_image", "error")
        assert shown(after, server["id"])["status"] == "running"
