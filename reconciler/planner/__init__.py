"""plan(fleet, children, catalog, now) -> Plan. Pure: the same world gives the same plan, and nothing here acts.

`judging` decides child by child; `policy` then looks at the plan as a whole; `money` says what it costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from reconciler.model import (
    Action,
    Catalog,
    Change,
    Child,
    Diagnostic,
    Fleet,
    Hold,
    Kind,
    Plan,
    PlanOptions,
    Server,
    Severity,
    Situation,
)
from reconciler.planner import money
from reconciler.planner.bots import bot_obstacles
from reconciler.planner.judging import judge
from reconciler.planner.policy import breaches, over_budget
from reconciler.planner.requests import requests_of_apply
from reconciler.planner.rollout import in_batches, waiting_for_canaries
from reconciler.planner.stock import retired_notes
from reconciler.planner.versions import gathered
from reconciler.steps.comparison import NETWORKS
from reconciler.steps.firewalls import firewalls_in_use

DEFAULTS: Final = PlanOptions()
NO_HOLDS: Final[Mapping[str, Hold]] = {}
# What brings a server under the firewall of the file, or deletes it. All else says so, or leaves it where it is.
_LEAVES_FIREWALL: Final = (Kind.CREATE, Kind.REPLACE, Kind.HIBERNATE, Kind.DESTROY)


def plan(
    fleet: Fleet,
    children: Mapping[str, Child],
    catalog: Catalog | None,
    now: datetime,
    options: PlanOptions = DEFAULTS,
    shared: tuple[Change, ...] = (),
    others: Sequence[Server] = (),
    quarantined: Mapping[str, Hold] = NO_HOLDS,
) -> Plan:
    """Which actions each child needs and why, in waves and within a wave by name.

    `shared` is how the fleet's firewalls differ from the wanted ones. `others` are the fleet's servers that are not
    among `children`, because only some were asked for: they count for policy and for the bill. `quarantined` are the
    versions that the fleet keeps away from.
    """
    situation = Situation(now, catalog, options, quarantined)
    children = _hindered(dict(sorted(children.items())), others, situation)
    judged = {name: judge(child, situation) for name, child in children.items()}
    found = [judgement.action for judgement in judged.values() if judgement.action is not None]
    waiting = waiting_for_canaries(fleet.rollout, found, children, situation)
    actions = tuple(in_batches(fleet.rollout, (it for it in found if it.child not in waiting), children))
    servers = _each_once((*others, *(server for child in children.values() for server in _servers_of(child))))
    used = firewalls_in_use(fleet, (*others, *_staying(children, actions)))
    shared = _without_removals_of(used, shared) if _touches_shared(actions, servers, options) else ()
    delta = money.total(None if action.monthly is None else Decimal(action.monthly) for action in actions)
    billed = (server for server in servers if not (server.is_throwaway and server in others))  # gone within the hour
    bill = money.total((delta, *(money.server_cost(catalog, server) for server in billed)))
    sleepers = {name for name, child in children.items() if child.asleep is not None}
    requests = requests_of_apply(actions, shared, len(servers), sleepers)
    return Plan(
        fleet.name,
        actions,
        (
            *breaches(fleet, children.values(), actions, sum(not it.is_throwaway for it in servers), options),
            *over_budget(fleet, delta, bill, catalog.currency if catalog else ""),
            *gathered((it for judgement in judged.values() for it in judgement.diagnostics), quarantined),
            *waiting.values(),
            *retired_notes(children.values(), catalog),
            *_too_many_requests(requests, options),
        ),
        {name: judgement.sync for name, judgement in judged.items()},
        now,
        shared,
        catalog.currency if catalog else None,
        money.as_text(delta),
        money.as_text(bill),
        requests,
        sum(money.keeps_old_price(server) for server in servers),
        quarantined,
    )


def _hindered(children: Mapping[str, Child], others: Iterable[Server], situation: Situation) -> dict[str, Child]:
    """The same with what stands between them, which no child can tell alone."""
    obstacles = bot_obstacles(children, others, situation)
    return {**children, **{name: replace(children[name], obstacle=found) for name, found in obstacles.items()}}


def _each_once(servers: Iterable[Server]) -> list[Server]:
    """Where it is in doubt whose a server is, it stands in the way of several children."""
    return list({server.name: server for server in servers}.values())


def _touches_shared(actions: Sequence[Action], servers: Sequence[Server], options: PlanOptions) -> bool:
    """Whoever asks for some children only leaves the fleet's firewalls alone, unless these children need them."""
    if not options.partial:
        return bool(actions or servers)
    return any(action.kind in (Kind.CREATE, Kind.REPLACE) or _changes_networks(action) for action in actions)


def _changes_networks(action: Action) -> bool:
    return any(change.path == NETWORKS for change in action.reason.changes)


def _staying(children: Mapping[str, Child], actions: Iterable[Action]) -> list[Server]:
    """The servers that are after the plan under the firewall that they are under now."""
    leaving = {action.child for action in actions if action.kind in _LEAVES_FIREWALL or _changes_networks(action)}
    return [server for name, child in children.items() if name not in leaving for server in _servers_of(child)]


def _servers_of(child: Child) -> tuple[Server, ...]:
    return (*([child.server] if child.server else []), *child.leftovers)


def _without_removals_of(used: Iterable[str], shared: Iterable[Change]) -> tuple[Change, ...]:
    """An apply removes no firewall that a server is still under, so a plan must not say that it will."""
    kept = {f"firewall {name}" for name in used}
    return tuple(change for change in shared if change.after is not None or change.path not in kept)


def _too_many_requests(requests: int, options: PlanOptions) -> tuple[Diagnostic, ...]:
    left = options.requests_left
    if left is None or requests <= left:
        return ()
    return (
        Diagnostic(
            Severity.WARNING,
            f"this takes about {requests} API requests, and the project has {left} left for now",
            "it will wait for more to come back (Hetzner gives one a second); others who use this project wait too",
        ),
    )
