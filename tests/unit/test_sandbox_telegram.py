"""The Telegram stand-in keeps the promises of the Bot API that a gateway relies on."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from reconciler.sandbox.telegram import Fault, TelegramStandIn

pytestmark = pytest.mark.anyio
TOKEN = "4711:AAmade-up_token"
USER = 4242


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Bot:
    """A client of one bot."""

    def __init__(self, stand_in: TelegramStandIn, token: str = TOKEN) -> None:
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(stand_in.app), base_url=f"http://api/bot{token}/")

    async def call(self, method: str, **parameters: Any) -> Any:
        return (await self.answer(method, **parameters)).json()["result"]

    async def answer(self, method: str, **parameters: Any) -> httpx.Response:
        async with asyncio.timeout(5):
            return await self.http.post(method, json=parameters)

    async def waiting_poll(self, **parameters: Any) -> asyncio.Task[httpx.Response]:
        poll = asyncio.create_task(self.answer("getUpdates", timeout=50, **parameters))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not poll.done()
        return poll


@pytest.fixture
def stand_in() -> TelegramStandIn:
    return TelegramStandIn()


@pytest.fixture
def bot(stand_in: TelegramStandIn) -> Bot:
    return Bot(stand_in)


async def test_a_waiting_poll_gets_a_message_at_once(stand_in: TelegramStandIn, bot: Bot) -> None:
    poll = await bot.waiting_poll()
    update = stand_in.inject(TOKEN, USER, "hello", "Alice")
    assert (await poll).json() == {"ok": True, "result": [update]}


async def test_an_update_comes_again_until_a_higher_offset_confirms_it(stand_in: TelegramStandIn, bot: Bot) -> None:
    first, second = (stand_in.inject(TOKEN, USER, text) for text in ("one", "two"))
    assert await bot.call("getUpdates", limit=1) == [first]
    assert await bot.call("getUpdates") == [first, second]
    assert await bot.call("getUpdates", offset=second["update_id"]) == [second]
    assert await bot.call("getUpdates") == [second]


async def test_a_negative_offset_keeps_only_the_newest(stand_in: TelegramStandIn, bot: Bot) -> None:
    stand_in.inject(TOKEN, USER, "one")
    second = stand_in.inject(TOKEN, USER, "two")
    assert await bot.call("getUpdates", offset=-1) == [second]


async def test_a_second_poller_ends_the_first_with_a_conflict(stand_in: TelegramStandIn, bot: Bot) -> None:
    first = await bot.waiting_poll()
    second = await bot.waiting_poll()
    answer = (await first).json()
    assert (answer["ok"], answer["error_code"]) == (False, 409)
    stand_in.inject(TOKEN, USER, "hello")
    assert len((await second).json()["result"]) == 1


async def test_a_poll_without_news_ends_empty_at_its_timeout(bot: Bot) -> None:
    assert await bot.call("getUpdates", timeout=1) == []


async def test_an_update_number_is_never_used_again_by_a_restarted_stand_in(stand_in: TelegramStandIn) -> None:
    before = stand_in.inject(TOKEN, USER, "one")["update_id"]
    await asyncio.sleep(1.1)
    after = TelegramStandIn().inject(TOKEN, USER, "two")["update_id"]
    assert isinstance(before, int)
    assert isinstance(after, int)
    assert after > before


async def test_a_sent_message_can_be_read_in_its_chat_alone(stand_in: TelegramStandIn, bot: Bot) -> None:
    stand_in.inject(TOKEN, USER, "hello")
    stand_in.inject(TOKEN, 5353, "hi")
    await bot.call("sendMessage", chat_id=str(USER), text="answer")
    asked, answered = stand_in.messages(4711, USER)
    assert asked["text"] == "hello"
    assert answered["text"] == "answer"
    assert answered["from"] == {"id": 4711, "is_bot": True, "first_name": "Bot 4711", "username": "bot4711_bot"}


async def test_an_edit_changes_the_bots_own_message_and_no_other(stand_in: TelegramStandIn, bot: Bot) -> None:
    update = stand_in.inject(TOKEN, USER, "hello")
    sent = await bot.call("sendMessage", chat_id=USER, text="draft")
    await bot.call("editMessageText", chat_id=USER, message_id=sent["message_id"], text="final")
    assert [message["text"] for message in stand_in.messages(TOKEN)] == ["hello", "final"]
    theirs = update["message"]["message_id"]  # type: ignore[index,call-overload]
    refused = await bot.answer("editMessageText", chat_id=USER, message_id=theirs, text="forged")
    assert refused.status_code == 400


async def test_a_bot_cannot_write_first(bot: Bot) -> None:
    answer = await bot.answer("sendMessage", chat_id=USER, text="hello")
    assert (answer.status_code, answer.json()["description"]) == (400, "Bad Request: chat not found")


async def test_commands_are_kept_per_scope(bot: Bot) -> None:
    commands = [{"command": "status", "description": "how it is"}]
    await bot.call("setMyCommands", commands=commands, scope={"type": "all_private_chats"})
    assert await bot.call("getMyCommands") == []
    assert await bot.call("getMyCommands", scope={"type": "all_private_chats"}) == commands
    await bot.call("deleteMyCommands", scope={"type": "all_private_chats"})
    assert await bot.call("getMyCommands", scope={"type": "all_private_chats"}) == []


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_parameters_come_by_query_or_by_form(stand_in: TelegramStandIn, bot: Bot, method: str) -> None:
    stand_in.inject(TOKEN, USER, "hello")
    parameters = {"chat_id": str(USER), "text": "a b"}
    sent = await bot.http.request(method, "sendMessage", **{"params" if method == "GET" else "data": parameters})  # type: ignore[arg-type]
    assert sent.json()["result"]["text"] == "a b"


async def test_only_listed_methods_exist(bot: Bot) -> None:
    assert (await bot.answer("sendChatAction", chat_id=USER, action="typing")).json() == {"ok": True, "result": True}
    assert (await bot.answer("sendEverything")).status_code == 404


async def test_a_malformed_token_is_unauthorized(stand_in: TelegramStandIn) -> None:
    assert (await Bot(stand_in, "not-a-token").answer("getMe")).status_code == 401


async def test_bots_do_not_see_each_others_updates(stand_in: TelegramStandIn) -> None:
    stand_in.inject(TOKEN, USER, "hello")
    assert await Bot(stand_in, "99:other").call("getUpdates") == []
    assert (await Bot(stand_in, "99:other").call("getMe"))["username"] == "bot99_bot"


@pytest.mark.parametrize("fault", [Fault.UNAUTHORIZED, Fault.TOO_MANY_REQUESTS, Fault.SERVER_ERROR])
async def test_a_fault_hits_a_waiting_poll_and_every_method_until_healed(
    stand_in: TelegramStandIn, bot: Bot, fault: Fault
) -> None:
    poll = await bot.waiting_poll()
    stand_in.set_fault(TOKEN, fault)
    assert str((await poll).status_code) == fault
    assert str((await bot.answer("getMe")).status_code) == fault
    assert await Bot(stand_in, "99:other").call("getMe")
    stand_in.set_fault(TOKEN, None)
    assert await bot.call("getMe")


async def test_a_conflict_hits_polling_alone(stand_in: TelegramStandIn, bot: Bot) -> None:
    stand_in.set_fault(TOKEN, Fault.CONFLICT)
    assert (await bot.answer("getUpdates")).status_code == 409
    assert await bot.call("getMe")


async def test_a_hanging_request_goes_on_when_healed(stand_in: TelegramStandIn, bot: Bot) -> None:
    stand_in.set_fault(TOKEN, Fault.HANG)
    request = asyncio.create_task(bot.answer("getMe"))
    await asyncio.sleep(0.3)
    assert not request.done()
    stand_in.set_fault(TOKEN, None)
    assert (await request).status_code == 200
