"""What a plan file lets an apply do: that, or less."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any, Final

from reconciler import keys, planfile
from reconciler.errors import Refused
from reconciler.model import Action, Secret
from tests.properties import expecting
from tests.properties.agreements import BOUND, KEY, Agreement, Judged
from tests.properties.recipes import Recipe


def nothing_new_is_no_objection(agreement: Agreement, judged: Judged) -> None:
    if agreement.then == agreement.now:
        assert judged.objections == []


def whoever_does_something_new_or_is_another_is_objected_to(agreement: Agreement, judged: Judged) -> None:
    before = {action.child: action for action in judged.then.actions}
    wanted = []
    for action in judged.now.actions:
        is_known = action.child in before and _in_short(before[action.child]) == _in_short(action)
        if not is_known or _looks_otherwise(agreement, action.child):
            wanted.append(action.child)
    said = [text.partition(":")[0] for text in judged.objections if not text.startswith("firewall ")]
    assert said == sorted(wanted)


def an_objection_says_what_is_new(agreement: Agreement, judged: Judged) -> None:
    before = {action.child: action for action in judged.then.actions}
    for action in judged.now.actions:
        [text] = [text for text in judged.objections if text.startswith(f"{action.child}: ")] or [""]
        then = before.get(action.child)
        if then is None:
            assert f"{action.kind} is not in it" in text
        elif then.kind is not action.kind:
            assert f"{action.kind} now, {then.kind} in the plan file" in text
        elif text:
            new = {change.path for change in action.reason.changes} - {change.path for change in then.reason.changes}
            assert all(path in text for path in new)
            assert ("also" in text) == bool(new)
            assert ("its server or what lies on it" in text) == (_in_short(then) == _in_short(action))


def what_the_fleet_shares_is_agreed_to_as_well(agreement: Agreement, judged: Judged) -> None:
    new = [change for change in judged.now.shared if change not in judged.then.shared]
    assert len([text for text in judged.objections if text.startswith("firewall ")]) == len(new)


def a_plan_file_says_what_it_was_made_for(agreement: Agreement, judged: Judged) -> None:
    bound, given = judged.agreed.bound, agreement.then.options
    assert (bound.fleet_id, bound.file_digest, bound.selection) == (BOUND.fleet_id, BOUND.file_digest, BOUND.selection)
    assert bound.options.allow_replace == given.allow_replace
    assert (bound.options.repair, bound.options.max_destroys) == (given.repair, given.max_destroys)
    assert judged.agreed.made_at == judged.then.now


def it_holds_for_this_fleet_this_file_and_a_day(agreement: Agreement, judged: Judged) -> None:
    in_time = timedelta(minutes=-5) <= agreement.age <= timedelta(hours=24)
    same = (agreement.fleet_id, agreement.file_digest) == (BOUND.fleet_id, BOUND.file_digest)
    assert judged.is_refused == (not (in_time and same))


def nobody_writes_one_without_the_fleet_key(agreement: Agreement, judged: Judged) -> None:
    sealed = judged.sealed
    assert planfile.looks_like_one(sealed)
    assert "another fleet key, or changed" in _refusal(sealed, _OTHER_KEY)
    assert "another fleet key, or changed" in _refusal(sealed.replace(b"file-digest", b"other-digest"), KEY)


def what_is_no_plan_file_is_not_taken_for_one(agreement: Agreement, judged: Judged) -> None:
    """The first asks before another file is written over; the second comes before an apply."""
    body = json.loads(judged.sealed)
    del body["mac"]
    for data in (json.dumps(body).encode(), json.dumps(list(body)).encode(), b"{}", b"notes"):
        assert not planfile.looks_like_one(data)
        assert "this is no plan file" in _refusal(data, KEY)


def another_formats_plan_file_is_refused(agreement: Agreement, judged: Judged) -> None:
    body = json.loads(judged.sealed) | {"format": planfile.FORMAT + 1}
    del body["mac"]
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    mac = hmac.new(bytes.fromhex(KEY.reveal()), text.encode(), hashlib.sha256).hexdigest()
    assert f"has the format {planfile.FORMAT + 1}" in _refusal(json.dumps(body | {"mac": mac}).encode(), KEY)


LAWS: Final = (
    nothing_new_is_no_objection,
    whoever_does_something_new_or_is_another_is_objected_to,
    an_objection_says_what_is_new,
    what_the_fleet_shares_is_agreed_to_as_well,
    a_plan_file_says_what_it_was_made_for,
    it_holds_for_this_fleet_this_file_and_a_day,
    nobody_writes_one_without_the_fleet_key,
    what_is_no_plan_file_is_not_taken_for_one,
    another_formats_plan_file_is_refused,
)
_OTHER_KEY: Final = keys.plan_key(keys.make_key(bytes(32)))


def _refusal(data: bytes, key: Secret) -> str:
    """Why this is not read; empty where it is."""
    try:
        planfile.unseal(data, key)
    except Refused as refused:
        return refused.summary
    return ""


def _in_short(action: Action) -> tuple[Any, ...]:
    """What a person who reads a plan agrees to. The text may tell when, which changes by itself."""
    return action.kind, action.reason.code, action.reason.changes, action.server_type, action.region


def _looks_otherwise(agreement: Agreement, name: str) -> bool:
    then, now = agreement.then.found[name], agreement.now.found[name]
    has_other_wish = agreement.has_new_secrets and now.declared and now.there
    return _looks(then) != _looks(now) or (agreement.is_remade and now.there) or has_other_wish


def _looks(recipe: Recipe) -> tuple[Any, ...]:
    """What is seen of the child: its server at the cloud, and where it is asked, what lies on its host."""
    networks = recipe.shut, recipe.unproven
    progress = recipe.ready or ("untouched" if recipe.untouched else "")
    labels = progress, recipe.protect_label, recipe.former_name, recipe.foreign_label, recipe.throwaway, networks
    server = (recipe.status, recipe.server_type, labels) if recipe.there else None
    release = recipe.changed and recipe.latest and recipe.there and recipe.declared
    return server, release, recipe.asleep, _lies_there(recipe) if expecting.is_seen(recipe) else None


def _lies_there(recipe: Recipe) -> tuple[Any, ...]:
    since = recipe.changed, recipe.rewritten, recipe.withdrawn
    note = None if recipe.applied == "lost" else (recipe.applied, recipe.mended, recipe.often, since)
    found = recipe.changed, recipe.drift, recipe.secret_drift, recipe.config_drift, recipe.gateway != "running"
    return note, found
