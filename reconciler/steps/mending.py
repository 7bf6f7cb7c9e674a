"""What is tried for a child that is ill, rung by rung: each can be run again, and none loses what it remembers.

What proves a rung comes after it: the gateway is started and found healthy, or the rung has failed.
"""

from __future__ import annotations

import json
from typing import Any, Final

from reconciler import commands
from reconciler.errors import CommandFailed, HostError
from reconciler.managed import files
from reconciler.managed.config import CHECK_MB, LARGEST_CONFIG
from reconciler.model import Command, Rung
from reconciler.steps.gateway import call_gateway
from reconciler.steps.holds import held_note, noted_on
from reconciler.steps.lasting import LEAST_MB
from reconciler.steps.power import boot_anew
from reconciler.steps.switching import new_id
from reconciler.steps.system import stop_gateway
from reconciler.steps.versions import linked
from reconciler.steps.work import Work

CHANNEL: Final = "telegram"
_MOST: Final = 20  # processes that are told of
COPIES: Final = (".last-good", ".bak", ".bak.1", ".bak.2", ".bak.3", ".bak.4")  # the gateway's own (facts, section 2)
_NOT_IT: Final = "the next rung may help"


def ensure_channels(work: Work) -> bool:
    """The gateway starts its channel anew. Raises HostError."""
    call_gateway(work, "channels.start", {"channel": CHANNEL})
    return True


def ensure_config_put_back(work: Work) -> bool:
    """openclaw.json is one that the release takes: the newest of the gateway's copies that it does take, else none.

    What was there stays beside it, and so does the copy: whatever interrupts this, it is found again. Raises HostError
    where the file is taken as it is, or nobody can tell.
    """
    facts = work.look()
    version = linked(facts)
    if version is None:
        raise HostError("no release is linked, so nobody can tell which configuration is right", _NOT_IT)
    if facts.memory_free_mb < CHECK_MB:
        raise HostError(f"to check a configuration takes {CHECK_MB} MB of memory, and that is not free", _NOT_IT)
    if _is_taken(work, version, _content(work, files.CONFIG_PATH)):
        raise HostError("the release takes its configuration as it is", _NOT_IT)
    refused, content, taken = list[str](), b"", ""
    for end in COPIES:
        content = _content(work, f"{files.CONFIG_PATH}{end}")
        if _is_taken(work, version, content):
            taken = end
            break
        refused.append(end)
    stop_gateway(work)
    host, owner = work.connection(), f"{files.SERVICE_USER}:{files.SERVICE_USER}"
    # One that lacks `meta` would give way to any other copy that has it.
    others = refused if b'"meta"' in content else [end for end in COPIES if end != taken]
    host.run(commands.set_aside_config(files.CONFIG_PATH, new_id(work), others))
    if taken:
        host.run(commands.install_file(files.CONFIG_PATH, content, owner, "0600"))
    work.note("config-put-back", durable=True, copy=taken or "none: the fleet file's own keys alone")
    work.look()
    return True


def ensure_space(work: Work) -> bool:
    """There is room on its disk again. Raises HostError where that was not enough."""
    said = _parsed(work, commands.clear_space())
    freed, free = (_number(work, said.get(name)) for name in ("freed_mb", "free_mb"))
    work.note("space-cleared", freed_mb=freed, free_mb=free)
    if free < LEAST_MB:
        raise HostError(
            f"{freed} MB could be cleared, and {free} MB are left",
            f"look what fills it: `fleet ssh {work.name}`, then `sudo du -xh / | sort -h | tail`; "
            "or give it a larger server_type",
        )
    work.look()
    return True


def ensure_port_free(work: Work) -> bool:
    """Nobody else holds the gateway's port, and no gateway runs that systemd has not started. Raises HostError."""
    said = _parsed(work, commands.free_port(files.PORT, files.UNIT))
    ended, left = (_processes(work, said.get(name)) for name in ("ended", "left"))
    for pid, name in ended:
        work.note("process-ended", durable=True, pid=pid, name=work.quoted(name))
    if left:
        those = ", ".join(f"{name}, pid {pid}" for pid, name in left)
        raise HostError(f"it does not end: {work.quoted(those)}", f"look what that is: fleet ssh {work.name}")
    return bool(ended)


def ensure_doctored(work: Work) -> bool:
    """OpenClaw's doctor has mended what it can, and the state of before is a checkpoint. Raises HostError."""
    version = linked(work.look())
    if version is None:
        raise HostError("no release is linked, so there is no doctor to call", _NOT_IT)
    assert work.facts is not None
    copy = work.keeping.copy = work.keeping.copy or new_id(work)
    host = work.connection()
    if copy not in {checkpoint.id for checkpoint in work.facts.checkpoints} or work.facts.switch is not None:
        host.run(commands.begin_switch(copy, version, version))  # the gateway is stopped, and comes back if we die
        host.run(commands.take_checkpoint())
        host.run(commands.stay(copy, version, held_note(noted_on(work))))
        work.note("checkpoint-taken", durable=True, checkpoint=copy, version=version)
    else:
        stop_gateway(work)
    answer = host.run(commands.run_doctor(files.NODE_VERSION))
    work.note("doctor-called", durable=True, exit_code=answer.exit_code)  # whatever it says: the proof comes now
    work.look()
    return True


def ensure_booted(work: Work) -> bool:
    """Its server has booted anew, whatever its host said before: by the button, or by pulling the plug."""
    if work.asked.rung is Rung.RESET:
        boot_anew(work, work.ports.cloud.reset, "reset-intended")
    else:
        boot_anew(work, work.ports.cloud.reboot, "reboot-intended")
    return True


def _content(work: Work, path: str) -> bytes:
    """Empty where nothing is there, or more than a configuration has."""
    read = work.connection().run(commands.read_file(path))
    return read.stdout if read.exit_code == 0 and len(read.stdout) < LARGEST_CONFIG else b""


def _is_taken(work: Work, version: str, content: bytes) -> bool:
    """Raises HostError where the release does not come to a verdict: killed for want of memory, say."""
    if not content.strip():
        return False
    answer = work.connection().run(commands.validate_config(version, files.NODE_VERSION, content))
    try:
        is_valid: Any = json.loads(answer.stdout)["valid"]
    except (ValueError, LookupError, TypeError, RecursionError):
        is_valid = None
    if not isinstance(is_valid, bool):
        raise HostError(
            f"nobody can tell whether its configuration is right: the check ended with exit code {answer.exit_code}",
            _NOT_IT,
        )
    return is_valid and answer.exit_code == 0


def _parsed(work: Work, command: Command) -> dict[str, Any]:
    try:
        said = json.loads(work.connection().run(command).stdout)
    except (ValueError, RecursionError) as error:
        raise _unclear(work) from error
    if not isinstance(said, dict):
        raise _unclear(work)
    return said


def _number(work: Work, said: Any) -> int:
    if type(said) is not int:
        raise _unclear(work)
    return int(said)


def _processes(work: Work, said: Any) -> list[tuple[int, str]]:
    try:
        return [(int(it["pid"]), str(it["name"])[:40]) for it in said][:_MOST]
    except (LookupError, TypeError, ValueError) as error:
        raise _unclear(work) from error


def _unclear(work: Work) -> CommandFailed:
    return CommandFailed("its host does not say what it has done", f"look at it: fleet ssh {work.name}")
