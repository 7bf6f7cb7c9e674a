"""What HetznerCloud does on the wire: how many requests, what it makes of refusals, how it waits."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime

import hcloud
import pytest
import requests
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reconciler import errors
from reconciler.clouds.budget import Budget
from reconciler.clouds.hetzner import HetznerCloud
from reconciler.model import Secret, ServerStatus
from reconciler.sandbox.emulator.errors import ApiError, rate_limited
from tests.contract.conftest import TOKEN, Emulator, HastyClock, StartEmulator
from tests.contract.serving import Host
from tests.contract.test_cloud_contract import KEY, OURS, firewall, request_for


class TurnedClock:
    """A clock that only its own sleeps move."""

    def __init__(self) -> None:
        self.time = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return datetime(2026, 11, 22, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds

    def token(self) -> str:
        return "0123456789abcdef"


@contextmanager
def scripted(host: Host, answer: Callable[[Request], Response]) -> Iterator[HetznerCloud]:
    """HetznerCloud against an API that answers every GET like this."""
    app = Starlette(routes=[Route("/{path:path}", answer)])
    with host.mount(app, app) as url:
        cloud = HetznerCloud(Secret(TOKEN), TurnedClock(), f"{url}/v1")
        yield cloud
        cloud.close()


def asked(emulator: Emulator) -> list[str]:
    return [f"{entry.method} {entry.path}" for entry in emulator.world.log.entries]


# --- hcloud --------------------------------------------------------------------------------------------------


def test_the_private_names_of_hcloud_that_we_use_are_still_there() -> None:
    inner = hcloud.Client("token")._client
    assert inner._retry_max_retries == 5
    assert isinstance(inner._session, requests.Session)
    assert inner._session.hooks["response"] == []
    inner._session.close()


# --- listings ------------------------------------------------------------------------------------------------


def test_32_threads_create_and_one_listing_finds_all(hetzner: HetznerCloud, emulator: Emulator) -> None:
    with ThreadPoolExecutor(32) as pool:
        made = list(pool.map(lambda number: hetzner.create_server(request_for(f"oc-{number}")), range(60)))
    hetzner.wait([action for _, actions in made for action in actions], 60)
    before = len(emulator.world.log.entries)
    servers = hetzner.servers("f1")
    assert {server.name for server in servers} == {f"oc-{number}" for number in range(60)}
    assert {server.status for server in servers} == {ServerStatus.RUNNING}
    assert asked(emulator)[before:] == ["GET /servers"] * 2
    assert threading.active_count() < 100


def pages(*totals: int) -> Callable[[Request], Response]:
    """Answers whose pages say that there are so many entries, one after the other; each has the same single server."""
    said = iter(totals)

    def answer(request: Request) -> Response:
        number = int(request.query_params["page"])
        pagination = {"total_entries": next(said)}
        return JSONResponse({"servers": [{"id": number}], "meta": {"pagination": pagination}})

    return answer


def test_a_listing_that_never_adds_up_is_an_error_after_one_repetition(host: Host) -> None:
    totals = [51, 52, 52, 52, 99]
    with (
        scripted(host, pages(*totals)) as cloud,
        pytest.raises(errors.CloudUnavailable, match="do not add up"),
    ):
        cloud.servers("f1")


def test_the_same_server_on_two_pages_is_not_taken_for_two(host: Host) -> None:
    def answer(request: Request) -> Response:
        assert request.query_params["page"] in {"1", "2"}
        pagination = {"total_entries": 51}
        return JSONResponse({"servers": [{"id": 7}], "meta": {"pagination": pagination}})

    with scripted(host, answer) as cloud, pytest.raises(errors.CloudUnavailable, match="do not add up"):
        cloud.servers("f1")


def test_an_answer_of_another_shape_is_an_error_of_ours(host: Host) -> None:
    with (
        scripted(host, lambda _: JSONResponse({"surprise": True})) as cloud,
        pytest.raises(errors.CloudUnavailable, match="not understood"),
    ):
        cloud.servers("f1")


def test_the_catalogue_costs_four_requests(hetzner: HetznerCloud, emulator: Emulator) -> None:
    hetzner.catalog()
    assert sorted(asked(emulator)) == ["GET /images", "GET /locations", "GET /pricing", "GET /server_types"]


def test_the_catalogue_is_not_read_again_by_everybody_who_asks_at_once(
    hetzner: HetznerCloud, emulator: Emulator
) -> None:
    with ThreadPoolExecutor(16) as pool:
        catalogs = list(pool.map(lambda _: hetzner.catalog(), range(16)))
    assert all(catalog is catalogs[0] for catalog in catalogs)
    assert len(asked(emulator)) == 4


def test_a_retired_type_is_one_that_is_no_longer_sold_or_runs_out(host: Host) -> None:
    past, future = "2026-11-21T00:00:00Z", "2026-11-23T00:00:00Z"
    offers = {"sold": (True, None), "ends": (True, future), "ended": (True, past), "runs-out": (False, future)}

    def answer(request: Request) -> Response:
        locations = [
            {"name": name, "available": there, "deprecation": end and {"unavailable_after": end}}
            for name, (there, end) in offers.items()
        ]
        kind = {"id": 1, "name": "t", "architecture": "arm", "cores": 2, "memory": 4.0, "disk": 40, "prices": []}
        rows = {"server_types": [kind | {"locations": locations}]}
        pricing = {
            "currency": "EUR",
            "primary_ips": [{"type": "ipv4", "prices": []}],
            "server_backup": {"percentage": "20.00"},
        }
        name = request.url.path.rpartition("/")[2]
        if name == "pricing":
            return JSONResponse({"pricing": pricing})
        found = rows.get(name, [])
        return JSONResponse({name: found, "meta": {"pagination": {"total_entries": len(found)}}})

    with scripted(host, answer) as cloud:
        catalog = cloud.catalog()
    assert catalog.types["t"].retired == {"ended", "runs-out"}
    assert catalog.backup_percent == "20"


# --- what servers share --------------------------------------------------------------------------------------


def test_a_firewall_as_wanted_costs_one_look(hetzner: HetznerCloud, emulator: Emulator) -> None:
    hetzner.ensure_firewall(firewall())
    before = len(emulator.world.log.entries)
    hetzner.ensure_firewall(firewall())
    assert asked(emulator)[before:] == ["GET /firewalls"]


def test_a_firewall_is_attached_by_selector_and_never_to_a_server(hetzner: HetznerCloud, emulator: Emulator) -> None:
    hetzner.create_server(request_for())
    hetzner.ensure_firewall(firewall())
    (made,) = emulator.world.firewalls.by_id.values()
    assert (made.selectors, made.servers) == (("openclaw-deploy/fleet-id=f1",), ())
    assert made.rules[0]["source_ips"] == ["0.0.0.0/0", "::/0"]


def test_a_detached_firewall_is_attached_again(hetzner: HetznerCloud, emulator: Emulator) -> None:
    hetzner.ensure_firewall(firewall(selector="other=selector"))
    hetzner.ensure_firewall(firewall())
    (made,) = emulator.world.firewalls.by_id.values()
    assert "openclaw-deploy/fleet-id=f1" in made.selectors


def test_an_ssh_key_as_wanted_costs_one_look(hetzner: HetznerCloud, emulator: Emulator) -> None:
    hetzner.ensure_ssh_key("oc", KEY, OURS)
    before = len(emulator.world.log.entries)
    hetzner.ensure_ssh_key("oc", KEY, OURS)
    assert asked(emulator)[before:] == ["GET /ssh_keys"]


def test_every_server_is_under_some_firewall_while_the_selector_changes(
    hetzner: HetznerCloud, emulator: Emulator
) -> None:
    hetzner.ensure_firewall(firewall())
    before = len(emulator.world.log.entries)
    hetzner.ensure_firewall(firewall(selector="openclaw-deploy/fleet-id=f1,!openclaw-deploy/ssh-from"))
    changes = [line.rpartition("/")[2] for line in asked(emulator)[before:] if line.startswith("POST")]
    assert changes == ["apply_to_resources", "remove_from_resources"]
    (live,) = hetzner.firewalls("f1")
    assert live.selectors == ("openclaw-deploy/fleet-id=f1,!openclaw-deploy/ssh-from",)


# --- actions -------------------------------------------------------------------------------------------------


def test_32_threads_wait_for_their_servers_with_a_few_polls(hetzner: HetznerCloud, emulator: Emulator) -> None:
    def create(number: int) -> None:
        hetzner.wait(hetzner.create_server(request_for(f"oc-{number}"))[1], 60)

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(create, range(64)))
    polls = asked(emulator).count("GET /actions")
    assert {server.status for server in hetzner.servers("f1")} == {ServerStatus.RUNNING}
    assert polls < 64


def test_one_failed_action_is_no_matter_of_the_others_who_wait(hetzner: HetznerCloud, emulator: Emulator) -> None:
    emulator.world.faults.fail_action("create_server", "action_failed", "no luck")
    made = [hetzner.create_server(request_for(f"oc-{number}"))[1] for number in range(4)]

    def ended(actions: tuple[int, ...]) -> str:
        try:
            hetzner.wait(actions, 10)
        except errors.ActionFailed:
            return "failed"
        return "done"

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(ended, made)) == ["done", "done", "done", "failed"]


def test_sixty_actions_are_followed_25_to_a_request(hetzner: HetznerCloud, emulator: Emulator) -> None:
    made = [hetzner.create_server(request_for(f"oc-{number}"))[1] for number in range(30)]
    emulator.settle()
    before = len(emulator.world.log.entries)
    hetzner.wait([action for actions in made for action in actions], 10)
    polls = emulator.world.log.entries[before:]
    assert [entry.query.count("id=") for entry in polls] == [25, 25, 10]


def test_polls_become_rarer_and_end_at_the_deadline(start_emulator: StartEmulator) -> None:
    clock = TurnedClock()
    with start_emulator(pace=30) as emulator:
        cloud = HetznerCloud(Secret(TOKEN), clock, emulator.url)
        _, actions = cloud.create_server(request_for())
        with pytest.raises(errors.CloudUnavailable, match="within 20 s"):
            cloud.wait(actions, 20)
        cloud.close()
    assert clock.slept[:3] == [1.0, 1.5, 2.25]
    assert max(clock.slept) == 5.0
    assert clock.time == pytest.approx(20)


def test_a_hiccup_while_waiting_is_waited_out(hetzner: HetznerCloud, emulator: Emulator) -> None:
    server, actions = hetzner.create_server(request_for())
    emulator.world.faults.refuse_next("GET /actions", ApiError(503, "unavailable", "later"), times=2)
    emulator.world.faults.drop_next("GET /actions")
    hetzner.wait(actions, 10)
    assert emulator.world.servers[server.id].status == "running"


# --- refusals and silence ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "message", "expected"),
    [
        (401, "unauthorized", "token is required", errors.Unauthorized),
        (401, "token_readonly", "token is only allowed to perform GET requests", errors.Unauthorized),
        (403, "forbidden", "insufficient permissions", errors.Unauthorized),
        (403, "resource_limit_exceeded", "server limit exceeded", errors.LimitExceeded),
        (403, "maintenance", "maintenance", errors.CloudUnavailable),
        (404, "not_found", "not found", errors.NotFound),
        (409, "uniqueness_error", "server name is already used", errors.NameTaken),
        (409, "conflict", "conflict", errors.CloudUnavailable),
        (410, "deprecated_api_endpoint", "gone", errors.InvalidRequest),
        (412, "resource_unavailable", "server location disabled", errors.OutOfStock),
        (422, "placement_error", "no space", errors.OutOfStock),
        (422, "invalid_input", "unsupported location for server type", errors.OutOfStock),
        (422, "invalid_input", "invalid input in field 'name'", errors.InvalidRequest),
        (423, "locked", "cannot perform operation because server is locked", errors.ResourceLocked),
        (423, "protected", "server is delete protected", errors.InvalidRequest),
        (500, "server_error", "oops", errors.CloudUnavailable),
        (502, "bad_gateway", "oops", errors.CloudUnavailable),
        (503, "unavailable", "oops", errors.CloudUnavailable),
        (504, "timeout", "oops", errors.CloudUnavailable),
    ],
)
def test_a_refusal_becomes_our_error_with_all_that_support_wants(
    hetzner: HetznerCloud,
    emulator: Emulator,
    status: int,
    code: str,
    message: str,
    expected: type[errors.CloudError],
) -> None:
    emulator.world.faults.refuse_next("POST /servers", ApiError(status, code, message))
    with pytest.raises(errors.CloudError) as raised:
        hetzner.create_server(request_for())
    error = raised.value
    (entry,) = emulator.world.log.entries
    assert type(error) is expected
    assert error.correlation_id == entry.correlation_id
    assert message in error.summary
    assert code in error.summary
    assert entry.correlation_id in error.summary
    assert error.advice
    assert isinstance(error.__cause__, hcloud.APIException)
    assert TOKEN not in f"{error} {error.__cause__!r}"


@pytest.mark.parametrize(
    ("status", "expected"),
    [(502, errors.CloudUnavailable), (429, errors.RateLimited), (404, errors.NotFound), (418, errors.InvalidRequest)],
)
def test_an_answer_that_is_not_the_apis_json_is_judged_by_its_status(
    host: Host, status: int, expected: type[errors.CloudError]
) -> None:
    with (
        scripted(host, lambda _: Response("<html>from a proxy</html>", status)) as cloud,
        pytest.raises(errors.CloudError) as raised,
    ):
        cloud.catalog()
    assert type(raised.value) is expected


def test_a_create_whose_answer_is_lost_is_not_repeated_and_can_be_found(
    hetzner: HetznerCloud, emulator: Emulator
) -> None:
    emulator.world.faults.drop_next("POST /servers")
    with pytest.raises(errors.CloudUnavailable) as raised:
        hetzner.create_server(request_for())
    assert "not known" in raised.value.advice
    assert emulator.world.log.count("POST", "/servers", "oc-anna") == 1
    found = hetzner.server_named("oc-anna")
    assert found is not None
    assert found.labels == OURS


def test_nobody_listening_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    cloud = HetznerCloud(Secret(TOKEN), HastyClock(), f"http://127.0.0.1:{port}/v1")
    with pytest.raises(errors.CloudUnavailable, match="ConnectionError"):
        cloud.servers("f1")
    cloud.close()


# --- the budget ----------------------------------------------------------------------------------------------


def test_an_empty_budget_is_waited_for_and_only_that_request_is_repeated(
    hetzner: HetznerCloud, emulator: Emulator, clock: HastyClock
) -> None:
    emulator.world.faults.refuse_next("POST /servers", rate_limited(3600), times=2)
    server, _ = hetzner.create_server(request_for())
    assert list(emulator.world.servers) == [server.id]
    assert [entry.status for entry in emulator.world.log.entries] == [429, 429, 201]
    assert sum(clock.slept) > 1


def test_a_budget_that_stays_empty_is_an_error(hetzner: HetznerCloud, emulator: Emulator) -> None:
    emulator.world.faults.refuse_next("GET /servers", rate_limited(3600), times=10)
    with pytest.raises(errors.RateLimited):
        hetzner.servers("f1")
    assert len(emulator.world.log.entries) == 4


def test_the_headers_feed_the_budget_that_the_request_was_taken_from(start_emulator: StartEmulator) -> None:
    clock = TurnedClock()
    with start_emulator(requests_per_hour=3) as emulator:
        cloud = HetznerCloud(Secret(TOKEN), clock, emulator.url)
        for _ in range(3):
            cloud.server(1)
        assert clock.slept == []
        with pytest.raises(errors.NotFound):
            cloud.wait((1,), 2)  # the actions' own bucket is still full
        assert clock.slept == [1.0]  # before it asked
        with pytest.raises(errors.RateLimited):
            cloud.server(1)
        assert clock.slept[1] == pytest.approx(1200, rel=0.01)
        cloud.close()


def test_without_headers_the_budget_counts_by_itself() -> None:
    clock = TurnedClock()
    budget = Budget(clock)
    for _ in range(3601):
        with budget.request():
            pass
    assert clock.slept == [pytest.approx(1.0)]
    clock.time += 3600
    for _ in range(3600):
        with budget.request():
            pass
    assert len(clock.slept) == 1


def test_what_is_left_of_the_budget_is_told_without_a_request(hetzner: HetznerCloud, emulator: Emulator) -> None:
    assert hetzner.requests_left() is None
    for _ in range(3):
        hetzner.server(1)
    assert hetzner.requests_left() in {3597, 3598}  # one is refilled each second
    assert len(emulator.world.log.entries) == 3


def test_what_others_spend_in_the_project_slows_us_down() -> None:
    clock = TurnedClock()
    budget = Budget(clock)
    with budget.request():
        budget.note({"RateLimit-Limit": "7200", "RateLimit-Remaining": "0"})
    with budget.request():
        budget.note({"RateLimit-Limit": "odd", "RateLimit-Remaining": "odd"})
    assert clock.slept == [pytest.approx(0.5)]


def test_what_costs_something_besides_servers_has_its_price(host: Host) -> None:
    """What a server has already in its own price, and what is free, is left out."""
    place, kept = {"name": "nbg1"}, {"labels": {}, "created": "2026-11-01T00:00:00+00:00"}
    rows: dict[str, list[dict[str, object]]] = {
        "images": [{**kept, "id": 1, "type": "snapshot", "name": None, "description": "before", "image_size": 2.3},
                   {**kept, "id": 2, "type": "snapshot", "name": None, "description": "", "image_size": None}],
        "volumes": [{**kept, "id": 3, "name": "data", "size": 10, "server": 42, "location": place}],
        "primary_ips": [{**kept, "id": 4, "name": "left", "type": "ipv4", "assignee_id": None, "location": place},
                        {**kept, "id": 5, "name": "free", "type": "ipv6", "assignee_id": None, "location": place},
                        {**kept, "id": 6, "name": "used", "type": "ipv4", "assignee_id": 42, "location": place}],
        "floating_ips": [{**kept, "id": 7, "name": "f", "type": "ipv4", "server": 42, "home_location": place}],
        "load_balancers": [{**kept, "id": 8, "name": "lb", "load_balancer_type": {"name": "lb11"}, "location": place},
                           {**kept, "id": 9, "name": "?", "load_balancer_type": {"name": "lb99"}, "location": place}],
    }  # fmt: skip
    monthly = [{"location": "nbg1", "price_monthly": {"net": "0.5000000000"}}]
    free = [{"location": "nbg1", "price_monthly": {"net": "0.0000000000"}}]
    pricing = {
        "image": {"price_per_gb_month": {"net": "0.0143"}}, "volume": {"price_per_gb_month": {"net": "0.0572"}},
        "primary_ips": [{"type": "ipv4", "prices": monthly}, {"type": "ipv6", "prices": free}],
        "floating_ips": [{"type": "ipv4", "prices": [{"location": "nbg1", "price_monthly": {"net": "3.00"}}]}],
        "load_balancer_types": [{"name": "lb11", "prices": [{"location": "nbg1", "price_monthly": {"net": "6.99"}}]}],
    }  # fmt: skip

    def answer(request: Request) -> Response:
        name = request.url.path.rpartition("/")[2]
        if name == "pricing":
            return JSONResponse({"pricing": pricing})
        found = rows[name]
        page = {"page": 1, "per_page": 50, "previous_page": None, "next_page": None, "last_page": 1}
        return JSONResponse({name: found, "meta": {"pagination": {**page, "total_entries": len(found)}}})

    with scripted(host, answer) as cloud:
        found = [(it.kind, it.id, it.name, it.region, it.at, str(it.monthly)) for it in cloud.besides()]
    assert found == [
        ("snapshot", 1, "before", "", None, "0.03"),
        ("snapshot", 2, "", "", None, "None"),
        ("volume", 3, "data", "nbg1", 42, "0.57"),
        ("primary IP", 4, "left", "nbg1", None, "0.50"),
        ("floating IP", 7, "f", "nbg1", 42, "3.00"),
        ("load balancer", 8, "lb", "nbg1", None, "6.99"),
        ("load balancer", 9, "?", "nbg1", None, "None"),
    ]


def test_a_snapshot_of_the_sandbox_costs_something_besides(emulator: Emulator) -> None:
    cloud = HetznerCloud(Secret(TOKEN), HastyClock(), emulator.url)
    server, actions = cloud.create_server(request_for("oc-anna"))
    cloud.wait(actions, 10)
    assert cloud.besides() == ()
    answer = emulator.client.post(f"/servers/{server.id}/actions/create_image", json={"type": "snapshot"})
    assert answer.status_code == 201
    assert [it.kind for it in cloud.besides()] == ["snapshot"]
    cloud.close()
