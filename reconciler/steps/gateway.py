"""The gateway: its secrets, unit and configuration, its start, and the proof that it answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from reconciler import commands
from reconciler.commands.switching import RETURN_SERVICE, RETURN_TIMER
from reconciler.diff import apply_patch, list_paths, value_at
from reconciler.errors import CommandFailed, HostError, ProofFailed
from reconciler.managed import FOREIGN_UNITS, UNITS, files
from reconciler.managed.config import (
    LARGEST_CONFIG,
    MANAGED_KEYS,
    config_patch,
    free_keys,
    is_hot,
    read_config,
    silenced,
)
from reconciler.model import GatewayFacts, Json, Secret
from reconciler.steps.labels import ensure_known_to_start
from reconciler.steps.system import install_files, stop_gateway
from reconciler.steps.work import Work

READY_TIMEOUT: Final = 240.0  # three first starts at once on two cores took 18-29 s
LOOK_EVERY: Final = 2  # seconds
CHANNEL_EVERY: Final = 1  # seconds; after ready its channel connects within 3 (facts on real gateways, section 1)
# Its words for a file that somebody has edited into nonsense (measured): "…; fix (openclaw doctor) before patching".
_INVALID_AS_IT_IS: Final = "the gateway refused config.patch: invalid config"

_MEND: Final = "`fleet ssh {}`: mend it, or move it aside (its .bak files hold older states), then apply again"


def ensure_secrets(work: Work) -> bool:
    return install_files(work, "gateway token", "bot token", "model key")


def ensure_unit(work: Work) -> bool:
    """The gateway's unit, the program that stamps what it starts with, and what goes back from a switch by itself.

    systemd has read them, and nothing is added to them.
    """
    wrote = install_files(
        work, "stamp program", "return program", "probe program", "return unit", "return timer", "unit"
    )
    if not work.is_right("other units"):
        work.connection().run(commands.clear_strays(*FOREIGN_UNITS))
        wrote = True
    if wrote or not work.is_right("units as loaded"):
        work.connection().run(commands.plain_units(UNITS))
        wrote = True
    if _has_additions(work):  # it runs with them
        stop_gateway(work)
    is_enabled = _is_enabled(work) and work.is_right("return at boot", "return again and again")
    if work.is_quiet:
        work.connection().run(commands.enable_unit(RETURN_SERVICE, RETURN_TIMER))
        return True
    if work.is_first:
        ensure_known_to_start(work)
    if is_enabled and not wrote:  # of a unit whose file was gone systemd knows what was
        return False
    work.connection().run(commands.enable_unit(files.UNIT, RETURN_SERVICE, RETURN_TIMER))
    return True


def ensure_files(work: Work) -> bool:
    """Workspace files: seeds where there were none, managed ones as they shall be, those of before gone.

    The agent may have put something else there or on the way, which is its own: it is moved aside, and never deleted.
    """
    assert work.facts is not None
    wanted, live = work.wanted()["workspace files"], work.facts.managed.get("workspace files")
    assert isinstance(wanted, dict)
    found = live if isinstance(live, dict) else {}
    owner = f"{files.SERVICE_USER}:{files.SERVICE_USER}"
    wrong = sorted(path for path in {*wanted, *found} if wanted.get(path) != found.get(path))
    if written := [path for path in wrong if path in wanted]:
        work.connection().run(commands.make_way(files.WORKSPACE, written))
    for path in wrong:
        work.keep_going()
        place = f"{files.WORKSPACE}/{path}"
        if path in wanted:
            content = work.declared().files[path].content.encode()
            work.connection().run(commands.install_file(place, content, owner, "0600", "0700"))
        elif isinstance(found[path], str):  # a file, known by its digest
            work.connection().run(commands.remove_file(place))
    return bool(wrong)


def ensure_config(work: Work) -> bool:
    """The managed keys of openclaw.json: by the gateway's own RPC while it runs, else in the file. Other keys stay."""
    assert work.facts is not None
    patch = _patch(work)
    if patch == {} and not work.declared().is_throwaway:
        return False
    work.keep_going()
    _validate(work, patch)
    # By RPC a key that needs a restart would restart the process in itself: unseen by systemd, with its old port.
    is_live = work.facts.gateway.ready and is_hot(patch) and not work.declared().is_throwaway
    if not (is_live and patch_live(work, patch, call_gateway(work, "config.get", {}))):
        _write_stopped(work, patch)
    return True


def ensure_running(work: Work) -> bool:
    """The unit runs, and with what is on the disk now."""
    gateway = work.look().gateway
    if gateway.is_running and not gateway.stale and not work.asked.restarts:
        return False
    work.asked.restarts = False
    host = work.connection()
    host.run(commands.reset_failed(files.UNIT))
    host.run(commands.restart_unit(files.UNIT))
    return True


def ensure_ready(work: Work) -> bool:
    """Loopback says: this version, ready, channel connected, our token accepted, no token refused, loopback only."""
    clock = work.ports.clock
    has_run = work.switching.under_way is not None or work.stays_at is not None
    has_run = has_run or work.asked.rung is not None or work.asked.config is not None
    within = work.declared().update.ready_within if has_run else READY_TIMEOUT
    deadline = clock.monotonic() + within
    while True:
        gateway = work.look().gateway
        missing = unproven(gateway, work.declared().version, has_channel=not work.declared().is_throwaway)
        if not missing:
            return True
        work.keep_going()
        if clock.monotonic() > deadline:
            raise ProofFailed(
                f"the gateway was not healthy within {within:.0f} s: {missing[0]}",
                f"`fleet ssh {work.name}`, then `sudo journalctl -u {files.UNIT} -n 50`",
            )
        _stop_waiting_when_failed(work)
        _release_channels(work)
        _wait_for(work, gateway)


def _wait_for(work: Work, gateway: GatewayFacts) -> None:
    """Until another look is due: nobody is answered meanwhile, so its host says when it has become ready."""
    clock = work.ports.clock
    since, pause = clock.monotonic(), CHANNEL_EVERY if gateway.ready else LOOK_EVERY
    if gateway.ready or not work.connection().run(commands.await_ready(LOOK_EVERY)).stdout:
        clock.sleep(max(0.0, pause - (clock.monotonic() - since)))


def bot_name(work: Work) -> str | None:
    """The bot's user name, asked of Telegram by the gateway; None when it does not say."""
    if work.declared().is_throwaway:
        return None
    answer: Any = call_gateway(work, "channels.status", {"probe": True})
    try:
        name = answer["channelAccounts"]["telegram"][0]["probe"]["bot"]["username"]
    except (KeyError, IndexError, TypeError):
        return None
    return name if isinstance(name, str) else None


def call_gateway(work: Work, method: str, parameters: Json) -> Json:
    """The payload of one RPC over the host's loopback. HostError with the gateway's own words when it refuses."""
    printed = work.connection().run(commands.gateway_rpc(method, parameters)).stdout
    try:
        answer = json.loads(printed)
    except (ValueError, RecursionError) as error:
        raise HostError(f"the gateway's answer to {method} cannot be read", "run `fleet plan` again") from error
    if not isinstance(answer, dict) or answer.get("ok") is not True:
        reason = value_at(answer, ("error", "message"))
        raise HostError(
            f"the gateway refused {method}: {work.quoted(str(reason))[:500] if reason else 'it gave no reason'}",
            "run `fleet plan` again: the host has moved on",
        )
    return value_at(answer, ("payload",))


def unproven(gateway: GatewayFacts, version: str, *, has_channel: bool = True) -> list[str]:
    """What still keeps the gateway from being called healthy, in the order of the layers."""
    tests: tuple[tuple[bool, str], ...] = (
        (gateway.is_running, f"its unit is {gateway.active}"),
        (gateway.version == version, f"it runs {gateway.version or 'no known version'}, not {version}"),
        (gateway.loopback_only is True, "it listens on another address than loopback"),
        (gateway.token_accepted is True, "it does not accept its own token"),
        (gateway.anonymous_refused is True, "it answers without a token"),
        (gateway.ready is True, f"not ready: {', '.join(gateway.failing) or 'starting'}"),
    )
    channel = (
        (not gateway.suppressed, f"channels suppressed: {', '.join(gateway.suppressed)}"),
        (gateway.channel_connected is True, f"Telegram: {gateway.channel_error or 'not connected yet'}"),
        (gateway.channel_activity is not None, "Telegram: connected, but the poller has not moved yet"),
    )
    return [text for holds, text in (*tests, *(channel if has_channel else ())) if not holds]


def validate_candidate(work: Work) -> None:
    """The wanted release takes the configuration as it is to be, whether that changes or not. Raises CommandFailed."""
    _validate(work, _patch(work))


def _patch(work: Work) -> Json:
    """What changes the managed keys of openclaw.json into the wanted ones."""
    assert work.facts is not None
    noted = work.facts.applied.config_keys if work.facts.applied else ()
    keys = (*MANAGED_KEYS, *free_keys(work.declared().config), *noted)
    return config_patch(work.facts.managed.get("config"), work.wanted()["config"], keys)


def _has_additions(work: Work) -> bool:
    """Whether systemd knew of more than the unit's own file."""
    assert work.facts is not None
    drop_ins = value_at(work.facts.managed.get("units as loaded"), (files.UNIT, "drop_ins"))
    return bool(drop_ins)


def _is_enabled(work: Work) -> bool:
    assert work.facts is not None
    live = work.facts.managed.get("gateway")
    return isinstance(live, dict) and live.get("enabled") == "enabled"


def _validate(work: Work, patch: Json) -> None:
    """The release that will run under it must accept the candidate; otherwise nothing is written."""
    candidate = _candidate(work, patch)
    command = commands.validate_config(
        work.declared().version, files.NODE_VERSION, json.dumps(candidate, indent=2).encode()
    )
    answer = work.connection().run(command)
    if answer.exit_code != 0:
        text = work.quoted(answer.stdout.decode(errors="replace"))[-1000:]  # not the other way: half a secret is one
        raise CommandFailed(
            f"OpenClaw {work.declared().version} does not accept the configuration: {text}",
            "nothing was changed; check the child's settings in the fleet file",
        )


def patch_live(work: Work, patch: Json, current: Json) -> bool:
    """Whether the gateway took it: none at all while the file is one that it could not start with.

    `current` is what it says of the configuration that the patch is for; after another one it takes none. Raises
    HostError.
    """
    parameters: dict[str, Json] = {
        "raw": json.dumps(patch),
        "baseHash": current.get("hash") if isinstance(current, dict) else None,
        "replacePaths": list(list_paths(patch)),
        "note": "OpenClaw Deploy",
    }
    try:
        call_gateway(work, "config.patch", parameters)
    except HostError as refusal:
        if not refusal.summary.startswith(_INVALID_AS_IT_IS):
            raise
        return False
    return True


def _write_stopped(work: Work, patch: Json) -> None:
    host, owner = work.connection(), f"{files.SERVICE_USER}:{files.SERVICE_USER}"
    stop_gateway(work)
    candidate = _candidate(work, patch)
    host.run(commands.make_directory(files.CONFIG_PATH.rpartition("/")[0], owner, "0700"))
    if work.declared().is_throwaway:  # each of them says what the child's own gateway does
        host.run(commands.forget_config_backups(files.CONFIG_PATH, whatever_its_name=True))
    elif isinstance(candidate, dict) and "meta" not in candidate:
        host.run(commands.forget_config_backups(files.CONFIG_PATH))
    host.run(commands.install_file(files.CONFIG_PATH, json.dumps(candidate, indent=2).encode(), owner, "0600"))


def _candidate(work: Work, patch: Json) -> Json:
    """The whole openclaw.json as it is to be."""
    candidate = apply_patch(_file_content(work), patch)
    return silenced(candidate, work.wanted()["config"]) if work.declared().is_throwaway else candidate


def _file_content(work: Work) -> Json:
    """The whole openclaw.json as it is; empty where there is none. HostError when it cannot be read: it is not ours."""
    answer = work.connection().run(commands.read_file(files.CONFIG_PATH))
    if answer.exit_code != 0:
        return {}
    if len(answer.stdout) >= LARGEST_CONFIG:
        raise HostError(f"{files.CONFIG_PATH} is larger than {LARGEST_CONFIG} bytes", _MEND.format(work.name))
    if not answer.stdout.strip():
        return {}
    try:
        content = read_config(answer.stdout.decode())
    except (ValueError, RecursionError) as error:
        raise HostError(
            f"{files.CONFIG_PATH} is no JSON, and other keys than ours may be in it", _MEND.format(work.name)
        ) from error
    work.overhear(foreign_texts(content, work.wanted()["config"]))
    return content


def foreign_texts(content: Json, ours: Json) -> Iterator[Secret]:
    """Every text in openclaw.json but those that we have put there: the agent may keep secrets in its keys."""
    if isinstance(content, dict):
        for name, value in content.items():
            yield from foreign_texts(value, value_at(ours, (name,)))
    elif isinstance(content, list):
        for value in content:
            yield from foreign_texts(value, value if isinstance(ours, list) and value in ours else None)
    elif isinstance(content, str) and content != ours:
        yield Secret(content)


def _release_channels(work: Work) -> None:
    """After three unclean boots the gateway is ready and keeps its channels stopped until somebody starts them."""
    assert work.facts is not None
    gateway = work.facts.gateway
    if gateway.ready:
        for channel in gateway.suppressed:
            call_gateway(work, "channels.start", {"channel": channel})


def _stop_waiting_when_failed(work: Work) -> None:
    assert work.facts is not None
    gateway = work.facts.gateway
    if gateway.active == "failed":
        raise ProofFailed(
            f"the gateway's unit failed ({gateway.result}, exit {gateway.exit_status}): "
            + (gateway.journal[-1] if gateway.journal else "its journal is empty"),
            f"`fleet ssh {work.name}`, then `sudo journalctl -u {files.UNIT} -n 50`",
        )
