"""The fake and the adapter of Telegram do the same; the adapter over HTTP against the sandbox's stand-in."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reconciler.clock import SystemClock
from reconciler.errors import ChannelError, ChannelUnavailable, FleetError, TokenRefused
from reconciler.model import BotIdentity, BotProfile, Secret, Webhook
from reconciler.ports import Channel
from reconciler.sandbox.telegram import Fault, TelegramStandIn
from reconciler.telegram import TelegramChannel
from tests.contract.serving import Host, serve
from tests.fakes.channel import FakeChannel

BOT = 123456789
TOKEN = Secret(f"{BOT}:planted-token-of-a-bot-that-nobody-has")


class Staged(Protocol):
    """One channel, and what may become of its bots."""

    channel: Channel

    def revoke(self) -> None: ...
    def hook(self, url: str) -> None: ...
    def polled(self) -> contextlib.AbstractContextManager[None]: ...
    def write(self) -> None: ...
    def fill_menu(self, *commands: str) -> None: ...
    def break_down(self) -> None: ...


class InMemory:
    def __init__(self) -> None:
        self.fake = FakeChannel()
        self.channel: Channel = self.fake

    def revoke(self) -> None:
        self.fake.revoked.add(BOT)

    def hook(self, url: str) -> None:
        self.fake.webhooks[BOT] = url

    @contextlib.contextmanager
    def polled(self) -> Iterator[None]:
        self.fake.polled.add(BOT)
        yield
        self.fake.polled.remove(BOT)

    def write(self) -> None:
        self.fake.waiting[BOT] = self.fake.waiting.get(BOT, 0) + 1

    def fill_menu(self, *commands: str) -> None:
        self.fake.menus[BOT] = commands

    def break_down(self) -> None:
        self.fake.is_down = True


@dataclass
class OverHttp:
    channel: Channel
    stand_in: TelegramStandIn
    root: str

    def revoke(self) -> None:
        self.stand_in.set_fault(BOT, Fault.UNAUTHORIZED)

    def hook(self, url: str) -> None:
        httpx.post(f"{self.root}/bot{TOKEN.reveal()}/setWebhook", json={"url": url}).raise_for_status()

    @contextlib.contextmanager
    def polled(self) -> Iterator[None]:
        """Another program, that asks again whenever it was driven out."""
        stop = threading.Event()

        def poll() -> None:
            offset = 0
            while not stop.is_set():
                body = {"timeout": 2, "offset": offset}
                answer = httpx.post(f"{self.root}/bot{TOKEN.reveal()}/getUpdates", json=body, timeout=10).json()
                offset = max([offset, *(update["update_id"] + 1 for update in answer.get("result", []))])

        thread = threading.Thread(target=poll)
        thread.start()
        while not any(bot["waiting"] for bot in self.stand_in.bots()):
            time.sleep(0.01)
        try:
            yield
        finally:
            stop.set()
            thread.join(10)

    def write(self) -> None:
        self.stand_in.inject(BOT, 4242, "hello")

    def fill_menu(self, *commands: str) -> None:
        menu = [{"command": command, "description": "does something"} for command in commands]
        httpx.post(f"{self.root}/bot{TOKEN.reveal()}/setMyCommands", json={"commands": menu}).raise_for_status()

    def break_down(self) -> None:
        self.stand_in.set_fault(BOT, Fault.SERVER_ERROR)


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with serve() as served:
        yield served


@pytest.fixture(params=["fake", "adapter"])
def staged(request: pytest.FixtureRequest, host: Host) -> Iterator[Staged]:
    if request.param == "fake":
        yield InMemory()
        return
    stand_in = TelegramStandIn()
    with host.mount(stand_in.app, stand_in.app) as root, TelegramChannel(SystemClock(), root) as channel:
        yield OverHttp(channel, stand_in, root)


def test_a_token_tells_whose_it_is(staged: Staged) -> None:
    assert staged.channel.identity(TOKEN) == BotIdentity(BOT, f"bot{BOT}_bot", f"Bot {BOT}")


@pytest.mark.parametrize("junk", ["", "nothing", "12", "a:b", "12:34/getMe", "12:?x#y", "1:\u00fc"])
def test_what_is_no_token_is_nobodys(staged: Staged, junk: str) -> None:
    with pytest.raises(ChannelError):
        staged.channel.identity(Secret(junk))


def test_a_token_that_was_revoked_is_nobodys(staged: Staged) -> None:
    staged.revoke()
    with pytest.raises(TokenRefused):
        staged.channel.identity(TOKEN)


def test_a_webhook_is_told_and_what_waits(staged: Staged) -> None:
    assert staged.channel.webhook(TOKEN) == Webhook("", 0)
    staged.write()
    staged.hook("https://bot.example/secret")
    assert staged.channel.webhook(TOKEN) == Webhook("https://bot.example/secret", 1)


def test_who_asks_for_a_bots_messages_is_noticed_and_loses_none(staged: Staged) -> None:
    assert not staged.channel.is_polled(TOKEN, 1)
    with staged.polled():
        assert staged.channel.is_polled(TOKEN, 5)
    staged.write()
    assert not staged.channel.is_polled(TOKEN, 1)
    assert staged.channel.webhook(TOKEN).pending == 1


def test_who_asks_for_a_bots_messages_is_noticed_although_people_write(staged: Staged) -> None:
    """A message ends the question at once, before whoever was driven out asks again."""
    with staged.polled():
        writer = threading.Timer(0.3, staged.write)
        writer.start()
        assert staged.channel.is_polled(TOKEN, 5)
        writer.join()


@pytest.mark.parametrize("proxy", ["foo://x", "socks5://127.0.0.1:1", "http://[::1"])
def test_a_proxy_that_cannot_be_used_is_said(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(ChannelError, match="the way to"):
        TelegramChannel(SystemClock())


def test_what_a_bot_shows_is_set_field_by_field(staged: Staged) -> None:
    channel = staged.channel
    assert channel.profile(TOKEN) == BotProfile(f"Bot {BOT}", "", "")
    channel.set_profile(TOKEN, {"name": "Ada's \u2728", "description": "Answers Ada."})
    assert channel.profile(TOKEN) == BotProfile("Ada's \u2728", "Answers Ada.", "")
    channel.set_profile(TOKEN, {"description": "", "short_description": "Ada's"})
    assert channel.profile(TOKEN) == BotProfile("Ada's \u2728", "", "Ada's")
    channel.set_profile(TOKEN, {})


def test_a_menu_is_told(staged: Staged) -> None:
    assert staged.channel.commands(TOKEN) == ()
    staged.fill_menu("help", "report")
    assert staged.channel.commands(TOKEN) == ("help", "report")


def test_who_does_not_answer_may_be_asked_again(staged: Staged) -> None:
    staged.break_down()
    with pytest.raises(ChannelUnavailable):
        staged.channel.identity(TOKEN)


def _nobody_listens() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


ODD = (
    b'{"ok": true, "result": {"id": 1e400}}',
    b"<html>",
    b"[]",
    b"null",
    b'{"ok": true}',
    b'{"ok": true, "result": {"id": "x"}}',
    b"\xff",
    b"",
)


@pytest.mark.parametrize("answer", ODD)
def test_what_is_no_answer_of_a_bot_is_an_error_without_the_token(host: Host, answer: bytes) -> None:
    async def say(request: Request) -> Response:
        return Response(answer, media_type="application/json")

    app = Starlette(routes=[Route("/{rest:path}", say, methods=["POST"])])
    with (
        host.mount(app, app) as root,
        TelegramChannel(SystemClock(), root) as channel,
        pytest.raises(ChannelError) as caught,
    ):
        channel.identity(TOKEN)
    assert TOKEN.reveal() not in _all_words(caught.value)


def test_where_nobody_listens_is_said_without_the_token() -> None:
    with TelegramChannel(SystemClock(), _nobody_listens()) as channel, pytest.raises(ChannelUnavailable) as caught:
        channel.identity(TOKEN)
    assert TOKEN.reveal() not in _all_words(caught.value)


def _all_words(error: FleetError) -> str:
    return json.dumps([error.summary, error.advice, str(error), repr(error.__cause__), error.__suppress_context__])
