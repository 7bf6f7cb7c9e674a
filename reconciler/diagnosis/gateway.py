"""From the unit up to the reply. Pure."""

from __future__ import annotations

import re
from typing import Final

from reconciler.checks.channel import STALE_AFTER
from reconciler.diagnosis.case import APPLY, Case, Check, Rank, Told
from reconciler.diagnosis.host import HOST
from reconciler.model import Cause
from reconciler.steps.comparison import differences
from reconciler.steps.versions import linked

REPLY: Final = 600.0  # seconds that a user may have to wait for an answer, when a tool works for it
REFUSED: Final = 78  # its exit code where a start would never go well as things are (facts on OpenClaw, section 9)
KEEPS_ENDING: Final = 3  # restarts by systemd since somebody has started it
_REFUSED: Final = re.compile(r"\b40[14]\b|unauthorized", re.IGNORECASE)  # 404: a token of no bot at all
_CONFLICT: Final = re.compile(r"\b409\b|conflict", re.IGNORECASE)
NO_WORD: Final = ("404", "429")  # of a provider that has no such list, or is asked too often
_LOOK: Final = "fleet logs {name} --errors\nthen: fleet apply {name}"
_TELEGRAM: Final = "fleet exec {name} -- curl -sS -m 10 -o /dev/null https://api.telegram.org"
_PROVIDER: Final = "wait, or look at the provider's own status page\nwhat it answers: fleet logs {name} --errors"


def _unit(case: Case) -> Told:
    gateway = case.gateway
    if gateway.active == "inactive":
        mend = APPLY if differences(case.child) else "fleet start {name}"  # which starts nobody with changes to come
        return Told("the unit does not run, and the fleet file says that it shall", Cause.STOPPED, mend)
    return Told(f"{gateway.active} ({gateway.sub})")


def _exit_code(case: Case) -> Told:
    gateway = case.gateway
    last = gateway.journal[-1] if gateway.journal else ""
    if gateway.active == "failed":
        text = f"it has ended with exit code {gateway.exit_status} ({gateway.result}): {last}"
        if any("newer than this build" in line for line in gateway.journal):
            mend = "its memory was written by a newer release: name that in the fleet file, or fleet rollback {name}"
            return Told(text, Cause.STATE_NEWER, mend)
        if gateway.exit_status == REFUSED:
            return Told(text, Cause.REFUSES_TO_START, _LOOK)
        return Told(text, Cause.KEEPS_ENDING, _LOOK)
    return Told("it has not ended")


def _start_limit(case: Case) -> Told:
    gateway = case.gateway
    if gateway.active == "activating" and gateway.restarts >= KEEPS_ENDING:
        last = gateway.journal[-1] if gateway.journal else "its journal says nothing"
        text = f"systemd has started it {gateway.restarts} times, and it ended each time: {last}"
        return Told(text, Cause.KEEPS_ENDING, _LOOK)
    if not gateway.is_running:
        return Told(f"it is {gateway.active}", is_unknown=True)
    return Told("it stays up" if not gateway.restarts else f"{gateway.restarts} restarts by systemd since its boot")


def _http(case: Case) -> Told:
    gateway = case.gateway
    if not gateway.is_running:
        return Told(f"it is {gateway.active}", is_unknown=True)
    if case.is_starting and gateway.restarts >= KEEPS_ENDING:
        text = f"it has started just now, for the {gateway.restarts + 1}th time: it ended each time before"
        return Told(text, Cause.KEEPS_ENDING, _LOOK)
    if case.is_starting:
        return Told("it has started just now", is_unknown=True)
    if gateway.ready is None:
        return Told("it runs, and does not answer on loopback", Cause.GATEWAY_SILENT, "fleet restart {name}")
    others = [part for part in gateway.failing if part not in ("telegram", "channels")]
    if not gateway.ready and (others or not gateway.failing):
        text = f"it says that it is not ready: {', '.join(others) or 'starting'}"
        return Told(text, Cause.NOT_READY, "fleet logs {name} --errors\nfleet restart {name}")
    there = linked(case.child.facts) if case.child.facts else None
    if there is not None and gateway.version != there:
        return Told(f"{gateway.version} runs, and {there} is linked", Cause.OLD_PROCESS, APPLY)
    return Told(f"it answers, {gateway.version}")


def _token(case: Case) -> Told:
    gateway = case.gateway
    if case.is_starting:
        return Told("it has started just now", is_unknown=True)
    if gateway.token_accepted is False:
        return Told("it does not take the token that lies on its host", Cause.TOKEN_REFUSED, "fleet restart {name}")
    if gateway.anonymous_refused is False:
        return Told("it answers without a token", Cause.OPEN_TO_OTHERS, APPLY)
    return Told("only its own token opens it", is_unknown=gateway.token_accepted is None)


def _channel(case: Case) -> Told:
    gateway, examined = case.gateway, case.examined
    problem = gateway.channel_error or (examined.probe_problem if examined else "")
    if gateway.suppressed:
        text = f"it has started too often, and holds back: {', '.join(gateway.suppressed)}"
        return Told(text, Cause.CHANNELS_SUPPRESSED, "when five minutes have passed: fleet restart {name}")
    if _REFUSED.search(problem):
        return Told(f"Telegram: {problem}", Cause.BOT_TOKEN_REFUSED, "fleet bot token {name}")
    if _CONFLICT.search(problem):
        mend = "another program asks with this bot's token: end that, or give the bot a new one: fleet bot token {name}"
        return Told(f"Telegram: {problem}", Cause.OTHER_POLLER, mend)
    if gateway.channel_connected is None:
        return Told("the gateway says nothing of Telegram", is_unknown=True)
    if not gateway.channel_connected and case.is_starting:
        return Told("it has started just now", is_unknown=True)
    if not gateway.channel_connected:  # while it is connected, another error is one of before
        text = f"Telegram: {problem or 'not connected'}"
        return Told(text, Cause.TELEGRAM_SILENT, _TELEGRAM)
    return _poller(case)


def _poller(case: Case) -> Told:
    assert case.child.facts is not None
    activity = case.gateway.channel_activity
    if activity is None:
        return Told("connected, and nothing has come yet", is_unknown=True)
    age = case.child.facts.clock - activity
    said = case.examined.probe_problem if case.examined else ""
    if age > STALE_AFTER and said:  # who it asks now says so
        text = f"Telegram: {said}; nothing has gone over the wire for {age:.0f} s"
        return Told(text, Cause.TELEGRAM_SILENT, _TELEGRAM)
    if age > STALE_AFTER:
        text = f"connected, and nothing has gone over the wire for {age:.0f} s"
        return Told(text, Cause.POLLER_STUCK, "fleet restart {name}\nif it comes again: fleet bot token {name}")
    return Told("it polls")


def _model(case: Case) -> Told:
    said = case.examined.model if case.examined else ""
    if said in ("401", "403"):
        mend = "put a new key where the fleet file says, then fleet apply {name}"
        return Told(f"its provider refuses the key: HTTP {said}", Cause.MODEL_KEY_REFUSED, mend)
    if said.isdecimal() and said != "200":
        if said in NO_WORD:
            return Told(f"its provider answers HTTP {said}, which says nothing of the key", is_unknown=True)
        return Told(f"its provider answers HTTP {said}", Cause.MODEL_SILENT, _PROVIDER)
    if said and said != "200":
        return Told(f"its provider cannot be reached: {said}", Cause.MODEL_SILENT, _PROVIDER)
    return Told("its provider takes the key" if said else "nobody knows how to ask its provider", is_unknown=not said)


def _reply(case: Case) -> Told:
    examined = case.examined
    if case.is_starting or examined is None or examined.inbound is None:
        return Told("no message has come since its start")
    waited = examined.clock - examined.inbound
    if (examined.outbound or 0.0) < examined.inbound and waited > REPLY:
        text = f"the last message came {waited / 60:.0f} min ago, and nothing was answered"
        return Told(text, Cause.NO_REPLY, "fleet logs {name} --errors")
    return Told("the last message was answered" if examined.outbound else "a message came just now")


_RUNS: Final = ("unit", "exit code", "start limit")
CHECKS: Final[tuple[Check, ...]] = (
    Check("unit", ("unit file",), _unit, Rank.SIGN),
    Check("exit code", ("unit",), _exit_code, Rank.SIGN),
    Check("start limit", ("unit", "exit code"), _start_limit, Rank.SIGN),
    Check("http", _RUNS, _http, Rank.SIGN),
    Check("token", ("http",), _token),
    Check("channel", ("token",), _channel),
    Check("model key", HOST, _model, Rank.BEYOND),
    Check("reply", ("channel", "model key"), _reply),
)
