"""What is tried for a child that is ill, rung by rung: each can be run again, and none loses what it remembers.

What proves a rung comes after it: the gateway is started and found healthy, or the rung has failed.
"""

from __future__ import annotations

import json
from typing import Any, Final

from reconciler import commands
from reconciler.errors import CommandFailed, HostError
from reconciler.managed import files
from reconciler.model import Rung
from reconciler.steps.gateway import LARGEST_CONFIG, call_gateway
from reconciler.steps.guards import when_unlocked
from reconciler.steps.lasting import LEAST_MB
from reconciler.steps.power import BOOT_PATIENCE, POWER_TIMEOUT, has_booted
from reconciler.steps.switching import held_note, new_id
from reconciler.steps.system import stop_gateway
from reconciler.steps.versions import linked
from reconciler.steps.work import Work

LOOK_EVERY: Final = 2.0  # seconds
CHANNEL: Final = "telegram"
COPIES: Final = (".last-good", ".bak", ".bak.1", ".bak.2", ".bak.3", ".bak.4")  # the gateway's own (facts, section 2)
_NOT_IT: Final = "the next rung may help"


def ensure_channels(work: Work) -> bool:
    """The gateway starts its channel anew. Raises HostError."""
    call_gateway(work, "channels.start", {"channel": CHANNEL})
    return True


def ensure_config_put_back(work: Work) -> bool:
    """openclaw.json is one that the release takes: the newest of the gateway's copies that it does take, else none.

    What was there stays beside it. Raises HostError where it is taken as it is.
    """
    version = linked(work.look())
    if version is None:
        raise HostError("no release is linked, so nobody can tell which configuration is right", _NOT_IT)
    if _is_taken(work, version, _content(work, files.CONFIG_PATH)):
        raise HostError("the release takes its configuration as it is", _NOT_IT)
    copies = ((end, _content(work, f"{files.CONFIG_PATH}{end}")) for end in COPIES)
    end, content = next(((end, found) for end, found in copies if _is_taken(work, version, found)), ("", b""))
    stop_gateway(work)
    host, owner = work.connection(), f"{files.SERVICE_USER}:{files.SERVICE_USER}"
    host.run(commands.set_aside_config(files.CONFIG_PATH, new_id(work)))
    if content:
        host.run(commands.install_file(files.CONFIG_PATH, content, owner, "0600"))
    work.note("config-put-back", durable=True, copy=end or "none: the fleet file's own keys alone")
    work.look()
    return True


def ensure_space(work: Work) -> bool:
    """There is room on its disk again. Raises HostError where that was not enough."""
    said: Any = _parsed(work.connection().run(commands.clear_space()).stdout)
    work.note("space-cleared", freed_mb=said["freed_mb"], free_mb=said["free_mb"])
    if said["free_mb"] < LEAST_MB:
        raise HostError(
            f"{said['freed_mb']} MB could be cleared, and {said['free_mb']} MB are left",
            f"look what fills it: `fleet ssh {work.name}`, then `sudo du -xh / | sort -h | tail`; "
            "or give it a larger server_type",
        )
    work.look()
    return True


def ensure_port_free(work: Work) -> bool:
    """Nobody else holds the gateway's port, and no gateway runs that systemd has not started. Raises HostError."""
    said: Any = _parsed(work.connection().run(commands.free_port(files.PORT, files.UNIT)).stdout)
    for it in said["ended"]:
        work.note("process-ended", durable=True, pid=it["pid"], name=it["name"], unit=it["unit"])
    if said["left"]:
        left = ", ".join(f"{it['name']}, pid {it['pid']}" for it in said["left"])
        raise HostError(f"it does not end: {work.quoted(left)}", f"look what that is: fleet ssh {work.name}")
    return bool(said["ended"])


def ensure_doctored(work: Work) -> bool:
    """OpenClaw's doctor has mended what it can, and the state of before is a checkpoint. Raises HostError."""
    version = linked(work.look())
    if version is None:
        raise HostError("no release is linked, so there is no doctor to call", _NOT_IT)
    assert work.facts is not None
    work.copy = work.copy or new_id(work)
    host = work.connection()
    if work.copy not in {checkpoint.id for checkpoint in work.facts.checkpoints} or work.facts.switch is not None:
        host.run(commands.begin_switch(work.copy, version, version))  # the gateway is stopped, and comes back if we die
        host.run(commands.take_checkpoint())
        host.run(commands.stay(work.copy, version, held_note(work.facts.noted)))
        work.note("checkpoint-taken", durable=True, checkpoint=work.copy, version=version)
    else:
        stop_gateway(work)
    answer = host.run(commands.run_doctor(files.NODE_VERSION))
    work.note("doctor-called", durable=True, exit_code=answer.exit_code)  # whatever it says: the proof comes now
    work.look()
    return True


def ensure_booted(work: Work) -> bool:
    """Its server has booted anew, whatever its host said before: by the button, or by pulling the plug."""
    server, clock, cloud = work.existing(), work.ports.clock, work.ports.cloud
    if work.booted_before is None:
        before, is_pulled = _boot_id(work), work.rung is Rung.RESET
        work.note("reset-intended" if is_pulled else "reboot-intended", durable=True, server=server.id)
        work.hang_up()
        switch = cloud.reset if is_pulled else cloud.reboot
        pressed = when_unlocked(work, lambda: switch(server.id))
        work.booted_before = before
        cloud.wait(pressed, POWER_TIMEOUT)
    deadline = clock.monotonic() + BOOT_PATIENCE
    while not has_booted(work, work.booted_before):
        if clock.monotonic() > deadline:
            raise HostError(
                f"its host does not answer {BOOT_PATIENCE:.0f} s after that", "its console at the cloud says more"
            )
        clock.sleep(LOOK_EVERY)
    work.booted_before = None
    return True


def _boot_id(work: Work) -> str:
    """Empty where it does not say: then any answer is one of after it."""
    try:
        return work.look().boot_id
    except HostError:
        return ""


def _content(work: Work, path: str) -> bytes:
    """Empty where nothing is there, or more than a configuration has."""
    read = work.connection().run(commands.read_file(path))
    return read.stdout if read.exit_code == 0 and len(read.stdout) < LARGEST_CONFIG else b""


def _is_taken(work: Work, version: str, content: bytes) -> bool:
    if not content.strip():
        return False
    return work.connection().run(commands.validate_config(version, files.NODE_VERSION, content)).exit_code == 0


def _parsed(printed: bytes) -> Any:
    try:
        said = json.loads(printed)
        if not isinstance(said, dict):
            raise ValueError(said)
    except (ValueError, RecursionError) as error:
        raise CommandFailed("its host does not say what it has done", "look at it: fleet ssh CHILD") from error
    return said
