"""What keeps a child from being planned at all: an identity in doubt, protection, transition, silence. Pure."""

from __future__ import annotations

from datetime import timedelta

from reconciler import __version__
from reconciler.actions.conditions import is_asleep, is_locked_out, is_protected, shall_go, shall_run
from reconciler.model import SETTLED, Child, Diagnostic, Server, ServerStatus, Severity, Situation
from reconciler.offers import needs_new_server
from reconciler.steps.comparison import is_newer
from reconciler.steps.server import CREATE_TIMEOUT


def obstacle(child: Child, situation: Situation) -> Diagnostic | None:
    """The first thing that stands in the way of any action for this child."""
    if child.obstacle is not None or child.server is None:
        return child.obstacle
    if child.spec is None and child.server.is_protected:
        return Diagnostic(
            Severity.REFUSED,
            f"{child.name} is protected and no longer in the fleet file: its server is not deleted",
            "put it back with `protect: false`, apply, and remove it then",
            address=child.name,
        )
    if child.server.status not in SETTLED and not _made_in_vain(child, child.server, situation):
        return Diagnostic(
            Severity.WARNING,
            f"{child.name}: its server is {child.server.status}; nothing is planned until that has ended",
            "run the plan again in a minute",
            address=child.name,
        )
    asked = child.name in situation.options.hibernate and not is_protected(child)
    if shall_run(child, situation) and not asked:
        return None if _is_given_up(child, situation) else _host_obstacle(child, _may_give_up(child, situation))
    return _copy_obstacle(child, child.server, situation)  # what shall be switched off need not answer


def _copy_obstacle(child: Child, server: Server, situation: Situation) -> Diagnostic | None:
    """Its server shall go, and nobody can copy what it remembers first.

    The host of an unfinished one is asked when it goes (steps/memory.py), if it can be asked at all.
    """
    sleeps = is_asleep(child) or child.name in situation.options.hibernate
    goes = shall_go(child, situation) or (sleeps and not is_protected(child))
    is_asked_later = server.status is not ServerStatus.OFF or server.is_untouched
    is_new = child.is_unfinished and not child.retired and is_asked_later
    worthless = is_new or server.is_throwaway or child.name in situation.options.without_copy
    if not goes or worthless or child.facts is not None:
        return None
    is_off = server.status is ServerStatus.OFF
    harmless = f"`enabled: true` and fleet apply {child.name} start it, and it can be copied then" if is_off else ""
    destroy = "" if shall_go(child, situation) else f"fleet destroy {child.name} "
    given_up = f"{destroy}--no-backup {child.name}"
    return Diagnostic(
        Severity.ERROR,
        f"{child.name} is not deleted: its host does not answer, so no last copy of its memory can be taken",
        f"{child.why_unknown}\n{harmless or 'mend that first'}; "
        f"or give up what it remembers since its last backup: {given_up}",
        address=child.name,
    )


def _made_in_vain(child: Child, server: Server, situation: Situation) -> bool:
    """The cloud has not brought it up in all the time that a create is waited for, and nothing was ever on it."""
    is_new = server.status is ServerStatus.INITIALIZING and child.is_unfinished
    return is_new and situation.now - server.created > timedelta(seconds=CREATE_TIMEOUT)


def _is_given_up(child: Child, situation: Situation) -> bool:
    """Its server and its memory are, so what its host says does not matter: it is switched off by the cloud."""
    return child.name in situation.options.without_copy and _may_give_up(child, situation)


def _may_give_up(child: Child, situation: Situation) -> bool:
    allowed = situation.options.may_replace(child.name) and not is_protected(child)
    return allowed and (child.name in situation.options.rebuild or bool(needs_new_server(child, situation.catalog)))


def _host_obstacle(child: Child, may_give_up: bool) -> Diagnostic | None:
    if child.silence is not None and not is_locked_out(child):
        rebuild = f"fleet rebuild {child.name} --no-backup {child.name}"
        instead = f"\nor give it its newest backup on a new server; what came since is lost: {rebuild}"
        return Diagnostic(
            Severity.ERROR,
            f"{child.name} does not answer ({child.silence}): nothing is planned for it",
            child.silence_detail + (instead if may_give_up else ""),
            address=child.name,
        )
    if child.facts and child.facts.applied and is_newer(child.facts.applied.tool):
        return Diagnostic(
            Severity.ERROR,
            f"{child.name} was last applied by version {child.facts.applied.tool} of this tool, which is newer",
            f"nothing is planned for it: this is version {__version__}; install the newer one",
            address=child.name,
        )
    return None
