"""From the cloud up to what a gateway needs on its host. Pure."""

from __future__ import annotations

from typing import Final

from reconciler.diagnosis.case import APPLY, Case, Check, Told
from reconciler.diff import value_at
from reconciler.managed import files
from reconciler.model import Cause, ServerStatus, Silence
from reconciler.steps.comparison import differences, has_other_networks
from reconciler.steps.versions import linked

DISK_MB: Final = 200  # with less a gateway is ready and answers nobody (facts on real gateways, section 5)
INODES: Final = 1_000
MEMORY_MB: Final = 100  # of the host, free: a turn takes more (the same, section 11)
KILLED: Final = (9, 137)
INIT: Final = 1  # systemd, which holds a port for a unit that it starts when somebody comes
HOST: Final = ("ssh",)  # what whoever asks a host needs
_SECRETS: Final = ("gateway token", "bot token", "model key")
_KILL: Final = "fleet exec {name} -- sudo kill PID\nthen: fleet restart {name}"
_CONFIG: Final = "fleet resuscitate {name}\nor, where somebody has just changed it: fleet config restore {name}"
_SOCKET: Final = "systemd holds it for a unit of somebody's: fleet exec {name} -- systemctl list-sockets"
_MAKE: Final = f"{APPLY}\nwhere that says that there is a backup of it: fleet restore {{name}}"


def _api(case: Case) -> Told:
    if case.problem:
        return Told(case.problem, Cause.CLOUD_SILENT, "look at the token and at https://status.hetzner.com")
    return Told("the cloud answers")


def _server(case: Case) -> Told:
    child = case.child
    if child.obstacle is not None and child.facts is None:
        return Told(child.obstacle.summary, Cause.IDENTITY_IN_DOUBT, child.obstacle.detail or "fleet plan {name}")
    if child.server is None and child.asleep is not None:
        return Told("it is asleep, as somebody has wanted it: fleet wake {name}", is_end=True)
    if child.server is None and child.spec is not None and not child.spec.enabled:
        return Told("it has no server, and the fleet file says `enabled: false`", is_end=True)
    if child.server is None:
        return Told("it has no server", Cause.NO_SERVER, _MAKE)
    return Told(f"{child.server.name}, {child.server.server_type} in {child.server.region}")


def _power(case: Case) -> Told:
    assert case.child.server is not None
    status = case.child.server.status
    if status is ServerStatus.OFF:
        if case.child.spec is not None and not case.child.spec.enabled:
            return Told("the server is off, as the fleet file says", is_end=True)
        return Told("the server is off", Cause.SERVER_OFF, "fleet start {name}")
    if status is not ServerStatus.RUNNING:
        return Told(f"the server is {status}", Cause.SERVER_BUSY, "wait until the cloud has ended that")
    return Told("the server runs")


def _network(case: Case) -> Told:
    child = case.child
    if child.silence is Silence.TIMED_OUT and has_other_networks(child):
        text = f"no answer in time, and its firewall at the cloud is not the file's: {child.silence_detail}"
        return Told(text, Cause.FIREWALL_CHANGED, APPLY)
    if child.silence is Silence.TIMED_OUT:
        return Told(f"no answer in time: {child.silence_detail}", Cause.HOST_SILENT, _SILENT)
    return Told("packets come back")


_REBUILD: Final = "fleet rebuild {name} --no-backup {name} (what it was told since its last backup is lost)"
_SILENT: Final = f"""look again, and whether others are silent too: it may be your own network
then at its console at the cloud; last of all: {_REBUILD}"""
_OF_SSH: Final = {
    Silence.REFUSED: (Cause.SSH_REFUSED, "start sshd at its console at the cloud, then fleet apply {name}"),
    Silence.WRONG_HOST_KEY: (
        Cause.WRONG_HOST_KEY,
        f"find out who answers at its address: it may be somebody else\nwhere it was made anew by hand: {_REBUILD}",
    ),
    Silence.LOGIN_REFUSED: (
        Cause.LOGIN_REFUSED,
        "put our key back at its console at the cloud, then fleet apply {name}",
    ),
    Silence.PROBE_FAILED: (Cause.HOST_BROKEN, "fleet ssh {name}, and look what fails there"),
}


def _ssh(case: Case) -> Told:
    child = case.child
    if child.silence in _OF_SSH:
        cause, mend = _OF_SSH[child.silence]
        return Told(f"{child.silence}: {child.silence_detail}", cause, mend)
    if child.facts is None:
        return Told("its first apply has not finished", Cause.NEVER_FINISHED, APPLY)
    return Told("it answers with its pinned key")


def _first_boot(case: Case) -> Told:
    said = case.examined.first_boot if case.examined else ""
    if said == "running" and case.child.is_unfinished:
        return Told("cloud-init is still at work", Cause.NEVER_FINISHED, "wait a minute, then fleet apply {name}")
    if case.child.is_unfinished:
        return Told(f"its first apply has not finished (cloud-init: {said})", Cause.NEVER_FINISHED, APPLY)
    return Told(f"cloud-init: {said or 'says nothing'}", is_unknown=not said)


def _disk(case: Case) -> Told:
    assert case.child.facts is not None
    there = case.examined.disk_free_mb if case.examined else None  # where its state is, which may be another one
    free = min(case.child.facts.disk_free_mb, there) if there is not None else case.child.facts.disk_free_mb
    if free < DISK_MB:
        mend = "fleet ssh {name}, then: sudo du -xh / | sort -h | tail\nor a larger server_type, and fleet apply {name}"
        return Told(f"{free} MB of its disk are left", Cause.DISK_FULL, mend)
    return Told(f"{free} MB are free")


def _inodes(case: Case) -> Told:
    free = case.examined.inodes_free if case.examined else None
    if free is None:
        return Told("its file system does not count them, or nobody could ask", is_unknown=case.examined is None)
    if free < INODES:
        mend = "fleet ssh {name}, and remove many small files: sudo du --inodes -x / | sort -n | tail"
        return Told(f"{free} inodes are left", Cause.INODES_GONE, mend)
    return Told(f"{free} are free")


def _memory(case: Case) -> Told:
    assert case.child.facts is not None
    free, gateway = case.child.facts.memory_free_mb, case.gateway
    larger = "give it a larger server_type in the fleet file, then fleet apply {name}"
    is_killed = gateway.result in ("signal", "exit-code") and gateway.exit_status in KILLED
    if gateway.result == "oom-kill" or (is_killed and not gateway.is_running):
        return Told("the gateway was killed, as the kernel does for want of memory", Cause.OUT_OF_MEMORY, larger)
    if free < MEMORY_MB:
        return Told(f"{free} MB of its memory are free", Cause.MEMORY_SHORT, larger)
    return Told(f"{free} MB are free")


def _node(case: Case) -> Told:
    assert case.child.facts is not None
    found = case.child.facts.managed.get("node")
    is_there = value_at(found, ("program",)) is True and value_at(found, ("intact",)) is not False
    runs = case.examined is None or case.examined.node in (None, f"v{files.NODE_VERSION}")
    if not is_there or not runs:
        said = (case.examined.node if case.examined else "") or "it does not run"
        return Told(f"Node.js {files.NODE_VERSION} is not whole ({said})", Cause.NODE_BROKEN, APPLY)
    return Told(f"Node.js {files.NODE_VERSION}")


def _release(case: Case) -> Told:
    assert case.child.facts is not None
    found, version = case.child.facts.managed.get("release"), linked(case.child.facts)
    if version is None or value_at(found, ("intact",)) is False:
        return Told("the release that is linked is not whole", Cause.RELEASE_BROKEN, APPLY)
    return Told(f"OpenClaw {version}")


def _update(case: Case) -> Told:
    assert case.child.facts is not None
    switch = case.child.facts.switch
    if switch is None:
        return Told("none is on its way")
    what = f"an update from {switch.origin} to {switch.target} is on its way, or was left"
    if switch.is_undone:
        what = f"an update from {switch.origin} to {switch.target} was left, and its host goes back to {switch.origin}"
    mend = "wait for the apply that makes it: fleet journal {name}\nwhere there is none, its host goes back by itself"
    return Told(what, Cause.UPDATE_UNFINISHED, f"{mend}; at once: {APPLY}")


def _unit_file(case: Case) -> Told:
    """Of a unit that is masked, or not there, a host says nothing. While its gateway runs, an apply mends that."""
    assert case.child.facts is not None
    managed = case.child.facts.managed
    is_known = (
        managed.get("gateway") is not None and value_at(managed.get("units as loaded"), (files.UNIT,)) is not None
    )
    if not is_known and not case.gateway.is_running:
        return Told(f"{files.UNIT} is not there, or masked", Cause.UNIT_CHANGED, APPLY)
    return Told("as systemd has loaded it" if is_known else "gone or masked, and the gateway runs: fleet apply {name}")


def _config(case: Case) -> Told:
    if case.examined is None or case.examined.config_problem is None:
        return Told("nobody could ask", is_unknown=True)
    if case.examined.config_problem:
        return Told(case.examined.config_problem, Cause.CONFIG_REFUSED, _CONFIG)
    return Told("the release takes it")


def _secrets(case: Case) -> Told:
    assert case.child.facts is not None
    if case.examined is not None and case.examined.lacking_secrets:
        return Told(f"not there to be read: {', '.join(case.examined.lacking_secrets)}", Cause.SECRET_MISSING, APPLY)
    changed = {change.path.partition(".")[0]: change.drift for change in differences(case.child)}
    other = [name for name in _SECRETS if changed.get(name)]
    if other:
        return Told(f"changed on the host since the last apply: {', '.join(other)}", Cause.SECRET_MISSING, APPLY)
    if any(name in changed for name in _SECRETS):
        return Told("those of the last apply; the fleet file names others by now: fleet apply {name}")
    return Told("all there", is_unknown=case.examined is None)


def _port(case: Case) -> Told:
    examined = case.examined
    if examined is None:
        return Told("nobody could ask", is_unknown=True)
    foreign = [it for it in examined.listeners if not it.is_ours]
    if examined.strays:
        stray = examined.strays[0]
        text = f"another gateway runs, which systemd has not started: {stray.name}, pid {stray.pid}"
        return Told(text, Cause.SECOND_GATEWAY, _KILL.replace("PID", str(stray.pid)))
    if foreign:
        text = f"port {files.PORT} is held by {foreign[0].name}, pid {foreign[0].pid}"
        mend = _KILL.replace("PID", str(foreign[0].pid)) if foreign[0].pid != INIT else _SOCKET
        return Told(text, Cause.PORT_TAKEN, mend)
    if case.gateway.loopback_only is False:
        return Told("it listens on another address than loopback", Cause.OPEN_TO_OTHERS, APPLY)
    return Told(f"{files.PORT} is the gateway's" if examined.listeners else f"{files.PORT} is free")


CHECKS: Final[tuple[Check, ...]] = (
    Check("api", (), _api),
    Check("server", ("api",), _server),
    Check("power", ("server",), _power),
    Check("network", ("power",), _network),
    Check("ssh", ("network",), _ssh),
    Check("first boot", HOST, _first_boot),
    Check("disk", HOST, _disk),
    Check("inodes", HOST, _inodes),
    Check("memory", HOST, _memory),
    Check("node", HOST, _node),
    Check("release", HOST, _release),
    Check("update", HOST, _update),
    Check("unit file", ("update",), _unit_file),
    Check("config", ("node", "release", "update"), _config),
    Check("secrets", HOST, _secrets),
    Check("port", HOST, _port),
)
