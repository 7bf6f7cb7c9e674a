"""What free-form configuration may not say: every key that we manage, at and around its path."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.fleet.bounds import CLOSED, OWN_KEYS, forbidden
from reconciler.managed.config import MANAGED_KEYS


def nested(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    for key in reversed(path):
        value = {key: value}
    return dict(value)


@pytest.mark.parametrize("path", MANAGED_KEYS, ids=".".join)
@pytest.mark.parametrize("value", ["x", None, {"a": "b"}], ids=["text", "null", "map"])
def test_no_managed_key_can_be_set_or_deleted(path: tuple[str, ...], value: Any) -> None:
    assert list(forbidden(nested(path, value)))


@pytest.mark.parametrize("path", MANAGED_KEYS, ids=".".join)
def test_nothing_around_a_managed_key_can_be_replaced(path: tuple[str, ...]) -> None:
    for end in range(1, len(path)):
        assert list(forbidden(nested(path[:end], "x")))
        assert list(forbidden(nested(path[:end], None)))


def test_what_is_refused_as_ours_is_managed() -> None:
    assert set(OWN_KEYS) == {path for path in MANAGED_KEYS if path[0] not in CLOSED} - {
        ("channels", "telegram", "apiRoot"),  # refused under any path
        ("channels", "telegram", "proxy"),
    }


@pytest.mark.parametrize("key", ["proxy", "httpProxy", "HTTPS_PROXY", "noProxyList", "apiRoot", "base_url", "baseURL"])
def test_no_address_or_proxy_hides_anywhere(key: str) -> None:
    assert [found[0] for found in forbidden({"a": {"b": [[{"c": {key: "x"}}]]}})] == [("a", "b", "c", key)]


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"agents": {"defaults": {"thinkingDefault": "low", "model2": None}}},
        {"channels": {"telegram": {"streaming": True}, "discord": None}},
        {"tools": {"maxTokens": 4000, "tokenBudget": "big", "apiKey": None, "deny": ["exec"]}},
    ],
)
def test_other_keys_are_free(config: dict[str, Any]) -> None:
    assert not list(forbidden(config))
