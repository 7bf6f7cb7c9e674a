"""Telegram in memory: bots by their tokens."""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Final

from reconciler.errors import ChannelUnavailable, TokenRefused
from reconciler.model import BotIdentity, BotProfile, Secret, Webhook

TOKEN: Final = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]+")


@dataclass
class FakeChannel:
    """Implements ports.Channel. Every token that looks like one is a bot's, as in the stand-in.

    `revoked` are bots whose token is nobody's any more, `webhooks` where their messages are sent, `polled` who is asked
    for by others; `is_down` is when nobody answers.
    """

    revoked: set[int] = field(default_factory=set)
    webhooks: dict[int, str] = field(default_factory=dict)
    polled: set[int] = field(default_factory=set)
    waiting: dict[int, int] = field(default_factory=dict)
    profiles: dict[int, BotProfile] = field(default_factory=dict)
    menus: dict[int, tuple[str, ...]] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    is_down: bool = False
    refuses_changes: bool = False

    def copy(self) -> FakeChannel:
        """The same bots, that go their own way from here."""
        return deepcopy(self)

    def __enter__(self) -> FakeChannel:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def identity(self, token: Secret) -> BotIdentity:
        bot = self._bot(token)
        return BotIdentity(bot, f"bot{bot}_bot", self.names.get(bot, f"Bot {bot}"))

    def webhook(self, token: Secret) -> Webhook:
        bot = self._bot(token)
        return Webhook(self.webhooks.get(bot, ""), self.waiting.get(bot, 0))

    def profile(self, token: Secret) -> BotProfile:
        bot = self._bot(token)
        return self.profiles.get(bot, BotProfile(f"Bot {bot}", "", ""))

    def set_profile(self, token: Secret, changes: Mapping[str, str]) -> None:
        before = self.profile(token)
        if self.refuses_changes and "name" in changes:
            raise ChannelUnavailable("Telegram answered setMyName with 429: Too Many Requests", "wait")
        self.profiles[self._bot(token)] = replace(before, **changes)

    def commands(self, token: Secret) -> tuple[str, ...]:
        return self.menus.get(self._bot(token), ())

    def is_polled(self, token: Secret, seconds: float) -> bool:
        return self._bot(token) in self.polled

    def _bot(self, token: Secret) -> int:
        number = token.reveal().partition(":")[0]
        if self.is_down:
            raise ChannelUnavailable("nobody answers", "try again")
        if not TOKEN.fullmatch(token.reveal()) or int(number) in self.revoked:
            raise TokenRefused("Telegram answered getMe with 401: Unauthorized", "copy it again")
        return int(number)
