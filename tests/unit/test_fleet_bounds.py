"""What free-form configuration may not say: every key that we manage, at and around its path."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.fleet.bounds import CLOSED, INCLUDE, OWN_KEYS, forbidden
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
    others = {path for path in MANAGED_KEYS if path[0] not in CLOSED and path[-1] != INCLUDE}
    assert set(OWN_KEYS) == others - {
        ("channels", "telegram", "apiRoot"),  # refused under any path
        ("channels", "telegram", "proxy"),
    }


@pytest.mark.parametrize(
    "key",
    [
        "proxy",
        "httpProxy",
        "HTTPS_PROXY",
        "noProxyList",
        "apiRoot",
        "base_url",
        "baseURL",
        "ANTHROPIC_BASE_URL",
        "base-url-of-it",
        "otlpEndpoint",
        "$include",
    ],
)
def test_no_address_proxy_or_include_hides_anywhere(key: str) -> None:
    assert [found[0] for found in forbidden({"a": {"b": [[{"c": {key: "x"}}]]}})] == [("a", "b", "c", key)]


@pytest.mark.parametrize(
    "config",
    [
        {"mcp": {"servers": {"docs": {"command": "uvx"}}}},
        {"agents": {"defaults": {"cliBackends": {"mine": {"command": "/bin/sh"}}}}},
        {"env": {"NODE_OPTIONS": "--require=/tmp/x.js"}},
        {"env": {"vars": {"LD_PRELOAD": "/tmp/x.so"}}},
        {"env": {"vars": {"path": "/tmp"}}},
        {"env": {"vars": {"OPENCLAW_INCLUDE_ROOTS": "/"}}},
        {"env": {"vars": {"SOME_API_KEY": "x"}}},
        {"hooks": {"internal": {"load": {"extraDirs": ["/tmp"]}}}},
        {"channels": {"telegram": {"accounts": {"other": {"dmPolicy": "open"}}}}},
        {"tools": {"web": {"search": {"apiKey": {"source": "file", "provider": "model", "id": "value"}}}}},
        {"mcp": {"servers": {"docs": {"headers": [{"x": {"source": "env", "id": "A"}}]}}}},
    ],
)
def test_no_code_no_way_in_and_no_secret_for_others(config: dict[str, Any]) -> None:
    assert len(list(forbidden(config))) == 1


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"mcp": {"servers": {"docs": {"url": "https://docs.example/mcp", "toolFilter": {"include": ["search_*"]}}}}},
        {"env": {"vars": {"LANG": "de_DE.UTF-8"}, "shellEnv": {"enabled": False}}},
        {"channels": {"telegram": {"customCommands": [{"command": "help", "description": "x"}]}}},
        {"agents": {"defaults": {"thinkingDefault": "low", "model2": None}}},
        {"channels": {"telegram": {"streaming": True}, "discord": None}},
        {"tools": {"maxTokens": 4000, "tokenBudget": "big", "apiKey": None, "deny": ["exec"]}},
    ],
)
def test_other_keys_are_free(config: dict[str, Any]) -> None:
    assert not list(forbidden(config))
