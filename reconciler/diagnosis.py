"""What is wrong with a child, and why: checks in the order in which one needs the other. Pure.

A check that needs a failed one is skipped: what it would say is no news. Of those that have failed the first that is no
mere sign names the cause: that the gateway does not run is a sign, that its configuration is refused is why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from reconciler.checks.channel import STALE_AFTER
from reconciler.diff import value_at
from reconciler.managed import files
from reconciler.model import (
    SETTLED,
    Cause,
    Child,
    Diagnosis,
    Examination,
    Finding,
    GatewayFacts,
    ServerStatus,
    Silence,
    Verdict,
)
from reconciler.steps.comparison import has_other_networks
from reconciler.steps.versions import linked, pinned

DISK_MB: Final = 200  # with less a gateway is ready and answers nobody (facts on real gateways, section 5)
INODES: Final = 1_000
MEMORY_MB: Final = 100  # of the host, free: a turn takes more (the same, section 11)
STARTING: Final = 120.0  # seconds: what is not ready by then, is not starting any more (the same, section 3)
REPLY: Final = 600.0  # seconds that a user may have to wait for an answer, when a tool works for it
KEEPS_ENDING: Final = 3  # restarts by systemd
KILLED: Final = (9, 137)
_SECRETS: Final = {"gateway token": "gateway", "bot token": "bot", "model key": "model"}


@dataclass(frozen=True, slots=True)
class Case:
    """`examined` is None where nobody could look closely; `problem` is why the cloud could not be asked."""

    child: Child
    examined: Examination | None = None
    problem: str = ""

    @property
    def gateway(self) -> GatewayFacts:
        return self.child.facts.gateway if self.child.facts else GatewayFacts()

    @property
    def is_starting(self) -> bool:
        """It needs some more time, and nothing says yet that it fails."""
        since = self.examined.up_for if self.examined else None
        return since is not None and since < STARTING and self.gateway.restarts < KEEPS_ENDING


@dataclass(frozen=True, slots=True)
class Told:
    """A check's answer. Without a cause it is OK, or nobody knows."""

    text: str
    cause: Cause | None = None
    mend: str = ""
    is_unknown: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """`is_sign`: where it has failed together with another, the other is why."""

    name: str
    needs: tuple[str, ...]
    judge: Callable[[Case], Told]
    is_sign: bool = False


def diagnose(case: Case) -> Diagnosis:
    """Every check's finding, and the cause of the first that has failed and is no sign of another."""
    findings, failed = list[Finding](), list[tuple[Check, Told]]()
    without = set[str]()
    for check in CHECKS:
        if missing := next((name for name in check.needs if name in without), None):
            findings.append(Finding(check.name, Verdict.SKIPPED, f"needs: {missing}"))
            without.add(check.name)
            continue
        told = check.judge(case)
        verdict = Verdict.FAILED if told.cause else Verdict.UNKNOWN if told.is_unknown else Verdict.OK
        findings.append(Finding(check.name, verdict, told.text))
        if told.cause is not None:
            failed.append((check, told))
            without.add(check.name)
    if not failed:
        return Diagnosis(case.child.name, tuple(findings))
    _, why = min(failed, key=lambda pair: pair[0].is_sign)  # the first of them
    return Diagnosis(case.child.name, tuple(findings), why.cause, why.text, why.mend.replace("{name}", case.child.name))


def _api(case: Case) -> Told:
    if case.problem:
        return Told(case.problem, Cause.CLOUD_SILENT, "look at the token and at https://status.hetzner.com")
    return Told("the cloud answers")


def _server(case: Case) -> Told:
    child = case.child
    if child.obstacle is not None:
        return Told(child.obstacle.summary, Cause.IDENTITY_IN_DOUBT, child.obstacle.detail or "fleet plan {name}")
    if child.server is None and child.asleep is not None:
        return Told("it is asleep", Cause.NO_SERVER, "fleet wake {name}")
    if child.server is None:
        return Told("it has no server", Cause.NO_SERVER, "fleet apply {name}")
    return Told(f"{child.server.name}, {child.server.server_type} in {child.server.region}")


def _power(case: Case) -> Told:
    assert case.child.server is not None
    status = case.child.server.status
    if status is ServerStatus.OFF:
        is_wanted = case.child.spec is None or case.child.spec.enabled
        switch_on = "the fleet file says `enabled: false`: change that, then fleet apply {name}"
        return Told("the server is off", Cause.SERVER_OFF, "fleet start {name}" if is_wanted else switch_on)
    if status not in SETTLED:
        return Told(f"the server is {status}", Cause.SERVER_BUSY, "wait until the cloud has ended that")
    return Told("the server runs")


def _network(case: Case) -> Told:
    child = case.child
    if child.silence is Silence.TIMED_OUT and has_other_networks(child):
        text = f"no answer in time, and its firewall at the cloud is not the file's: {child.silence_detail}"
        return Told(text, Cause.FIREWALL_CHANGED, "fleet apply {name}")
    if child.silence is Silence.TIMED_OUT:
        mend = "look at its console at the cloud; where nothing helps: fleet rebuild {name} --no-backup {name}"
        return Told(f"no answer in time: {child.silence_detail}", Cause.HOST_SILENT, mend)
    return Told("packets come back")


_OF_SSH: Final = {
    Silence.REFUSED: (Cause.SSH_REFUSED, "start sshd at its console at the cloud, then fleet apply {name}"),
    Silence.WRONG_HOST_KEY: (
        Cause.WRONG_HOST_KEY,
        "somebody else answers at its address, or the server was made anew by hand: fleet rebuild {name}",
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
        return Told("its first apply has not finished", Cause.NEVER_FINISHED, "fleet apply {name}")
    return Told("it answers with its pinned key")


def _first_boot(case: Case) -> Told:
    said = case.examined.first_boot if case.examined else ""
    if said == "running" and case.child.is_unfinished:
        return Told("cloud-init is still at work", Cause.NEVER_FINISHED, "wait a minute, then fleet apply {name}")
    if case.child.is_unfinished:
        return Told(
            f"its first apply has not finished (cloud-init: {said})", Cause.NEVER_FINISHED, "fleet apply {name}"
        )
    return Told(f"cloud-init: {said or 'says nothing'}", is_unknown=not said)


def _disk(case: Case) -> Told:
    assert case.child.facts is not None
    free = case.child.facts.disk_free_mb
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
    if gateway.result == "oom-kill" or (gateway.active == "failed" and gateway.exit_status in KILLED):
        return Told("the kernel has killed the gateway for want of memory", Cause.OUT_OF_MEMORY, larger)
    if free < MEMORY_MB:
        return Told(f"{free} MB of its memory are free", Cause.MEMORY_SHORT, larger)
    return Told(f"{free} MB are free")


def _node(case: Case) -> Told:
    assert case.child.facts is not None
    found = case.child.facts.managed.get("node")
    is_there = value_at(found, ("program",)) is True and value_at(found, ("intact",)) is not False
    runs = case.examined is None or case.examined.node == f"v{files.NODE_VERSION}"
    if not is_there or not runs:
        said = (case.examined.node if case.examined else "") or "it does not run"
        return Told(f"Node.js {files.NODE_VERSION} is not whole ({said})", Cause.NODE_BROKEN, _APPLY)
    return Told(f"Node.js {files.NODE_VERSION}")


def _release(case: Case) -> Told:
    assert case.child.facts is not None
    found, version = case.child.facts.managed.get("release"), linked(case.child.facts)
    if version is None or value_at(found, ("intact",)) is False:
        return Told("the release that is linked is not whole", Cause.RELEASE_BROKEN, _APPLY)
    return Told(f"OpenClaw {version}")


def _config(case: Case) -> Told:
    if case.examined is None:
        return Told("nobody could ask", is_unknown=True)
    if case.examined.config_problem:
        return Told(case.examined.config_problem, Cause.CONFIG_REFUSED, _APPLY)
    return Told("the release takes it")


def _secrets(case: Case) -> Told:
    assert case.child.facts is not None
    if case.examined is not None and case.examined.lacking_secrets:
        return Told(f"not there to be read: {', '.join(case.examined.lacking_secrets)}", Cause.SECRET_MISSING, _APPLY)
    live, wanted = case.child.facts.managed, case.child.wanted
    other = [word for name, word in _SECRETS.items() if name in wanted and live.get(name) != wanted[name]]
    if other:
        text = f"the {' and '.join(other)} secret on the host is not the one that the fleet file names"
        return Told(text, Cause.SECRET_MISSING, _APPLY)
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
        return Told(text, Cause.PORT_TAKEN, _KILL.replace("PID", str(foreign[0].pid)))
    if case.gateway.loopback_only is False:
        return Told("it listens on another address than loopback", Cause.OPEN_TO_OTHERS, _APPLY)
    return Told(f"{files.PORT} is the gateway's" if examined.listeners else f"{files.PORT} is free")


def _unit(case: Case) -> Told:
    assert case.child.facts is not None
    loaded, gateway = case.child.facts.managed.get("units as loaded"), case.gateway
    if value_at(loaded, (files.UNIT,)) is None and not gateway.is_running:
        return Told(f"{files.UNIT} is not there", Cause.UNIT_CHANGED, _APPLY)
    if gateway.active == "inactive":
        return Told("the unit does not run, and nobody asked it to", Cause.STOPPED, "fleet start {name}")
    return Told(f"{gateway.active} ({gateway.sub})")


def _exit_code(case: Case) -> Told:
    gateway = case.gateway
    last = gateway.journal[-1] if gateway.journal else ""
    if gateway.active == "failed":
        text = f"it has ended with exit code {gateway.exit_status} ({gateway.result}): {last}"
        if any("newer than this build" in line for line in gateway.journal):
            mend = "its memory was written by a newer release: name that in the fleet file, or fleet rollback {name}"
            return Told(text, Cause.STATE_NEWER, mend)
        return Told(text, Cause.KEEPS_ENDING, "fleet logs {name} --errors\nthen fleet apply {name}")
    return Told("it has not ended")


def _start_limit(case: Case) -> Told:
    gateway = case.gateway
    if not gateway.is_running and gateway.restarts >= KEEPS_ENDING:
        last = gateway.journal[-1] if gateway.journal else "its journal says nothing"
        text = f"systemd has started it {gateway.restarts} times, and it ended each time: {last}"
        return Told(text, Cause.KEEPS_ENDING, "fleet logs {name} --errors; then fleet apply {name}")
    if not gateway.is_running:
        return Told(f"it is {gateway.active}", is_unknown=True)
    return Told("it stays up" if not gateway.restarts else f"{gateway.restarts} restarts by systemd since its boot")


def _http(case: Case) -> Told:
    gateway = case.gateway
    wanted = pinned(case.child.spec, case.child.facts).version if case.child.spec else gateway.version
    if not gateway.ready and case.is_starting:
        return Told("it has started just now", is_unknown=True)
    if gateway.ready is None:
        return Told("it runs, and does not answer on loopback", Cause.GATEWAY_SILENT, "fleet restart {name}")
    others = [part for part in gateway.failing if part not in ("telegram", "channels")]
    if not gateway.ready and (others or not gateway.failing):
        text = f"it says that it is not ready: {', '.join(others) or 'starting'}"
        return Told(text, Cause.NOT_READY, "fleet logs {name} --errors\nfleet restart {name}")
    if gateway.version != wanted:
        return Told(f"{gateway.version} runs, wanted is {wanted}", Cause.OLD_PROCESS, _APPLY)
    return Told(f"it answers, {gateway.version}")


def _token(case: Case) -> Told:
    gateway = case.gateway
    if gateway.token_accepted is False:
        return Told("it does not take the token that lies on its host", Cause.TOKEN_REFUSED, "fleet restart {name}")
    if gateway.anonymous_refused is False:
        return Told("it answers without a token", Cause.OPEN_TO_OTHERS, _APPLY)
    return Told("only its own token opens it", is_unknown=gateway.token_accepted is None)


def _channel(case: Case) -> Told:
    gateway, examined = case.gateway, case.examined
    problem = gateway.channel_error or (examined.probe_problem if examined else "")
    if gateway.suppressed:
        text = f"it has started too often, and holds back: {', '.join(gateway.suppressed)}"
        return Told(text, Cause.CHANNELS_SUPPRESSED, "fleet restart {name}, when five minutes have passed")
    if gateway.channel_connected is None:
        return Told("the gateway says nothing of Telegram", is_unknown=True)
    words = problem.lower()
    if "401" in words or "unauthorized" in words or "not found" in words:
        return Told(f"Telegram: {problem}", Cause.BOT_TOKEN_REFUSED, "fleet bot token {name}")
    if "409" in words or "conflict" in words:
        mend = "another program asks with this bot's token: end that, or give the bot a new one: fleet bot token {name}"
        return Told(f"Telegram: {problem}", Cause.OTHER_POLLER, mend)
    if not gateway.channel_connected and case.is_starting:
        return Told("it has started just now", is_unknown=True)
    if not gateway.channel_connected or problem:
        text = f"Telegram: {problem or 'not connected'}"
        return Told(
            text, Cause.TELEGRAM_SILENT, "fleet exec {name} -- curl -sS -m 10 -o /dev/null https://api.telegram.org"
        )
    return _poller(case)


def _poller(case: Case) -> Told:
    assert case.child.facts is not None
    activity = case.gateway.channel_activity
    if activity is None:
        return Told("connected, and nothing has come yet", is_unknown=True)
    age = case.child.facts.clock - activity
    if age > STALE_AFTER:
        text = f"connected, and nothing has gone over the wire for {age:.0f} s"
        return Told(text, Cause.POLLER_STUCK, "fleet restart {name}\nif it comes again: fleet bot check {name}")
    return Told("it polls")


def _model(case: Case) -> Told:
    said = case.examined.model if case.examined else ""
    if said in ("401", "403"):
        mend = "put a new key where the fleet file says, then fleet apply {name}"
        return Told(f"its provider refuses the key: HTTP {said}", Cause.MODEL_KEY_REFUSED, mend)
    if said.isdecimal() and said != "200":
        return Told(f"its provider answers HTTP {said}", Cause.MODEL_SILENT, _PROVIDER)
    if said and said != "200":
        return Told(f"its provider cannot be reached: {said}", Cause.MODEL_SILENT, _PROVIDER)
    return Told("its provider takes the key" if said else "nobody knows how to ask its provider", is_unknown=not said)


def _reply(case: Case) -> Told:
    examined = case.examined
    if examined is None or examined.inbound is None:
        return Told("no message has come since its start")
    waited = examined.clock - examined.inbound
    if (examined.outbound or 0.0) < examined.inbound and waited > REPLY:
        text = f"the last message came {waited / 60:.0f} min ago, and nothing was answered"
        return Told(text, Cause.NO_REPLY, "fleet logs {name} --errors")
    return Told("the last message was answered" if examined.outbound else "a message came just now")


_APPLY: Final = "fleet apply {name}"
_KILL: Final = "fleet exec {name} -- sudo kill PID\nthen fleet restart {name}"
_PROVIDER: Final = "wait, or look at the provider's own status page; fleet logs {name} --errors"
_HOST: Final = ("ssh",)
_RUNS: Final = ("unit", "exit code", "start limit")
CHECKS: Final[tuple[Check, ...]] = (
    Check("api", (), _api),
    Check("server", ("api",), _server),
    Check("power", ("server",), _power),
    Check("network", ("power",), _network),
    Check("ssh", ("network",), _ssh),
    Check("first boot", _HOST, _first_boot),
    Check("disk", _HOST, _disk),
    Check("inodes", _HOST, _inodes),
    Check("memory", _HOST, _memory),
    Check("node", _HOST, _node),
    Check("release", _HOST, _release),
    Check("config", ("node", "release"), _config),
    Check("secrets", _HOST, _secrets),
    Check("port", _HOST, _port),
    Check("unit", _HOST, _unit, is_sign=True),
    Check("exit code", ("unit",), _exit_code, is_sign=True),
    Check("start limit", ("unit", "exit code"), _start_limit, is_sign=True),
    Check("http", _RUNS, _http, is_sign=True),
    Check("token", ("http",), _token),
    Check("channel", ("token",), _channel),
    Check("model key", _HOST, _model),
    Check("reply", ("channel", "model key"), _reply),
)
