"""What is said of a memory that stands in the way of a child, or that it would be made without. Pure."""

from __future__ import annotations

from reconciler.errors import FleetError
from reconciler.manifests import NOTE, Known
from reconciler.model import Child, Diagnostic, Purpose, Severity, Sleep


def without_memory(child: Child, newest: str) -> Diagnostic:
    when, what = "afterwards", "goes on with a server that may have no memory yet"
    if child.server is None:
        when, what = "instead", "will be made without a memory"
    elif child.server.is_successor:
        what = "goes on with the server that was to succeed its own, maybe without a memory"
    summary = f"{child.name} {what}, and there are backups of it, the newest of {newest[:8]}"
    return Diagnostic(Severity.WARNING, summary, f"to give it that one {when}: fleet restore {child.name}", child.name)


def unread(name: str, newest: Known) -> Diagnostic:
    return Diagnostic(
        Severity.ERROR,
        f"{name} is not made without a memory: nobody can tell what its newest backup is, {newest.stem}{NOTE}",
        "its note is damaged, or not written with this fleet key: fleet key show; remove it if it is not this fleet's\n"
        f"to give it another one: fleet backup list {name}, then fleet wake {name} --from BACKUP\n"
        f"to give up what it remembered: fleet wake {name} --empty",
        address=name,
    )


def later(child: Child, asleep: Sleep, newest: Known) -> Diagnostic:
    return Diagnostic(
        Severity.ERROR,
        f"{child.name} was to wake with {asleep.backup}, and there is a later backup of it, {newest.id}",
        f"say which it shall wake with: fleet wake {child.name} --from {newest.id}\n"
        f"or the earlier one: fleet wake {child.name} --from {asleep.backup}",
        address=child.name,
    )


def undeclared_sleeper(name: str, sleep: Sleep, now: str | None) -> Diagnostic:
    if now is None:
        summary = f"{name} sleeps, and the fleet file does not declare it"
        advice = f"its backup {sleep.backup} is kept; to give that to a child: fleet restore {name} --to CHILD"
    else:
        summary = f"{name} sleeps, and {now}, as it is called now, has a memory of its own"
        advice = f"its backup {sleep.backup} is kept; to give it that one instead: fleet restore {name} --to {now}"
    given_up = f"to give up what it remembered: fleet wake {name} --empty"
    return Diagnostic(Severity.WARNING, summary, f"{advice}\n{given_up}", address=name)


def strayed(name: str, sleep: Sleep) -> Diagnostic:
    return Diagnostic(
        Severity.WARNING,
        f"{name} sleeps, and its backup {sleep.backup} is not where the fleet file keeps backups now",
        "put `backup: {to: …}` back as it was, or copy what is kept there to the new place: it cannot wake without",
        name,
    )


def copies_gone(name: str) -> Diagnostic:
    return Diagnostic(
        Severity.WARNING,
        f"{name} will be made without a memory: backups of it were made from here, and none is where the file has them",
        "where `backup: {to: …}` was changed, put it back as it was, or copy what is kept there to the new place",
        name,
    )


def not_seen(name: str, sleep: Sleep, problem: str) -> Diagnostic:
    return Diagnostic(
        Severity.WARNING,
        f"{name} sleeps, and nobody can see whether its backup {sleep.backup} is still there",
        problem,
        name,
    )


def waiting(name: str, newest: Known) -> Diagnostic:
    if newest.purpose is not Purpose.SLEEP:
        return Diagnostic(
            Severity.ERROR,
            f"{name} is not made without a memory: its server is gone, and its newest backup is {newest.id}",
            f"to give it that: fleet restore {name}\n"
            f"to make it anew, and give up what it remembered: fleet wake {name} --empty, then apply again",
            address=name,
        )
    return Diagnostic(
        Severity.ERROR,
        f"{name} was put to sleep with its newest backup, {newest.id}, and is not made without it",
        f"nothing at the cloud says what became of that: to give it this memory, fleet wake {name}\n"
        f"to give up what it remembered: fleet wake {name} --empty",
        address=name,
    )


def outlived(child: Child, newest: Known) -> Diagnostic:
    name, sleep = child.name, child.asleep
    assert sleep is not None, "it sleeps by the note of a former name"
    return Diagnostic(
        Severity.ERROR,
        f"{name} is not made: {sleep.noted_as}, as it was, sleeps, and there is a later backup of {newest.child}",
        f"to give it what {sleep.noted_as} went to sleep with: fleet restore {sleep.noted_as} --to {name}\n"
        f"to give it the later one, {newest.id}: fleet restore {name}\n"
        f"to give up what {sleep.noted_as} remembered: fleet wake {sleep.noted_as} --empty",
        address=name,
    )


def unknown(name: str, problem: str, *, is_known: bool) -> Diagnostic:
    """`is_known`: from here somebody has seen that it was there before."""
    if not is_known:
        summary = f"{name} will be made without a memory, and nobody can tell whether there are backups of it"
        advice = f"if it has been here before, mend that first; then: fleet restore {name}"
        return Diagnostic(Severity.WARNING, summary, f"{problem}\n{advice}", address=name)
    summary = f"{name} is not made anew: nobody can tell whether there are backups of it"
    advice = "mend that first, or keep them in another place from now on: `backup: to` in the fleet file"
    return Diagnostic(Severity.ERROR, summary, f"{problem}\n{advice}", address=name)


def not_awake(child: Child, error: FleetError) -> Diagnostic:
    return Diagnostic(
        Severity.ERROR,
        f"{child.name} is to wake, and its backup cannot be had: {error.summary}",
        f"{error.advice}\nfleet wake {child.name} --from another one, or --identity FILE; --empty gives its memory up",
        address=child.name,
    )
