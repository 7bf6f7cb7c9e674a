"""The keys of openclaw.json that we manage, and what they shall be. All other keys belong to the agent.

Ours are MANAGED_KEYS, and those that the fleet file's free-form `config` names for a child. Maps merge key by key, a
list is one value, null deletes.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import json5

from reconciler.diff import merge_patch, value_at
from reconciler.managed.files import (
    CONFIG_PATH,
    GATEWAY_TOKEN_PATH,
    LOG_PATH,
    MODEL_KEY_PATH,
    PORT,
    TELEGRAM_TOKEN_PATH,
    WORKSPACE,
)
from reconciler.model import ChildSpec, Endpoints, Json, ModelSettings

# A key listed here and absent from `wanted_config` must be absent on the host: nobody redirects the bot or puts a
# secret inline unseen.
_KEYS: Final[tuple[tuple[str, ...], ...]] = (
    ("gateway", "mode"),
    ("gateway", "port"),
    ("gateway", "bind"),
    ("gateway", "auth"),
    ("gateway", "terminal"),
    ("secrets", "providers"),
    ("agents", "defaults", "workspace"),
    ("agents", "defaults", "model"),
    ("agents", "defaults", "heartbeat"),
    ("models", "providers"),
    ("channels", "telegram", "enabled"),
    ("channels", "telegram", "botToken"),
    ("channels", "telegram", "tokenFile"),
    ("channels", "telegram", "apiRoot"),
    ("channels", "telegram", "proxy"),
    ("channels", "telegram", "dmPolicy"),
    ("channels", "telegram", "allowFrom"),
    ("channels", "telegram", "accounts"),
    ("commands", "ownerAllowFrom"),
    ("plugins", "entries", "admin-http-rpc"),
    ("session", "dmScope"),
    ("update", "checkOnStart"),
    ("logging", "file"),
)
# What is in another file is not looked at, and the gateway merges it with what is here: no key of ours may come from
# there.
INCLUDE: Final = "$include"
_INCLUDES: Final = tuple(sorted({(*key[:end], INCLUDE) for key in _KEYS for end in range(len(key))}))
MANAGED_KEYS: Final[tuple[tuple[str, ...], ...]] = (*_KEYS, *_INCLUDES)

# Without an owner OpenClaw makes the first approved stranger its owner (facts on OpenClaw, section 5). Telegram gives
# nobody the id 0, so this owner is nobody.
NOBODY: Final = "telegram:0"

# What makes a gateway act by itself: who talks to it, when it acts, who may wake it, and other code that does.
ACTING: Final = ("channels", "cron", "hooks", "plugins")

LARGEST_CONFIG: Final = 1_000_000  # below the cap of what a host may answer
CHECK_MB: Final = 400  # of memory, for the release's own check of a configuration (facts on real gateways, section 3)

API_OF_PROVIDER: Final = {"anthropic": "anthropic-messages"}
BASE_URL_OF_PROVIDER: Final = {"anthropic": "https://api.anthropic.com"}


# What the gateway takes over while it runs, without a restart of its process. OpenClaw's documentation, "Config hot
# reload": a path that no rule there knows restarts it. Of channels only Telegram's are known to a gateway of ours.
HOT: Final = (
    *(("accessGroups",), ("acp",), ("agents",), ("approvals",), ("audio",), ("auth",), ("bindings",), ("broadcast",)),
    *(("channels", "telegram"), ("commands",), ("cron",), ("diagnostics", "flags"), ("hooks",), ("identity",)),
    *(("logging",), ("memory", "citations"), ("messages",), ("models",), ("plugins", "entries"), ("session",)),
    *(("skills",), ("surfaces",), ("talk",), ("telemetry",), ("tools",), ("tts",), ("ui",), ("update",)),
)


def read_config(text: str) -> Json:
    """People may write comments and trailing commas there: OpenClaw reads JSON5, and writes plain JSON itself.

    What is plain JSON means the same in JSON5, whose parser takes a thousand times as long. ValueError, RecursionError.
    """
    content: Json
    try:
        content = json.loads(text)
    except ValueError:
        content = json5.loads(text)
    return content


def refusal_of(printed: bytes) -> str | None:
    """The first thing that a release does not like in a configuration, by `config validate --json`: where, and what.

    None where it has refused nothing, or not come to a verdict. There may be a secret in it.
    """
    try:
        said = json.loads(printed)
        if said["valid"] is not False:
            return None
        first = (said.get("issues") or [{}])[0]
        issue = first if isinstance(first, dict) else {"message": first}
        return f"{issue.get('path') or '<root>'}: {issue.get('message') or 'it is refused'}"
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return None


def config_look(spec: ChildSpec | None) -> Json:
    """The probe adds the keys that the last apply put there."""
    keys = [*MANAGED_KEYS, *(free_keys(spec.config) if spec else ())]
    return {"kind": "json_keys", "path": CONFIG_PATH, "keys": [list(key) for key in keys]}


def free_keys(config: Mapping[str, Json]) -> tuple[tuple[str, ...], ...]:
    """The paths that a free-form `config` sets or, by null, deletes. One that is ours anyway says nothing."""
    return tuple(key for key in _leaves(config) if not any(_overlap(key, ours) for ours in MANAGED_KEYS))


def config_patch(live: Json, wanted: Json, keys: Iterable[tuple[str, ...]]) -> Json:
    """The merge patch from the managed keys as they are to those wanted. `keys` are all that were looked at.

    A map on the way to a key is never deleted with it: the agent may have keys of its own there.
    """
    padded = copy.deepcopy(wanted)
    for key in keys:
        before, after = live, padded
        for name in key[:-1]:
            if not isinstance(before, dict) or not isinstance(after, dict) or not isinstance(before.get(name), dict):
                break
            before, after = before[name], after.setdefault(name, {})
    return merge_patch(live or {}, padded)


def is_hot(patch: Json) -> bool:
    """Whether a running gateway takes over the whole patch without a restart."""
    return all(key[-1:] != (INCLUDE,) and any(key[: len(hot)] == hot for hot in HOT) for key in _leaves(patch))


def wanted_config(spec: ChildSpec, endpoints: Endpoints) -> dict[str, Json]:
    """The managed keys of one child, nested as in openclaw.json."""
    wanted: dict[str, Json] = _our_config(spec, endpoints)
    for key in free_keys(spec.config):
        value = value_at(dict(spec.config), key)
        if value is not None:
            _put(wanted, key, value)
    return wanted


def silenced(config: Json, wanted: Json) -> Json:
    """The whole openclaw.json of a throw-away: of what makes a gateway act by itself only what we want is left of it.

    A backup brings the configuration of the child that it is of along, and what an agent has added to it.
    """
    assert isinstance(config, dict)
    assert isinstance(wanted, dict)
    others = {key: value for key, value in config.items() if key not in ACTING}
    return {**others, **{key: wanted[key] for key in ACTING if key in wanted}}


def _our_config(spec: ChildSpec, endpoints: Endpoints) -> dict[str, Json]:
    telegram: dict[str, Json] = {
        "enabled": True,
        "tokenFile": TELEGRAM_TOKEN_PATH,
        "dmPolicy": spec.users.policy.value,
        "allowFrom": [str(user) for user in sorted(spec.users.allowed)],
    }
    if endpoints.telegram_api_root:
        telegram["apiRoot"] = endpoints.telegram_api_root
    silent: dict[str, Json] = {"channels": {"telegram": {"enabled": False}}, "cron": {"enabled": False}}
    return {
        "gateway": {
            "mode": "local",
            "port": PORT,
            "bind": "loopback",
            "auth": {"mode": "token", "token": _file_reference("gateway")},
            "terminal": {"enabled": False},
        },
        "secrets": {
            "providers": {
                "gateway": _file_provider(GATEWAY_TOKEN_PATH),
                "model": _file_provider(MODEL_KEY_PATH),
            }
        },
        "agents": {
            "defaults": {
                "workspace": WORKSPACE,
                "model": _model(spec.model),
                "heartbeat": {"every": "0m"},
            }
        },
        "models": {"providers": {spec.model.provider: _model_provider(spec.model.provider, endpoints)}},
        **(silent if spec.is_throwaway else {"channels": {"telegram": telegram}}),
        "commands": {"ownerAllowFrom": [f"telegram:{spec.users.owner}" if spec.users.owner else NOBODY]},
        "plugins": {"entries": {"admin-http-rpc": {"enabled": True}}},
        "session": {"dmScope": "per-channel-peer"},
        "update": {"checkOnStart": False},
        "logging": {"file": LOG_PATH},
    }


def _model(model: ModelSettings) -> Json:
    names: list[Json] = [f"{model.provider}/{name}" for name in model.fallback]
    return {"primary": f"{model.provider}/{model.name}", **({"fallbacks": names} if names else {})}


def _leaves(value: Json | Mapping[str, Json], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of everything but maps. An empty map asks for nothing."""
    if not isinstance(value, Mapping):
        yield path
        return
    for name, inner in value.items():
        yield from _leaves(inner, (*path, name))


def _overlap(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _put(config: dict[str, Json], key: tuple[str, ...], value: Json) -> None:
    for name in key[:-1]:
        inner = config.setdefault(name, {})
        assert isinstance(inner, dict), "no path leads through a value of ours"
        config = inner
    config[key[-1]] = value


def _file_provider(path: str) -> Json:
    return {"source": "file", "path": path, "mode": "singleValue"}


def _file_reference(provider: str) -> Json:
    return {"source": "file", "provider": provider, "id": "value"}


def _model_provider(provider: str, endpoints: Endpoints) -> Json:
    return {
        "baseUrl": endpoints.model_base_url or BASE_URL_OF_PROVIDER[provider],
        "api": API_OF_PROVIDER[provider],
        "apiKey": _file_reference("model"),
        "models": [],
    }
