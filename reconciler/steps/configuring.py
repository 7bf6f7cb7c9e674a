"""A person's own openclaw.json in the place of the gateway's: only over what they have seen, and only if it is taken.

What the fleet or its file sets is changed there and not here; an apply would put it back. The one before is kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Final

from reconciler import commands
from reconciler.diff import apply_patch, merge_patch, same, value_at
from reconciler.errors import CommandFailed, HostError, Refused
from reconciler.managed import files
from reconciler.managed.config import LARGEST_CONFIG, MANAGED_KEYS, free_keys, is_hot, read_config, refusal_of
from reconciler.model import ChildSpec, Json
from reconciler.redaction import Redactor
from reconciler.steps.gateway import call_gateway, foreign_texts, patch_live
from reconciler.steps.mending import COPIES
from reconciler.steps.switching import new_id
from reconciler.steps.system import stop_gateway
from reconciler.steps.versions import linked
from reconciler.steps.work import Work

KEPT_PATH: Final = f"{files.NOTES}/openclaw.json.before"  # what was written over last, by one that has proven healthy
UNDO_PATH: Final = f"{files.NOTES}/openclaw.json.undo"  # the same while that is not proven


def ensure_config_given(work: Work) -> bool:
    """openclaw.json is the one that a person has given, and runs. Raises Refused, CommandFailed, HostError."""
    given = work.asked.config
    if given is None:
        return False
    content, is_live = given.content.reveal().encode(), work.look().gateway.ready is True
    known = call_gateway(work, "config.get", {}) if is_live else None  # first: from here on it says what has changed
    before = _read(work)
    if before == content:
        return False
    if digest_of(before) != given.base:
        raise Refused(
            f"{files.CONFIG_PATH} was changed on the host meanwhile, and is left as it is",
            f"fetch it again and change that: fleet config pull {work.name}",
        )
    now, then = readable(before), _parsed(content)
    ours = work.wanted()["config"] if now is None else now  # of what nobody can read, what is wanted there
    if taken := sorted(".".join(key) for key in not_yours(ours, then, work.declared())):
        raise Refused(
            f"not yours to change here: {', '.join(taken)}",
            "this tool sets that for every child, or the fleet file does: write it there, then fleet apply",
        )
    work.overhear(foreign_texts(then, work.wanted()["config"]))
    _validate(work, content)
    host = work.connection()
    work.note("config-intended", durable=True)
    undo = host.run(commands.read_file(UNDO_PATH)).stdout  # of a push that did not end, and nothing else has it
    if not given.puts_back:
        host.run(commands.install_file(UNDO_PATH, before, "root:root", "0600", "0700"))
        work.written_over = before
    patch = merge_patch(now, then)
    if not (is_live and now is not None and is_hot(patch) and patch_live(work, patch, known)):
        stop_gateway(work)
        if _read(work) != before:  # the last thing that its agent did
            host.run(commands.restart_unit(files.UNIT))
            _put_back_undo(work, undo)
            raise Refused(
                f"{files.CONFIG_PATH} was changed while the gateway was stopped for it, and is left as it is",
                f"fetch it again and change that: fleet config pull {work.name}",
            )
        owner = f"{files.SERVICE_USER}:{files.SERVICE_USER}"
        if isinstance(then, dict) and "meta" not in then:  # else it would put back a copy of its own
            host.run(commands.set_aside_config(files.CONFIG_PATH, new_id(work), COPIES))
        host.run(commands.install_file(files.CONFIG_PATH, content, owner, "0600"))
    work.look()
    return True


def _put_back_undo(work: Work, undo: bytes) -> None:
    """Nothing was written, so what there is to go back to is what there was."""
    assert work.asked.config is not None
    if work.asked.config.puts_back:
        return
    host = work.connection()
    host.run(
        commands.install_file(UNDO_PATH, undo, "root:root", "0600", "0700") if undo else commands.remove_file(UNDO_PATH)
    )
    work.written_over = None


def ensure_before_kept(work: Work) -> bool:
    """It is healthy with the new one: what that was written over is the one to go back to by hand."""
    if work.asked.config is None or (work.written_over is None and not work.asked.config.puts_back):
        return False
    host = work.connection()
    if work.written_over:
        host.run(commands.install_file(KEPT_PATH, work.written_over, "root:root", "0600", "0700"))
    host.run(commands.remove_file(UNDO_PATH))
    return True


def not_yours(before: Json, after: Json, spec: ChildSpec) -> Iterator[tuple[str, ...]]:
    """The keys that differ and are the fleet's, or the fleet file's. Pure."""
    for key in (*MANAGED_KEYS, *free_keys(spec.config)):
        if not same(value_at(before, key), value_at(after, key)):
            yield key


def with_ours(content: bytes, now: bytes, spec: ChildSpec) -> bytes:
    """A configuration of before, with the keys of the fleet and its file as they are in the one of now. Pure.

    It stays as it is where one of them cannot be read, or nothing of that differs.
    """
    old, new = readable(content), readable(now)
    keys = [*not_yours(old, new, spec)] if old is not None and new is not None else []
    for key in keys:
        patch = value_at(new, key)
        for name in reversed(key):
            patch = {name: patch}
        old = apply_patch(old, patch)
    return json.dumps(old, indent=2).encode() if keys else content


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def readable(content: bytes) -> Json:
    """None where that is no map that anybody can read: then any other is better."""
    try:
        found = read_config(content.decode())
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _read(work: Work) -> bytes:
    """Empty where there is none."""
    answer = work.connection().run(commands.read_file(files.CONFIG_PATH))
    if len(answer.stdout) >= LARGEST_CONFIG:
        raise HostError(f"{files.CONFIG_PATH} is larger than {LARGEST_CONFIG} bytes", f"fleet ssh {work.name}")
    return answer.stdout if answer.exit_code == 0 else b""


def _parsed(content: bytes) -> Json:
    found = readable(content)
    if not isinstance(found, dict):
        raise Refused("the new one is no JSON5, or no map", "nothing was changed; mend it first")
    return found


def _validate(work: Work, content: bytes) -> None:
    """By the release that will read it."""
    version = linked(work.facts) if work.facts is not None else None
    if version is None:
        raise HostError("no release is linked, so nobody can tell whether it is right", f"fleet apply {work.name}")
    answer = work.connection().run(commands.validate_config(version, files.NODE_VERSION, content))
    if answer.exit_code != 0:
        raise CommandFailed(
            f"OpenClaw {version} does not accept it: {_harmless(work, refusal_of(answer.stdout))}",
            "nothing was changed; mend it first",
        )


def _harmless(work: Work, refusal: str | None) -> str:
    """A release may repeat what stands there, and this comes into the journal."""
    return "it does not say why" if refusal is None else Redactor().line(work.quoted(refusal))[:300]
