"""The Channel port on Telegram's Bot API (https://core.telegram.org/bots/api).

A bot's token is a part of every address, and the library's errors and log lines name addresses: none of them is passed
on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import quote

import httpx

from reconciler.errors import ChannelError, ChannelUnavailable, TokenRefused
from reconciler.model import BotIdentity, BotProfile, Secret, Webhook
from reconciler.ports import Clock

T = TypeVar("T")

ROOT: Final = "https://api.telegram.org"
SECONDS: Final = 15.0  # for one answer
PAUSE: Final = 0.5  # seconds between two questions
LONGEST_SAID: Final = 200  # characters of what Telegram says
CONFLICT: Final = 409
_LOOK: Final = "look at the network between here and there, then try again"
# What reading an answer of anybody may end with.
_ODD: Final = (*(ValueError, TypeError, LookupError, AttributeError), *(RecursionError, ArithmeticError))
_PROFILE: Final = {"name": "Name", "description": "Description", "short_description": "ShortDescription"}

logging.getLogger("httpx").setLevel(logging.CRITICAL)  # it logs the address of each request


class TelegramChannel:
    """Implements ports.Channel, and keeps its connections until it is left.

    `root` is another place that speaks the same, such as the sandbox's.
    """

    def __init__(self, clock: Clock, root: str | None = None) -> None:
        """Raises ChannelError where the environment's proxy or certificates cannot be used."""
        self._root = (root or ROOT).rstrip("/")
        self._clock = clock
        try:
            self._client = httpx.Client(timeout=SECONDS)
        except (ImportError, ValueError, OSError, httpx.InvalidURL) as error:
            advice = "look at HTTPS_PROXY, ALL_PROXY and SSL_CERT_FILE"
            raise ChannelError(f"the way to {self._root} cannot be used: {type(error).__name__}", advice) from None

    def __enter__(self) -> TelegramChannel:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def identity(self, token: Secret) -> BotIdentity:
        return self._ask(token, "getMe", _identity)

    def webhook(self, token: Secret) -> Webhook:
        return self._ask(token, "getWebhookInfo", _webhook)

    def profile(self, token: Secret) -> BotProfile:
        return BotProfile(**{field: self._ask(token, f"getMy{of}", _text(field)) for field, of in _PROFILE.items()})

    def set_profile(self, token: Secret, changes: Mapping[str, str]) -> None:
        for field, value in changes.items():
            self._ask(token, f"setMy{_PROFILE[field]}", bool, {field: value})

    def commands(self, token: Secret) -> tuple[str, ...]:
        return self._ask(token, "getMyCommands", _commands)

    def is_polled(self, token: Secret, seconds: float) -> bool:
        # Without an offset nothing counts as received. Whoever else asks is driven out by this, asks again, and drives
        # this out: that is the answer.
        until = self._clock.monotonic() + seconds
        try:
            while (left := until - self._clock.monotonic()) > 0:
                body = {"limit": 1, "timeout": max(1, int(left))}
                self._ask(token, "getUpdates", list, body, left + SECONDS)
                self._clock.sleep(PAUSE)  # it answers at once where a message waits
        except _Conflict:
            return True
        return False

    def _ask(
        self, token: Secret, method: str, read: Callable[[Any], T], body: Any = None, seconds: float = SECONDS
    ) -> T:
        """What `read` makes of the result. Raises ChannelError."""
        address = f"{self._root}/bot{quote(token.reveal(), safe=':')}/{method}"
        try:
            answer = self._client.post(address, json=body or {}, timeout=seconds)
            says = answer.json()
            if says["ok"] is True:
                return read(says["result"])
            code, said = answer.status_code, str(says.get("description", ""))
        except httpx.TimeoutException:
            raise ChannelUnavailable(f"{self._root} gave no answer to {method} in time", _LOOK) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ChannelUnavailable(f"{self._root} cannot be reached: {type(error).__name__}", _LOOK) from None
        except _ODD:
            raise ChannelError(f"{self._root} answered {method} with what is no bot's answer", _LOOK) from None
        raise _refusal(method, code, said)


class _Conflict(ChannelError):
    """Somebody else asks for the same bot's messages."""


def _identity(result: Any) -> BotIdentity:
    return BotIdentity(int(result["id"]), str(result["username"]), str(result["first_name"]))


def _webhook(result: Any) -> Webhook:
    return Webhook(str(result["url"]), int(result["pending_update_count"]))


def _commands(result: Any) -> tuple[str, ...]:
    return tuple(str(found["command"]) for found in result)


def _text(field: str) -> Callable[[Any], str]:
    return lambda result: str(result[field])


def _refusal(method: str, code: int, said: str) -> ChannelError:
    words = f"Telegram answered {method} with {code}: {said[:LONGEST_SAID]}"
    if code in (401, 404):  # the latter where it does not even look like a token
        return TokenRefused(words, "copy the token from @BotFather again (/mybots, API Token)")
    if code == CONFLICT:
        return _Conflict(words, "stop the other program that asks for this bot's messages")
    if code == 429 or code >= 500:
        return ChannelUnavailable(words, "wait a little, and try again")
    return ChannelError(words, _LOOK)
