"""The keys of openclaw.json that we manage, and what they shall be. All other keys belong to the agent."""

from __future__ import annotations

from typing import Final

from reconciler.managed.files import GATEWAY_TOKEN_PATH, MODEL_KEY_PATH, PORT, TELEGRAM_TOKEN_PATH, WORKSPACE
from reconciler.model import ChildSpec, Endpoints, Json

# A key listed here and absent from `wanted_config` must be absent on the host: nobody redirects the bot or puts a
# secret inline unseen.
MANAGED_KEYS: Final[tuple[tuple[str, ...], ...]] = (
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
    ("commands", "ownerAllowFrom"),
    ("plugins", "entries", "admin-http-rpc"),
    ("session", "dmScope"),
    ("update", "checkOnStart"),
    ("logging", "file"),
)

# Without an owner OpenClaw makes the first approved stranger its owner (facts on OpenClaw, section 5). Telegram gives
# nobody the id 0, so this owner is nobody.
NOBODY: Final = "telegram:0"

API_OF_PROVIDER: Final = {"anthropic": "anthropic-messages"}
BASE_URL_OF_PROVIDER: Final = {"anthropic": "https://api.anthropic.com"}


def wanted_config(spec: ChildSpec, endpoints: Endpoints) -> dict[str, Json]:
    """The managed keys of one child, nested as in openclaw.json."""
    telegram: dict[str, Json] = {
        "enabled": True,
        "tokenFile": TELEGRAM_TOKEN_PATH,
        "dmPolicy": spec.users.policy.value,
        "allowFrom": [str(user) for user in sorted(spec.users.allowed)],
    }
    if endpoints.telegram_api_root:
        telegram["apiRoot"] = endpoints.telegram_api_root
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
                "model": {"primary": f"{spec.model.provider}/{spec.model.name}"},
                "heartbeat": {"every": "0m"},
            }
        },
        "models": {"providers": {spec.model.provider: _model_provider(spec.model.provider, endpoints)}},
        "channels": {"telegram": telegram},
        "commands": {"ownerAllowFrom": [f"telegram:{spec.users.owner}" if spec.users.owner else NOBODY]},
        "plugins": {"entries": {"admin-http-rpc": {"enabled": True}}},
        "session": {"dmScope": "per-channel-peer"},
        "update": {"checkOnStart": False},
        "logging": {"file": "/var/log/openclaw/openclaw.log"},
    }


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
