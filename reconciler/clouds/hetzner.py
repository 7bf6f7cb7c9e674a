"""The Cloud port on the Hetzner Cloud API, by hcloud; the only module that knows hcloud.

hcloud carries the requests and reads the refusals. Its models are left alone: touching an empty field of a nested one
sends a hidden request, and a field they don't know breaks them. Must not decide anything about the fleet.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import ceil
from typing import Any

import requests
from hcloud import APIException, Client
from requests.adapters import HTTPAdapter

from reconciler.clouds import answers, shared
from reconciler.clouds.answers import action_ids, understood
from reconciler.clouds.budget import Budget
from reconciler.clouds.catalogue import Catalogue
from reconciler.clouds.refusals import translate
from reconciler.clouds.waiting import Waiting
from reconciler.errors import CloudUnavailable, NotFound, RateLimited
from reconciler.model import LABEL_PREFIX, Besides, Catalog, Firewall, FirewallSpec, Secret, Server, ServerRequest
from reconciler.parallel import in_parallel
from reconciler.ports import Clock

ENDPOINT = "https://api.hetzner.cloud/v1"

_TIMEOUT = (5.0, 30.0)  # seconds to connect, and of silence; hcloud's own default is to wait for ever
_PER_PAGE = 50  # the API's most
_MOST_PAGES = 400
_PAGES_AT_ONCE = 6
_NAMES_ONE_BY_ONE = 3
_REFUSED_AT_MOST = 4  # times in a row for lack of budget
_BESIDES: dict[str, tuple[str, dict[str, str]]] = {
    "snapshot": ("/images", {"type": "snapshot"}),
    "volume": ("/volumes", {}),
    "primary IP": ("/primary_ips", {}),
    "floating IP": ("/floating_ips", {}),
    "load balancer": ("/load_balancers", {}),
}
_FIREWALL_PATIENCE = 120.0  # seconds until its changes have reached every server


class HetznerCloud:
    """Thread-safe for `connections` threads. Raises CloudError's children only; `close` it in the end."""

    def __init__(self, token: Secret, clock: Clock, endpoint: str = ENDPOINT, connections: int = 32) -> None:
        self._clock = clock
        self._api = _Api(token, clock, endpoint.rstrip("/"), connections)
        self._waiting = Waiting(self._actions, clock)
        self._catalogue = Catalogue(self._api, clock)

    def close(self) -> None:
        self._api.close()

    # --- servers ----------------------------------------------------------------------------------------------

    def servers(self, fleet_id: str) -> tuple[Server, ...]:
        selector = f"{LABEL_PREFIX}fleet-id={fleet_id}"
        rows = self._api.list_all("list the fleet's servers", "/servers", label_selector=selector)
        with understood():
            return tuple(answers.server(row) for row in rows)

    def server_named(self, name: str) -> Server | None:
        rows = self._api.list_all(f"look for server {name}", "/servers", name=name)
        with understood():
            return next((answers.server(row) for row in rows if row["name"] == name), None)

    def servers_named(self, names: Collection[str]) -> tuple[Server, ...]:
        """A page of the whole project costs as much as one name."""
        if len(names) <= _NAMES_ONE_BY_ONE:
            looked = (self.server_named(name) for name in names)
            return tuple(server for server in looked if server is not None)
        rows = self._api.list_all("look for servers by their names", "/servers")
        with understood():
            return tuple(answers.server(row) for row in rows if row["name"] in names)

    def server(self, server_id: int) -> Server | None:
        try:
            answer = self._api.ask(f"look at server {server_id}", "GET", f"/servers/{server_id}")
        except NotFound:
            return None
        with understood():
            return answers.server(answer["server"])

    def create_server(self, request: ServerRequest) -> tuple[Server, tuple[int, ...]]:
        body = {
            "name": request.name,
            "server_type": request.server_type,
            "image": request.image,
            "location": request.region,
            "user_data": request.user_data.reveal(),
            "labels": dict(request.labels),
            "ssh_keys": list(request.ssh_key_ids),
            "public_net": {"enable_ipv4": request.ipv4, "enable_ipv6": True},
        }
        answer = self._api.ask(f"create server {request.name}", "POST", "/servers", body)
        with understood():
            return answers.server(answer["server"]), action_ids(answer["action"], *answer["next_actions"])

    def set_labels(self, server_id: int, labels: dict[str, str]) -> Server:
        return self._put(f"label server {server_id}", server_id, {"labels": labels})

    def rename(self, server_id: int, name: str, labels: dict[str, str]) -> Server:
        return self._put(f"rename server {server_id} to {name}", server_id, {"name": name, "labels": labels})

    def change_type(self, server_id: int, server_type: str) -> tuple[int, ...]:
        """Its disk is kept: one that has grown rules every smaller type out for ever."""
        return self._act(server_id, "change_type", {"server_type": server_type, "upgrade_disk": False})

    def set_backups(self, server_id: int, on: bool) -> tuple[int, ...]:
        return self._act(server_id, "enable_backup" if on else "disable_backup")

    def delete_server(self, server_id: int) -> tuple[int, ...]:
        try:
            answer = self._api.ask(f"delete server {server_id}", "DELETE", f"/servers/{server_id}")
        except NotFound:
            return ()
        with understood():
            return action_ids(answer["action"])

    def power_on(self, server_id: int) -> tuple[int, ...]:
        return self._act(server_id, "poweron")

    def power_off(self, server_id: int) -> tuple[int, ...]:
        return self._act(server_id, "poweroff")

    def shutdown(self, server_id: int) -> tuple[int, ...]:
        return self._act(server_id, "shutdown")

    def reboot(self, server_id: int) -> tuple[int, ...]:
        return self._act(server_id, "reboot")

    def reset(self, server_id: int) -> tuple[int, ...]:
        return self._act(server_id, "reset")

    def open_actions(self, server_id: int) -> tuple[int, ...]:
        rows = self._api.list_all(f"list the actions of server {server_id}", f"/servers/{server_id}/actions")
        with understood():
            return tuple(row["id"] for row in rows if row["status"] != "success")

    def wait(self, action_ids: Sequence[int], timeout: float) -> None:
        """One poller for all threads. A hiccup of the API is waited out."""
        self._waiting.wait(action_ids, timeout)

    def requests_left(self) -> int | None:
        return self._api.requests_left()

    def besides(self) -> tuple[Besides, ...]:
        """Six requests. What is attached to a server without a price of its own, as its IPv6 is, is left out."""
        doing = "look for what costs something besides servers"
        rows = {kind: self._api.list_all(doing, path, **query) for kind, (path, query) in _BESIDES.items()}
        pricing = self._api.ask(doing, "GET", "/pricing")
        with understood():
            return answers.besides(rows, pricing["pricing"])

    # --- what servers share -----------------------------------------------------------------------------------

    def ensure_ssh_key(self, name: str, public_key: str, labels: dict[str, str]) -> int:
        """A key of this name with another public key is replaced if it has all of `labels`, else NameTaken."""
        return shared.ensure_ssh_key(self._api, name, public_key, labels)

    def ensure_firewall(self, firewall: FirewallSpec) -> None:
        """One of this name without all of our labels is somebody else's: NameTaken. Every server has it afterwards."""
        self.wait(shared.ensure_firewall(self._api, firewall), _FIREWALL_PATIENCE)

    def restore_firewall(self, firewall: Firewall) -> None:
        self.wait(shared.restore_firewall(self._api, firewall), _FIREWALL_PATIENCE)

    def firewalls(self, fleet_id: str) -> tuple[Firewall, ...]:
        selector = f"{LABEL_PREFIX}fleet-id={fleet_id}"
        rows = self._api.list_all("list the fleet's firewalls", "/firewalls", label_selector=selector)
        with understood():
            return tuple(answers.firewall(row) for row in rows)

    def label_firewall(self, firewall_id: int, labels: dict[str, str]) -> None:
        self._api.ask(f"label firewall {firewall_id}", "PUT", f"/firewalls/{firewall_id}", {"labels": labels})

    def delete_firewall(self, name: str) -> None:
        for firewall in shared.firewalls_named(self._api, name):
            self.wait(shared.detach_firewall(self._api, firewall), _FIREWALL_PATIENCE)
            shared.delete_firewall(self._api, firewall)

    def catalog(self) -> Catalog:
        return self._catalogue.now()

    def _put(self, doing: str, server_id: int, body: dict[str, Any]) -> Server:
        answer = self._api.ask(doing, "PUT", f"/servers/{server_id}", body)
        with understood():
            return answers.server(answer["server"])

    def _act(self, server_id: int, verb: str, body: dict[str, Any] | None = None) -> tuple[int, ...]:
        answer = self._api.ask(f"{verb} server {server_id}", "POST", f"/servers/{server_id}/actions/{verb}", body)
        with understood():
            return action_ids(answer["action"])

    def _actions(self, numbers: list[int]) -> list[Any]:
        answer = self._api.ask("follow its actions", "GET", "/actions", params={"id": numbers})
        with understood():
            return list(answer["actions"])


class _Api:
    """Requests, refusals, pages and budget; knows nothing of what they are about."""

    def __init__(self, token: Secret, clock: Clock, endpoint: str, connections: int) -> None:
        self._endpoint = endpoint
        self._requests = Budget(clock)
        self._polls = Budget(clock)
        self._client = Client(token.reveal(), endpoint, "openclaw-deploy", timeout=_TIMEOUT)
        inner = self._client._client  # no public way to what follows: see the contract test of these names
        inner._retry_max_retries = 0  # it would sleep in our threads, and repeat a POST that timed out
        self._session = inner._session
        self._session.hooks["response"].append(self._note_budget)
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=connections))

    def close(self) -> None:
        self._session.close()

    def requests_left(self) -> int | None:
        return self._requests.left()

    def list_all(self, doing: str, path: str, **params: str) -> list[Any]:
        """Every row, or an error: a listing whose pages don't add up is repeated once."""
        for _ in range(2):
            pages, key = self._pages(doing, path, params), path.rpartition("/")[2]
            with understood():
                totals = {page["meta"]["pagination"]["total_entries"] for page in pages}
                rows = {row["id"]: row for page in pages for row in page[key]}
                seen = sum(len(page[key]) for page in pages)
            if totals == {len(rows)} and seen == len(rows):
                return list(rows.values())
        advice = "Something changes it faster than it can be read; try again in a moment."
        raise CloudUnavailable(f"Hetzner Cloud cannot {doing}: its pages do not add up", advice)

    def _pages(self, doing: str, path: str, params: dict[str, str]) -> list[Any]:
        """The first tells how many there are; the others are asked for together."""

        def page(number: int) -> Any:
            return self.ask(doing, "GET", path, params={**params, "page": number, "per_page": _PER_PAGE})

        first = page(1)
        with understood():
            last = ceil(first["meta"]["pagination"]["total_entries"] / _PER_PAGE)
        others = range(2, min(last, _MOST_PAGES) + 1)
        return [first, *in_parallel(page, others, _PAGES_AT_ONCE)] if others else [first]

    def ask(
        self,
        doing: str,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        params: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """One request; only those refused for lack of budget are sent again, because nothing came of them."""
        for _ in range(_REFUSED_AT_MOST - 1):
            try:
                return self._ask_once(doing, method, path, body, params)
            except RateLimited:
                self._budget(path).drain()
        return self._ask_once(doing, method, path, body, params)

    def _ask_once(
        self, doing: str, method: str, path: str, body: dict[str, Any] | None, params: dict[str, Any] | None
    ) -> dict[str, Any]:
        with self._budget(path).request(), understood():
            try:
                return self._client.request(method, path, json=body, params=params)
            except APIException as refused:
                raise translate(doing, refused.code, refused.message, refused.correlation_id) from refused
            except requests.RequestException as broken:
                raise CloudUnavailable(
                    f"Hetzner Cloud cannot {doing}: no answer from {self._endpoint} ({type(broken).__name__})",
                    "Check the network; whether the request was carried out is not known.",
                ) from broken

    def _budget(self, path: str) -> Budget:
        return self._polls if path.startswith("/actions") else self._requests

    def _note_budget(self, response: requests.Response, **_: object) -> None:
        path = (response.request.url or "").removeprefix(self._endpoint)
        self._budget(path).note(response.headers)
