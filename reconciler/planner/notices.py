"""What a person should know of a child or before saying yes to an action. Decides nothing. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from reconciler.actions.conditions import has_expired, is_asleep, is_protected, shall_go, shall_run
from reconciler.commands.switching import is_aside_name
from reconciler.model import (
    LATEST,
    Action,
    Backup,
    Catalog,
    Change,
    Child,
    Diagnostic,
    Kind,
    Server,
    Severity,
    Situation,
    Sleep,
)
from reconciler.offers import needs_new_server
from reconciler.planner import money
from reconciler.steps.comparison import left_alone
from reconciler.steps.repairs import REPAIRS

SOON: Final = timedelta(days=7)


def needs_replacement(child: Child, situation: Situation) -> Diagnostic | None:
    """What the file says cannot be had on this server, and nobody has allowed another one."""
    if child.spec is None or not shall_run(child, situation):
        return None
    changes = needs_new_server(child, situation.catalog)
    allowed = situation.options.may_replace(child.name)
    if not changes or (allowed and not is_protected(child)):
        return None  # where it is not planned all the same, the cloud cannot give it, which is said already
    what = ", ".join(_change_text(change) for change in changes)
    if allowed:
        return _kept(child, "", f"it is not replaced for {what}", "put the old value back")
    return _diagnostic(
        Severity.REFUSED,
        child,
        f"{child.name}: {what} takes a new server, and none is planned",
        "its address would change; its memory would move\n"
        f"if that is meant: fleet apply --allow-replace {child.name}; else put the old value back",
    )


def mended_too_often(child: Child, action: Action | None, situation: Situation) -> Diagnostic | None:
    """The same keys drift again and again: somebody else writes them too."""
    paths = action.left_alone if action else left_alone(child, situation)
    if not paths or is_asleep(child):
        return None
    return _diagnostic(
        Severity.WARNING,
        child,
        f"{child.name}: mended {REPAIRS} times or more within a day and changed again: {', '.join(paths)}",
        f"left alone until you decide: find out who changes it, then fleet apply --repair {child.name}",
    )


def about_time_and_rest(child: Child, action: Action | None, situation: Situation) -> Iterator[Diagnostic]:
    """Sleep; expiry, due or near; and what a child costs that is switched off."""
    if child.spec is None:
        return
    if child.asleep is not None and is_asleep(child) and child.server is None:
        asleep = f"{child.name} is asleep{_since(child.asleep)}"
        yield _diagnostic(Severity.NOTE, child, asleep, f"to wake it: fleet wake {child.name}")
    if is_asleep(child) and is_protected(child):
        yield _diagnostic(
            Severity.REFUSED,
            child,
            f"{child.name} was put to sleep, and is protected: its server stays",
            f"let it run again: fleet wake {child.name}\n"
            f"to put it to sleep all the same: then apply `protect: false`, and fleet hibernate {child.name}",
        )
    if child.spec.expires is not None:
        yield from _about_expiry(child, child.spec.expires, situation)
    if not child.spec.enabled and child.server is not None and action is None:
        yield _diagnostic(
            Severity.NOTE,
            child,
            f"{child.name} is switched off and still costs {_monthly(child.server, situation.catalog)}",
            "`enabled: true` starts it again; taking it out of the fleet file deletes its server",
        )


def about_spares(child: Child) -> Iterator[Diagnostic]:
    """Of a child for which nothing can be planned: what is paid for besides, and whom no row of a table names."""
    if child.spares and child.spec is not None:
        names = " and ".join(server.name for server in child.spares)
        what = f"{child.name} has another server, {names}: it is left of a replacement that did not end, and paid for"
        advice = "the next apply sees to it"
        if child.silence is not None:
            rebuild = f"fleet rebuild {child.name} --no-backup {child.name}"
            first = "once its `protect: false` is applied, " if is_protected(child) else ""
            advice = f"mend its host, then apply; or go on with that, {first}from its newest backup if any: {rebuild}"
        yield _diagnostic(Severity.WARNING, child, what, advice)


def about_bot(child: Child) -> Iterator[Diagnostic]:
    if child.profile_problem:
        what = f"{child.name}: nobody can tell what its bot shows, so that is left as it is: {child.profile_problem}"
        yield _diagnostic(Severity.WARNING, child, what, "fleet bot check asks again")


def about_action(action: Action, child: Child, situation: Situation) -> Iterator[str]:
    """Money and what is lost, one sentence each."""
    if child.server is None:
        return
    if child.spec and action.kind is Kind.STOP:
        asleep = replace(child.server, backups=child.spec.backups)  # as this action leaves it
        yield f"it goes on costing {_monthly(asleep, situation.catalog)}"
    if action.kind in (Kind.RESIZE, Kind.REPLACE) and money.keeps_old_price(child.server):
        yield (
            f"it was ordered before {money.PRICE_RISE:%Y-%m-%d} and may cost less than its list price now; "
            "after this the present list price is charged"
        )
    if child.spec and child.spec.version == LATEST and action.kind is Kind.REPLACE and action.without_copy:
        yield "the new server gets the newest OpenClaw of that moment"
    kept = child.spec and money.has_backups_afterwards(action, child.spec, child.server)
    if action.kind is Kind.HIBERNATE:
        yield f"{_copied_to_sleep(action)}; its address goes"
    if action.kind in (Kind.DESTROY, Kind.REPLACE):
        rebuilt = situation.options.rebuild
        yield from _about_memory(action, child, rebuilt.get(child.name), is_rebuilt=child.name in rebuilt)
    if action.kind in (Kind.HIBERNATE, Kind.DESTROY, Kind.REPLACE) and not child.server.is_throwaway:
        yield from _about_earlier(action, child)
    if child.spec and action.kind not in (Kind.HIBERNATE, Kind.DESTROY) and child.server.backups and not kept:
        yield "switching the cloud's backups off deletes those there are"


def _copied_to_sleep(action: Action) -> str:
    if action.without_copy:
        return "what it was told since its last copy is lost for good: no other is made (--no-backup)"
    return "a copy of its memory is kept and read back first"


def _about_memory(action: Action, child: Child, given: Backup | None, *, is_rebuilt: bool) -> Iterator[str]:
    """Whether anything is left of it. Of one where no gateway ever started, or that serves no user, nothing is.

    `given` is the backup that its new gateway gets, where its memory is not copied now.
    """
    if given is not None:
        at = f"{given.at[:16].replace('T', ' ')} UTC"
        yield f"it gets the backup {given.id}, what it remembered at {at}, on OpenClaw {given.version}"
        yield "what it remembers since then is lost for good: no copy of it is made (--no-backup)"
    elif action.without_copy:
        yield "what it remembers is lost for good: no copy of it is made (--no-backup)"
    if is_rebuilt and given is None and action.without_copy:
        yield "no backup of it is where the fleet file keeps them: its new server begins without a memory"
    if action.without_copy:
        if child.spares:
            names = " and ".join(server.name for server in child.spares)
            yield f"{names} is left of a replacement that did not end: it goes; what it was told is kept if it answers"
    elif action.kind is Kind.REPLACE:
        yield "its gateway is stopped, its memory copied and read back, and given to the new one before that starts"
        if child.spares:
            names = " and ".join(server.name for server in child.spares)
            yield f"{names} is left of a replacement that did not end: it is gone on with where it fits, else deleted"
    elif child.is_unfinished and child.server and not (child.server.is_untouched or child.server.is_throwaway):
        yield "if its gateway has ever started, a last copy of what it was told is kept and read back first"
    elif child.server and not child.is_unfinished and not child.server.is_throwaway:
        yield f"a last copy of its memory is kept and read back first: fleet backup list {child.name}"


def _about_earlier(action: Action, child: Child) -> Iterator[str]:
    facts = child.facts
    copies, asides = (len(facts.checkpoints), sum(map(is_aside_name, facts.asides))) if facts is not None else (0, 0)
    if action.without_copy or not (copies or asides):
        return
    what = [f"{copies} checkpoint{'s' if copies > 1 else ''}"] if copies else []
    if asides:
        what.append(f"{asides} states that were set aside" if asides > 1 else "1 state that was set aside")
    moves = "; the checkpoints go with it" if action.kind is Kind.REPLACE and copies else ""
    yield f"what its host keeps of before is kept as backups as well: {' and '.join(what)}{moves}"


def _about_expiry(child: Child, expires: datetime, situation: Situation) -> Iterator[Diagnostic]:
    when = f"{expires:%Y-%m-%d %H:%M} UTC"
    if not has_expired(child, situation):
        if expires - situation.now <= SOON and child.server is not None:
            yield _diagnostic(
                Severity.NOTE,
                child,
                f"{child.name} expires on {when}",
                "the first apply after that deletes its server, after a last copy of its memory",
            )
    elif not shall_go(child, situation):
        yield _kept(child, f" expired on {when} and", "its server is not deleted", "give it a later `expires`")
    elif child.server is None:
        yield _diagnostic(
            Severity.NOTE,
            child,
            f"{child.name} expired on {when}, so no server is made for it",
            "take it out of the fleet file, or give it a later `expires`",
        )


def _since(asleep: Sleep) -> str:
    return f": its memory is in the backup {asleep.backup}" if asleep.backup else ", and nobody can tell its backup"


def _kept(child: Child, why: str, what: str, instead: str) -> Diagnostic:
    """Protection stands against it: that of the file, or that of the server, which the file has given up already."""
    assert child.spec is not None
    said, how = "protected", f"set `protect: false` and apply first, or {instead}"
    if not child.spec.protect:
        said = "still protected, for the fleet file's `protect: false` is not applied yet"
        how = f"take the protection from the server first: fleet apply {child.name}"
    return _diagnostic(Severity.REFUSED, child, f"{child.name}{why} is {said}: {what}", how)


def _monthly(server: Server, catalog: Catalog | None) -> str:
    amount = money.as_text(money.server_cost(catalog, server))
    if amount is None or catalog is None:
        return "its full price (which is not known now)"
    return f"{amount} {catalog.currency} a month"


def _change_text(change: Change) -> str:
    return f"{change.path} {json.dumps(change.before)} -> {json.dumps(change.after)}"


def _diagnostic(severity: Severity, child: Child, summary: str, detail: str) -> Diagnostic:
    file, line = (child.spec.file, child.spec.line) if child.spec else ("", 0)
    return Diagnostic(severity, summary, detail, child.name, file, line)
