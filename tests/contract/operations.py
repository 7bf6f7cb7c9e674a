"""The one table of operations that the emulator serves: what each is asked, by whom, and how it refuses.

`$name` in a body is the id of what the scene calls so, and `on` is whose id stands for `{id}` in the path. `python` is
the call of hcloud-python that sends exactly this request, `cli` the command of hcloud that asks for this operation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from hcloud import Client
from hcloud.firewalls import Firewall, FirewallResource, FirewallResourceLabelSelector, FirewallRule
from hcloud.images import Image
from hcloud.locations import Location
from hcloud.networks import Network, NetworkRoute, NetworkSubnet
from hcloud.placement_groups import PlacementGroup
from hcloud.primary_ips import PrimaryIP
from hcloud.server_types import ServerType
from hcloud.servers import Server, ServerCreatePublicNetwork
from hcloud.ssh_keys import SSHKey

from reconciler.model import Json
from tests.contract.scene import RULE, SELECTED

Ids: TypeAlias = Mapping[str, int]
Call: TypeAlias = Callable[[Client, Ids], object]

# What starts an action on a server without being one of its actions.
_ACTING_ELSEWHERE = (
    "DELETE /servers/{id}",
    "POST /primary_ips/{id}/actions/assign",
    "POST /primary_ips/{id}/actions/unassign",
)


@dataclass(frozen=True)
class Operation:
    """`taken` is a name that is in use already; `limit` the quota that ends it; `guarded`: protection forbids it."""

    method: str
    path: str
    on: str = ""
    body: Json = None
    status: int = 200
    python: Call | None = None
    cli: str = ""
    taken: str = ""
    limit: str = ""
    guarded: bool = False

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def is_served(self) -> bool:
        return self.status < 400

    @property
    def needs_unlocked_server(self) -> bool:
        """One action at a time: all that starts one on a server."""
        acts = self.method == "POST" and self.path.startswith("/servers/{id}/actions/")
        return self.is_served and (acts or self.name in _ACTING_ELSEWHERE)


def get(path: str, on: str = "", python: Call | None = None, cli: str = "", status: int = 200) -> Operation:
    return Operation("GET", path, on, None, status, python, cli)


def post(path: str, body: Json, python: Call | None, cli: str = "", **more: Any) -> Operation:
    return Operation("POST", path, body=body, status=201, python=python, cli=cli, **more)


def act(path: str, on: str, body: Json, python: Call | None, cli: str = "", **more: Any) -> Operation:
    """POST /KIND/{id}/actions/VERB."""
    kind, verb = path.split("/")
    return Operation("POST", f"/{kind}/{{id}}/actions/{verb}", on, body, 201, python, cli, **more)


def put(kind: str, on: str, body: Json, python: Call, cli: str = "") -> Operation:
    return Operation("PUT", f"/{kind}/{{id}}", on, body, 200, python, cli)


def delete(kind: str, on: str, python: Call, cli: str, status: int = 204, guarded: bool = False) -> Operation:
    return Operation("DELETE", f"/{kind}/{{id}}", on, None, status, python, cli, guarded=guarded)


def reading(kind: str, on: str, cli: str = "", acts: bool = False) -> tuple[Operation, ...]:
    """List and get of a kind, by its `get_list` and `get_by_id`; and the three ways to its actions."""
    described = f"{cli} describe ${on}" if cli else ""
    listed = (
        get(f"/{kind}", "", lambda c, s: getattr(c, kind).get_list(), f"{cli} list" if cli else ""),
        get(f"/{kind}/{{id}}", on, lambda c, s: getattr(c, kind).get_by_id(s[on]), described),
    )
    actions = (
        get(f"/{kind}/actions", "", lambda c, s: getattr(c, kind).actions.get_list()),
        get(f"/{kind}/actions/{{id}}", "action", lambda c, s: getattr(c, kind).actions.get_by_id(s["action"])),
        get(f"/{kind}/{{id}}/actions", on, lambda c, s: getattr(c, kind).get_actions_list(Server(id=s[on]))),
    )
    return listed + (actions if acts else ())


def empty(kind: str, cli: str) -> tuple[Operation, ...]:
    return (
        get(f"/{kind}", "", lambda c, s: getattr(c, kind).get_list(), f"{cli} list"),
        get(f"/{kind}/{{id}}", "nothing", status=404),
    )


def power(verb: str, python: str) -> Operation:
    return act(f"servers/{verb}", "web", None, lambda c, s: getattr(c.servers, python)(_web(s)), f"server {verb} web")


def missing(verb: str) -> Operation:
    """What a real server has and a machine of the sandbox has not is refused in words."""
    return Operation("POST", f"/servers/{{id}}/actions/{verb}", "web", {}, 422)


def _web(s: Ids) -> Server:
    return Server(id=s["web"])


def _idle(s: Ids) -> Server:
    return Server(id=s["idle"])


def _net(s: Ids) -> Network:
    return Network(id=s["net"])


def _ip(s: Ids) -> PrimaryIP:
    return PrimaryIP(id=s["ip"])


def _prod() -> list[FirewallResource]:
    return [FirewallResource("label_selector", label_selector=FirewallResourceLabelSelector("env=prod"))]


KEY2 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGRlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn+AgYKD second"
_ORDER: Json = {
    "name": "new", "server_type": "cpx22", "image": "debian-12", "location": "fsn1", "start_after_create": True,
    "ssh_keys": ["$key"], "firewalls": [{"firewall": "$fw"}], "networks": ["$net"], "user_data": "#cloud-config\n",
    "labels": {"env": "prod"}, "public_net": {"enable_ipv4": True, "enable_ipv6": False, "ipv4": "$ip"},
}  # fmt: skip
_ROUTE: dict[str, Json] = {"destination": "10.100.1.0/24", "gateway": "10.0.1.1"}
_SUBNET: dict[str, Json] = {"type": "cloud", "network_zone": "eu-central", "ip_range": "10.0.9.0/24"}
_PRIMARY_IP: Json = {"type": "ipv4", "name": "second", "location": "hel1", "auto_delete": False, "labels": {}}


def _create(c: Client, s: Ids) -> object:
    address = ServerCreatePublicNetwork(enable_ipv4=True, enable_ipv6=False, ipv4=_ip(s))
    return c.servers.create(
        "new", ServerType(name="cpx22"), Image(name="debian-12"), location=Location(name="fsn1"),
        ssh_keys=[SSHKey(id=s["key"])], firewalls=[Firewall(id=s["fw"])], networks=[_net(s)],
        user_data="#cloud-config\n", labels={"env": "prod"}, public_net=address,
    )  # fmt: skip


OPERATIONS: tuple[Operation, ...] = (
    # --- servers ---
    *reading("servers", "web", "server", acts=True),
    post("/servers", _ORDER, _create, "server create --name new --type cpx22 --image debian-12 --location fsn1 "
         "--ssh-key key --firewall fw --label env=prod", taken="web", limit="servers"),
    put("servers", "web", {"name": "web2", "labels": {"x": "y"}},
        lambda c, s: c.servers.update(_web(s), "web2", {"x": "y"}), "server add-label web x=y"),
    delete("servers", "web", lambda c, s: c.servers.delete(_web(s)), "server delete web", 200, guarded=True),
    power("poweron", "power_on"),
    power("poweroff", "power_off"),
    power("shutdown", "shutdown"),
    power("reboot", "reboot"),
    power("reset", "reset"),
    act("servers/rebuild", "web", {"image": "$snap", "user_data": "#cloud-config\n{}\n"},
        lambda c, s: c.servers.rebuild(_web(s), Image(id=s["snap"]), "#cloud-config\n{}\n"),
        "server rebuild web --image debian-12", guarded=True),
    act("servers/change_type", "idle", {"server_type": "cpx32", "upgrade_disk": False},
        lambda c, s: c.servers.change_type(_idle(s), ServerType(name="cpx32"), False),
        "server change-type idle cpx32 --keep-disk"),
    act("servers/create_image", "web", {"description": "kept", "type": "snapshot", "labels": {"a": "b"}},
        lambda c, s: c.servers.create_image(_web(s), "kept", "snapshot", {"a": "b"}),
        "server create-image web --type snapshot --description kept", limit="snapshots"),
    act("servers/change_protection", "web", {"delete": True, "rebuild": True},
        lambda c, s: c.servers.change_protection(_web(s), True, True),
        "server enable-protection web delete rebuild"),
    act("servers/enable_backup", "web", None, lambda c, s: c.servers.enable_backup(_web(s)),
        "server enable-backup web"),
    act("servers/disable_backup", "web", None, lambda c, s: c.servers.disable_backup(_web(s)),
        "server disable-backup web"),
    act("servers/change_dns_ptr", "web", {"ip": "10.213.0.11", "dns_ptr": "web.example.com"},
        lambda c, s: c.servers.change_dns_ptr(_web(s), "10.213.0.11", "web.example.com"),
        "server set-rdns web --hostname web.example.com --ip 10.213.0.11"),
    act("servers/attach_to_network", "idle", {"network": "$net", "ip": "10.0.1.9", "alias_ips": ["10.0.1.10"]},
        lambda c, s: c.servers.attach_to_network(_idle(s), _net(s), "10.0.1.9", ["10.0.1.10"]),
        "server attach-to-network idle --network net"),
    act("servers/detach_from_network", "web", {"network": "$net"},
        lambda c, s: c.servers.detach_from_network(_web(s), _net(s)), "server detach-from-network web --network net"),
    act("servers/change_alias_ips", "web", {"network": "$net", "alias_ips": ["10.0.1.20"]},
        lambda c, s: c.servers.change_alias_ips(_web(s), _net(s), ["10.0.1.20"]),
        "server change-alias-ips web --network net --alias-ips 10.0.1.20"),
    act("servers/add_to_placement_group", "idle", {"placement_group": "$pg"},
        lambda c, s: c.servers.add_to_placement_group(_idle(s), PlacementGroup(id=s["pg"])),
        "server add-to-placement-group idle --placement-group pg"),
    act("servers/remove_from_placement_group", "web", None,
        lambda c, s: c.servers.remove_from_placement_group(_web(s)), "server remove-from-placement-group web"),
    *map(missing, ("enable_rescue", "disable_rescue", "reset_password", "request_console", "attach_iso", "detach_iso")),
    get("/actions", python=lambda c, s: c.request("GET", "/actions", params={"id": [s["action"]]}),
        cli="server reboot web"),
    get("/actions/{id}", "action", lambda c, s: c.actions.get_by_id(s["action"]),
        "server create --name new --type cpx22 --image debian-12 --location fsn1"),
    # --- ssh keys ---
    *reading("ssh_keys", "key", "ssh-key"),
    post("/ssh_keys", {"name": "second", "public_key": KEY2}, lambda c, s: c.ssh_keys.create("second", KEY2),
         f"ssh-key create --name second --public-key '{KEY2}'", taken="key", limit="ssh_keys"),
    put("ssh_keys", "key", {"labels": {}}, lambda c, s: c.ssh_keys.update(SSHKey(id=s["key"]), labels={}),
        "ssh-key add-label key x=y"),
    delete("ssh_keys", "key", lambda c, s: c.ssh_keys.delete(SSHKey(id=s["key"])), "ssh-key delete key"),
    # --- firewalls ---
    *reading("firewalls", "fw", "firewall", acts=True),
    post("/firewalls", {"name": "new", "rules": [RULE], "apply_to": SELECTED},
         lambda c, s: c.firewalls.create("new", _rules(), resources=_prod()), "firewall create --name new",
         taken="fw", limit="firewalls"),
    put("firewalls", "fw", {"name": "new"}, lambda c, s: c.firewalls.update(Firewall(id=s["fw"]), name="new"),
        "firewall update fw --name new"),
    delete("firewalls", "fw", lambda c, s: c.firewalls.delete(Firewall(id=s["fw"])), "firewall delete fw"),
    act("firewalls/set_rules", "fw", {"rules": [RULE]},
        lambda c, s: c.firewalls.set_rules(Firewall(id=s["fw"]), _rules()),
        "firewall add-rule fw --direction in --protocol tcp --port 80 --source-ips 0.0.0.0/0"),
    act("firewalls/apply_to_resources", "fw", {"apply_to": SELECTED},
        lambda c, s: c.firewalls.apply_to_resources(Firewall(id=s["fw"]), _prod()),
        "firewall apply-to-resource fw --type server --server web"),
    act("firewalls/remove_from_resources", "wall", {"remove_from": SELECTED},
        lambda c, s: c.firewalls.remove_from_resources(Firewall(id=s["wall"]), _prod()),
        "firewall remove-from-resource wall --type label_selector --label-selector env=prod"),
    # --- placement groups ---
    *reading("placement_groups", "pg", "placement-group"),
    post("/placement_groups", {"name": "new", "type": "spread"},
         lambda c, s: c.placement_groups.create("new", "spread"),
         "placement-group create --name new --type spread", taken="pg", limit="placement_groups"),
    put("placement_groups", "pg", {"labels": {"a": "b"}, "name": "new"},
        lambda c, s: c.placement_groups.update(PlacementGroup(id=s["pg"]), {"a": "b"}, "new"),
        "placement-group update pg --name new"),
    delete("placement_groups", "pg", lambda c, s: c.placement_groups.delete(PlacementGroup(id=s["pg"])),
           "placement-group delete pg"),
    # --- networks ---
    *reading("networks", "net", "network", acts=True),
    post("/networks", {"name": "new", "ip_range": "10.9.0.0/16", "subnets": [_SUBNET | {"ip_range": "10.9.9.0/24"}],
                       "routes": [_ROUTE]},
         lambda c, s: c.networks.create("new", "10.9.0.0/16", [_subnet("10.9.9.0/24")], [_route()]),
         "network create --name new --ip-range 10.9.0.0/16", taken="net", limit="networks"),
    put("networks", "net", {"name": "new"}, lambda c, s: c.networks.update(_net(s), "new"),
        "network update net --name new"),
    delete("networks", "net", lambda c, s: c.networks.delete(_net(s)), "network delete net", guarded=True),
    act("networks/add_subnet", "net", _SUBNET, lambda c, s: c.networks.add_subnet(_net(s), _subnet("10.0.9.0/24")),
        "network add-subnet net --type cloud --network-zone eu-central --ip-range 10.0.9.0/24"),
    act("networks/delete_subnet", "net", {"ip_range": "10.0.2.0/24"},
        lambda c, s: c.networks.delete_subnet(_net(s), _subnet("10.0.2.0/24")),
        "network remove-subnet net --ip-range 10.0.2.0/24"),
    act("networks/add_route", "net", _ROUTE | {"destination": "10.100.9.0/24"},
        lambda c, s: c.networks.add_route(_net(s), NetworkRoute("10.100.9.0/24", "10.0.1.1")),
        "network add-route net --destination 10.100.9.0/24 --gateway 10.0.1.1"),
    act("networks/delete_route", "net", _ROUTE, lambda c, s: c.networks.delete_route(_net(s), _route()),
        "network remove-route net --destination 10.100.1.0/24 --gateway 10.0.1.1"),
    act("networks/change_ip_range", "net", {"ip_range": "10.0.0.0/12"},
        lambda c, s: c.networks.change_ip_range(_net(s), "10.0.0.0/12"),
        "network change-ip-range net --ip-range 10.0.0.0/12"),
    act("networks/change_protection", "net", {"delete": True}, lambda c, s: c.networks.change_protection(_net(s), True),
        "network enable-protection net delete"),
    # --- primary IPs ---
    *reading("primary_ips", "ip", "primary-ip", acts=True),
    post("/primary_ips", _PRIMARY_IP,
         lambda c, s: c.primary_ips.create("ipv4", "second", Location(name="hel1"), labels={}),
         taken="ip", limit="primary_ips"),  # hcloud 1.30 knows only the `datacenter` that was removed in 2026-07
    put("primary_ips", "ip", {"auto_delete": True, "labels": {"a": "b"}, "name": "new"},
        lambda c, s: c.primary_ips.update(_ip(s), True, {"a": "b"}, "new"), "primary-ip update ip --name new"),
    delete("primary_ips", "ip", lambda c, s: c.primary_ips.delete(_ip(s)), "primary-ip delete ip", guarded=True),
    act("primary_ips/assign", "ip", {"assignee_id": "$idle", "assignee_type": "server"},
        lambda c, s: c.primary_ips.assign(_ip(s), s["idle"]), "primary-ip assign ip --server idle"),
    act("primary_ips/unassign", "ip6", None, lambda c, s: c.primary_ips.unassign(PrimaryIP(id=s["ip6"])),
        "primary-ip unassign $ip6"),
    act("primary_ips/change_dns_ptr", "ip", {"ip": "10.213.0.10", "dns_ptr": "a.example.com"},
        lambda c, s: c.primary_ips.change_dns_ptr(_ip(s), "10.213.0.10", "a.example.com"),
        "primary-ip set-rdns ip --ip 10.213.0.10 --hostname a.example.com"),
    act("primary_ips/change_protection", "ip", {"delete": True},
        lambda c, s: c.primary_ips.change_protection(_ip(s), True), "primary-ip enable-protection ip"),
    # --- images ---
    *reading("images", "snap", "image", acts=True),
    put("images", "snap", {"description": "kept", "labels": {"a": "b"}},
        lambda c, s: c.images.update(Image(id=s["snap"]), "kept", labels={"a": "b"}),
        "image update $snap --description kept"),
    delete("images", "snap", lambda c, s: c.images.delete(Image(id=s["snap"])), "image delete $snap", guarded=True),
    act("images/change_protection", "snap", {"delete": True},
        lambda c, s: c.images.change_protection(Image(id=s["snap"]), True), "image enable-protection $snap delete"),
    # --- what can be ordered, and what there is none of ---
    *reading("server_types", "cpx22", "server-type"),
    *reading("locations", "fsn1", "location"),
    get("/pricing", python=lambda c, s: c.request("GET", "/pricing")),
    *empty("volumes", "volume"),
    *empty("load_balancers", "load-balancer"),
    *empty("load_balancer_types", "load-balancer-type"),
    *empty("floating_ips", "floating-ip"),
    *empty("certificates", "certificate"),
    *empty("isos", "iso"),
    get("/datacenters", status=410),
    get("/datacenters/{id}", "fsn1", status=410),
)  # fmt: skip


def _rules() -> list[FirewallRule]:
    return [FirewallRule("in", "tcp", ["0.0.0.0/0", "::/0"], port="22")]


def _subnet(ip_range: str) -> NetworkSubnet:
    return NetworkSubnet(ip_range, "cloud", "eu-central")


def _route() -> NetworkRoute:
    return NetworkRoute("10.100.1.0/24", "10.0.1.1")
