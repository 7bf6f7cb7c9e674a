"""Each cause by a fault that yields it, and by one beside it that must not; and README's word on each."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from reconciler.diagnosis import CHECKS, Case, diagnose
from reconciler.managed import files
from reconciler.model import Cause, Child, Diagnosis, Examination, Hold, Listener, Sleep, Switch, Verdict
from reconciler.watching import CHECKS as WATCHES
from tests.fakes.worlds import NOW, make_child

README: Final = (Path(__file__).parents[2] / "README.md").read_text()
CLOCK: Final = NOW.timestamp()
OURS: Final = Listener(4242, "openclaw-gatewa", is_ours=True)
FOREIGN: Final = Listener(77, "python3", is_ours=False)
WELL: Final = Examination(
    first_boot="done", inodes_free=100_000, node=f"v{files.NODE_VERSION}", listeners=(OURS,), up_for=3600.0,
    inbound=CLOCK - 900, outbound=CLOCK - 890, clock=CLOCK, model="200", disk_free_mb=30_000, config_problem="",
)  # fmt: skip
DOWN: Final[dict[str, Any]] = {
    "active": "failed", "sub": "failed", "result": "exit-code", "exit_status": 1, "ready": None, "version": None,
    "channel_connected": None, "token_accepted": None, "anonymous_refused": None, "loopback_only": None,
}  # fmt: skip


STOPPED: Final = {**DOWN, "active": "inactive", "sub": "dead", "result": "success", "exit_status": 0}
YOUNG: Final[dict[str, Any]] = {
    "ready": None, "version": None, "token_accepted": None, "anonymous_refused": None, "channel_connected": None,
}  # fmt: skip
OFF: Final = {"enabled": False}
OLDER, NEWER = {"version": "2026.9.6"}, {"version": "2026.9.7"}
SWITCH: Final = Switch("2026.9.5", "2026.9.6", "20260101T000000Z", None)


def child(gateway: dict[str, Any] | None = None, **case: Any) -> Child:
    return make_child("alice", {"spec": {}, "gateway": gateway or {}, **case})


def on_host(**facts: Any) -> Child:
    found = child()
    assert found.facts is not None
    return replace(found, facts=replace(found.facts, **facts))


def managed(name: str, value: Any) -> Child:
    found = child()
    assert found.facts is not None
    return replace(found, facts=replace(found.facts, managed={**found.facts.managed, name: value}))


def asked(child: Child, **examined: Any) -> Diagnosis:
    return diagnose(Case(child, replace(WELL, **examined) if child.facts is not None else None))


def well_but(**examined: Any) -> Diagnosis:
    return asked(child(), **examined)


FAULTS: Final[list[tuple[Cause, str, Diagnosis]]] = [
    (Cause.CLOUD_SILENT, "api", diagnose(Case(child(), WELL, problem="503"))),
    (Cause.IDENTITY_IN_DOUBT, "server", asked(child(obstacle="two servers have its name"))),
    (Cause.NO_SERVER, "server", asked(child(server=None))),
    (Cause.SERVER_OFF, "power", asked(child(server={"status": "off"}))),
    (Cause.SERVER_BUSY, "power", asked(child(server={"status": "migrating"}))),
    (Cause.SERVER_BUSY, "power", asked(child(server={"status": "unknown"}))),
    (Cause.HOST_SILENT, "network", asked(child(silence="timed out"))),
    (
        Cause.FIREWALL_CHANGED,
        "network",
        asked(make_child("alice", {"spec": {"ssh_from": ("192.0.2.0/24",)}, "silence": "timed out"})),
    ),
    (Cause.SSH_REFUSED, "ssh", asked(child(silence="refused"))),
    (Cause.WRONG_HOST_KEY, "ssh", asked(child(silence="wrong host key"))),
    (Cause.LOGIN_REFUSED, "ssh", asked(child(silence="login refused"))),
    (Cause.HOST_BROKEN, "ssh", asked(child(silence="probe failed"))),
    (Cause.NEVER_FINISHED, "ssh", asked(child(server={"labels": {"openclaw-deploy/unfinished": "true"}}))),
    (Cause.DISK_FULL, "disk", asked(on_host(disk_free_mb=199))),
    (Cause.DISK_FULL, "disk", well_but(disk_free_mb=199)),
    (Cause.INODES_GONE, "inodes", well_but(inodes_free=999)),
    (Cause.MEMORY_SHORT, "memory", asked(on_host(memory_free_mb=99))),
    (Cause.OUT_OF_MEMORY, "memory", asked(child({**DOWN, "result": "oom-kill", "exit_status": 9}))),
    (Cause.OUT_OF_MEMORY, "memory", asked(child({**DOWN, "result": "exit-code", "exit_status": 137}))),
    (Cause.NODE_BROKEN, "node", well_but(node="")),
    (Cause.NODE_BROKEN, "node", asked(managed("node", None))),
    (Cause.RELEASE_BROKEN, "release", asked(managed("release", None))),
    (Cause.UPDATE_UNFINISHED, "update", asked(on_host(switch=SWITCH, gateway=child(STOPPED).facts.gateway))),  # type: ignore[union-attr]
    (Cause.UPDATE_UNFINISHED, "update", asked(on_host(switch=SWITCH), config_problem="no")),
    (Cause.UPDATE_UNFINISHED, "update", asked(on_host(switch=replace(SWITCH, is_undone=True)))),
    (Cause.CONFIG_REFUSED, "config", well_but(config_problem="<root>: Unrecognized key")),
    (Cause.CONFIG_REFUSED, "config", asked(child({**DOWN, "exit_status": 78}), config_problem="no: Unrecognized key")),
    (Cause.SECRET_MISSING, "secrets", well_but(lacking_secrets=("/etc/openclaw/model.key",))),
    (Cause.SECRET_MISSING, "secrets", asked(managed("bot token", {"hmac": "other"}))),
    (Cause.PORT_TAKEN, "port", asked(child(DOWN), listeners=(FOREIGN,))),
    (Cause.SECOND_GATEWAY, "port", asked(child({**DOWN, "exit_status": 78}), listeners=(FOREIGN,), strays=(FOREIGN,))),
    (Cause.OPEN_TO_OTHERS, "port", asked(child({"loopback_only": False}))),
    (Cause.OPEN_TO_OTHERS, "token", asked(child({"anonymous_refused": False}))),
    (Cause.UNIT_CHANGED, "unit file", asked(child(DOWN, live={"units as loaded": {files.UNIT: None}}))),
    (Cause.UNIT_CHANGED, "unit file", asked(child(STOPPED, live={"gateway": None}))),
    (Cause.STOPPED, "unit", asked(child(STOPPED), model="401")),
    (Cause.KEEPS_ENDING, "http", asked(child({**YOUNG, "restarts": 3}), up_for=20.0)),
    (Cause.STOPPED, "unit", asked(child({**DOWN, "active": "inactive", "sub": "dead", "exit_status": 0}))),
    (
        Cause.STATE_NEWER,
        "exit code",
        asked(child({**DOWN, "exit_status": 78, "journal": ["database schema(s) are newer than this build", "bye"]})),
    ),
    (Cause.KEEPS_ENDING, "exit code", asked(child({**DOWN, "journal": ["the release exits"]}))),
    (Cause.REFUSES_TO_START, "exit code", asked(child({**DOWN, "exit_status": 78, "journal": ["EPIPE"]}))),
    (
        Cause.KEEPS_ENDING,
        "start limit",
        asked(child({**DOWN, "active": "activating", "sub": "auto-restart", "restarts": 3})),
    ),
    (Cause.GATEWAY_SILENT, "http", asked(child({"ready": None, "version": None, "channel_connected": None}))),
    (Cause.NOT_READY, "http", asked(child({"ready": False, "failing": ["database"]}))),
    (Cause.OLD_PROCESS, "http", asked(child({"version": "2026.9.5"}))),
    (Cause.TOKEN_REFUSED, "token", asked(child({"token_accepted": False}))),
    (Cause.CHANNELS_SUPPRESSED, "channel", asked(child({"suppressed": ["telegram"], "channel_connected": False}))),
    (
        Cause.BOT_TOKEN_REFUSED,
        "channel",
        asked(
            child({"ready": False, "failing": ["telegram"], "channel_connected": False}),
            probe_problem="401: Unauthorized",
        ),
    ),
    (Cause.OTHER_POLLER, "channel", asked(child({"channel_connected": False, "channel_error": "409: Conflict"}))),
    (Cause.TELEGRAM_SILENT, "channel", asked(child({"channel_connected": False}))),
    (Cause.TELEGRAM_SILENT, "channel", asked(child({"channel_connected": False}), probe_problem="gone after 14010 ms")),
    (
        Cause.TELEGRAM_SILENT,
        "channel",
        asked(child({"channel_activity": CLOCK - 91}), probe_problem="500: Internal Server Error"),
    ),
    (Cause.POLLER_STUCK, "channel", asked(child({"channel_activity": CLOCK - 91}))),
    (Cause.MODEL_KEY_REFUSED, "model key", well_but(model="401")),
    (Cause.MODEL_SILENT, "model key", well_but(model="503")),
    (Cause.MODEL_SILENT, "model key", well_but(model="ConnectionRefusedError")),
    (Cause.NO_REPLY, "reply", well_but(inbound=CLOCK - 601, outbound=CLOCK - 700)),
    (Cause.NO_REPLY, "reply", well_but(inbound=CLOCK - 601, outbound=None)),
]
HARMLESS: Final[list[tuple[str, Diagnosis]]] = [
    ("all is well", well_but()),
    ("nobody could look closely", diagnose(Case(child()))),
    ("a little room is enough", asked(on_host(disk_free_mb=200, memory_free_mb=100), inodes_free=1000)),
    ("a file system that counts no inodes", well_but(inodes_free=None)),
    ("cloud-init has grumbled long ago", well_but(first_boot="error")),
    ("it starts", asked(child({"ready": False, "channel_connected": False}), up_for=20.0, listeners=())),
    ("its port is free while it starts", asked(child({"ready": None, "version": None}), up_for=5.0, listeners=())),
    ("systemd has restarted it once, and it stays", asked(child({"restarts": 5}))),
    ("nothing has come from Telegram yet", asked(child({"channel_activity": None}))),
    ("it polls each half minute", asked(child({"channel_activity": CLOCK - 90}))),
    ("a message was answered", well_but(inbound=CLOCK - 5000, outbound=CLOCK - 4990)),
    ("a message is being answered", well_but(inbound=CLOCK - 599, outbound=CLOCK - 5000)),
    ("nobody has written since its start", well_but(inbound=None, outbound=None)),
    ("nobody knows how to ask the provider", well_but(model="")),
    ("the provider is asked too often", well_but(model="429")),
    ("it is asleep", asked(replace(child(server=None), asleep=Sleep("20260101T000000Z", "alice")))),
    (
        "it is off as the file says",
        asked(make_child("alice", {"spec": OFF, "server": {"status": "off"}})),
    ),
    ("it has no server as the file says", asked(make_child("alice", {"spec": OFF, "server": None}))),
    ("an error of before", asked(child({"channel_error": "Network request failed"}))),
    ("Telegram has an error for a moment", well_but(probe_problem="500: Internal Server Error")),
    ("Telegram is asked too often", well_but(probe_problem="429: Too Many Requests: retry after 14")),
    ("it ends what it is at", asked(child({**YOUNG, "active": "deactivating", "sub": "stop-sigterm", "restarts": 3}))),
    ("it is about to start", asked(child({**YOUNG, "active": "activating", "sub": "start-pre"}), up_for=7000.0)),
    ("it starts again after one end", asked(child({**YOUNG, "active": "activating", "restarts": 1}))),
    (
        "it starts, and refuses its token yet",
        asked(child({**YOUNG, "ready": False, "token_accepted": False}), up_for=9.0),
    ),
    ("it starts, and nobody looks closely", diagnose(Case(child(YOUNG)))),
    ("the file names a newer version", asked(make_child("alice", {"spec": NEWER, "applied_spec": OLDER}))),
    ("the file names another token", asked(child(bot_token="of another bot"))),
    (
        "an update has failed before",
        asked(on_host(noted=(Hold("2026.9.7", "never ready", "20260101T000000Z", is_suspect=True),))),
    ),
    ("its programs are slow", well_but(node=None, config_problem=None)),
]


@pytest.mark.parametrize(("cause", "check", "found"), FAULTS, ids=[f"{it[0]}-{it[1]}" for it in FAULTS])
def test_a_fault_is_told_by_its_cause(cause: Cause, check: str, found: Diagnosis) -> None:
    assert (found.cause, found.mend != "", "{" in found.mend) == (cause, True, False), found
    verdicts = {it.check: it.verdict for it in found.findings}
    assert verdicts[check] is Verdict.FAILED
    assert next(it.text for it in found.findings if it.check == check) == found.evidence


@pytest.mark.parametrize(("what", "found"), HARMLESS, ids=[it[0] for it in HARMLESS])
def test_what_is_no_fault_has_no_cause(what: str, found: Diagnosis) -> None:
    assert found.cause is None, (what, found)
    assert Verdict.FAILED not in [it.verdict for it in found.findings]


def test_what_needs_a_failed_check_is_skipped_and_says_so() -> None:
    found = asked(child(silence="refused"))
    verdicts = {it.check: it for it in found.findings}
    assert [name for name, it in verdicts.items() if it.verdict is Verdict.OK] == ["api", "server", "power", "network"]
    assert (verdicts["disk"].verdict, verdicts["disk"].text) == (Verdict.SKIPPED, "needs: ssh")
    assert [check.name for check in CHECKS] == list(verdicts)


def test_what_needs_nothing_of_it_is_asked_all_the_same() -> None:
    found = asked(child({**DOWN, "exit_status": 78}), config_problem="no", model="401")
    verdicts = {it.check: it.verdict for it in found.findings}
    assert (found.cause, verdicts["model key"], verdicts["http"]) == (
        Cause.CONFIG_REFUSED, Verdict.FAILED, Verdict.SKIPPED
    )  # fmt: skip


def test_every_cause_has_a_fault_and_a_place_in_readme() -> None:
    of_watches = {check.CAUSE for check in WATCHES} | {Cause.OWN_NETWORK}  # test_watching.py, test_cli_monitor.py
    assert {cause for cause, _, _ in FAULTS} == set(Cause) - of_watches
    told = re.findall(r'<a id="cause-([a-z-]+)"></a>', README)
    assert sorted(told) == sorted(Cause)
