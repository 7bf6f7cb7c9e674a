"""What an apply is doing when it dies: one scenario per kind of action, each a change to a finished fleet."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

from reconciler import commands
from reconciler.api import NOTHING_SPECIAL
from reconciler.managed import files
from reconciler.memories import restore_of
from reconciler.model import Backup, BotProfile, FileMode, PlanOptions, ServerStatus, Sleep, WorkspaceFile
from reconciler.steps.sleeping import note_sleep
from tests.fakes.fleets import FakeFleet
from tests.fakes.host import WANTED_FIREWALL, FakeFile, FakeHost
from tests.fakes.worlds import make_spec

NEAR: Final = ("198.51.100.0/24",)  # where FakeDialer's packets come from
BYSTANDER: Final = "bob"


@dataclass(frozen=True)
class Scenario:
    """`change` is done to a world in which alice and bob are finished; `actions` is what is planned then.

    `asks` is what a person says on the command line; `creates` how many servers of each name are made in all, bob's and
    alice's first ones among them.
    """

    name: str
    change: Callable[[FakeFleet], None]
    actions: tuple[str, ...]
    creates: Mapping[str, int] = field(default_factory=lambda: {"demo-alice": 1, "demo-bob": 1})
    asks: Callable[[FakeFleet], PlanOptions] = lambda world: NOTHING_SPECIAL
    fails: bool = False  # as the undisturbed run does
    switches: bool = False  # to another version or server: what is interrupted is proven again, with more starts
    more_creates: int = 0  # so many more by the apply that goes on, which tries the first candidate again

    def __str__(self) -> str:
        return self.name

    def world(self, state: Path, finished: FakeFleet) -> FakeFleet:
        world = finished.copy(state)
        self.change(world)
        return world


def finished_fleet(state: Path) -> FakeFleet:
    """Both have been told something, which nothing may make them forget."""
    world = FakeFleet(state, ("alice", BYSTANDER)).applied()
    for name in world.names:
        world.host(name).gateway.remember(f"my name is {name}")
    return world


def _begin(world: FakeFleet) -> None:
    """Nothing is there, not even what servers share."""
    for kept in (world.cloud.by_id, world.cloud.walls, world.cloud.keys, world.cloud.requests, world.dialer.hosts):
        kept.clear()
    shutil.rmtree(world.state)
    del world.specs[BYSTANDER]


def _new_child(world: FakeFleet) -> None:
    world.specs["carol"] = make_spec("carol", server_type="cpx22")


def _new_child_by_candidates(world: FakeFleet) -> None:
    """cx23 is sold out everywhere, and what is made in hel1 is accepted and fails."""
    world.specs["carol"] = make_spec("carol", server_type=["cx23", "cpx22"], region=["hel1", "fsn1"])
    world.cloud.broken = {("cpx22", "hel1")}


def _update(world: FakeFleet) -> None:
    world.change(
        "alice",
        config={"agents": {"defaults": {"timeoutSeconds": 900}}},
        files={
            "SOUL.md": WorkspaceFile("You are alice.", FileMode.MANAGED),
            "notes/FIRST.md": WorkspaceFile("Hello.", FileMode.SEED),
        },
        labels={"team": "red"},
        protect=True,
    )


def _introduce(world: FakeFleet) -> None:
    world.change("alice", profile=BotProfile("Alice's assistant", "I answer Alice."))


def _less(world: FakeFleet) -> None:
    """What an apply put there by the file is taken out of the file again."""
    _update(world)
    world.apply()
    world.change("alice", config={}, files={}, labels={}, protect=False)


def _other_version(world: FakeFleet) -> None:
    world.change("alice", version="2026.9.7")


def _failing_version(world: FakeFleet) -> None:
    """It never gets healthy, so it is left again."""
    _other_version(world)
    world.host("alice").gateway.flawed = {"2026.9.7": "never ready"}


def _lower_version(world: FakeFleet) -> None:
    _other_version(world)
    world.apply()
    world.host("alice").gateway.remember("since then I have a dog")
    world.clock.sleep(3600)
    world.change("alice", version="2026.9.6")


def _after_a_past(change: Callable[[FakeFleet], None]) -> Callable[[FakeFleet], None]:
    """Its host keeps a checkpoint of before, and what was set aside when it went back to that."""

    def with_past(world: FakeFleet) -> None:
        _lower_version(world)
        world.apply()
        change(world)

    return with_past


def _resize(world: FakeFleet) -> None:
    world.change("alice", server_types=("cx23", "cpx32"))


def _stop(world: FakeFleet) -> None:
    world.change("alice", enabled=False, backups=True, labels={"asleep": "yes"})


def _start_server(world: FakeFleet) -> None:
    world.change("alice", enabled=False)
    world.apply()
    world.change("alice", enabled=True)


def _start_changed_server(world: FakeFleet) -> None:
    """Its file was changed meanwhile: of its host, of the cloud, and where SSH may come from.

    But not of openclaw.json, which is changed live by whoever finds the gateway ready, and else while it is stopped.
    """
    world.change("alice", enabled=False)
    world.apply()
    _update(world)
    world.change("alice", enabled=True, config={}, backups=True, ssh_from=NEAR)


def _start_unit(world: FakeFleet) -> None:
    world.host("alice").gateway.stop()


def _restart(world: FakeFleet) -> None:
    """It runs with another bot's token than the one that lies there."""
    host = world.host("alice")
    right = host.files[files.TELEGRAM_TOKEN_PATH]
    host.files[files.TELEGRAM_TOKEN_PATH] = FakeFile(b"1:theirs", "openclaw:openclaw", "0400")
    host.run(commands.restart_unit(files.UNIT))
    host.files[files.TELEGRAM_TOKEN_PATH] = right


def _replace(world: FakeFleet) -> None:
    world.change("alice", regions=("hel1",))


def _rename(world: FakeFleet) -> None:
    world.move("alice", "alba")


def _destroy(world: FakeFleet) -> None:
    del world.specs["alice"]


def _expire(world: FakeFleet) -> None:
    world.change("alice", expires=world.clock.now() - timedelta(hours=1))


def _backups(world: FakeFleet) -> None:
    world.change("alice", backups=True)


def _narrow_firewall(world: FakeFleet) -> None:
    world.change("alice", ssh_from=NEAR)


def _wide_firewall(world: FakeFleet) -> None:
    _narrow_firewall(world)
    world.apply()
    world.change("alice", ssh_from=())


def _firewall_drift(world: FakeFleet) -> None:
    world.cloud.change_wall("demo", "in tcp 22 from 0.0.0.0/0", "in tcp 80 from 0.0.0.0/0")


def _meddled(world: FakeFleet) -> None:
    """Somebody changed everything that we own on alice's host, and loaded it."""
    meddle(world.host("alice"))


def meddle(host: FakeHost) -> None:
    for path in (files.SSHD_PATH, files.METADATA_RULES_PATH, files.UNIT_PATH, files.STAMP_PATH):
        host.files[path].content += b"# theirs\n"
    host.files[files.TELEGRAM_TOKEN_PATH] = FakeFile(b"1:theirs", "openclaw:openclaw", "0400")
    host.files[files.AUTHORIZED_KEYS_PATH].content += b"ssh-ed25519 AAAAtheirs\n"
    host.files[f"{files.HOST_KEY_PATH}.pub"].content += b"theirs\n"
    host.directories[files.SECRETS_DIRECTORY] = "root:root", "0777"
    host.packages.discard("xz-utils")
    host.firewall = {**WANTED_FIREWALL, "rules": ["22/tcp", "80/tcp"]}
    host.links[files.CURRENT] = "/opt/openclaw/releases/theirs"
    host.gateway.stop()
    host.write_config({**host.config(), "gateway": {**host.config()["gateway"], "bind": "lan"}})
    for command in (commands.reload_sshd(), commands.daemon_reload(), commands.reload_unit(files.METADATA_UNIT)):
        host.run(command)


def _server_off(world: FakeFleet) -> None:
    """Somebody pulled the plug."""
    world.cloud.add(replace(world.server("alice"), status=ServerStatus.OFF))
    world.host("alice").gateway.stop()


def _nothing(world: FakeFleet) -> None:
    """All is as the file says."""


def _hibernation(world: FakeFleet) -> PlanOptions:
    return PlanOptions(hibernate=frozenset({"alice"}))


def _left_asleep(world: FakeFleet) -> None:
    """It was put to sleep, and its server could not be deleted then."""
    backup = _backed_up(world)
    note_sleep(world.fleet(), world.ports(), "alice", Sleep(backup.id, "alice"))


def _wake(world: FakeFleet) -> None:
    """A person has said so, and no more."""
    world.apply(options=_hibernation(world))
    client = world.client()
    client.begin_waking(client.plan_waking({"alice": client.keeper().find("alice")}))


def _left_asleep_and_renamed(world: FakeFleet) -> None:
    _left_asleep(world)
    _rename(world)


def _wake_renamed(world: FakeFleet) -> None:
    """The note of that is under the name of before."""
    _wake(world)
    _rename(world)


def _back_up(world: FakeFleet) -> None:
    """Since then it was told something else, and the backup was sent to its host."""
    backup = _backed_up(world)
    world.host("alice").gateway.remember("since then I have a dog")
    world.clock.sleep(3600)
    world.client().keeper().send("alice", "alice", backup)


def _restore(world: FakeFleet) -> PlanOptions:
    """Once: whoever is there already, and stays, is not brought there again."""
    client = world.client()
    child = client.plan().children["alice"]
    is_over = child.facts is not None and child.facts.switch is None
    if is_over and world.host("alice").gateway.memory == ["my name is alice"]:
        return NOTHING_SPECIAL
    wanted = restore_of(child, client.keeper().find("alice"))
    return PlanOptions(retry=frozenset({"alice"}), rollback={"alice": wanted})


def _backed_up(world: FakeFleet) -> Backup:
    [made] = world.client().keeper().create(["alice"])
    assert made.backup is not None, made
    return made.backup


AGAIN: Final = {"demo-alice": 2, "demo-bob": 1}
BOTH_NAMES: Final = {"demo-alice": 1, "demo-alba": 1, "demo-bob": 1}
NEW: Final = {"demo-alice": 1, "demo-bob": 1, "demo-carol": 1}
SCENARIOS: Final = (
    Scenario("a first apply", _begin, ("create alice",), {"demo-alice": 1}),
    Scenario("a create", _new_child, ("create carol",), NEW),
    Scenario(
        "a create by candidates",
        _new_child_by_candidates,
        ("create carol",),
        {**NEW, "demo-carol": 2},
        more_creates=1,
    ),
    Scenario("an update", _update, ("update alice",)),
    Scenario("an update that takes away", _less, ("update alice",)),
    Scenario("another version", _other_version, ("update alice",), switches=True),
    Scenario("a version that fails", _failing_version, ("update alice",), fails=True, switches=True),
    Scenario("a lower version", _lower_version, ("update alice",), switches=True),
    Scenario("a repair of everything", _meddled, ("update alice",)),
    Scenario("a resize", _resize, ("resize alice",)),
    Scenario("a stop", _stop, ("stop alice",)),
    Scenario("a start of a server", _start_server, ("start alice",)),
    Scenario("a start of a server that was unplugged", _server_off, ("start alice",)),
    Scenario("a start of a server that was changed while off", _start_changed_server, ("start alice",)),
    Scenario("a start of a unit", _start_unit, ("start alice",)),
    Scenario("a restart", _restart, ("restart alice",)),
    Scenario(
        "a replacement",
        _replace,
        ("replace alice",),
        AGAIN,
        lambda world: PlanOptions(allow_replace=frozenset({"alice"})),
        switches=True,
    ),
    Scenario(
        "a replacement after other versions",
        _after_a_past(_replace),
        ("replace alice",),
        AGAIN,
        lambda world: PlanOptions(allow_replace=frozenset({"alice"})),
        switches=True,
    ),
    Scenario("a removal after other versions", _after_a_past(_destroy), ("destroy alice",)),
    Scenario("a hibernation after other versions", _after_a_past(_nothing), ("hibernate alice",), asks=_hibernation),
    Scenario("a bot's name", _introduce, ("update alice",)),
    Scenario("a rename", _rename, ("update alba",)),
    Scenario("a removal", _destroy, ("destroy alice",)),
    Scenario("an expiry", _expire, ("destroy alice",)),
    Scenario("a hibernation", _nothing, ("hibernate alice",), asks=_hibernation),
    Scenario("a hibernation that had begun", _left_asleep, ("hibernate alice",)),
    Scenario("a hibernation that had begun under another name", _left_asleep_and_renamed, ("hibernate alba",)),
    Scenario("a wake", _wake, ("create alice",), AGAIN),
    Scenario(
        "a wake under another name", _wake_renamed, ("create alba",), {"demo-alice": 1, "demo-alba": 1, "demo-bob": 1}
    ),
    Scenario("a restore", _back_up, ("update alice",), asks=_restore, switches=True),
    Scenario("backups", _backups, ("update alice",)),
    Scenario("a firewall of its own", _narrow_firewall, ("update alice",)),
    Scenario("no firewall of its own any more", _wide_firewall, ("update alice",)),
    Scenario("a firewall that was changed outside", _firewall_drift, ()),
)
