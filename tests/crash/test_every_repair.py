"""A repair is ended at every single thing that it does; the next apply ends it, also for what is in force by then.

Files are put back first and loaded afterwards. A crash in between leaves a right file and a wrong process, unit or rule
in the kernel, which no look at the files can see.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from reconciler import commands
from reconciler.errors import CommandFailed
from reconciler.managed import files
from reconciler.model import OutcomeCode
from tests.crash.test_every_effect import LONG_ENOUGH, Fate, apply_until, outcome, pass_time
from tests.fakes.fleets import FakeFleet
from tests.fakes.host import WANTED_FIREWALL, FakeFile, FakeHost


def meddled(state: Path) -> FakeFleet:
    """A finished child on whose host somebody changed everything that we own, and loaded it."""
    world = FakeFleet(state, ("alice",)).applied()
    meddle(world.host("alice"))
    return world


def meddle(host: FakeHost) -> None:
    for path in (files.SSHD_PATH, files.METADATA_RULES_PATH, files.UNIT_PATH, files.STAMP_PATH):
        host.files[path].content += b"# theirs\n"
    host.files[files.TELEGRAM_TOKEN_PATH] = FakeFile(b"1:theirs", "openclaw:openclaw", "0400")
    host.files[files.AUTHORIZED_KEYS_PATH].content += b"ssh-ed25519 AAAAtheirs\n"
    host.directories[files.SECRETS_DIRECTORY] = "root:root", "0777"
    host.packages.discard("xz-utils")
    host.firewall = {**WANTED_FIREWALL, "rules": ["22/tcp", "80/tcp"]}
    host.links[files.CURRENT] = "/opt/openclaw/releases/theirs"
    host.gateway.stop()
    host.write_config({**host.config(), "gateway": {**host.config()["gateway"], "bind": "lan"}})
    for command in (commands.reload_sshd(), commands.daemon_reload(), commands.reload_unit(files.METADATA_UNIT)):
        host.run(command)


def test_the_next_apply_ends_the_repair(state: Path) -> None:
    undisturbed, whole = meddled(state), Fate()
    apply_until(undisturbed, whole)
    wanted = outcome(undisturbed)
    assert wanted["to do"] == []
    assert len(whole.effects) > 20, "this test has lost sight of most effects"

    left: list[str] = []
    for moment, name in enumerate(whole.effects):
        shutil.rmtree(state)
        world, fate = meddled(state), Fate(moment)
        apply_until(world, fate)
        assert fate.dead, f"effect {moment} never came"
        pass_time(world, 0)
        world.apply()
        pass_time(world, LONG_ENOUGH)
        found = outcome(world)
        for kept in (found, wanted):
            kept["in force"]["alice"].pop("starts", None)  # a repair may need one start more
            kept["facts"]["alice"]["gateway"] |= {"starts": 0, "main_pid": 0}
        if found != wanted:
            left.append(f"before effect {moment}: {name}")
    assert left == []


def test_an_apply_that_did_not_end_is_seen_although_nothing_differs(state: Path) -> None:
    world = meddled(state)
    world.host("alice").fails = [("reload sshd", CommandFailed("sshd does not start"))]
    world.host("alice").gateway.start(None)
    outcomes = [world.apply()[0].code, world.apply()[0].code]
    assert outcomes == [OutcomeCode.FAILED, OutcomeCode.DONE]
    world.host("alice").fails = [("restart openclaw-gateway", CommandFailed("it does not start"))]
    world.change("alice", version="2026.9.7")
    world.apply()
    assert world.planned() == ["update alice: unfinished"]
    world.applied()
    assert world.planned() == []
