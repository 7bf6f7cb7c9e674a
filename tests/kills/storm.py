"""A cloud of fifty children that fails at random while the real command applies, and what must hold afterwards.

A seed decides which faults are set before each apply, and which machines break a connection off. Which child meets a
fault is up to the threads.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from reconciler.managed.files import CURRENT
from reconciler.sandbox.simulated.trouble import Interruption
from reconciler.steps.server import CREATE_TIMEOUT
from tests.crash.comparing import differences
from tests.kills.comparing import outcome
from tests.kills.interrupting import heal, lie_in_wait, machines
from tests.kills.scene import CHILD, Declared, Scene

CHILDREN: Final = tuple(f"c{number:02d}" for number in range(50))
CALM: Final = 3  # applies without any fault, after which there must be nothing to do
DISTURBED: Final = 5  # machines
REMOVED: Final = 3
APPLY: Final = ("apply", "--yes", "--max-destroys", str(REMOVED))

# KIND ON VALUE, as the emulator takes them; each strikes one to three times.
ANY_REQUEST: Final = (
    *('drop "{}"', 'drop-before "{}"', 'refuse "{}" unavailable', 'refuse "{}" 502', 'refuse "{}" timeout'),
    *('refuse "{}" rate_limit_exceeded', 'refuse "{}" conflict', 'refuse "{}" server_error'),
)
CREATING: Final = (
    *("fail create_server", "fail start_server", "vanish create_server"),
    *('refuse "POST /servers" resource_unavailable', 'refuse "POST /servers" placement_error'),
    'refuse "POST /servers" maintenance',
)
CHANGING: Final = (
    *("fail delete_server", "fail enable_backup", "fail set_firewall_rules"),
    *('refuse "DELETE /servers" locked', 'refuse "POST /servers" locked'),
)
REQUESTS: Final = ("PUT /servers", "DELETE /servers", "GET /actions", "GET /servers/")
LASTING: Final = ("", "stock cpx22@fsn1 sold-out", "stock *@fsn1 hidden", "limit servers 45", "limit servers 20")
OF_ALL: Final = (
    "",
    'drop "GET /servers"',
    'refuse "GET /firewalls" unavailable',
)  # the second apply does not even begin
# A canary and then batches, as ever. Proven as long as a real gateway they would take minutes, one after the other.
PACE: Final[dict[str, Any]] = {
    "rollout": {"canaries": 1, "batch": "50%", "soak": 1},
    "defaults": {"update": {"soak": 1}},
}
CHANGES: Final[tuple[dict[str, Any], ...]] = ({"backups": True}, {"labels": {"team": "red"}}, {"version": "2026.9.7"})


def storm(seed: int, scene: Scene) -> list[str]:
    """What did not hold."""
    dice, began = random.Random(seed), time.monotonic()
    declared: Declared = {name: {"region": ["fsn1", "nbg1"]} for name in CHILDREN}
    changed = dice.sample(CHILDREN, 12)
    wanted = {name: {**declared[name], **CHANGES[number % 3]} for number, name in enumerate(changed)}
    removed = dice.sample(sorted({*CHILDREN} - {*changed}), REMOVED)
    then = {name: more for name, more in {**declared, **wanted}.items() if name not in removed}
    present: dict[str, str] = {}
    for fleet, of_all in ((declared, ""), (then, dice.choice(OF_ALL))):
        present = versions(scene)
        scene.declare(fleet, **PACE)
        lie_in_wait(scene, {name: Interruption(dice.randrange(40)) for name in dice.sample(CHILDREN, DISTURBED)})
        scene.stage.set_faults([*faults(dice), *filter(None, [of_all])])
        ended = scene.fleet(*APPLY)
        print(f"seed {seed}: exit code {ended.code} after {time.monotonic() - began:.0f} s")
        if ended.code not in (0, 1, 3):
            return [f"exit code {ended.code}: {ended.output}"]
        scene.stage.cloud.faults.clear()
    heal(scene)
    time_passes(scene)
    wrong = list(still_to_do(scene)) or list(broken(scene, then, present))
    print(f"seed {seed}: {time.monotonic() - began:.0f} s, {scene.creates().total()} creates")
    return wrong


def time_passes(scene: Scene) -> None:
    """So much that a server which is not up by now is one that the cloud could not make."""
    for row in list(scene.servers().values()):
        created = datetime.fromisoformat(row.created) - timedelta(seconds=2 * CREATE_TIMEOUT)
        scene.stage.cloud.servers.put(replace(row, created=created.strftime("%Y-%m-%dT%H:%M:%SZ")))


def faults(dice: random.Random) -> Iterator[str]:
    """Either creates fail or their answers are lost: one that does both is waited for until first boot's time is up."""
    creates_fail = dice.random() < 0.5
    kinds = (ANY_REQUEST, CHANGING, CREATING) if creates_fail else (ANY_REQUEST, CHANGING)
    requests = REQUESTS if creates_fail else (*REQUESTS, *("POST /servers",) * 3)
    for _ in range(dice.randint(6, 14)):
        text = dice.choice(dice.choice(kinds)).format(dice.choice(requests))
        yield f"{text} {dice.randint(1, 3)}" if text.startswith("refuse") else f"{text} '' {dice.randint(1, 3)}"
    if lasting := dice.choice(LASTING):
        yield lasting


def still_to_do(scene: Scene) -> Iterator[str]:
    """Nothing after at most CALM applies."""
    for _ in range(CALM):
        ended = scene.fleet(*APPLY)
        if ended.code == 0 and "No changes" in ended.output:
            return
    yield f"still to do: {ended.output}"


def broken(scene: Scene, declared: Declared, before: Mapping[str, str]) -> Iterator[str]:
    """One server for each child, made once more only for each that failed, and nothing left of those.

    `before` are the versions just before the file asked for others.
    """
    found, cloud = outcome(scene), scene.stage.cloud
    if found["to do"] or found["said"]:
        yield f"plans {found['to do']}, says {found['said']}"
    if set(scene.servers()) != set(declared):
        yield f"servers: {sorted(set(scene.servers()) ^ set(declared))}"
    making = ("create_server", "start_server")
    failed = {action.server_id for action in cloud.actions.by_id.values() if action.command in making and action.error}
    creates = scene.creates()
    if creates.total() > len(creates) + len(failed):
        yield f"{len(failed)} creates failed, and there were more: {creates - Counter(list(creates))}"
    left = (found["addresses"] - 2 * len(declared), found["keys"], list(found["firewalls"]))
    if left != (0, ["demo"], ["demo"]):
        yield f"addresses, keys, firewalls: {left}"
    yield from unlike(found, declared, before)


def unlike(found: dict[str, Any], declared: Declared, before: Mapping[str, str]) -> Iterator[str]:
    """Who was at another version has a copy of its state, with the release that can read it; all others have none.

    Apart from that each child's facts are those of the first one of which the file says the same.
    """
    models: dict[str, dict[str, Any]] = {}
    for name, more in sorted(declared.items()):
        facts, now = dict(found["facts"][name]), more.get("version", CHILD["version"])
        left = {before.get(name, now)} - {now}
        kept = {"checkpoints": sorted(left), "releases": tuple(sorted({now, *left}))}
        yield from (f"{name}: {text}" for text in differences({part: facts.pop(part, None) for part in kept}, kept))
        yield from (f"{name}: {text}" for text in differences(facts, models.setdefault(str(more), facts)))


def versions(scene: Scene) -> dict[str, str]:
    """By child, the release that is linked on its host, asked of the host itself; who has none yet is left out."""
    ask = scene.stage.machines.ask
    linked = {child: ask(number, lambda host: host.links.get(CURRENT, "")) for child, number in machines(scene).items()}
    return {child: link.rpartition("/")[2] for child, link in linked.items() if link}
