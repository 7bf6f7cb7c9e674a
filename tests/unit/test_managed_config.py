"""Which keys of openclaw.json are ours, what they shall be, and how they get there."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.diff import apply_patch
from reconciler.managed.config import MANAGED_KEYS, config_patch, free_keys, is_hot, wanted_config
from reconciler.model import Endpoints, Json, ModelSettings, SecretRef
from tests.fakes.worlds import make_spec

HERE = Endpoints(node={})


def test_free_form_keys_stand_beside_ours() -> None:
    spec = make_spec("alice", config={"agents": {"defaults": {"thinkingDefault": "low"}}, "tools": {"deny": ["exec"]}})
    ours, both = wanted_config(make_spec("alice"), HERE), wanted_config(spec, HERE)
    assert both == apply_patch(ours, dict(spec.config))
    assert free_keys(spec.config) == (("agents", "defaults", "thinkingDefault"), ("tools", "deny"))


@pytest.mark.parametrize(
    ("config", "keys"),
    [
        ({}, ()),
        ({"tools": {}}, ()),  # an empty map asks for nothing
        ({"tools": {"profile": None}}, (("tools", "profile"),)),  # null: shall not be there
        ({"tools": None}, (("tools",),)),
        ({"tools": {"deny": []}}, (("tools", "deny"),)),  # a list is one value
        ({"session": {"dmScope": "main", "reset": {"mode": "daily"}}}, (("session", "reset", "mode"),)),  # ours wins
        ({"session": None}, ()),  # it would take ours along
        ({"models": {"providers": {"other": {"baseUrl": "http://x"}}}}, ()),
    ],
)
def test_the_keys_of_a_free_form_config_are_its_leaves(config: dict[str, Json], keys: object) -> None:
    assert free_keys(config) == keys


def test_a_key_that_null_deletes_is_wanted_nowhere() -> None:
    assert wanted_config(make_spec("a", config={"tools": {"profile": None}}), HERE) == wanted_config(
        make_spec("a"), HERE
    )


def test_models_to_fall_back_on_are_of_the_same_provider() -> None:
    model = ModelSettings("anthropic", "big", SecretRef("env", "K"), fallback=("middle", "small"))
    config: Any = wanted_config(make_spec("alice", model=model), HERE)
    wanted = {"primary": "anthropic/big", "fallbacks": ["anthropic/middle", "anthropic/small"]}
    assert config["agents"]["defaults"]["model"] == wanted


@pytest.mark.parametrize(
    ("live", "wanted", "patch"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 1}}, {}),
        ({"a": {"b": 1}}, {}, {"a": {"b": None}}),  # and not {"a": None}: more may be in it
        ({"a": {"b": 1}}, {"a": {"b": {"c": 2}}}, {"a": {"b": {"c": 2}}}),
        ({"a": 5}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        (None, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"x": {"y": {"z": [1]}}}, {"x": {}}, {"x": {"y": {"z": None}}}),
    ],
)
def test_a_key_is_taken_away_without_its_neighbours(live: Json, wanted: Json, patch: Json) -> None:
    assert config_patch(live, wanted, [("a", "b"), ("x", "y", "z")]) == patch


@pytest.mark.parametrize(
    ("patch", "hot"),
    [
        ({}, True),
        ({"agents": {"defaults": {"model": {"primary": "x"}}}}, True),
        ({"channels": {"telegram": {"allowFrom": ["1"], "proxy": None}}}, True),
        ({"channels": {"discord": {"enabled": True}}}, False),  # no plugin of ours: its keys are unknown to the gateway
        ({"tools": {"profile": "x"}, "gateway": {"port": 1}}, False),
        ({"secrets": {"providers": {}}}, True),  # an empty map changes nothing
        ({"secrets": {"providers": {"x": {"source": "file"}}}}, False),
        ({"browser": {"enabled": True}}, False),
        ({"channels": None}, False),
        ({"agents": {"$include": None}}, False),  # the gateway writes no file that includes others
    ],
)
def test_only_what_the_gateway_takes_over_at_once_goes_to_it_while_it_runs(patch: Json, hot: bool) -> None:
    assert is_hot(patch) is hot


def test_every_key_that_we_set_is_among_the_managed_ones() -> None:
    spec = make_spec("alice", users={"owner": 1, "allowed": (1,)})
    everything = Endpoints(node={}, telegram_api_root="http://t", model_base_url="http://m")
    seen = apply_patch(wanted_config(spec, everything), {})
    assert [key for key in free_keys(seen if isinstance(seen, dict) else {}) if key not in MANAGED_KEYS] == []
