"""One bot of the Telegram stand-in: its pending updates, its chats, its open long poll. No HTTP here.

Source of every shape and text: https://core.telegram.org/bots/api and what the real service answers.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from reconciler.model import Json

Parameters = dict[str, Json]

PROFILE: Final = {"name": 64, "description": 512, "short_description": 120}  # characters at most


class TelegramRefusal(Exception):
    """An answer with `ok: false`."""

    def __init__(self, code: int, description: str, parameters: Parameters | None = None) -> None:
        super().__init__(description)
        self.code = code
        self.parameters = parameters

    def body(self) -> Parameters:
        body: Parameters = {"ok": False, "error_code": self.code, "description": str(self)}
        return body if self.parameters is None else {**body, "parameters": self.parameters}


class Poll:
    """A getUpdates that waits. It may be woken from another thread's event loop."""

    def __init__(self) -> None:
        self.superseded = False
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()

    async def wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return  # an empty answer is the normal end of a long poll

    def wake(self) -> None:
        self._loop.call_soon_threadsafe(self._woken.set)

    def supersede(self) -> None:
        self.superseded = True
        self.wake()


@dataclass(slots=True)
class Bot:
    """The state of one bot. Private chats only: a chat's id is its user's id."""

    id: int
    updates: list[Parameters] = field(default_factory=list)
    poll: Poll | None = None
    _log: list[Parameters] = field(default_factory=list)
    _chats: dict[int, Parameters] = field(default_factory=dict)
    _commands: dict[str, Json] = field(default_factory=dict)
    _webhook: str = ""
    _profile: dict[str, str] = field(default_factory=dict)
    # Numbers go up over restarts of the stand-in too: a gateway's offset would swallow lower ones.
    _last_update: int = field(default_factory=lambda: int(time.time()))
    _last_message: int = field(default_factory=lambda: int(time.time()))

    def user(self) -> Parameters:
        """The answer to getMe."""
        return {
            **self._sender(),
            "can_join_groups": True,
            "can_read_all_group_messages": False,
            "supports_inline_queries": False,
            "can_connect_to_business": False,
            "has_main_web_app": False,
        }

    def summary(self) -> Parameters:
        return {
            "id": self.id,
            "username": self._username,
            "waiting": self.poll is not None,
            "messages": len(self._log),
            "pending_updates": len(self.updates),
        }

    def receive(self, user_id: int, text: str, first_name: str) -> Parameters:
        """A user's message arrives as a new update."""
        chat: Parameters = {"id": user_id, "type": "private", "first_name": first_name}
        self._chats[user_id] = chat
        sender: Parameters = {"id": user_id, "is_bot": False, "first_name": first_name, "language_code": "en"}
        message = self._write(sender, chat, text)
        if text.startswith("/"):
            message["entities"] = [{"type": "bot_command", "offset": 0, "length": len(text.split()[0])}]
        self._last_update += 1
        update: Parameters = {"update_id": self._last_update, "message": message}
        self.updates.append(update)
        if self.poll is not None:
            self.poll.wake()
        return update

    def confirm(self, offset: int) -> None:
        """Updates before `offset` are forgotten; a negative one keeps that many of the newest."""
        if offset < 0:
            self.updates = self.updates[offset:]
        elif offset > 0:
            self.updates = [update for update in self.updates if _number(update["update_id"]) >= offset]

    def messages(self, chat_id: int | None) -> list[Parameters]:
        return [dict(message) for message in self._log if chat_id is None or _chat_id(message) == chat_id]

    @staticmethod
    def text_of(name: str) -> Callable[[Bot, Parameters], Json]:
        """getMyName and its like."""
        return lambda bot, _: {name: bot._profile.get(name, bot._first_name if name == "name" else "")}

    @staticmethod
    def set_text(name: str) -> Callable[[Bot, Parameters], Json]:
        """setMyName and its like."""

        def change(bot: Bot, parameters: Parameters) -> Json:
            text = str(parameters.get(name, ""))
            if len(text) > PROFILE[name]:
                raise TelegramRefusal(400, f"Bad Request: {name.replace('_', ' ')} is too long")
            bot._profile[name] = text
            if name == "name" and not text:
                del bot._profile[name]
            return True

        return change

    def set_webhook(self, parameters: Parameters) -> Json:
        """Where its messages shall be sent. It is told, and nothing is ever sent there."""
        self._webhook = str(parameters.get("url", ""))
        return True

    def delete_webhook(self, parameters: Parameters) -> Json:
        self._webhook = ""
        return True

    def webhook_info(self) -> Parameters:
        return {"url": self._webhook, "has_custom_certificate": False, "pending_update_count": len(self.updates)}

    def commands_for(self, parameters: Parameters) -> Json:
        return self._commands.get(_scope(parameters), [])

    def set_commands(self, parameters: Parameters) -> Json:
        self._commands[_scope(parameters)] = _decoded(parameters.get("commands"))
        return True

    def delete_commands(self, parameters: Parameters) -> Json:
        self._commands.pop(_scope(parameters), None)
        return True

    def chat(self, parameters: Parameters) -> Parameters:
        """A chat that its user has begun; bots cannot write first."""
        text = str(parameters.get("chat_id", ""))
        if not text:
            raise TelegramRefusal(400, "Bad Request: chat_id is empty")
        chat = self._chats.get(int(text)) if text.isascii() and text.isdigit() else None
        if chat is None:
            raise TelegramRefusal(400, "Bad Request: chat not found")
        return chat

    def send(self, parameters: Parameters) -> Json:
        chat = self.chat(parameters)
        return dict(self._write(self._sender(), chat, _text(parameters)))

    def edit(self, parameters: Parameters) -> Json:
        message = self._sent(parameters, "edit")
        text = _text(parameters)
        if message["text"] == text:
            raise TelegramRefusal(400, "Bad Request: message is not modified")
        message.update({"text": text, "edit_date": int(time.time())})
        return dict(message)

    def delete(self, parameters: Parameters) -> Json:
        self._log.remove(self._sent(parameters, "delete"))
        return True

    @property
    def _username(self) -> str:
        return f"bot{self.id}_bot"

    @property
    def _first_name(self) -> str:
        return f"Bot {self.id}"

    def _sender(self) -> Parameters:
        name = self._profile.get("name", self._first_name)
        return {"id": self.id, "is_bot": True, "first_name": name, "username": self._username}

    def _write(self, sender: Parameters, chat: Parameters, text: str) -> Parameters:
        self._last_message += 1
        message: Parameters = {
            "message_id": self._last_message,
            "from": sender,
            "chat": chat,
            "date": int(time.time()),
            "text": text,
        }
        self._log.append(message)
        return message

    def _sent(self, parameters: Parameters, verb: str) -> Parameters:
        """The bot's own message that is meant."""
        chat_id = _number(self.chat(parameters)["id"])
        wanted = str(parameters.get("message_id"))
        for message in self._log:
            mine = isinstance(message["from"], dict) and message["from"]["id"] == self.id
            if mine and str(message["message_id"]) == wanted and _chat_id(message) == chat_id:
                return message
        raise TelegramRefusal(400, f"Bad Request: message to {verb} not found")


def _text(parameters: Parameters) -> str:
    text = str(parameters.get("text", ""))
    if not text.strip():
        raise TelegramRefusal(400, "Bad Request: message text is empty")
    if len(text) > 4096:
        raise TelegramRefusal(400, "Bad Request: message is too long")
    return text


def _scope(parameters: Parameters) -> str:
    """One list of commands per scope and language."""
    scope = _decoded(parameters.get("scope")) or {"type": "default"}
    return json.dumps([scope, parameters.get("language_code", "")], sort_keys=True)


def _decoded(value: Json) -> Json:
    """A nested value: as it is in a JSON body, JSON text in a form."""
    if not isinstance(value, str):
        return value
    try:
        decoded: Json = json.loads(value)
    except ValueError as error:
        raise TelegramRefusal(400, "Bad Request: can't parse JSON object") from error
    return decoded


def _chat_id(message: Parameters) -> int:
    chat = message["chat"]
    return _number(chat["id"]) if isinstance(chat, dict) else 0


def _number(value: Json) -> int:
    return value if isinstance(value, int) else 0
