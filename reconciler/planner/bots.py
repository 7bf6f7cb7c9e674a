"""Whose bot is whose. Two gateways that ask Telegram for one bot's messages drive each other out, over and over. Pure.

The file's references are compared when it is read; here what they lead to is, by the bots' numbers, and what hosts and
servers' labels say that they have.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from reconciler.actions.conditions import shall_go, shall_run
from reconciler.managed import files
from reconciler.model import Child, Diagnostic, Server, ServerStatus, Severity, Situation
from reconciler.planner.guards import obstacle


def bot_obstacles(
    children: Mapping[str, Child], others: Iterable[Server], situation: Situation
) -> dict[str, Diagnostic]:
    """By child, why nothing may be planned for it: another one shall have the same bot, or still holds it.

    `others` are the fleet's servers that nobody asked about.
    """
    running = (child for child in children.values() if child.obstacle is None and shall_run(child, situation))
    takers = [child for child in running if child.bot is not None]
    wanting = _by_bot((child.name, child.bot) for child in takers)
    holding = _by_bot([*_held(children.values(), situation), *((it.child or it.name, _told(it)) for it in others)])
    found = {}
    for child in takers:
        rivals = wanting[child.bot] - {child.name}
        holders = holding[child.bot] - {child.name}
        if rivals:
            found[child.name] = _same_bot(child.name, rivals)
        elif holders and child.bot != _asked_for(child):
            found[child.name] = _still_held(child.name, min(holders))
    return found


def _held(children: Iterable[Child], situation: Situation) -> Iterator[tuple[str, str | None]]:
    """Who has which bot now, and not only until the first wave is over."""
    for child in children:
        if child.server is not None and not _lets_go(child, situation):
            yield child.name, _asked_for(child)
            yield child.name, _started_with(child, child.server, situation)


def _asked_for(child: Child) -> str | None:
    """The bot whose messages its gateway asks for now: that of the token on its host, if it has started since.

    Else, and where the host does not say, that of the label, which changes when an apply has ended.
    """
    if child.facts is not None and files.TELEGRAM_TOKEN_PATH not in child.facts.gateway.stale:
        return child.facts.bot
    return None if child.server is None else _told(child.server)


def _started_with(child: Child, server: Server, situation: Situation) -> str | None:
    """The bot of its next start, until an apply has written another token there.

    A server that is off and shall run starts in this plan.
    """
    if child.facts is not None:
        return child.facts.bot
    return server.bot if child.obstacle is None and shall_run(child, situation) else None


def _told(server: Server) -> str | None:
    """Of one that is off nobody is asked for messages."""
    return server.bot if server.status is not ServerStatus.OFF else None


def _lets_go(child: Child, situation: Situation) -> bool:
    """Whether it is switched off first of all, before anybody takes its bot."""
    is_disabled = child.spec is not None and not child.spec.enabled
    return is_disabled and not shall_go(child, situation) and obstacle(child, situation) is None


def _by_bot(pairs: Iterable[tuple[str, str | None]]) -> defaultdict[str | None, set[str]]:
    found: defaultdict[str | None, set[str]] = defaultdict(set)
    for name, bot in pairs:
        found[bot].add(name)
    return found


def _same_bot(name: str, rivals: Iterable[str]) -> Diagnostic:
    return Diagnostic(
        Severity.ERROR,
        f"{name} has the same bot as {' and '.join(sorted(rivals))}",
        "give each child a bot of its own, or switch all but one off (`enabled: false`); nothing is planned for them",
        address=name,
    )


def _still_held(name: str, holder: str) -> Diagnostic:
    return Diagnostic(
        Severity.WARNING,
        f"{name}: its bot is still that of {holder}, so nothing is planned for it",
        f"apply, and plan again when {holder} has let go of it: gone, off (`enabled: false`), or with another bot. "
        f"If {name} is {holder} under another name, say so under `moved` instead, and it keeps its memory",
        address=name,
    )
