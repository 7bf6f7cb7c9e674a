"""The Cloud port on the Hetzner Cloud API, by hcloud; the only module that knows hcloud.

hcloud carries the requests and reads the refusals. Its models are left alone: touching an empty field of a nested one
sends a hidden request, and a field they don't know breaks them. Must not decide anything about the fleet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import requests
from hcloud import APIException, Client
from requests.adapters import HTTPAdapter

from reconciler.clouds import answers, shared
from reconciler.clouds.answers import action_ids, understood
from reconciler.clouds.budget import Budget
from reconciler.clouds.refusals import translate
from reconciler.errors import ActionFailed, CloudUnavailable, NotFound, RateLimited
from reconciler.model import LABEL_PREFIX, Catalog, FirewallSpec, Secret, Server, ServerRequest
from reconciler.ports import Clock

ENDPOINT = "https://api.hetzner.cloud/v1"

_TIMEOUT = (5.0, 30.0)  # seconds to connect, and of silence; hcloud's own default is to wait for ever
_PER_PAGE = 50  # the API's most
_MOST_PAGES = 400
_IDS_PER_POLL = 25  # the API's default page: it has no other documented limit for `id`
_PAUSES = (0.5, 5.0)  # seconds between polls, from and to
_REFUSED_AT_MOST = 4  # times in a row for lack of budget
_DETACH_PATIENCE = 60.0


class HetznerCloud:
    """Thread-safe for `connections` threads. Raises CloudError's children only; `close` it in the end."""

    def __init__(self, token: Secret, clock: Clock, endpoint: str = ENDPOINT, connections: int = 32) -> None:
        self._clock = clock
        self._api = _Api(token, clock, endpoint.rstrip("/"), connections)

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
        }
        answer = self._api.ask(f"create server {request.name}", "POST", "/servers", body)
        with understood():
            return answers.server(answer["server"]), action_ids(answer["action"], *answer["next_actions"])

    def set_labels(self, server_id: int, labels: dict[str, str]) -> Server:
        answer = self._api.ask(f"label server {server_id}", "PUT", f"/servers/{server_id}", {"labels": labels})
        with understood():
            return answers.server(answer["server"])

    def delete_server(self, server_id: int) -> tuple[int, ...]:
        try:
            answer = self._api.ask(f"delete server {server_id}", "DELETE", f"/servers/{server_id}")
        except NotFound:
            return ()
        with understood():
            return action_ids(answer["action"])

    def power_on(self, server_id: int) -> tuple[int, ...]:
        return self._switch(server_id, "poweron")

    def power_off(self, server_id: int) -> tuple[int, ...]:
        return self._switch(server_id, "poweroff")

    def reboot(self, server_id: int) -> tuple[int, ...]:
        return self._switch(server_id, "reboot")

    # --- actions ----------------------------------------------------------------------------------------------

    def wait(self, action_ids: Sequence[int], timeout: float) -> None:
        deadline = self._clock.monotonic() + timeout
        pending = tuple(dict.fromkeys(action_ids))
        pause, longest = _PAUSES
        while pending := self._still_running(pending):
            left = deadline - self._clock.monotonic()
            if left <= 0:
                raise CloudUnavailable(
                    f"Hetzner Cloud has not finished {len(pending)} action(s) within {timeout:.0f} s",
                    "They go on without us; run the plan again in a while.",
                )
            self._clock.sleep(min(pause, left))
            pause = min(1.5 * pause, longest)

    # --- what servers share -----------------------------------------------------------------------------------

    def ensure_ssh_key(self, name: str, public_key: str, labels: dict[str, str]) -> int:
        """A key of this name with another public key is replaced if it has all of `labels`, else NameTaken."""
        return shared.ensure_ssh_key(self._api, name, public_key, labels)

    def ensure_firewall(self, firewall: FirewallSpec) -> None:
        """One of this name without all of our labels is somebody else's: NameTaken."""
        shared.ensure_firewall(self._api, firewall)

    def delete_firewall(self, name: str) -> None:
        for firewall in shared.firewalls_named(self._api, name):
            self.wait(shared.detach_firewall(self._api, firewall), _DETACH_PATIENCE)
            shared.delete_firewall(self._api, firewall)

    def catalog(self) -> Catalog:
        doing = "read the catalogue"
        types = self._api.list_all(doing, "/server_types")
        locations = self._api.list_all(doing, "/locations")
        images = self._api.list_all(doing, "/images", type="system")
        pricing = self._api.ask(doing, "GET", "/pricing")
        with understood():
            return answers.catalog(types, locations, images, pricing["pricing"], self._clock.now())

    def _switch(self, server_id: int, verb: str) -> tuple[int, ...]:
        answer = self._api.ask(f"{verb} server {server_id}", "POST", f"/servers/{server_id}/actions/{verb}")
        with understood():
            return action_ids(answer["action"])

    def _still_running(self, pending: tuple[int, ...]) -> tuple[int, ...]:
        """Those not finished; all when the API cannot say now. Raises ActionFailed, NotFound for an unknown one."""
        rows: dict[int, Any] = {}
        for start in range(0, len(pending), _IDS_PER_POLL):
            some = list(pending[start : start + _IDS_PER_POLL])
            try:
                answer = self._api.ask("follow its actions", "GET", "/actions", params={"id": some})
            except (CloudUnavailable, RateLimited):
                return pending
            with understood():
                rows |= {row["id"]: row for row in answer["actions"]}
        if unknown := [number for number in pending if number not in rows]:
            raise NotFound(f"Hetzner Cloud does not know action {unknown[0]}", "Run the plan again to see what it did.")
        for row in rows.values():
            if row["status"] == "error":
                raise ActionFailed(*_failure(row))
        return tuple(number for number in pending if rows[number]["status"] == "running")


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

    def list_all(self, doing: str, path: str, **params: str) -> list[Any]:
        """Every row, or an error: a listing whose pages don't add up is repeated once."""
        for _ in range(2):
            pages = list(self._pages(doing, path, params))
            with understood():
                totals = {page["meta"]["pagination"]["total_entries"] for page in pages}
                rows = {row["id"]: row for page in pages for row in page[path.strip("/")]}
                seen = sum(len(page[path.strip("/")]) for page in pages)
            if totals == {len(rows)} and seen == len(rows):
                return list(rows.values())
        advice = "Something changes it faster than it can be read; try again in a moment."
        raise CloudUnavailable(f"Hetzner Cloud cannot {doing}: its pages do not add up", advice)

    def _pages(self, doing: str, path: str, params: dict[str, str]) -> Iterator[Any]:
        number: int | None = 1
        while number is not None and number <= _MOST_PAGES:
            page = self.ask(doing, "GET", path, params={**params, "page": number, "per_page": _PER_PAGE})
            yield page
            with understood():
                number = page["meta"]["pagination"]["next_page"]

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


def _failure(action: Any) -> tuple[str, str]:
    error = action.get("error") or {}
    text = f"{error.get('message', 'no reason given')} ({error.get('code', 'unknown')})"
    summary = f"Hetzner Cloud accepted {action['command']} (action {action['id']}), which then failed: {text}"
    return summary, "Run the plan again; if it fails again, its support wants to know the action's number."
