"""The whole life of a fleet, on good days and on bad ones: every command that there is, and every kind of failure that
prints what a host says.
"""

from __future__ import annotations

import shlex
from typing import Final

from reconciler import keys
from reconciler.model import Secret
from reconciler.sandbox.simulated.trouble import Answer, Trouble
from tests.contract.secrets import hostile
from tests.contract.secrets.scene import (
    BOT_TOKENS,
    CLOUD_TOKEN,
    FLEET_KEY,
    FOREIGN_HOST_KEY,
    IDENTITY,
    MODEL_KEY,
    Scene,
    order_foreign_server,
)
from tests.planted import Planted, planted_key, planted_text

PLANS: Final = ("plan", "plan --json", "plan --format markdown")
LOOKS: Final = (*PLANS, "status", "status --json", "list", "list --json", "refresh", "journal", "journal --json")
FAILED: Final = (1, 3)


def live(scene: Scene) -> None:
    """From the first plan to the last destroy."""
    _make(scene)
    _look_at_troubled(scene)
    _fail(scene)
    _meet_strangers(scene)
    _take_in(scene)
    scene.note_servers()
    scene.fleet("destroy --all --yes")
    scene.look(("journal -n 1000", "journal -n 1000 --json"))


def secrets_of(scene: Scene) -> list[Planted]:
    """All that was planted, and all that derives from it."""
    given = [
        planted_text("fleet key", FLEET_KEY),
        planted_text("cloud token", CLOUD_TOKEN),
        planted_text("model key", MODEL_KEY),
        planted_key("identity", IDENTITY),
        planted_key("foreign host key", FOREIGN_HOST_KEY),
        planted_text("agent's", hostile.AGENTS_SECRET),
        planted_text("plan key", keys.plan_key(FLEET_KEY)),
        *(planted_text(f"bot token of {child}", token) for child, token in BOT_TOKENS.items()),
    ]
    return [*given, *(secret for child, uid in scene.uids.items() for secret in _derived(child, uid))]


def _derived(child: str, uid: str) -> list[Planted]:
    return [
        planted_text(f"gateway token of {child}", keys.gateway_token(FLEET_KEY, uid, 1)),
        planted_text(f"digest key of {child}", keys.digest_key(FLEET_KEY, uid)),
        planted_key(f"login key of {child}", keys.login_key(FLEET_KEY, uid, 1)),
        planted_key(f"first host key of {child}", keys.host_key(FLEET_KEY, uid, 0)),
        planted_key(f"host key of {child}", keys.host_key(FLEET_KEY, uid, 1)),
    ]


def _make(scene: Scene) -> None:
    scene.look(("validate", "plan --out plan.file"))
    scene.fleet("apply --plan plan.file")
    scene.note_servers()
    scene.look(("key show", "ssh-config"))
    scene.fleet("key recover", typed=FLEET_KEY.reveal())


def _look_at_troubled(scene: Scene) -> None:
    scene.ask("alice", hostile.writes_own_keys)
    scene.ask("alice", hostile.cannot_reach_telegram(_known_to(scene, "alice")))
    scene.ask("bob", hostile.tells(_known_to(scene, "bob")))
    scene.look(LOOKS)


def _fail(scene: Scene) -> None:
    """Two kinds of failure at a time; the last apply mends all."""
    scene.ask("alice", hostile.refuses_configuration)
    scene.ask("alice", hostile.behaves)
    scene.ask("bob", hostile.breaks_sshd(BOT_TOKENS["bob"]))
    scene.fleet("apply --yes", *FAILED)
    scene.ask("alice", hostile.refuses_calls(_known_to(scene, "alice")))
    scene.ask("bob", hostile.fails_to_start(_known_to(scene, "bob")))
    scene.fleet("apply --yes", *FAILED)
    for child in ("alice", "bob"):
        scene.ask(child, hostile.behaves)
    scene.fleet("apply --yes")


def _meet_strangers(scene: Scene) -> None:
    """Somebody else sits where the machines were."""
    children = ("alice", "bob")
    for child in children:
        scene.machines.make_trouble(scene.machine(child), Trouble(Answer.REFUSES))
    with hostile.rude_doors(scene.namespace, [scene.address(child) for child in children]):
        scene.look(("plan", "status", "refresh", "ssh alice -- true"), 0, 1)
        scene.fleet("key recover", 0, 1, typed=FLEET_KEY.reveal())
    for child in children:
        scene.machines.make_trouble(scene.machine(child), Trouble())


def _take_in(scene: Scene) -> None:
    """A server of somebody else, which says nonsense about itself."""
    order_foreign_server(scene)
    number = next(spec.id for spec in scene.machines.specs() if spec.hostname == "by-hand")
    scene.machines.ask(number, hostile.says_nonsense)
    scene.write_fleet()
    how = ["--as", "carol", "--user", "admin", "--identity", str(scene.home / "identity")]
    scene.fleet(_line("import", "by-hand", *how, "--host-key", keys.public_key(FOREIGN_HOST_KEY)))
    scene.machines.ask(number, hostile.behaves)
    scene.fleet("apply --yes")


def _known_to(scene: Scene, child: str) -> str:
    """What a host was trusted with, in one line."""
    token: Secret = keys.gateway_token(FLEET_KEY, scene.uids[child], 1)
    return f"{BOT_TOKENS[child]} {MODEL_KEY} {token.reveal()}"


def _line(*words: str) -> str:
    return shlex.join(words)
