"""Every rule of the planner as a mutant that takes it away: one snippet of the source, and what stands there instead.

A guard that an action earlier in ACTIONS makes needless has no mutant: `shall_run` in update and restart, for whoever
shall not run is switched off or deleted by then; `shall_go` in stop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Mutant:
    """`module` below reconciler/, without .py; `rule` must stand there exactly once."""

    module: str
    rule: str
    instead: str

    def __str__(self) -> str:
        return f"{self.module}: {' '.join(self.rule.split())[:60]} -> {' '.join(self.instead.split())[:20]}"

    @property
    def path(self) -> str:
        return f"reconciler/{self.module}.py"


def _of(module: str, *pairs: tuple[str, str]) -> tuple[Mutant, ...]:
    return tuple(Mutant(module, *pair) for pair in pairs)


_NEXT: Final = "\n            "
_NONE: Final = "\n        return None"

MUTANTS: Final = (
    *_of(
        "planner/guards",
        ("child.obstacle is not None or child.server is None", "child.server is None"),
        ('child.spec is None and child.server.label("protect")', "False"),
        ("child.spec is None and child.server", "child.server"),
        ("child.server.status not in SETTLED and not _made", "False and not _made"),
        ("and not _made_in_vain(child, child.server, situation)", ""),
        ("if shall_run(child, situation) else None", ""),
        ("return _host_obstacle(child) if", "return None if"),
        ("if child.silence is not None and not is_locked_out(child):", "if False:"),
        ("and _is_newer(child.facts.applied.tool)", "and False"),
        ("return numbers(tool) > numbers(__version__)", "return numbers(tool) >= numbers(__version__)"),
        ("return is_new and", "return"),
        ("is_new = server.status is ServerStatus.INITIALIZING and child.is_unfinished", "is_new = True"),
        ("and child.is_unfinished", ""),
        ("is_new and situation.now - server.created > timedelta(seconds=CREATE_TIMEOUT)", "is_new"),
    ),
    *_of(
        "planner/judging",
        ("return Judgement(None, (blocked,), _blocked_sync(child))", "pass"),
        ("if missing is not None and action is not None and _makes_server(action, child):", "if False:"),
        ("and _makes_server(action, child):\n        action", ":\n        action"),
        ("notices.needs_replacement(child, situation)", "None"),
        ("finding = notices.mended_too_often(child, situation)", "finding = None"),
        ("*notices.about_time_and_rest(child, action, situation)", ""),
        ("if action is None and shall_run(child, situation) and (pending or finding):", "if False:"),
        ("Sync.PENDING if pending else Sync.DRIFTED", "Sync.IN_SYNC"),
        ("return _completed(action, child, situation)", "return action"),
        ("left_alone=left_alone(child, situation))", ")"),
        ("amount = money.difference(aimed, child, situation.catalog)", "amount = money.NOTHING"),
        ("return next(candidates(child.spec, situation.catalog), listed)", "return listed"),
        ("return resize_target(child.server, child.spec, situation.catalog), child.server.region", "return None, None"),
        ("action.kind is Kind.REPLACE or (", "("),
        ("action.kind is Kind.CREATE and child.server is None", "action.kind is Kind.CREATE"),
        ("if not shall_run(child, situation):\n        return None\n    new", "new"),
        ("new_server = action is not None and _makes_server(action, child)", "new_server = False"),
        ("if child.spec is None:\n        return Sync.UNDECLARED\n    is_moving", "is_moving"),
        ("return Sync.PROGRESSING if is_moving else Sync.UNKNOWN", "return Sync.PROGRESSING"),
        ("if child.spec is None:\n        return Sync.UNDECLARED\n    if action", "if action"),
        ("return Sync.DRIFTED if action.reason.code in _DRIFT else Sync.PENDING", "return Sync.PENDING"),
        ("if shall_run(child, situation) and child.facts is None:", "if False:"),
    ),
    *_of(
        "planner/__init__",
        ("children = _hindered(dict(sorted(children.items())))", "children = _hindered(children)"),
        ("key=lambda action: (action.wave, action.child)", "key=lambda action: action.child"),
        ("shared = shared if _touches_shared(actions, servers, options) else ()", "pass"),
        ("servers = [*others, *(", "servers = [*("),
        ("*breaches(fleet, children.values(), actions, len(servers), options),", ""),
        ("*retired_notes(children.values(), catalog),", ""),
        ("*_too_many_requests(requests, options),", ""),
        ("if not options.partial:\n        return bool(actions or servers)", "pass"),
        ("action.kind in (Kind.CREATE, Kind.REPLACE)\n        or", ""),
        ('or any(change.path == "access.ssh_from" for change in action.reason.changes)', ""),
        ("left is None or requests <= left", "True"),
    ),
    *_of(
        "planner/policy",
        ("yield from _too_many_children(fleet)", "pass"),
        ("yield from _too_many_destroys(fleet, actions, servers, options)", "pass"),
        ("yield from _not_allowed(fleet, child.spec)", "pass"),
        ("fleet.policy.max_destroys if options.max_destroys is None else options.max_destroys", "options.max_destroys"),
        ("limit = DEFAULT if limit is None else limit", "limit = 1 if limit is None else limit"),
        ("limit.of(servers) if isinstance(limit, Percent) else limit", "9"),
        ("allowed is not None and declared > allowed", "False"),
        ("if action.kind in (Kind.DESTROY, Kind.REPLACE)]", "if action.kind is Kind.DESTROY]"),
        ("if len(names) <= allowed:", "if len(names) <= allowed + 1:"),
        ('("regions", "region", spec.regions, policy.regions),', ""),
        ('("server_types", "server type", spec.server_types, policy.server_types),', ""),
        ('("versions", "version", (spec.version,), policy.versions),', ""),
        ("any(fnmatchcase(value, pattern) for pattern in patterns)", "value in patterns"),
        ("return Diagnostic(Severity.REFUSED, summary", "return Diagnostic(Severity.ERROR, summary"),
        ('f"{POLICY}.{key}"', "key"),
    ),
    *_of(
        "planner/stock",
        ("found = _mixed(child.spec, catalog) or (", "found = ("),
        ("_not_made(child.spec, catalog) if new_server else _not", "None if new_server else _not"),
        ("else _not_resized(child.server, child.spec, catalog)", "else None"),
        ("and _is_retired(child.server, catalog)", "and False"),
        ("if len(found) < 2:", "if len(found) < 3:"),
        ("if next(candidates(spec, catalog), None) is not None:", "if True:"),
        ("or resize_target(server, spec, catalog) is not None", ""),
        ("if not resize_targets(server, spec, catalog):", "if False:"),
        ('if types:\n        return f"there is no server type', 'if False:\n        return f"there is no server type'),
        ("and server.region in kind.retired", ""),
    ),
    *_of(
        "planner/notices",
        ("if child.spec is None or not shall_run(child, situation):", "if child.spec is None:"),
        ("if not changes or (allowed and not child.spec.protect):", "if not changes or allowed:"),
        ("if not changes or (allowed and not child.spec.protect):", "if not changes:"),
        ("left_alone(child, situation) if shall_run(child, situation) else ()", "()"),
        ("yield from _about_expiry(child, child.spec.expires, situation)", "pass"),
        ("if not child.spec.enabled and child.server is not None and action is None:", "if False:"),
        ("child.server is not None and action is None:", "child.server is not None:"),
        ("if expires - situation.now <= SOON and child.server is not None:", "if False:"),
        ("expires - situation.now <= SOON and", ""),
        ("elif not shall_go(child, situation):", "elif False:"),
        ("elif child.server is None:", "elif False:"),
        (f'REFUSED,{_NEXT}child,{_NEXT}f"{{child.name}} is', f'NOTE,{_NEXT}child,{_NEXT}f"{{child.name}} is'),
        (f'REFUSED,{_NEXT}child,{_NEXT}f"{{child.name}} exp', f'NOTE,{_NEXT}child,{_NEXT}f"{{child.name}} exp'),
    ),
    *_of(
        "planner/money",
        ("factor = 1 + Decimal(catalog.backup_percent) / 100 if backups else Decimal(1)", "factor = Decimal(1)"),
        ('if catalog and ipv4 else "0"', 'if catalog else "0"'),
        ("ipv4=server.ipv4, backups=server.backups)", "ipv4=server.ipv4, backups=False)"),
        ("if not _is_about_money(action, child):", "if True:"),
        ("return None if before is None or after is None else after - before", "return after"),
        ("if amount is None:\n            return None\n        result", "result"),
        ("if action.kind in (Kind.START, Kind.RESTART):\n        return False", "pass"),
        ("action.kind in (Kind.REPLACE, Kind.RESIZE, Kind.DESTROY) or", ""),
        ("return child.server.backups != child.spec.backups", "return False"),
        ("if action.kind is Kind.DESTROY or spec is None:", "if False:"),
        ("ipv4 = spec.ipv4 if new or server is None else server.ipv4", "ipv4 = True"),
    ),
    *_of(
        "planner/requests",
        ("if not actions and not shared:\n        return 0", "pass"),
    ),
    *_of(
        "actions/conditions",
        ("child.spec.expires <= situation.now", "child.spec.expires > situation.now"),
        ("return child.spec is None or (has_expired", "return (has_expired"),
        ("and not _keeps_its_server(child)", ""),
        ("child.spec.protect and child.server is not None", "child.spec.protect"),
        ("child.spec is not None and child.spec.enabled and not", "child.spec is not None and not"),
        ("and not shall_go(child, situation)", ""),
    ),
    *_of(
        "actions/create",
        ("if not shall_run(child, situation):", "if child.spec is None:"),
        ("if child.server is None:\n        return _absent(child)", "pass"),
        ("if child.is_unfinished:", "if False:"),
        ("WAVE: Final = 2", "WAVE: Final = 4"),
        ("if child.record is None:", "if True:"),
    ),
    *_of(
        "actions/destroy",
        ("child.server is None or not shall_go(child, situation)", "True"),
        ("or not shall_go(child, situation)", ""),
        ("WAVE: Final = 4", "WAVE: Final = 1"),
        ("if child.spec is None or child.spec.expires is None:", "if True:"),
    ),
    *_of(
        "actions/replace",
        ("not shall_run(child, situation) or not", "not"),
        ("or not situation.options.may_replace(child.name)", ""),
        ("if not changes or child.spec is None or child.spec.protect:", "if not changes or child.spec is None:"),
        ("if not changes or", "if"),
        ("WAVE: Final = 3", "WAVE: Final = 2"),
    ),
    *_of(
        "actions/resize",
        ("if not shall_run(child, situation) or child", "if child"),
        ("if target is None:", "if True:"),
        ("WAVE: Final = 3", "WAVE: Final = 1"),
    ),
    *_of(
        "actions/update",
        ("found = to_mend(child, situation)", "found: tuple[()] = ()"),
        ("return _unfinished(child)", "return None"),
        ("if all(change.drift for change in found):", "if any(change.drift for change in found):"),
        ("applied is not None and applied.is_finished", "applied is not None"),
        ("WAVE: Final = 3", "WAVE: Final = 2"),
    ),
    *_of(
        "actions/start",
        ("or not shall_run(child, situation)", ""),
        ("if child.server.status is ServerStatus.OFF:", "if False:"),
        ("child.facts.gateway.is_running or", ""),
        ("or _is_starting(child.facts.gateway)", ""),
        ('gateway.active == "activating" and gateway.sub != "auto-restart"', 'gateway.active == "activating"'),
        ("WAVE: Final = 3", "WAVE: Final = 1"),
    ),
    *_of(
        "actions/stop",
        ("or child.spec.enabled or", "or"),
        ("if child.server.status is not ServerStatus.OFF:", "if True:"),
        ("if changes:", "if False:"),
        ("WAVE: Final = 1", "WAVE: Final = 3"),
    ),
    *_of(
        "actions/restart",
        ("or not child.facts.gateway.stale", ""),
        ("WAVE: Final = 3", "WAVE: Final = 2"),
    ),
    *_of(
        "actions/__init__",
        ("    destroy,\n    stop,", "    stop,"),
        ("    stop,\n    replace,", "    replace,"),
        ("    replace,\n    create,", "    create,"),
        ("    create,\n    resize,", "    resize,"),
        ("    resize,\n    update,", "    update,"),
        ("    update,\n    start,", "    start,"),
        ("    start,\n    restart,\n", "    restart,\n"),
        ("    start,\n    restart,\n", "    start,\n"),
        ("    update,\n    start,\n    restart,", "    restart,\n    start,\n    update,"),
        ("    replace,\n    create,\n    resize,", "    create,\n    replace,\n    resize,"),
    ),
    *_of(
        "offers",
        ("kind.architecture == server.architecture and", ""),
        ("and kind.disk_gb >= disk", ""),
        (f"or server.server_type in spec.server_types:{_NONE}\n    targets", f":{_NONE}\n    targets"),
        ("if catalog.types[name].regions.get(server.region)), None)", "), None)"),
        ("server.disk_gb or (kind.disk_gb if kind else 0)", "0"),
        ("if server.image not in (None, spec.image) else None", "if False else None"),
        ("if server.region not in spec.regions else None", "if False else None"),
        ("if server.region not in spec.regions else None", "if server.region != spec.regions[0] else None"),
        ("if server.ipv4 != spec.ipv4 else None", "if False else None"),
        ("_type_change(server, spec, catalog),\n", ""),
        ("if not known or resize_targets(server, spec, catalog):", "if not known:"),
        ("if not known or resize", "if resize"),
        ("kind is None or not kind.regions.get(region)", "kind is None"),
        ("return kind.architecture in catalog.images.get(image, ())", "return True"),
        ("if catalog is None or _can_be_had(catalog, name, region, spec.image):", "if True:"),
    ),
    *_of(
        "steps/comparison",
        ("return (*differences_at_cloud(child), *on_host)", "return (*on_host,)"),
        ("return (*differences_at_cloud(child), *on_host)", "return differences_at_cloud(child)"),
        ("(*_name_change(child), *", "(*"),
        ("*_backups_change(child), ", ""),
        (", *_label_changes(child))", ")"),
        ("if change.path not in left)", ")"),
        ("if not often or child.name in situation.options.repair:", "if not often:"),
        ("if change.drift and change.path in often", "if change.drift"),
        ("if change.drift and change.path in often", "if change.path in often"),
        ("if name not in gone}", "}"),
        ("for name, value in server.labels.items() if name not in gone", "for name, value in ()"),
        ("if fleet is None or (server.name, server.child) == (wanted, child.name):", "if True:"),
        ("if child.server.backups == child.spec.backups:", "if True:"),
        ("drift=_was_applied(child, BACKUPS)", "drift=False"),
        ("drift = _was_applied(child, LABELS)", "drift = False"),
        ('if name == LABEL_PREFIX + "ssh-from":', "if False:"),
        ("live, wanted = {\"enabled\": live.get(\"enabled\")}, {\"enabled\": wanted.get(\"enabled\")}", "pass"),
        ("if live == wanted:", "if True:"),
        ("secret=entry.secret", "secret=False"),
        ("return replace(change, before=NOT_SHOWN)", "pass"),
        ("applied is not None and applied.digests.get(entry.name) == wanted_digest", "False"),
        ("applied is not None and applied.digests.get(entry.name) == wanted_digest", "True"),
    ),
    *_of(
        "steps/repairs",
        (">= REPAIRS", "> REPAIRS"),
        ("datetime.fromisoformat(at) > since", "True"),
    ),
)  # fmt: skip

# Functions that make words or sums for people, or serve one that has mutants; nothing is decided by them.
SPEAKING: Final = frozenset(
    {
        *("planner/judging._shortage", "planner/money.keeps_old_price", "planner/money.as_text"),
        *("planner/money._servers", "planner/policy._says", "planner/policy._servers"),
        *("planner/stock._wrong_image", "planner/stock._sold_out", "planner/stock._available", "planner/stock._few"),
        *("planner/notices.about_action", "planner/notices._monthly", "planner/notices._change_text"),
        "planner/notices._present_release",
        *("planner/notices._diagnostic", "actions/start._state", "offers.in_stock", "offers._price"),
        *("offers.alternatives", "offers.architecture_of"),
        *("steps/comparison._was_applied", "steps/comparison.cloud_digests", "steps/comparison._applied"),
        *("steps/repairs.leaving_alone", "steps/repairs._with_value", "steps/repairs.mended_often"),
    }
)
