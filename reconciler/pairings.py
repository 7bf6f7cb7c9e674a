"""Who asks to talk to the bots of a fleet, and the answers that an operator gives: one SSH trip for a child.

What a host tells of people is said by strangers, and is not trusted to be anything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final, cast

from reconciler import commands
from reconciler.errors import CommandFailed, FleetError, HostError, HostTimedOut, UsageProblem
from reconciler.managed import files
from reconciler.model import Access, Completed, Event, Fleet, Json, News, NewsKind, PairingRequest
from reconciler.model.pairing import LIFE
from reconciler.ports import Host, OnEach, Ports

_LONGEST_SAID: Final = 300  # characters of what a gateway says
_UNCLEAR: Final = "nobody can tell whether that was done"
_LOOK: Final = "fleet pairing list {} says whether they still ask"
_WRONG: Final = "fleet status {} says what is wrong"
_CODE: Final = re.compile("[A-Z2-9]{4,16}")  # eight today, without those that look alike
_USER: Final = re.compile("[1-9][0-9]{0,15}")


class Pairings:
    """`on_each` asks the hosts of children: FleetClient.on_each, or what keeps their connections."""

    def __init__(self, fleet: Fleet, ports: Ports, on_each: OnEach) -> None:
        self._fleet, self._ports, self._on_each = fleet, ports, on_each

    def look(self, names: Iterable[str]) -> list[Access]:
        """Each child, in order; what goes wrong with one is said of that one. Raises CloudError."""
        found = self._on_each(names, self._access)
        return [self._of(name, answer) for name, answer in sorted(found.items())]

    def approve(self, request: PairingRequest, *, notify: bool = False) -> bool:
        """They may talk to the bot from now on, and are never made its owner. Whether the bot has told them so.

        Raises HostError, CommandFailed.
        """
        answer = self._answer(request, "approve", {"notify": True} if notify else {})
        self._note("pairing-approved", request)
        return answer.get("notification") == "sent"

    def deny(self, request: PairingRequest) -> None:
        """The request is gone; they may ask again. Raises HostError, CommandFailed."""
        self._answer(request, "dismiss", {})
        self._note("pairing-denied", request)

    def watch(self, names: Iterable[str], every: float, seconds: float | None) -> Iterator[News]:
        """What changes, by a look each `every` seconds; without end where `seconds` is None. Raises CloudError."""
        names, clock, before = tuple(names), self._ports.clock, dict[str, Access]()
        until = None if seconds is None else clock.monotonic() + seconds
        while True:
            for access in self.look(names):
                yield from _news(before.get(access.child, Access(access.child)), access)
                before[access.child] = _known(before.get(access.child), access)
            if until is not None and clock.monotonic() + every > until:
                return
            clock.sleep(every)

    def _access(self, name: str, host: Host) -> Access:
        try:
            answer = json.loads(host.run(commands.read_pairings()).stdout)
            asking = [_request(name, told) for told in answer["requests"]]
            approved = [user for user in answer["approved"] if isinstance(user, str)]
        except (ValueError, RecursionError, KeyError, TypeError) as error:
            raise HostError("its host does not say who asks", f"fleet status {name} says what is wrong") from error
        requests = tuple(it for it in asking if it is not None and it.left > 0)
        return Access(name, requests, tuple(approved), self._strangers(name, approved), asking.count(None))

    def _strangers(self, name: str, approved: Sequence[str]) -> tuple[str, ...]:
        spec = self._fleet.children.get(name)
        known = {str(user) for user in (spec.users.owner, *spec.users.allowed)} if spec else set()
        return tuple(user for user in dict.fromkeys(approved) if user not in known)

    def _of(self, name: str, answer: Access | FleetError) -> Access:
        if isinstance(answer, FleetError):
            return Access(name, problem=answer.summary, advice=answer.advice)
        return answer

    def _answer(self, request: PairingRequest, verb: str, more: dict[str, Json]) -> dict[str, Any]:
        self._note("pairing-intended", request, durable=True, answer=verb)
        answered = self._on_each([request.child], lambda name, host: _told(request, host, verb, more))
        if isinstance(answer := answered[request.child], FleetError):
            self._note("pairing-not-answered", request, answer=verb, problem=answer.summary)
            raise answer
        return cast(dict[str, Any], answer)

    def _note(self, event: str, request: PairingRequest, *, durable: bool = False, **more: Json) -> None:
        clock = self._ports.clock
        fields = {"child": request.child, "user": request.user, "by": self._ports.operator, **more}
        self._ports.store.append(Event(event, clock.now().isoformat(), clock.token(), fields), durable=durable)


def find(looked: Iterable[Access], word: str) -> PairingRequest:
    """The one request with this code, or by this user. Raises UsageProblem where none is, or several are."""
    looked = tuple(looked)
    found = [it for access in looked for it in access.requests if word.strip().upper() in (it.code.upper(), it.user)]
    if len(found) == 1:
        return found[0]
    if found:
        children = " and ".join(sorted({request.child for request in found}))
        raise UsageProblem(f"{word} asks at {children}", "name the child as well: fleet pairing approve CHILD CODE")
    silent = [f"{access.child} ({access.problem})" for access in looked if access.problem]
    unasked = f"; not asked: {', '.join(silent)}" if silent else ""
    advice = "a request lives for an hour: let them write to the bot again; `fleet pairing list` shows who asks"
    raise UsageProblem(f"nobody asks with the code or as the user {word}{unasked}", advice)


def _news(before: Access, now: Access) -> Iterator[News]:
    if now.problem:
        if not before.problem:
            yield News(NewsKind.UNHEARD, now.child, problem=now.problem)
        return
    if before.problem:
        yield News(NewsKind.HEARD, now.child)
    asking = {request.code for request in now.requests}
    yield from (News(NewsKind.GONE, now.child, it) for it in before.requests if it.code not in asking)
    known = {request.code for request in before.requests}
    yield from (News(NewsKind.ASKS, now.child, it) for it in now.requests if it.code not in known)


def _known(before: Access | None, now: Access) -> Access:
    """Who could not be asked still has whom it had."""
    return replace(now, requests=before.requests) if now.problem and before is not None else now


def _request(child: str, told: Any) -> PairingRequest | None:
    """None for what no gateway has written: a code that people copy shall mean nothing to a shell."""
    age, user, code = told["age"], str(told["user"]), str(told["code"])
    age = float(age) if isinstance(age, int | float) else float(LIFE)  # as the gateway takes it: for expired
    if not _CODE.fullmatch(code) or not _USER.fullmatch(user):
        return None
    given = " ".join(str(told[key]) for key in ("firstName", "lastName") if told[key])
    handle = f"@{told['username']}" if told["username"] else ""
    return PairingRequest(child, user, code, f"{given} {handle}".strip(), max(0.0, age))


def _told(request: PairingRequest, host: Host, verb: str, more: dict[str, Json]) -> dict[str, Any]:
    """The gateway's own list says how it calls the request."""
    where: dict[str, Json] = {"channel": "telegram"}
    known = _called(host, "channels.pairing.list", where, request).get("requests")
    if not isinstance(known, list):
        raise HostError("not done: the gateway does not say who asks", _WRONG.format(request.child))
    for asked in known:
        if isinstance(asked, dict) and str(asked.get("senderId")) == request.user:
            account, number = asked.get("accountId"), asked.get("requestId")
            params = {**where, "accountId": account, "requestId": number, **more}
            answer = _called(host, f"channels.pairing.{verb}", params, request, changes=True)
            if answer.get("requestId") != number:
                raise HostError(f"{_UNCLEAR}: the gateway did not confirm it", _LOOK.format(request.child))
            return answer
    raise HostError(f"{request.user} does not ask any more", "let them write to the bot again")


def _called(
    host: Host, method: str, params: dict[str, Json], request: PairingRequest, *, changes: bool = False
) -> dict[str, Any]:
    try:
        done = host.run(commands.call_by_cli(method, params, files.NODE_DIRECTORY))
    except HostTimedOut as error:
        summary = f"{_UNCLEAR}: {error.summary}" if changes else f"not done: {error.summary}"
        raise HostTimedOut(summary, _LOOK.format(request.child)) from error
    answer = _json(done)
    if done.exit_code != 0:
        refusal = answer.get("error")
        said = refusal.get("message") if isinstance(refusal, dict) else None
        said = said if isinstance(said, str) else done.stderr.decode(errors="replace").strip()
        summary = f"not done: {said[:_LONGEST_SAID] or 'the gateway does not say why'}"
        raise CommandFailed(summary, _WRONG.format(request.child))
    return answer


def _json(done: Completed) -> dict[str, Any]:
    try:
        answer = json.loads(done.stdout)
    except (ValueError, RecursionError):
        answer = None
    return answer if isinstance(answer, dict) else {}
