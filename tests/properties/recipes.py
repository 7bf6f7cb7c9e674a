"""Faulty children for the planner: a recipe says in plain words what is so, `prepare_child` makes the value.

The laws ask the recipe what ought to be planned, and never the values that the planner itself reads.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

from hypothesis import strategies as st

from reconciler.model import (
    LATEST,
    Child,
    ServerStatus,
    Silence,
    Sleep,
)
from tests.fakes.worlds import NOW, make_child

NAMES: Final = ("ada", "bea", "cyd", "dot", "eve")
SECRET: Final = "7700000001:planted-bot-token-that-nobody-may-see"
SECRETIVE: Final = {
    "gateway": {"bind": {"key": SECRET}, "auth": SECRET},
    "models": {"providers": {"anthropic": {"baseUrl": f"HTTPS:agent:{SECRET}@example.com/v1"}}},
    "commands": {"ownerAllowFrom": [f"//{SECRET}@example.com"]},
}
PATH: Final = "sudoers.sha256"  # what drifts
BACKUPS: Final = "backups"
NETWORKS: Final = "access.ssh_from"  # what a label that was changed drifts
CHANGED_PATH: Final = "release.version"  # what another version in the file changes
CONTESTED: Final = (PATH, BACKUPS, NETWORKS, CHANGED_PATH)  # mended again and again, where anything is
PROTECTION: Final = "labels.openclaw-deploy/protect"
BIND: Final = "config.gateway.bind"
FOUGHT: Final = (PROTECTION, BIND)  # one label and one setting of several
KEPT: Final = {"K.md": {"content": "as before", "mode": "managed"}}
UNWANTED: Final = "00000000deadbeef"  # the digest of networks that no child of the file has any more
SLEEPS: Final = {
    "": None,
    "sleeps": Sleep("20261101T000000Z", "ada"),
    "lost": Sleep("", "ada"),
    "wakes": Sleep("20261101T000000Z", "ada", is_waking=True),
}
LONG_AGO: Final = datetime(2026, 1, 1, tzinfo=NOW.tzinfo)


@dataclass(frozen=True)
class Recipe:
    """One child. Hours are from now; `types` are those of the file, `server_type` is what there is."""

    declared: bool
    enabled: bool
    protect: bool  # in the file
    expires: int | None
    types: tuple[str, ...]
    regions: tuple[str, ...]
    image: str
    latest: bool  # the file's version; what it was made with is known where it answers
    ipv4: bool
    backups: bool
    ssh_from: bool
    there: bool  # a server
    status: str
    ready: bool
    old: bool  # made long ago
    server_type: str
    small_disk: bool  # kept when it was made larger
    server_backups: bool
    protect_label: str | None  # its value; by hand it may be empty
    former_name: bool  # it has moved, and its server is still named and labelled after the old one
    foreign_label: bool
    shut: bool  # under a firewall that nobody wants any more, or where unproven: was, and may go back to it
    unproven: bool  # moved to another cloud firewall, by an apply that died there
    silence: str | None
    applied: str  # finished, begun, lost; newer, or by a version that is no number
    changed: bool  # the file's version, since it was applied
    rewritten: bool  # backups and protection in the file, since then
    drift: bool
    secret_drift: bool
    config_drift: bool  # at keys of ours and below one, and what stands there are somebody's secrets
    mended: int | None  # three times, so many hours ago
    often: bool  # somebody fights about what is in FOUGHT: mended three times an hour ago
    withdrawn: bool  # a label and a setting, from the file since it was applied; they are not there any more
    files: str  # those of the file, since it was applied: one is a seed now, another was there; or one is new
    gateway: str
    stale: bool
    record: bool
    obstacle: bool
    throwaway: bool
    untouched: bool  # where it is not ready, its label says that no gateway can have started
    asleep: str  # it sleeps, or wakes; or nobody can tell its backup any more


TYPES: Final = (  # one of its own, one to grow to, none in stock, the second in stock, other architecture, retired, ...
    *(("cx23",), ("cx33",), ("cx43",), ("cx43", "cx33"), ("cax11",), ("cpx11",)),
    *(("cx23", "cax11"), ("cx99",), ("cpx22",), ("cpx22", "cx33"), ("cx99", "cax11"), ("cx11", "cax11")),
)


# What is usual of each field, and what else it may be.
FIELDS: Final[dict[str, tuple[Any, ...]]] = {
    "declared": (True, False),
    "enabled": (True, False),
    "protect": (False, True),
    "expires": (None, -1, 0, 1, 168, 169),
    "types": TYPES,
    "regions": (("nbg1",), ("fsn1",), ("hel1", "nbg1"), ("hel1",), ("mars1",)),
    "image": ("debian-12", "debian-13", "debian-99"),
    "latest": (False, True),
    "ipv4": (True, False),
    "backups": (False, True),
    "ssh_from": (False, True),
    "there": (True, False),
    "status": ("running", "off", "unknown", "initializing", "stopping", "deleting"),
    "ready": (True, False),
    "old": (False, True),
    "server_type": ("cx23", "cx33", "cpx11", "cpx22", "cx11"),  # the last is in no catalogue any more
    "small_disk": (False, True),
    "server_backups": (False, True),
    "protect_label": (None, "true", ""),
    "former_name": (False, True),
    "foreign_label": (False, True),
    "shut": (False, True),
    "unproven": (False, True),
    "silence": (None, *(str(cause) for cause in Silence)),
    "applied": ("finished", "begun", "lost", "newer", "nightly"),
    "changed": (False, True),
    "rewritten": (False, True),
    "drift": (False, True),
    "secret_drift": (False, True),
    "config_drift": (False, True),
    "mended": (None, 1, 24, 30),
    "often": (False, True),
    "withdrawn": (False, True),
    "files": ("as before", "there", "new"),
    "gateway": ("running", "stopped", "starting", "failed", "failing"),
    "stale": (False, True),
    "record": (False, True),
    "obstacle": (False, True),
    "throwaway": (False, True),
    "untouched": (False, True),
    "asleep": ("", "sleeps", "lost", "wakes"),
}
HEALTHY: Final = Recipe(**{name: values[0] for name, values in FIELDS.items()})
# Where faults meet, one field alone says little.
BASES: Final = (
    *[HEALTHY] * 8,
    replace(HEALTHY, enabled=False, status="off"),
    replace(HEALTHY, enabled=False),
    replace(HEALTHY, declared=False, ready=False, status="off"),
    replace(HEALTHY, status="off"),
    replace(HEALTHY, there=False),
    replace(HEALTHY, there=False, types=("cax11",)),
    replace(HEALTHY, there=False, types=("cx99", "cax11"), regions=("hel1",)),
    replace(HEALTHY, there=False, regions=("hel1", "nbg1")),
    replace(HEALTHY, status="initializing", old=True),
    replace(HEALTHY, ready=False),
    replace(HEALTHY, declared=False),
    replace(HEALTHY, expires=-1),
    replace(HEALTHY, asleep="sleeps"),
    replace(HEALTHY, asleep="sleeps", there=False),
    replace(HEALTHY, asleep="wakes", there=False),
    replace(HEALTHY, drift=True, mended=1),
    replace(HEALTHY, mended=1, server_backups=True),
    replace(HEALTHY, often=True, withdrawn=True, config_drift=True, protect=True),
    replace(HEALTHY, withdrawn=True, config_drift=True),
    replace(HEALTHY, files="there"),
    replace(HEALTHY, types=("cx33",), mended=1),
    replace(HEALTHY, types=("cx33",), status="off"),
    replace(HEALTHY, server_type="cx33", small_disk=True),
    replace(HEALTHY, server_type="cx11", types=("cx11", "cax11")),  # one that is listed, and in no catalogue any more
    replace(HEALTHY, regions=("fsn1",), latest=True),
    replace(HEALTHY, expires=-1, protect=True, there=False),
    replace(HEALTHY, unproven=True, silence="timed out"),
)


def mostly(usual: Any, *others: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from([usual] * (2 + 2 * len(others)) + list(others))


# Faults by the dozen, and a few on a base: in a heap of faults one hides the other.
wild: Final = st.builds(Recipe, **{name: mostly(*values) for name, values in FIELDS.items()})
SINGLES: Final = [(name, value) for name, values in FIELDS.items() for value in values]
few: Final = st.lists(st.sampled_from(SINGLES), max_size=3)
near: Final = st.builds(lambda base, faults: replace(base, **dict(faults)), st.sampled_from(BASES), few)
recipes: Final = st.one_of(near, near, wild)


@lru_cache(maxsize=2_000)
def prepare_child(name: str, recipe: Recipe) -> Child:
    """Made once: the same child is in many worlds, and nobody changes a value."""
    child = make_child(name, _case(recipe))
    if recipe.status == "initializing" and child.server and recipe.there:
        child = replace(child, server=replace(child.server, created=LONG_AGO if recipe.old else NOW))
    child = replace(child, asleep=SLEEPS[recipe.asleep])
    return _moved(child, name) if recipe.former_name else child


def _moved(child: Child, name: str) -> Child:
    if child.server is None:
        return child
    labels = {**child.server.labels, "openclaw-deploy/child": f"old-{name}"}
    return replace(child, server=replace(child.server, name=f"demo-old-{name}", labels=labels))


def _case(recipe: Recipe) -> dict[str, Any]:
    """In the words of tests.fakes.worlds.make_child."""
    case: dict[str, Any] = {
        "spec": _spec(recipe) if recipe.declared else None,
        "server": _server(recipe) if recipe.there else None,
        "applied_spec": _applied_spec(recipe),
        "live": _live(recipe),
        "gateway": _gateway(recipe),
        "record": recipe.record,
        "silence": recipe.silence,
        "repairs": _repairs(recipe),
        "begun": recipe.applied == "begun",
    }
    if recipe.obstacle:
        case["obstacle"] = "its identity is in doubt"
    if recipe.applied == "newer":
        case["applied_tool"] = "99.0.0"
    if recipe.applied == "nightly":
        case["applied_tool"] = "nightly"
    if recipe.applied == "lost":
        case["applied"] = None
    return case


def _repairs(recipe: Recipe) -> dict[str, list[int]]:
    """By path, how many hours ago."""
    found = {} if recipe.mended is None else dict.fromkeys(CONTESTED, [recipe.mended] * 3)
    return found | (dict.fromkeys(FOUGHT, [1] * 3) if recipe.often else {})


def _applied_spec(recipe: Recipe) -> dict[str, Any]:
    """What the file said of this when it was applied last."""
    rewritten = {"backups": not recipe.backups, "protect": not recipe.protect} if recipe.rewritten else {}
    withdrawn = {"labels": {"team": "blue"}, "config": {"messages": {"x": "y"}}} if recipe.withdrawn else {}
    files = {**KEPT, "S.md": {"content": "once", "mode": "managed"}} if recipe.files == "there" else {}
    return {"version": "2026.9.5" if recipe.changed else "2026.9.6", "files": files, **rewritten, **withdrawn}


def _live(recipe: Recipe) -> dict[str, Any]:
    """How the host differs from what was applied."""
    settings: dict[str, Any] = SECRETIVE if recipe.config_drift else {}
    config = {**settings, "messages": None} if recipe.withdrawn else settings
    faults = (
        (recipe.drift, {"sudoers": {"sha256": "theirs"}}),
        (recipe.secret_drift, {"bot token": {"hmac": SECRET}}),
        (bool(config), {"config": config}),
        (recipe.files == "there", {"workspace files": {"S.md": "seeded", "M.md": sha256(b"mine").hexdigest()}}),
        (recipe.gateway != "running", {"gateway": {"active": "inactive"}}),
    )
    return {name: value for is_so, fault in faults if is_so for name, value in fault.items()}


def _spec(recipe: Recipe) -> dict[str, Any]:
    files = {
        "as before": {},
        "there": {**KEPT, "S.md": {"content": "once", "mode": "seed"}, "M.md": {"content": "mine", "mode": "managed"}},
        "new": {"N.md": {"content": "new", "mode": "managed"}},
    }
    return {
        "files": files[recipe.files],
        "enabled": recipe.enabled,
        "protect": recipe.protect,
        "expires": None if recipe.expires is None else NOW + timedelta(hours=recipe.expires),
        "server_type": recipe.types,
        "region": recipe.regions,
        "image": recipe.image,
        "version": LATEST if recipe.latest else "2026.9.6",
        "ipv4": recipe.ipv4,
        "backups": recipe.backups,
        "ssh_from": ("198.51.100.0/24",) if recipe.ssh_from else (),
    }


def _server(recipe: Recipe) -> dict[str, Any]:
    labels: dict[str, str | None] = {"theirs": "kept"} if recipe.foreign_label else {}
    labels["openclaw-deploy/unfinished"] = None if recipe.ready else "untouched" if recipe.untouched else "true"
    labels["openclaw-deploy/protect"] = recipe.protect_label
    labels["openclaw-deploy/throwaway"] = "true" if recipe.throwaway else None
    before = UNWANTED if recipe.shut else None
    labels["openclaw-deploy/ssh-from"] = None if recipe.unproven else before
    labels["openclaw-deploy/ssh-from-before"] = before or "everywhere" if recipe.unproven else None
    return {
        "status": ServerStatus(recipe.status),
        "server_type": recipe.server_type,
        "backups": recipe.server_backups,
        "disk_gb": 40 if recipe.small_disk else 0,
        "created": LONG_AGO if recipe.old else NOW,
        "labels": labels,
    }


def _gateway(recipe: Recipe) -> dict[str, Any]:
    states: dict[str, dict[str, Any]] = {
        "running": {},
        "stopped": {"active": "inactive", "sub": "dead"},
        "starting": {"active": "activating", "sub": "start"},
        "failed": {"active": "failed", "sub": "failed", "result": "exit-code", "exit_status": 78},
        "failing": {"active": "activating", "sub": "auto-restart", "result": "exit-code", "exit_status": 1},
    }
    return {**states[recipe.gateway], "stale": ["/etc/openclaw/telegram"] if recipe.stale else []}
