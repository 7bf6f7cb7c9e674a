"""A stand-in for the Telegram Bot API: bots that exist because somebody uses their token, chats held in memory.

It answers as https://core.telegram.org/bots/api says, for the methods in `METHODS` and no others. It talks to nobody,
knows no real bot and keeps nothing: everything is gone when the process ends.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from enum import StrEnum
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reconciler.model import Json
from reconciler.sandbox.telegram_bot import PROFILE, Bot, Poll, TelegramRefusal

_TOKEN = re.compile(r"(?P<id>[0-9]{1,20}):[A-Za-z0-9_-]+")
_LONGEST_POLL = 50  # seconds; longer ones are cut, as the real service does
_LONGEST_HANG = 600.0  # seconds until even a hanging request ends

# Methods whose whole effect is "true": what they would change, nobody looks at.
_ACKNOWLEDGED = (
    "answerCallbackQuery",
    "close",
    "logOut",
    "pinChatMessage",
    "sendChatAction",
    "setChatMenuButton",
    "setMessageReaction",
    "unpinChatMessage",
)


class Fault(StrEnum):
    """How one bot misbehaves. CONFLICT and HANG_POLL hit getUpdates alone, the others every method."""

    UNAUTHORIZED = "401"
    CONFLICT = "409"
    TOO_MANY_REQUESTS = "429"
    SERVER_ERROR = "500"
    HANG = "hang"
    HANG_POLL = "hang-poll"


_CONFLICT = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
_FAULTS: dict[Fault, tuple[int, str, dict[str, Json] | None]] = {
    Fault.UNAUTHORIZED: (401, "Unauthorized", None),
    Fault.CONFLICT: (409, _CONFLICT, None),
    Fault.TOO_MANY_REQUESTS: (429, "Too Many Requests: retry after 5", {"retry_after": 5}),
    Fault.SERVER_ERROR: (500, "Internal Server Error", None),
}


class TelegramStandIn:
    """All bots of one sandbox. `app` serves `/bot<TOKEN>/<method>`; the methods serve the control socket."""

    def __init__(self) -> None:
        self._bots: dict[int, Bot] = {}
        self._faults: dict[int, Fault] = {}
        self.app = Starlette(routes=[Route("/bot{token}/{method}", self._serve, methods=["GET", "POST"])])

    def inject(self, bot: str | int, user_id: int, text: str, first_name: str = "Test") -> dict[str, Json]:
        """A user writes to a bot in a private chat; the update (Bot API `Update`) that the bot will get.

        `bot` is a token or the bot's id. Raises ValueError when it is neither.
        """
        return self._bot(_bot_id(bot)).receive(user_id, text, first_name)

    def messages(self, bot: str | int, chat_id: int | None = None) -> list[dict[str, Json]]:
        """Every message of a bot's chats, both directions, oldest first, as Bot API `Message`.

        Those the bot sent have `from.is_bot` true. `chat_id` leaves one chat only.
        """
        return self._bot(_bot_id(bot)).messages(chat_id)

    def set_fault(self, bot: str | int, fault: Fault | None) -> None:
        """From now on this bot's requests fail so, a waiting long poll included; None heals it."""
        identity = _bot_id(bot)
        if fault is None:
            self._faults.pop(identity, None)
        else:
            self._faults[identity] = fault
        if (poll := self._bot(identity).poll) is not None:
            poll.wake()

    def bots(self) -> list[dict[str, Json]]:
        """What is known of each bot: id, username, waiting (a long poll is open), messages, fault."""
        return [
            {**bot.summary(), "fault": str(self._faults[bot.id]) if bot.id in self._faults else None}
            for bot in self._bots.values()
        ]

    def _bot(self, identity: int) -> Bot:
        return self._bots.setdefault(identity, Bot(identity))

    async def _serve(self, request: Request) -> Response:
        try:
            result = await self._call(request)
        except TelegramRefusal as refusal:
            return JSONResponse(refusal.body(), status_code=refusal.code)
        return JSONResponse({"ok": True, "result": result})

    async def _call(self, request: Request) -> Json:
        token = _TOKEN.fullmatch(request.path_params["token"])
        if token is None:
            raise TelegramRefusal(401, "Unauthorized")
        bot = self._bot(int(token["id"]))
        method = METHODS.get(request.path_params["method"].lower())
        parameters = await _parameters(request)
        await self._fail_as_set(request, bot.id)
        if method is None:
            raise TelegramRefusal(404, "Not Found: method not found")
        return await method(self, request, bot, parameters)

    async def _fail_as_set(self, request: Request, bot_id: int) -> None:
        """Raise what the bot's fault answers; a hanging request goes on when the fault is healed or nobody waits."""
        deadline, polling = time.monotonic() + _LONGEST_HANG, request.path_params["method"].lower() == "getupdates"
        hanging = (Fault.HANG, Fault.HANG_POLL) if polling else (Fault.HANG,)
        while self._faults.get(bot_id) in hanging and time.monotonic() < deadline:
            if await request.is_disconnected():
                raise TelegramRefusal(500, "Internal Server Error")
            await asyncio.sleep(0.1)
        fault = self._faults.get(bot_id)
        if fault in _FAULTS and (polling or fault is not Fault.CONFLICT):
            raise TelegramRefusal(*_FAULTS[fault])

    async def _get_updates(self, request: Request, bot: Bot, parameters: dict[str, Json]) -> Json:
        if bot.poll is not None:
            bot.poll.supersede()
        bot.confirm(_integer(parameters, "offset", 0))
        limit = min(max(_integer(parameters, "limit", 100), 1), 100)
        timeout = min(max(_integer(parameters, "timeout", 0), 0), _LONGEST_POLL)
        if not bot.updates and timeout:
            await self._wait(request, bot, timeout)
        return list(bot.updates[:limit])

    async def _wait(self, request: Request, bot: Bot, timeout: int) -> None:
        poll = bot.poll = Poll()
        try:
            await poll.wait(timeout)
        finally:
            if bot.poll is poll:
                bot.poll = None
        if poll.superseded:
            raise TelegramRefusal(409, _CONFLICT)
        await self._fail_as_set(request, bot.id)


Method = Callable[[TelegramStandIn, Request, Bot, dict[str, Json]], Awaitable[Json]]


def _simple(answer: Callable[[Bot, dict[str, Json]], Json]) -> Method:
    """A method that needs nothing but its bot."""

    async def method(_: TelegramStandIn, _request: Request, bot: Bot, parameters: dict[str, Json]) -> Json:
        return answer(bot, parameters)

    return method


# Method names are not case-sensitive in the real service either.
METHODS: dict[str, Method] = {
    "getupdates": TelegramStandIn._get_updates,
    "getme": _simple(lambda bot, _: bot.user()),
    "getwebhookinfo": _simple(lambda bot, _: bot.webhook_info()),
    "setwebhook": _simple(Bot.set_webhook),
    "deletewebhook": _simple(Bot.delete_webhook),
    "getmycommands": _simple(Bot.commands_for),
    "setmycommands": _simple(Bot.set_commands),
    "deletemycommands": _simple(Bot.delete_commands),
    **{f"getmy{name.replace('_', '')}": _simple(Bot.text_of(name)) for name in PROFILE},
    **{f"setmy{name.replace('_', '')}": _simple(Bot.set_text(name)) for name in PROFILE},
    "getchat": _simple(Bot.chat),
    "sendmessage": _simple(Bot.send),
    "editmessagetext": _simple(Bot.edit),
    "deletemessage": _simple(Bot.delete),
    **{name.lower(): _simple(lambda _bot, _parameters: True) for name in _ACKNOWLEDGED},
}


def _bot_id(bot: str | int) -> int:
    """From a token or an id."""
    text = str(bot).partition(":")[0]
    if not text.isascii() or not text.isdigit():
        raise ValueError("a bot is named by its token or by the digits before the colon")
    return int(text)


async def _parameters(request: Request) -> dict[str, Json]:
    """Query string and body together. In a form nested values are JSON text, as the Bot API wants them."""
    parameters: dict[str, Json] = dict(request.query_params)
    body = await request.body()
    if not body:
        return parameters
    try:
        if "json" in request.headers.get("content-type", ""):
            return {**parameters, **json.loads(body)}
        return {**parameters, **dict(parse_qsl(body.decode(), keep_blank_values=True))}
    except (ValueError, TypeError) as error:
        raise TelegramRefusal(400, "Bad Request: can't parse the request body") from error


def _integer(parameters: dict[str, Json], name: str, default: int) -> int:
    value = parameters.get(name, default)
    try:
        return int(value)  # type: ignore[arg-type]  # what cannot be a number is refused below
    except (TypeError, ValueError) as error:
        raise TelegramRefusal(400, f"Bad Request: {name} must be an integer") from error
