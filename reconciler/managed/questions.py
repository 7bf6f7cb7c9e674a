"""What a host is asked, as commands: by an apply, by who watches, and by who has a probe key. Pure."""

from __future__ import annotations

from typing import Final

from reconciler import commands
from reconciler.commands import forced
from reconciler.managed import files
from reconciler.managed.config import BASE_URL_OF_PROVIDER, CHECK_MB, LARGEST_CONFIG
from reconciler.managed.things import Materials
from reconciler.model import Command, Endpoints, Json, Secret

TELEGRAM: Final = "https://api.telegram.org"
_SECRETS: Final = (files.GATEWAY_TOKEN_PATH, files.TELEGRAM_TOKEN_PATH, files.MODEL_KEY_PATH)


def probe_request(digest_key: Secret, looks: dict[str, Json], *, with_spending: bool) -> dict[str, Json]:
    """What the probe is asked (see probe_program/main.py)."""
    return {
        "root": "/",
        "digest_key": digest_key.reveal(),
        "looks": looks,
        "gateway": {
            "port": files.PORT,
            "token_path": files.GATEWAY_TOKEN_PATH,
            "unit": files.UNIT,
            "started_path": files.STARTED_PATH,
            "log_path": files.LOG_PATH,
            "spent": with_spending,
        },
        "applied_path": files.APPLIED_PATH,
        "bot_token_path": files.TELEGRAM_TOKEN_PATH,
        "notes": files.NOTES,
        "releases": files.RELEASES,
    }


def closer_look() -> Command:
    """The command that `answers.examination_of` reads."""
    return commands.examine(
        files.PORT, files.UNIT, files.SERVICE_USER, files.HOME, f"{files.NODE_DIRECTORY}/bin/node", _SECRETS,
        files.GATEWAY_TOKEN_PATH, files.CONFIG_PATH,
    )  # fmt: skip


def model_question(provider: str, endpoints: Endpoints) -> Command | None:
    """Whether this provider takes the key that lies on the host; None of one that nobody knows where to ask."""
    url = endpoints.model_base_url or BASE_URL_OF_PROVIDER.get(provider)
    return None if url is None else commands.ask_for_models(url, provider)


def bot_question(endpoints: Endpoints) -> Command:
    """Whether Telegram takes the token that lies on the host, and where messages go."""
    return commands.ask_for_bot(endpoints.telegram_api_root or TELEGRAM)


def config_question() -> Command:
    """Whether the release that is linked would start with openclaw.json as it lies there."""
    return commands.check_config(files.CONFIG_PATH, files.CURRENT, files.NODE_VERSION, CHECK_MB, LARGEST_CONFIG)


def probe_program(materials: Materials, looks: dict[str, Json]) -> bytes | None:
    """What sshd runs for the probe key; None where there is none.

    It looks at what every host has, and at what the last apply has noted besides: it need not change with the child.
    """
    if materials.probe_public_key is None:
        return None
    request = probe_request(materials.digest_key, looks, with_spending=True)
    questions = {
        forced.WATCH: commands.watch(request, closer_look()),
        forced.CONFIG: config_question(),
        forced.BOT: bot_question(materials.endpoints),
        forced.UPDATES: commands.count_updates(),
    }
    for provider in BASE_URL_OF_PROVIDER:
        if (asked := model_question(provider, materials.endpoints)) is not None:
            questions[forced.models_of(provider)] = asked
    return forced.forced_program(questions).encode()
