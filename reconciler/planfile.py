"""Plan files: what a person has agreed to, so that an apply later does that or less. Pure; it reads and writes no file.

A plan file is consent, never an instruction: the apply looks and plans again, and `objections` says what of the new
plan nobody has agreed to. It is bound to the fleet's id, the fleet file, what was seen of each child, and 24 hours, and
sealed with a key that derives from the fleet key. It holds no secret: of what was seen it keeps keyed digests.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from reconciler.errors import Refused
from reconciler.model import Action, Change, Child, Json, Percent, Plan, PlanOptions, Secret
from reconciler.selection import Selection

FORMAT: Final = 3
LIFE: Final = timedelta(hours=24)
SKEW: Final = timedelta(minutes=5)  # how far two machines' clocks may differ

_AGAIN: Final = "make a new plan file: fleet plan --out FILE"


@dataclass(frozen=True, slots=True)
class Bound:
    """What a plan was made for; all of it must be the same again."""

    fleet_id: str
    file_digest: str
    selection: Selection
    options: PlanOptions


@dataclass(frozen=True, slots=True)
class Agreed:
    """One action that was agreed to. `paths` are for words only; `digest` decides."""

    kind: str
    paths: tuple[str, ...]
    digest: str  # of the action: what it is, why, which changes
    seen: str  # of the child when it was planned


@dataclass(frozen=True, slots=True)
class PlanFile:
    bound: Bound
    made_at: datetime
    actions: Mapping[str, Agreed]
    shared: tuple[str, ...]  # digests of changes to what the fleet shares


def seal(plan: Plan, children: Mapping[str, Child], bound: Bound, key: Secret) -> bytes:
    """The plan file's bytes. `key` is `keys.plan_key`."""
    body: dict[str, Any] = {
        "format": FORMAT,
        "fleet": plan.fleet,
        "made_at": plan.now.isoformat(),
        "fleet_id": bound.fleet_id,
        "file_digest": bound.file_digest,
        "selection": asdict(bound.selection),
        "options": _options_json(bound.options),
        "actions": {
            action.child: asdict(_agreed(action, children[action.child], key)) for action in _in_order(plan.actions)
        },
        "shared": [_shared_digest(change, key) for change in plan.shared],
    }
    return (json.dumps(body | {"mac": _mac(body, key)}, indent=1) + "\n").encode()


def unseal(data: bytes, key: Secret) -> PlanFile:
    """Raises Refused when it is no plan file of this fleet, or not as it was written."""
    try:
        body = json.loads(data)
        mac = body.pop("mac")
        is_ours = hmac.compare_digest(str(mac), _mac(body, key))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Refused("this is no plan file", _AGAIN) from error
    if not is_ours:
        raise Refused("the plan file was made with another fleet key, or changed since it was made", _AGAIN)
    if body["format"] != FORMAT:
        raise Refused(f"the plan file has the format {body['format']}, and this version writes {FORMAT}", _AGAIN)
    return PlanFile(
        bound=Bound(body["fleet_id"], body["file_digest"], _selection(body["selection"]), _options(body["options"])),
        made_at=datetime.fromisoformat(body["made_at"]),
        actions={name: Agreed(**{**it, "paths": tuple(it["paths"])}) for name, it in body["actions"].items()},
        shared=tuple(body["shared"]),
    )


def looks_like_one(data: bytes) -> bool:
    """Whether this is a plan file of any key and format, so that another one may take its place."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return False
    return isinstance(body, dict) and {"format", "fleet_id", "made_at", "mac"} <= body.keys()


def check_binding(agreed: PlanFile, fleet_id: str, file_digest: str, now: datetime) -> None:
    """Before anybody looks at a host. Raises Refused."""
    if agreed.bound.fleet_id != fleet_id:
        raise Refused("the plan file belongs to another fleet", _AGAIN)
    if agreed.bound.file_digest != file_digest:
        raise Refused("the fleet file has changed since the plan file was made", _AGAIN)
    if not -SKEW <= now - agreed.made_at <= LIFE:
        made = f"{agreed.made_at:%Y-%m-%d %H:%M}"
        raise Refused(f"the plan file is of {made} UTC: it held for {LIFE // timedelta(hours=1)} hours", _AGAIN)


def objections(agreed: PlanFile, plan: Plan, children: Mapping[str, Child], key: Secret) -> list[str]:
    """In words, each thing that would be done now and was not agreed to. Less than was agreed to is no objection."""
    found = [_objection(action, children[action.child], agreed, key) for action in _in_order(plan.actions)]
    shared = [
        f"{change.path} of the fleet itself: this change is not in it"
        for change in plan.shared
        if _shared_digest(change, key) not in agreed.shared
    ]
    return [text for text in found if text] + shared


def _objection(action: Action, child: Child, agreed: PlanFile, key: Secret) -> str:
    then, now = agreed.actions.get(action.child), _agreed(action, child, key)
    if then is None:
        return f"{action.child}: {action.kind} is not in it ({action.reason.text})"
    if then.kind != now.kind:
        return f"{action.child}: {action.kind} now, {then.kind} in the plan file ({action.reason.text})"
    if then.digest != now.digest:
        more = sorted(set(now.paths) - set(then.paths))
        what = f"also {', '.join(more)}" if more else "for another reason, or to other values"
        return f"{action.child}: {action.kind} now {what}"
    if then.seen != now.seen:
        return f"{action.child}: its server or what lies on it has changed since the plan was made"
    return ""


def _agreed(action: Action, child: Child, key: Secret) -> Agreed:
    what = {
        "kind": action.kind,
        "code": action.reason.code,
        "changes": [asdict(change) for change in action.reason.changes],
        "server_type": action.server_type,
        "region": action.region,
        "without_copy": action.without_copy,
    }
    paths = tuple(change.path for change in action.reason.changes)
    return Agreed(str(action.kind), paths, _mac(what, key), _seen(child, key))


def _seen(child: Child, key: Secret) -> str:
    """What the child's action was decided by. Facts that change by themselves (PIDs, free memory) are left out."""
    server, facts = child.server, child.facts
    seen: dict[str, object] = {
        "server": server and [server.id, server.name, server.status, server.server_type, dict(server.labels)],
        "applied": facts and facts.applied and asdict(facts.applied),
        "managed": facts and dict(facts.managed),
        "versions": facts and [facts.held, facts.switch, facts.checkpoints],
        "wanted": dict(child.wanted),
        "asleep": child.asleep and asdict(child.asleep),
    }
    return _mac(seen, key)


def _shared_digest(change: Change, key: Secret) -> str:
    return _mac(asdict(change), key)


def _options_json(options: PlanOptions) -> dict[str, Json]:
    allowed, limit = options.allow_replace, options.max_destroys
    return {
        "allow_replace": allowed if isinstance(allowed, bool) else [*sorted(allowed)],
        "repair": [*sorted(options.repair)],
        "retry": [*sorted(options.retry)],
        "without_copy": [*sorted(options.without_copy)],
        "max_destroys": f"{limit.value}%" if isinstance(limit, Percent) else limit,
    }


def _options(value: dict[str, Any]) -> PlanOptions:
    allowed, limit = value["allow_replace"], value["max_destroys"]
    return PlanOptions(
        allow_replace=allowed if isinstance(allowed, bool) else frozenset(allowed),
        repair=frozenset(value["repair"]),
        retry=frozenset(value["retry"]),
        without_copy=frozenset(value["without_copy"]),
        max_destroys=Percent(int(limit.rstrip("%"))) if isinstance(limit, str) else limit,
    )


def _selection(value: dict[str, Any]) -> Selection:
    kinds = {kind: tuple(value[kind]) for kind in ("names", "groups", "labels")}
    return Selection(**kinds, everything=value["everything"])


def _in_order(actions: Sequence[Action]) -> list[Action]:
    return sorted(actions, key=lambda action: action.child)


def _mac(value: Mapping[str, Any], key: Secret) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hmac.new(bytes.fromhex(key.reveal()), text.encode(), hashlib.sha256).hexdigest()
