"""What the servers of a fleet share in a Hetzner project: firewalls and an ssh key, found by name or made."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from reconciler.clouds import answers
from reconciler.clouds.answers import Answer, action_ids, carries, understood
from reconciler.errors import NameTaken, NotFound
from reconciler.model import Firewall, FirewallSpec


class Api(Protocol):
    """One request, or every row of a list. Raises CloudError's children; `doing` is for their text."""

    def ask(self, doing: str, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]: ...

    def list_all(self, doing: str, path: str, **params: str) -> list[Any]: ...


def ensure_ssh_key(api: Api, name: str, public_key: str, labels: Mapping[str, str]) -> int:
    """The id of the key. The API keeps a public key once, so one under another name serves as well."""
    doing = f"register ssh key {name}"
    wanted = _fingerprint(public_key)
    with understood():
        for row in api.list_all(doing, "/ssh_keys", name=name):
            if row["fingerprint"] == wanted:
                return int(row["id"])
            _check_ours(row, labels, f"an ssh key named {name}")
            api.ask(doing, "DELETE", f"/ssh_keys/{row['id']}")
        for row in api.list_all(doing, "/ssh_keys", fingerprint=wanted):
            return int(row["id"])
        body = {"name": name, "public_key": public_key, "labels": dict(labels)}
        return int(api.ask(doing, "POST", "/ssh_keys", body)["ssh_key"]["id"])


def ensure_firewall(api: Api, firewall: FirewallSpec) -> tuple[int, ...]:
    """The actions to wait for. One look where all is as wanted; only what differs is written."""
    doing = f"set up firewall {firewall.name}"
    with understood():
        found = firewalls_named(api, firewall.name)
        if found:
            _check_ours(found[0], firewall.labels, f"a firewall named {firewall.name}")
            return _bring_to(api, doing, found[0], firewall.rules, [firewall.selector])
        body = {
            "name": firewall.name,
            "labels": dict(firewall.labels),
            "rules": answers.rules_of_words(firewall.rules),
            "apply_to": _targets([firewall.selector]),
        }
        return action_ids(*api.ask(doing, "POST", "/firewalls", body)["actions"])


def restore_firewall(api: Api, firewall: Firewall) -> tuple[int, ...]:
    """Back to what it was, by its id. Raises NotFound."""
    doing = f"put firewall {firewall.name} back"
    with understood():
        row = api.ask(doing, "GET", f"/firewalls/{firewall.id}")["firewall"]
        return _bring_to(api, doing, row, firewall.rules, firewall.selectors)


def firewalls_named(api: Api, name: str) -> list[Any]:
    return api.list_all(f"look for firewall {name}", "/firewalls", name=name)


def detach_firewall(api: Api, firewall: Answer) -> tuple[int, ...]:
    """The actions to wait for; the API does not delete a firewall that is applied to anything."""
    with understood():
        targets = [_bare(target) for target in firewall["applied_to"]]
        if not targets:
            return ()
        path = f"/firewalls/{firewall['id']}/actions/remove_from_resources"
        answer = api.ask(f"detach firewall {firewall['name']}", "POST", path, {"remove_from": targets})
        return action_ids(*answer["actions"])


def delete_firewall(api: Api, firewall: Answer) -> None:
    try:
        api.ask(f"delete firewall {firewall['name']}", "DELETE", f"/firewalls/{firewall['id']}")
    except NotFound:
        return


def _bring_to(api: Api, doing: str, row: Answer, rules: Sequence[str], selectors: Iterable[str]) -> tuple[int, ...]:
    """Selects what it shall, before it lets go of what it shall not: no server is without a firewall in between."""
    now, wanted = answers.firewall(row), set(selectors)
    surplus, missing = sorted(set(now.selectors) - wanted), sorted(wanted - set(now.selectors))
    changes: list[tuple[str, dict[str, Any]]] = []
    if missing:
        changes.append(("apply_to_resources", {"apply_to": _targets(missing)}))
    if now.rules != tuple(rules):
        changes.append(("set_rules", {"rules": answers.rules_of_words(rules)}))
    if surplus:
        changes.append(("remove_from_resources", {"remove_from": _targets(surplus)}))
    path = f"/firewalls/{now.id}/actions"
    done = [api.ask(doing, "POST", f"{path}/{verb}", body) for verb, body in changes]
    return action_ids(*(action for answer in done for action in answer["actions"]))


def _targets(selectors: Iterable[str]) -> list[dict[str, Any]]:
    return [{"type": "label_selector", "label_selector": {"selector": selector}} for selector in selectors]


def _check_ours(row: Answer, labels: Mapping[str, str], what: str) -> None:
    if not carries(row, labels):
        raise NameTaken(
            f"{what} exists in this Hetzner project and is not this fleet's",
            "Rename the fleet, or delete it in the Hetzner Console if nobody needs it.",
        )


def _bare(target: Answer) -> dict[str, Any]:
    """A firewall's target as a request names it."""
    return {"type": target["type"], target["type"]: target[target["type"]]}


def _fingerprint(public_key: str) -> str:
    """As the API shows it: MD5 in hex pairs. It only finds a key, it proves nothing."""
    digest = hashlib.md5(base64.b64decode(public_key.split()[1]), usedforsecurity=False).hexdigest()
    return ":".join(digest[at : at + 2] for at in range(0, 32, 2))
