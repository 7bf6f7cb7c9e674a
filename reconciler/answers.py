"""Reads the probe's answer into values. Pure.

The gateway's part of it comes from a process whose user has a shell by design: what has the wrong type there counts as
not said. Everything else comes from root, and what is wrong there is an error.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from reconciler.errors import HostError
from reconciler.model import Applied, GatewayFacts, HostFacts, Json

LONGEST_TEXT: Final = 500  # characters of anything the gateway says


def parse_answer(printed: bytes) -> HostFacts:
    """The facts in what probe_program printed. Raises HostError when it is no complete answer."""
    try:
        answer = json.loads(printed)
        return HostFacts(
            boot_id=str(answer["boot_id"]),
            clock=float(answer["clock"]),
            architecture=str(answer["architecture"]),
            managed=dict(answer["managed"]),
            gateway=_gateway(answer["gateway"]),
            applied=_applied(answer["applied"]),
            disk_free_mb=int(answer["disk_free_mb"]),
            memory_free_mb=int(answer["memory_free_mb"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise HostError(
            f"the probe's answer cannot be read ({type(error).__name__})", "look at the host with `fleet ssh`"
        ) from error


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
        channel_activity=_seconds(said.get("channel_activity")),
        stale=_texts(said.get("stale")),
        journal=_texts(said.get("journal")),
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
    named = {name: str(digest) for name, digest in digests.items()}
    return Applied(tool, spec_digest, named, at, _text(note.get("bot")))


def _text(value: Json) -> str | None:
    return value[:LONGEST_TEXT] if isinstance(value, str) else None


def _texts(value: Json) -> tuple[str, ...]:
    return tuple(item[:LONGEST_TEXT] for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _truth(value: Json) -> bool | None:
    return value if isinstance(value, bool) else None


def _number(value: Json) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _seconds(value: Json) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
