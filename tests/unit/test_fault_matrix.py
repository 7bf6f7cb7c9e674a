"""A fault of every layer befalls one of two children: how soon a watch finds it, by which cause, and who is told.

A pass is a minute. Each fault is found within two passes after there is evidence of it and told within four minutes,
once; when it is over that is told once, and nothing is ever told of the other child. The same on real machines is in
tests/e2e/test_monitored_faults.py, for what can be made real there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest

from reconciler import keys
from reconciler.api import FleetClient
from reconciler.errors import CommandFailed, HostRefused, HostTimedOut
from reconciler.heeding import State, begin
from reconciler.history import History
from reconciler.managed import files
from reconciler.model import AlertPlace, AlertSettings, Cause, SecretRef, ServerStatus
from tests.fakes.fleets import FakeFleet
from tests.fakes.host import FakeFile, FakeHost
from tests.fakes.worlds import FLEET_KEY

SLACK: Final = SecretRef("env", "FLEET_SECRET_SLACK")
WITHIN: Final = 2  # passes, until it is found
TOLD: Final = 4  # minutes, until somebody is told
AN_HOUR: Final = 3600.0
SILENT: Final[dict[str, Any]] = {
    "ready": None, "version": None, "channel_connected": None, "token_accepted": None, "anonymous_refused": None,
}  # fmt: skip

UNHEARD: Final[dict[str, Any]] = {"ready": True, "token_accepted": None, "channel_connected": None}

Do = Callable[[FakeFleet], object]


@dataclass(frozen=True)
class Fault:
    """`cause` and `layer` are what is told of it; `settles` are seconds until there is evidence."""

    name: str
    cause: Cause
    layer: str
    do: Do
    settles: float = 0.0


def alice(world: FakeFleet) -> FakeHost:
    return world.host("alice")


def silent(error: Exception) -> Do:
    return lambda world: world.dialer.silent.update({world.server("alice").id: error})  # type: ignore[dict-item]


def says(**wrong: Any) -> Do:
    """Of its gateway."""
    return lambda world: alice(world).gateway.wrong.update(wrong)


def closer(**found: Any) -> Do:
    """Of its host."""
    return lambda world: alice(world).closer.update(found)


def both(*those: Do) -> Do:
    return lambda world: [do(world) for do in those]


def ago(name: str, seconds: float) -> Do:
    return lambda world: alice(world).closer.update({name: world.clock.now().timestamp() - seconds})


def without(path: str) -> Do:
    return lambda world: alice(world).files.pop(path)


NO_CHANNEL: Final = says(channel_connected=False)


def stands_still(world: FakeFleet) -> None:
    """Its long poll hangs: since then nothing has gone over the wire."""
    alice(world).gateway.wrong["channel_activity"] = world.clock.now().timestamp() - 91


def off(world: FakeFleet) -> None:
    server = world.server("alice")
    world.cloud.by_id[server.id] = replace(server, status=ServerStatus.OFF)


def deleted(world: FakeFleet) -> None:
    del world.cloud.by_id[world.server("alice").id]


def replaced_by_a_stranger(world: FakeFleet) -> None:
    server = world.server("alice")
    world.cloud.by_id[server.id] = replace(server, labels={"owner": "somebody else"})


def another_machine(world: FakeFleet) -> None:
    alice(world).shown_key = keys.public_key(keys.host_key(FLEET_KEY, "eve", 1))


def no_login(world: FakeFleet) -> None:
    alice(world).files[files.AUTHORIZED_KEYS_PATH] = FakeFile(b"", "fleet:fleet", "0600")


def refused_at_next_start(world: FakeFleet) -> None:
    host = alice(world)
    host.gateway.refuses = ("surprise",)
    host.write_config({**host.config(), "surprise": 1})


def ahead(world: FakeFleet) -> None:
    host, clock = alice(world), world.clock
    host.now = lambda: clock.now().timestamp() + 30


FAULTS: Final = (
    # the cloud and the server
    Fault("server deleted by hand", Cause.NO_SERVER, "server", deleted),
    Fault("foreign server with our name", Cause.IDENTITY_IN_DOUBT, "server", replaced_by_a_stranger),
    Fault("server off", Cause.SERVER_OFF, "power", off),
    # the way to it
    Fault("cut network", Cause.HOST_SILENT, "network", silent(HostTimedOut("no answer in time"))),
    Fault("frozen machine", Cause.HOST_SILENT, "network", silent(HostTimedOut("the probe did not end"))),
    Fault("no sshd", Cause.SSH_REFUSED, "ssh", silent(HostRefused("nothing listens"))),
    Fault("host key changed", Cause.WRONG_HOST_KEY, "ssh", another_machine),
    Fault("login key taken away", Cause.LOGIN_REFUSED, "ssh", no_login),
    Fault("no Python on the host", Cause.HOST_BROKEN, "ssh", silent(CommandFailed("python3: not found"))),
    # the host
    Fault("disk full", Cause.DISK_FULL, "disk", lambda world: setattr(alice(world), "disk_free_mb", 100)),
    Fault("disk filling", Cause.DISK_LOW, "room", lambda world: setattr(alice(world), "disk_free_mb", 400)),
    Fault("inodes gone", Cause.INODES_GONE, "inodes", closer(inodes_free=10)),
    Fault("inodes going", Cause.INODES_LOW, "files", closer(inodes_free=4000)),
    Fault("killed for want of memory", Cause.MEMORY_LOW, "free memory", closer(killed=1)),
    Fault("load", Cause.LOAD_HIGH, "load", closer(load=9.0)),
    Fault("clock skew", Cause.CLOCK_WRONG, "clock", ahead),
    Fault("reboot due", Cause.REBOOT_DUE, "reboot", closer(reboot_due=True)),
    Fault("port open to the world", Cause.PORT_OPEN, "open ports", closer(open_ports=[22, 8080])),
    Fault("no Node.js", Cause.NODE_BROKEN, "node", closer(node="")),
    # what the gateway is started with
    Fault("secret missing", Cause.SECRET_MISSING, "secrets", without(files.MODEL_KEY_PATH)),
    Fault("config broken but still running", Cause.NEXT_START, "next start", refused_at_next_start),
    Fault(
        "drift",
        Cause.DRIFTED,
        "drift",
        lambda world: alice(world).files.update({files.METADATA_UNIT_PATH: FakeFile(b"[Unit]\n")}),
    ),
    # the gateway
    Fault("stopped by hand", Cause.STOPPED, "unit", lambda world: alice(world).gateway.stop()),
    Fault(
        "keeps ending", Cause.KEEPS_ENDING, "http", both(says(**SILENT, restarts=3), closer(up_for=20.0))
    ),
    Fault("hangs", Cause.GATEWAY_SILENT, "http", says(**SILENT)),
    Fault("says nothing of itself under a true /readyz", Cause.ANSWER_UNKNOWN, "answer", says(**UNHEARD)),
    Fault("never ready", Cause.NOT_READY, "http", says(ready=False, failing=["database"])),
    Fault("old process", Cause.OLD_PROCESS, "http", says(version="2026.9.5")),
    Fault("refuses its own token", Cause.TOKEN_REFUSED, "token", says(token_accepted=False)),
    Fault("answers without a token", Cause.OPEN_TO_OTHERS, "token", says(anonymous_refused=False)),
    Fault("listens beyond loopback", Cause.OPEN_TO_OTHERS, "port", says(loopback_only=False)),
    Fault("errors in its log", Cause.LOG_ERRORS, "log", says(errors=21)),
    # its channel
    Fault("channels held back", Cause.CHANNELS_SUPPRESSED, "channel", both(NO_CHANNEL, says(suppressed=["telegram"]))),
    Fault(
        "401 after a revocation",
        Cause.BOT_TOKEN_REFUSED,
        "channel",
        both(NO_CHANNEL, says(ready=False, failing=["telegram"]), closer(probe_problem="401: Unauthorized")),
    ),
    Fault(
        "409 from a second poller",
        Cause.OTHER_POLLER,
        "channel",
        says(channel_connected=False, channel_error="409: Conflict: terminated by other getUpdates request"),
    ),
    Fault(
        "500s from Telegram",
        Cause.TELEGRAM_SILENT,
        "channel",
        both(stands_still, closer(probe_problem="500: Internal Server Error")),
    ),
    Fault("dead poller under a true /readyz", Cause.TELEGRAM_SILENT, "channel", both(NO_CHANNEL, says(ready=True))),
    Fault("silently hanging long poll", Cause.POLLER_STUCK, "channel", stands_still),
    Fault(
        "webhook set",
        Cause.WEBHOOK_SET,
        "bot",
        lambda world: alice(world).bot.update(webhook="collector.example"),
        settles=AN_HOUR,
    ),
    # its model
    Fault(
        "model key revoked",
        Cause.MODEL_KEY_REFUSED,
        "model key",
        lambda world: setattr(alice(world), "models", "401"),
        settles=AN_HOUR,
    ),
    Fault(
        "model's provider silent",
        Cause.MODEL_SILENT,
        "model key",
        lambda world: setattr(alice(world), "models", "503"),
        settles=AN_HOUR,
    ),
    Fault("no reply", Cause.NO_REPLY, "reply", both(ago("inbound", 700.0), ago("outbound", 900.0))),
)  # fmt: skip


class Watch:
    """Passes over a world, as a machine makes them that remembers."""

    def __init__(self, world: FakeFleet) -> None:
        fleet = replace(world.fleet(), alerts=AlertSettings(to=(AlertPlace(SLACK),)))
        self._world, self._client = world, FleetClient(fleet, world.ports())
        self._state: State = begin(History(world.state))
        self.told: list[str] = []
        self.found: list[list[tuple[Cause, str]]] = []

    def go_on(self, passes: int) -> None:
        for _ in range(passes):
            self._world.clock.sleep(60)
            seen = self._client.watch(None, self._state.slow, remembers=True)
            told, self._state, problems = self._client.heed(seen, self._state, remembers=True, is_silent=False)
            assert problems == []
            rows = {row.child: [(it.cause, it.layer) for it in row.troubles] for row in seen.rows}
            assert rows["bob"] == []
            self.found.append(rows["alice"])
            self.told += told


@pytest.fixture
def world(state: Path) -> FakeFleet:
    world = FakeFleet(state, ("alice", "bob")).applied()
    for name in world.names:
        world.host(name).gateway.heard = {}
    world.clock.sleep(AN_HOUR)
    return world


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_it_is_found_soon_told_once_and_told_once_when_it_is_over(fault: Fault, world: FakeFleet) -> None:
    watch = Watch(world)
    watch.go_on(3)
    assert (watch.told, watch.found) == ([], [[], [], []])
    server, host = world.server("alice"), alice(world).copy(world.clock)
    fault.do(world)
    if fault.settles:
        world.clock.sleep(fault.settles)
    watch.go_on(WITHIN)
    assert watch.found[-1][0] == (fault.cause, fault.layer), watch.found
    watch.go_on(TOLD - WITHIN)
    assert [title.rpartition(": ")[2] for title in watch.told] == [fault.cause], watch.told
    assert "alice" in watch.told[0]
    watch.go_on(10)
    assert len(watch.told) == 1, watch.told
    world.cloud.by_id[server.id], world.dialer.hosts[server.id] = server, host
    world.dialer.silent.clear()
    if fault.settles:
        world.clock.sleep(fault.settles)
    watch.go_on(10)
    assert watch.found[-1] == []
    assert [title.partition(": ")[0].rpartition(" ")[2] for title in watch.told[1:]] == ["RESOLVED"], watch.told


def test_every_layer_has_its_faults() -> None:
    assert len(FAULTS) >= 22
    assert len({fault.cause for fault in FAULTS}) >= 30
