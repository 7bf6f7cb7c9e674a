"""Compares the three legs of one child: wanted, applied, live. On its host and at the cloud. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import Final

from reconciler import __version__
from reconciler.diff import changes, digest, same
from reconciler.keys import host_key_label
from reconciler.managed import MANAGED, Managed, digests
from reconciler.model import LABEL_PREFIX, Applied, BotProfile, Change, Child, ChildSpec, Json, Server, Situation
from reconciler.steps.probing import UNRESOLVED
from reconciler.steps.repairs import digest_at, mended_often
from reconciler.steps.server import SERVER_LABELS, server_labels
from reconciler.steps.sides import is_as_applied
from reconciler.steps.work import HOST_KEY, NEXT_HOST_KEY

# Whether the gateway runs is a matter of start and stop, not of something written.
_RUNNING = "gateway"
_CONFIG = "config"
_LABELS = "labels"
_RELEASE = "release"
_VERSION, _TREE = f"{_RELEASE}.version", f"{_RELEASE}.tree"
_PROBE = "probe program"
_UNREADABLE = "config.error"  # the probe's own words
NOT_SHOWN: Final = "(not shown)"
NETWORKS: Final = "access.ssh_from"
_OF_NETWORKS: Final = (LABEL_PREFIX + "ssh-from", LABEL_PREFIX + "ssh-from-before")
BACKUPS_PATH: Final = "backups"
HOST_KEY_LABEL: Final = LABEL_PREFIX + HOST_KEY
NEXT_HOST_KEY_LABEL: Final = LABEL_PREFIX + NEXT_HOST_KEY
LEFTOVER: Final = "other server"
_LABEL_PATH: Final = f"{_LABELS}."
OTHER_NETWORKS: Final = "(other networks)"
UNPROVEN: Final = "(changed, and nobody has got in since)"

# As the gateway's own parser has it: it ends at the last @ before the path, and needs no slash after http.
_USER_INFO: Final = re.compile(r"((?:https?|wss?):[/\\]*|//)[^/?#\\]*@", re.IGNORECASE)

# Names in applied.json for what is not on the host and still applied with it.
LABELS: Final = "server labels"
BACKUPS: Final = "server backups"
PROFILE: Final = "bot profile"


def differences(child: Child) -> tuple[Change, ...]:
    """Every managed path whose live value is not the wanted one, each marked as a change or as drift."""
    if child.facts is None or child.spec is None:
        return ()
    on_host = (change for entry in MANAGED for change in _entry_changes(child, entry))
    return (*differences_at_cloud(child), *on_host, *_profile_changes(child))


def differences_at_cloud(child: Child) -> tuple[Change, ...]:
    """Those of the server's name, backups and labels, which need no host to be told."""
    if child.spec is None or child.server is None:
        return ()
    return (*_leftovers(child), *_name_change(child), *_backups_change(child), *_label_changes(child))


def differences_while_off(child: Child) -> tuple[Change, ...]:
    """Those at the cloud that are made while the server is off. Who may reach SSH is changed when it can be proven,

    and what a replacement has left goes when this server is.
    """
    return tuple(change for change in differences_at_cloud(child) if change.path not in (NETWORKS, LEFTOVER))


def has_other_networks(child: Child) -> bool:
    """SSH is let in from elsewhere than the file says, or nobody has got in since that was changed."""
    return any(change.path == NETWORKS for change in differences_at_cloud(child))


def to_mend(child: Child, situation: Situation) -> tuple[Change, ...]:
    """The differences without those that are left alone until a person decides."""
    left = left_alone(child, situation)
    return tuple(change for change in differences(child) if change.path not in left)


def left_alone(child: Child, situation: Situation) -> tuple[str, ...]:
    """Paths that were mended again and again, and drifted once more. None for a child that a person named."""
    applied = _applied(child)
    often = mended_often(applied.repairs, situation.now) if applied else frozenset()
    if not often or child.name in situation.options.repair:
        return ()
    return tuple(change.path for change in differences(child) if change.drift and change.path in often)


def wanted_labels(spec: ChildSpec, server: Server, declared_before: Iterable[str] = ()) -> dict[str, str]:
    """Our labels and the declared ones; those declared before and no more are gone, those of others survive."""
    gone = {*declared_before, *SERVER_LABELS}
    kept = {name: value for name, value in server.labels.items() if name not in gone}
    return {**kept, **server_labels(spec)}


def with_host_key(labels: Mapping[str, str], wanted: Mapping[str, Json]) -> dict[str, str]:
    """The labels, and the one that says the host's key to who has a probe key, where there shall be such a key.

    As it is where nobody knows what is wanted.
    """
    key = wanted.get("host key file")
    public = key.get("public") if isinstance(key, dict) else None
    if _PROBE not in wanted or (wanted[_PROBE] is not None and not public):
        return dict(labels)
    others = {name: value for name, value in labels.items() if name not in (HOST_KEY_LABEL, NEXT_HOST_KEY_LABEL)}
    return others if wanted[_PROBE] is None else {**others, HOST_KEY_LABEL: host_key_label(str(public))}


def keeping_networks(labels: Mapping[str, str], server: Server) -> dict[str, str]:
    """The labels, but those about who may reach SSH as they are on the server now."""
    return _keeping(_OF_NETWORKS, labels, server)


def keeping_left_alone(labels: Mapping[str, str], server: Server, paths: Iterable[str]) -> dict[str, str]:
    """The labels, but those at these paths of a plan as they are on the server now."""
    names = [path.removeprefix(_LABEL_PATH) for path in paths if path.startswith(_LABEL_PATH)]
    return _keeping(names, labels, server)


def is_newer(tool: str) -> bool:
    """Whether a version such as 0.1.0 is higher than ours; what is no version is not."""

    def numbers(version: str) -> list[int]:
        return [int(part) for part in version.split(".") if part.isdigit()]

    return numbers(tool) > numbers(__version__)


def noted_digests(spec: ChildSpec, values: Mapping[str, Json], mended: Iterable[str]) -> dict[str, str]:
    """What applied.json notes of what this apply has left: by managed thing, and for the labels and backups.

    Each path that was `mended` of late has its own, for other paths of the same thing may change with the file. The
    networks have none: a label says them by their digest, and not what is at that path.
    """
    labels: Json = {**server_labels(spec)}
    both = {**values, _LABELS: labels, BACKUPS_PATH: spec.backups}
    by_path = {path: digest_at(both, path) for path in mended if path != NETWORKS}
    return {**by_path, **digests(values), LABELS: digest(labels), BACKUPS: digest(spec.backups)}


def profile_digest(profile: BotProfile) -> str:
    """As applied.json notes it, once the messenger has taken it."""
    return digest(asdict(profile))


def _keeping(names: Collection[str], labels: Mapping[str, str], server: Server) -> dict[str, str]:
    others = {name: value for name, value in labels.items() if name not in names}
    return others | {name: server.labels[name] for name in names if name in server.labels}


def _leftovers(child: Child) -> tuple[Change, ...]:
    """Servers that a replacement has left beside the child's."""
    return tuple(Change(LEFTOVER, f"{server.name} ({server.id})", None) for server in child.leftovers)


def _name_change(child: Child) -> tuple[Change, ...]:
    """A child that was moved: its server is still named and labelled after the old one."""
    assert child.server is not None
    server, fleet = child.server, child.server.label("fleet")
    wanted = f"{fleet}-{child.name}"
    if fleet is None or child.retired or (server.name, server.child) == (wanted, child.name):
        return ()
    return (Change("name", server.name, wanted),)


def _profile_changes(child: Child) -> Iterator[Change]:
    """What its bot shows to people, and shall not."""
    if child.spec is None or child.profile is None:
        return
    wanted, live = child.spec.profile, asdict(child.profile)
    drift = _was_applied(child, PROFILE, profile_digest(wanted))
    for name, value in wanted.differing_from(child.profile).items():
        yield Change(f"bot.{name}", live[name] or None, value or None, drift=drift)


def _backups_change(child: Child) -> tuple[Change, ...]:
    assert child.spec is not None
    assert child.server is not None
    if child.server.backups == child.spec.backups:
        return ()
    drift = _was_applied(child, BACKUPS, digest(child.spec.backups))
    return (Change(BACKUPS_PATH, child.server.backups, child.spec.backups, drift=drift),)


def _label_changes(child: Child) -> tuple[Change, ...]:
    assert child.spec is not None
    assert child.server is not None
    applied = _applied(child)
    now, wanted = dict(child.server.labels), wanted_labels(child.spec, child.server, applied.labels if applied else ())
    if child.facts is not None:  # the label says what a host shows, so it is changed with that alone
        wanted = with_host_key(wanted, child.wanted)
    ours: Json = {**server_labels(child.spec)}
    drift = _was_applied(child, LABELS, digest(ours))
    found = [
        _label_change(child.spec, name, now.get(name), wanted.get(name), drift=drift and not _is_new(name, child))
        for name in sorted({*now, *wanted})
        if now.get(name) != wanted.get(name)
    ]
    return _with_drift(found, child, {_LABELS: ours})


def _is_new(label: str, child: Child) -> bool:
    """It is that of a host's key, and another key than the last apply has left."""
    return label in (HOST_KEY_LABEL, NEXT_HOST_KEY_LABEL) and not all(
        _was_applied(child, name, digest(child.wanted.get(name))) for name in (_PROBE, "host key file")
    )


def _label_change(spec: ChildSpec, name: str, before: str | None, after: str | None, *, drift: bool) -> Change:
    if name == _OF_NETWORKS[0]:  # a digest says nothing to a person
        return Change(NETWORKS, before and OTHER_NETWORKS, list(spec.ssh_from) or None, drift=drift)
    if name == _OF_NETWORKS[1]:
        return Change(NETWORKS, UNPROVEN, list(spec.ssh_from) or None)
    return Change(f"{_LABEL_PATH}{name}", before, after, drift=drift)


def _entry_changes(child: Child, entry: Managed) -> tuple[Change, ...]:
    assert child.facts is not None
    live, wanted = child.facts.managed.get(entry.name), child.wanted.get(entry.name)
    if entry.name == _RUNNING and isinstance(live, dict) and isinstance(wanted, dict):
        live, wanted = {"enabled": live.get("enabled")}, {"enabled": wanted.get("enabled")}
    if same(live, wanted):
        return ()
    drift = wanted == UNRESOLVED or _was_applied(child, entry.name, digest(child.wanted.get(entry.name)))
    found = changes(entry.name, live, wanted, secret=entry.secret, drift=drift)
    found = _with_drift(found, child, {entry.name: wanted})
    found = _with_tree(found) if entry.name == _RELEASE else found
    return tuple(_by_path(change, child) for change in found) if entry.name == _CONFIG else found


def _with_tree(found: tuple[Change, ...]) -> tuple[Change, ...]:
    """Another version is another tree: nobody need be told. Of the same one no file asks for another tree, so another
    is drift, whichever was there when the last apply ended. One that nobody has made a digest of yet may be right.
    """
    if any(change.path == _VERSION for change in found):
        return tuple(change for change in found if change.path != _TREE)
    return tuple(replace(it, drift=it.drift or (it.path == _TREE and it.before is not None)) for it in found)


def _by_path(change: Change, child: Child) -> Change:
    """What the agent wrote below a key of ours, or in the place of a map, may be a secret of its own: it is said where,
    and not what. Who gets in by a URL is said of nobody.
    """
    applied = _applied(child)
    ours = {".".join((_CONFIG, *key)) for key in applied.config_keys} if applied else set()
    is_known = change.path in (_UNREADABLE, *ours) or change.before is None
    if not is_known and (change.after is None or isinstance(change.before, dict) or isinstance(change.after, dict)):
        return replace(change, before=NOT_SHOWN)
    return replace(change, before=_without_user_info(change.before), after=_without_user_info(change.after))


def _without_user_info(value: Json) -> Json:
    """The value with *** for the name and password in each URL."""
    if isinstance(value, dict):
        return {name: _without_user_info(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without_user_info(inner) for inner in value]
    return _USER_INFO.sub(r"\1***@", value) if isinstance(value, str) else value


def _was_applied(child: Child, name: str, wanted: str) -> bool:
    """As it is wanted, by its digest. If it is something else now, somebody has changed that outside."""
    applied = _applied(child)
    return applied is not None and applied.digests.get(name) == wanted


def _with_drift(found: Iterable[Change], child: Child, wanted: Mapping[str, Json]) -> tuple[Change, ...]:
    """The same, told path by path where the apply has noted that: the file may have changed others beside them."""
    return tuple(replace(it, drift=it.drift or _was_applied_there(child, it.path, wanted)) for it in found)


def _was_applied_there(child: Child, path: str, wanted: Mapping[str, Json]) -> bool:
    applied = _applied(child)
    is_noted = applied is not None and is_as_applied(path, applied, wanted)
    return is_noted or _was_applied(child, path, digest_at(wanted, path))


def _applied(child: Child) -> Applied | None:
    return child.facts.applied if child.facts else None
