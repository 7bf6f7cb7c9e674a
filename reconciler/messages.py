"""Messages from bots to their users, through each child's own gateway: one SSH trip for all users of a child."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from reconciler import commands
from reconciler.errors import CommandFailed, FleetError, HostTimedOut, UsageProblem
from reconciler.fleet.effort import TemplateProblem, TooMuchForAll, Work
from reconciler.fleet.templates import Templates, filled
from reconciler.model import ChildSpec, Delivery, Event, Fleet, Json, Letter, Recipients
from reconciler.ports import Host, OnEach, Ports
from reconciler.redaction import Redactor

LONGEST: Final = 4096  # characters of a Telegram message, https://core.telegram.org/bots/api#sendmessage
MOST_STEPS: Final = 1_000_000  # of all templates together
_LONGEST_SAID: Final = 300  # characters of what a gateway says
_SHORTEST: Final = 4  # of a text that is looked for in what a gateway says
_UNCLEAR: Final = "nobody can tell whether it was sent"
_BATCH: Final = 100  # messages by one command
_REFUSED: Final = "its gateway refused it"


def letters(
    fleet: Fleet, names: Iterable[str], text: str, to: Recipients, *, plain: bool = False
) -> tuple[list[Letter], list[Delivery]]:
    """One for each user of each child, its template filled in unless it is `plain`; and who has nobody to send it to.

    Pure. Raises UsageProblem where the text is none, or too long for any of them: then nobody gets one.
    """
    if not text.strip():
        raise UsageProblem("there is no text", 'the last word is the text: fleet send CHILD --owner "Hello"')
    templates, written, nobody = Templates(Work(MOST_STEPS)), list[Letter](), list[Delivery]()
    for name in names:
        spec = fleet.children[name]
        users = _users(spec, to)
        if not users:
            advice = f"children.{name}.users says who: owner, allowed; or name one: --user ID"
            nobody.append(Delivery(name, None, problem="the fleet file names nobody to send it to", advice=advice))
        words = text if plain else _filled(text, fleet, spec, templates)
        _check(words, name)
        written += (Letter(name, user, words) for user in users)
    return written, nobody


def send(written: Iterable[Letter], on_each: OnEach, ports: Ports, *, failures_count: bool = True) -> list[Delivery]:
    """What became of each, in their order; each is noted in the journal, and its text is not. Nothing is sent twice.

    Where failures do not count, whoever asks tries again soon, and notes what came of it all.
    """
    of_child: defaultdict[str, list[Letter]] = defaultdict(list)
    for letter in written:
        of_child[letter.child].append(letter)
    answered = on_each(of_child, lambda name, host: _delivered(host, of_child[name], ports, is_noted=failures_count))
    found = []
    for name, answer in answered.items():
        if isinstance(answer, FleetError):
            _note_all(deliveries := _unsent(of_child[name], answer), ports, failures_count=failures_count)
        else:
            deliveries = answer
        found += deliveries
    return found


def _users(spec: ChildSpec, to: Recipients) -> tuple[int, ...]:
    declared = [spec.users.owner] if to.owner or to.everybody else []
    allowed = spec.users.allowed if to.everybody else ()
    return tuple(dict.fromkeys(user for user in (*declared, *allowed, *to.users) if user is not None))


def _filled(text: str, fleet: Fleet, spec: ChildSpec, templates: Templates) -> str:
    values = {
        "name": spec.name,
        "fleet": fleet.name,
        "group": spec.group or "",
        "region": spec.regions[0],
        "regions": list(spec.regions),
        "labels": dict(spec.labels),
        "users": {"owner": spec.users.owner, "allowed": list(spec.users.allowed), "policy": spec.users.policy.value},
    }
    try:
        return filled(text, values, templates, LONGEST + 1)
    except TemplateProblem as problem:
        advice = "mend it, or send the text as it is: --plain"
        raise UsageProblem(f"the text cannot be filled in for {spec.name}: {problem.summary}", advice) from problem
    except TooMuchForAll as error:
        raise UsageProblem(
            f"the text cannot be filled in: {error}", "make it simpler, or name fewer children"
        ) from error


def _check(words: str, name: str) -> None:
    if not words.strip():
        raise UsageProblem(f"nothing is left of the text for {name}", "mend the template, or leave that child out")
    if len(words) > LONGEST:
        raise UsageProblem(
            f"the text for {name} has more than {LONGEST} characters, and Telegram takes no more", "send it in parts"
        )


def _unsent(written: Sequence[Letter], error: FleetError) -> list[Delivery]:
    return [Delivery(it.child, it.user, problem=error.summary, advice=error.advice) for it in written]


def _note_all(found: Iterable[Delivery], ports: Ports, *, failures_count: bool) -> None:
    for delivery in found:
        if failures_count or not delivery.is_refused:
            _note(delivery, ports)


def _delivered(host: Host, written: Sequence[Letter], ports: Ports, *, is_noted: bool) -> list[Delivery]:
    """A batch at a time, so that a line which breaks off leaves few of which nobody can tell."""
    done = list[Delivery]()
    for batch in _batches(written):
        if is_noted:  # else it is a try of many, and what came of it all is noted
            fields: dict[str, Json] = {"child": batch[0].child, "users": len(batch), "by": ports.operator}
            at = ports.clock.now().isoformat()
            ports.store.append(Event("messages-intended", at, ports.clock.token(), fields), durable=False)
        try:
            answers = _answers(host, batch, ports)
        except FleetError as error:
            if not done:
                raise
            answers = [{"problem": error.summary} for _ in batch]
        ended = [_delivery(letter, answer) for letter, answer in zip(batch, answers, strict=True)]
        _note_all(ended, ports, failures_count=is_noted)  # at once: an interrupt must not hide who has heard
        done += ended
    return done


def _batches(written: Sequence[Letter]) -> Iterator[Sequence[Letter]]:
    return (written[begin : begin + _BATCH] for begin in range(0, len(written), _BATCH))


def _answers(host: Host, written: Sequence[Letter], ports: Ports) -> list[Any]:
    calls: list[Json] = [
        {
            "tool": "message",
            "args": {"action": "send", "channel": "telegram", "target": str(letter.user), "message": letter.text},
            "idempotencyKey": ports.clock.token(),
        }
        for letter in written
    ]
    try:
        answers = json.loads(host.run(commands.send_messages(calls)).stdout)
    except HostTimedOut as error:
        return _unclear(written, error.summary)
    except CommandFailed as error:
        raise CommandFailed(error.summary, f"fleet status {written[0].child} says what is wrong") from error
    except (ValueError, RecursionError):
        answers = None
    if not isinstance(answers, list) or len(answers) != len(written):
        return _unclear(written, "its host did not answer for each message")
    return answers


def _unclear(written: Sequence[Letter], why: str) -> list[Any]:
    return [{"problem": f"nobody can tell whether it was sent: {why}", "unclear": True} for _ in written]


def _delivery(letter: Letter, answer: Any) -> Delivery:
    """Distrusted, as all that comes from there."""
    answer = answer if isinstance(answer, dict) else {}
    message, problem = (it if isinstance(it := answer.get(key), str) else "" for key in ("message", "problem"))
    problem = _harmless(problem, letter)
    if message:
        return Delivery(letter.child, letter.user, message[:_LONGEST_SAID])
    if answer.get("unclear") is True:
        advice = "ask its user before you send it again"
        return Delivery(letter.child, letter.user, "", problem[:_LONGEST_SAID], advice, is_unclear=True)
    text = f"not sent: {problem[:_LONGEST_SAID]}" if problem else "not sent, and the gateway does not say why"
    advice = "has the user ever written to the bot?"
    return Delivery(letter.child, letter.user, problem=text, advice=advice, is_refused=True)


def _harmless(problem: str, letter: Letter) -> str:
    """A gateway may repeat the text, or the address that it was sent to, which has the bot's token in it."""
    for written in (letter.text, json.dumps(letter.text)[1:-1], json.dumps(letter.text, ensure_ascii=False)[1:-1]):
        problem = problem.replace(written, "(the text)") if len(letter.text) >= _SHORTEST else problem
    return Redactor().line(" ".join(problem.split()))


def _note(delivery: Delivery, ports: Ports) -> None:
    """In words of ours: a gateway's own may have anything in them."""
    fields: dict[str, Json] = {"child": delivery.child, "user": delivery.user, "by": ports.operator}
    problem = _REFUSED if delivery.is_refused else _UNCLEAR if delivery.is_unclear else delivery.problem
    outcome: dict[str, Json] = {"message": delivery.message} if delivery.message else {"problem": problem}
    at = ports.clock.now().isoformat()
    kind = "sent" if delivery.message else "unclear" if delivery.is_unclear else "not-sent"
    name = f"message-{kind}"
    ports.store.append(Event(name, at, ports.clock.token(), {**fields, **outcome}), durable=False)
