"""From a child in the fleet file to a user who gets answers: whom it waits for, and the first message to them."""

from __future__ import annotations

from typing import Final

from reconciler import messages
from reconciler.errors import UsageProblem
from reconciler.messages import letters
from reconciler.model import AccessPolicy, ChildSpec, Delivery, Event, Fleet, Json, Letter, Recipients
from reconciler.ports import OnEach, Ports

EVENT: Final = "onboarded"
INTENDED: Final = "welcome-intended"
REFUSED: Final = "not-welcomed"  # so nobody has heard anything
WELCOME: Final = "Hello, I am {{ name }}, your assistant. Write to me whenever you like."


def whom(spec: ChildSpec, user: int | None) -> int | None:
    """The user to be onboarded, as far as the file or `user` says; None for whoever asks. Raises UsageProblem."""
    named = (spec.users.owner, *spec.users.allowed)
    candidates = list(dict.fromkeys(it for it in named if it is not None))
    if user is not None:
        if user not in candidates and spec.users.policy is AccessPolicy.ALLOWLIST:
            raise UsageProblem(
                f"{spec.name} lets nobody in but whom the fleet file names, and {user} is not among them",
                f"children.{spec.name}.users: write {user} into `allowed`, or `policy: pairing`",
            )
        return user
    if len(candidates) > 1:
        raise UsageProblem(
            f"the fleet file names several users of {spec.name}: {', '.join(map(str, candidates))}",
            f"say who is to be onboarded: fleet onboard {spec.name} --user {candidates[0]}",
        )
    return candidates[0] if candidates else None


def welcomed(ports: Ports, child: str, user: int, bot: int) -> tuple[str, bool]:
    """When that bot has written to them before, and whether it is known to have arrived; empty where it never has.

    As far as this working directory knows. ISO 8601.
    """
    wanted = {"child": child, "user": user, "bot": bot}
    events = (it for it in ports.store.events() if it.event in (EVENT, INTENDED, REFUSED))
    found = [it for it in events if {key: it.fields.get(key) for key in wanted} == wanted]
    arrived = [it for it in found if it.event == EVENT and it.fields.get("arrived") is True]
    if arrived:  # whatever was tried again since
        return arrived[-1].at, True
    settled = begun = ""
    for it in found:
        if it.event == EVENT:
            settled = it.at
        begun = it.at if it.event == INTENDED else ""  # a try that was cut off may have arrived; one refused has not
    return begun or settled, False


def first_letter(fleet: Fleet, child: str, user: int, text: str) -> list[Letter]:
    """Pure. Raises UsageProblem for a text that is none."""
    return letters(fleet, [child], text, Recipients(users=(user,)))[0]


def welcome(
    fleet: Fleet, child: str, user: int, text: str, bot: int, on_each: OnEach, ports: Ports, every: float, until: float
) -> Delivery:
    """The gateway's answer to the first message to this user; tried again, until then, while Telegram refuses it.

    A bot cannot write to whom it has never heard of: that is what there is to wait for. `until` is by the monotonic
    clock. Raises UsageProblem for a text that is none, CloudError.
    """
    written = first_letter(fleet, child, user, text)
    about: dict[str, Json] = {"child": child, "user": user, "bot": bot, "by": ports.operator}

    def note(event: str, **more: Json) -> None:
        at = ports.clock.now().isoformat()
        found = Event(event, at, ports.clock.token(), {**about, **more})
        ports.store.append(found, durable=event == INTENDED)

    note(INTENDED)
    while True:
        is_last = ports.clock.monotonic() + every > until
        [delivery] = messages.send(written, on_each, ports, failures_count=is_last)
        if delivery.message or delivery.is_unclear:
            note(EVENT, arrived=bool(delivery.message))
        elif not delivery.is_refused or is_last:
            note(REFUSED)
        if not delivery.is_refused or is_last:
            return delivery
        try:
            ports.clock.sleep(every)
        except BaseException:  # an interrupt, while it is certain that nothing has arrived
            note(REFUSED)
            raise
