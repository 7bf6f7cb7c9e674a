"""Reads the probe's answer into values. Pure.

The gateway's part of it comes from a process whose user has a shell by design: what has the wrong type there counts as
not said. Everything else comes from root, and what is wrong there is an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from reconciler.errors import HostError
from reconciler.model import Applied, Checkpoint, Examination, GatewayFacts, Hold, HostFacts, Json, Listener, Switch

LONGEST_TEXT: Final = 500  # characters of anything the gateway says
LONGEST_PROBLEM: Final = 4000  # of one that is cut when the secrets in it are masked
_MOST: Final = 20  # processes or paths that are told of


def parse_answer(printed: bytes) -> HostFacts:
    """The facts in what probe_program printed. Raises HostError when it is no complete answer."""
    try:
        answer: Any = json.loads(printed)
        return HostFacts(
            boot_id=str(answer["boot_id"]),
            clock=float(answer["clock"]),
            architecture=str(answer["architecture"]),
            managed=dict(answer["managed"]),
            gateway=_gateway(answer["gateway"]),
            applied=_applied(answer["applied"]),
            disk_free_mb=int(answer["disk_free_mb"]),
            memory_free_mb=int(answer["memory_free_mb"]),
            bot=_text(answer["bot"]),
            checkpoints=tuple(_checkpoints(answer["versions"]["checkpoints"])),
            asides=_texts(answer["versions"]["asides"]),
            switch=_switch(answer["versions"]["switch"]),
            noted=tuple(_holds(answer["versions"]["held"])),
            releases=_texts(answer["versions"]["releases"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise HostError(
            f"the probe's answer cannot be read ({type(error).__name__})", "look at the host with `fleet ssh CHILD`"
        ) from error


def examination_of(printed: bytes, skew: float = 0.0) -> Examination:
    """What a host has printed of itself; its clock is that far from ours. It may be anything. Raises HostError."""
    try:
        said: Any = json.loads(printed)
        return Examination(
            first_boot=str(said["first_boot"])[:40],
            inodes_free=None if said["inodes_free"] is None else int(said["inodes_free"]),
            disk_free_mb=None if said["disk_free_mb"] is None else int(said["disk_free_mb"]),
            node=None if said["node"] is None else str(said["node"])[:40],
            lacking_secrets=tuple(str(path)[:LONGEST_TEXT] for path in said["lacking_secrets"][:_MOST]),
            listeners=_listeners(said["listeners"]),
            strays=_listeners(said["strays"]),
            up_for=_seconds(said["up_for"]),
            probe_problem=str(said["probe_problem"])[:LONGEST_PROBLEM],
            inbound=_seconds(said["inbound"]),
            outbound=_seconds(said["outbound"]),
            clock=float(said["clock"]),
            load=float(said["load"]),
            open_ports=tuple(int(port) for port in said["open_ports"]),
            config_at=_seconds(said["config_at"]),
            killed=int(said["killed"]),
            reboot_due=said["reboot_due"] is True,
            skew=skew,
        )
    except (ValueError, RecursionError, KeyError, TypeError, OverflowError) as error:
        raise HostError("its host does not say how it is", "look at it: fleet ssh CHILD") from error


def _listeners(said: Any) -> tuple[Listener, ...]:
    found = [Listener(int(it["pid"]), str(it["name"])[:40], it["is_ours"] is True) for it in said[:_MOST]]
    if any(it.pid < 1 for it in found):
        raise ValueError("no process")
    return tuple(found)


def _seconds(said: Any) -> float | None:
    return None if said is None else float(said)


def _gateway(said: Mapping[str, Json]) -> GatewayFacts:
    return GatewayFacts(
        active=_text(said.get("active")) or "inactive",
        sub=_text(said.get("sub")) or "dead",
        result=_text(said.get("result")) or "success",
        main_pid=_number(said.get("main_pid")),
        restarts=_number(said.get("restarts")),
        exit_status=_number(said.get("exit_status")),
        starts=_number(said.get("starts")),
        version=_text(said.get("version")),
        ready=_truth(said.get("ready")),
        failing=_texts(said.get("failing")),
        suppressed=_texts(said.get("suppressed")),
        token_accepted=_truth(said.get("token_accepted")),
        anonymous_refused=_truth(said.get("anonymous_refused")),
        loopback_only=_truth(said.get("loopback_only")),
        channel_connected=_truth(said.get("channel_connected")),
        channel_error=_text(said.get("channel_error")),
        channel_activity=_amount(said.get("channel_activity")),
        stale=_texts(said.get("stale")),
        journal=_texts(said.get("journal")),
        errors=_count(said.get("errors")),
        spent=_amount(said.get("spent")),
        spent_complete=_truth(said.get("spent_complete")),
        unpriced=_number(said.get("unpriced")),
    )


def _applied(note: Json) -> Applied | None:
    """None as well where the file is there and is not ours: then nothing counts as applied."""
    if not isinstance(note, dict):
        return None
    digests = note.get("digests")
    texts = [note.get(name) for name in ("tool", "spec_digest", "at")]
    if not isinstance(digests, dict) or not all(isinstance(text, str) for text in texts):
        return None
    tool, spec_digest, at = (str(text) for text in texts)
    return Applied(
        tool=tool,
        spec_digest=spec_digest,
        digests=_digests(digests),
        at=at,
        bot=_text(note.get("bot")),
        version=_text(note.get("version")),
        repairs=_times(note.get("repairs")),
        mending=_texts(note.get("mending")),
        labels=_texts(note.get("labels")),
        config_digests=_digests(note.get("config_digests")),
        config_keys=tuple(_texts(key) for key in _list(note.get("config_keys")) if _texts(key)),
        managed_files=_texts(note.get("managed_files")),
        seeded_files=_texts(note.get("seeded_files")),
    )


def _checkpoints(notes: Any) -> Iterator[Checkpoint]:
    """Root's own notes, the oldest first: one that is not whole is no checkpoint."""
    whole = (note for note in notes if all(isinstance(note.get(name), str) for name in ("id", "version", "at")))
    for note in sorted((note for note in whole if _is_moment(note["at"])), key=lambda note: str(note["id"])):
        archive, of = (_text(note.get(name)) or "" for name in ("archive", "of"))
        size, is_left = _number(note.get("size")), note.get("left") is True
        yield Checkpoint(note["id"], note["version"], note["at"], size, archive, is_left, of)


def _switch(note: Any) -> Switch | None:
    if not isinstance(note, dict):
        return None
    return Switch(
        str(note["origin"]),
        str(note["target"]),
        str(note["checkpoint"]),
        _text(note.get("restore")) or None,
        note["is_made"] is True,
        note["is_undone"] is True,
    )


def _holds(note: Json) -> Iterator[Hold]:
    """A list; once a host held one version at most, and noted that alone."""
    for it in [note] if isinstance(note, dict) else _list(note):
        said = it if isinstance(it, dict) else {}
        version, reason, at = (_text(said.get(name)) for name in ("version", "reason", "at"))
        if version:
            marks = (said.get(name) is True for name in ("is_suspect", "is_tried_again"))
            yield Hold(version, reason or "", at or "", *marks)


def _digests(value: Json) -> dict[str, str]:
    return {name: str(digest) for name, digest in value.items()} if isinstance(value, dict) else {}


def _times(value: Json) -> dict[str, tuple[str, ...]]:
    """Lists of moments by path; what is no moment with a time zone is left out."""
    named = value.items() if isinstance(value, dict) else ()
    return {path: tuple(text for text in _texts(times) if _is_moment(text)) for path, times in named}


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _text(value: Json) -> str | None:
    return value[:LONGEST_TEXT] if isinstance(value, str) else None


def _texts(value: Json) -> tuple[str, ...]:
    return tuple(item[:LONGEST_TEXT] for item in _list(value) if isinstance(item, str))


def _truth(value: Json) -> bool | None:
    return value if isinstance(value, bool) else None


def _number(value: Json) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _count(value: Json) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _amount(value: Json) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
