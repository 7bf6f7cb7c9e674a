"""Every step of CONVERGE is interrupted in its middle, against the emulator over HTTP and simulated machines over SSH.

The connection breaks off, the machine reboots, or the network is cut and the operator killed: the next apply reaches
the same facts as an undisturbed one, field by field. Each child is interrupted once, at a command of its own; `calm`
is not interrupted, and is the first that gets the release.

Steps that only another version or another server has something to do in are elsewhere: see spans.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import pytest

from reconciler.actions import create, update
from reconciler.model import LABEL_PREFIX, ChildSpec
from reconciler.sandbox.simulated.trouble import Fate, Interruption, Moment
from reconciler.steps import CONVERGE
from tests.crash.comparing import differences
from tests.kills.comparing import marks, outcome
from tests.kills.interrupting import heal, kill_when_all_are_met, lie_in_wait, missed
from tests.kills.phases import meddle
from tests.kills.scene import OpenScene, Scene, scenes
from tests.kills.spans import CHILD, REMEMBERING, SWITCHING, Spans, fleet_of, spans
from tests.kills.spans import FIRST as CALM

MORE: Final[dict[str, Any]] = {"files": {"SOUL.md": {"text": "You are one of many.", "mode": "managed"}}}
# Nobody knows which release runs where the link is broken, so the mend of it counts as another version.
ALL_AT_ONCE: Final = {"canaries": 0, "batch": "100%", "soak": 0}
AT_THE_CLOUD: Final = {"power on", "way in", "backups", "ssh from"}  # steps that send no command to a host


@pytest.fixture(scope="module")
def open_scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenScene]:
    with scenes(tmp_path_factory.mktemp("scenes")) as open_scene:
        yield open_scene


@pytest.fixture(scope="module")
def both(open_scene: OpenScene, tmp_path_factory: pytest.TempPathFactory) -> tuple[Spans, Spans]:
    """The commands of a first apply, and those of an apply that repairs everything."""
    with open_scene() as scene:
        first, then = declared(scene, {}), declared(scene, MORE)
    world = fleet_of(tmp_path_factory.mktemp("memory") / "state", first)
    made = spans(world, create.STEPS)
    world.specs = {name: replace(then, name=name, bot_token=spec.bot_token) for name, spec in world.specs.items()}
    for name in world.specs:
        meddle(world.host(name))
    return made, spans(world, update.STEPS)


def declared(scene: Scene, more: dict[str, Any]) -> ChildSpec:
    scene.declare({CHILD: more})
    return scene.declared()[CHILD]


def test_every_step_is_among_them(both: tuple[Spans, Spans]) -> None:
    assert {*both[0], *both[1], *AT_THE_CLOUD, *SWITCHING, *REMEMBERING} == {step.name for step in CONVERGE}


@pytest.mark.parametrize(("fate", "moment"), [(Fate.HANGS_UP, Moment.AFTER), (Fate.REBOOTS, Moment.WITHIN)])
def test_every_command_is_interrupted(
    fate: Fate, moment: Moment, open_scene: OpenScene, both: tuple[Spans, Spans]
) -> None:
    """The operator lives, and goes on by itself where it can."""
    first, repair = (sorted(number for span in found.values() for number in span) for found in both)
    with open_scene() as scene:
        names = [f"c{number}" for number in range(max(len(first), len(repair)))]
        begin(scene, names)
        lie_in_wait(scene, {f"c{number}": Interruption(number, moment, fate) for number in first})
        apply_interrupted(scene, fate)
        assert boots(scene) == {name: 2 if fate is Fate.REBOOTS and name != CALM else 1 for name in (*names, CALM)}

        scene.declare(dict.fromkeys((*names, CALM), MORE), rollout=ALL_AT_ONCE)
        for name in (*names, CALM):
            scene.ask(name, meddle)
        # The plan's own look is one more command.
        lie_in_wait(scene, {f"c{number}": Interruption(number + 1, moment, fate) for number in repair})
        apply_interrupted(scene, fate)


def test_the_network_is_cut_in_every_step(open_scene: OpenScene, both: tuple[Spans, Spans]) -> None:
    """The operator waits in vain and is killed; the network comes back, and somebody applies again."""
    first, repair = both
    with open_scene() as scene:
        numbers = {name.replace(" ", "-"): name for name in {**first, **repair}}
        begin(scene, numbers)
        lie_in_wait(scene, {name: middle(first[step]) for name, step in numbers.items() if step in first})
        kill_when_all_are_met(scene, "apply", "--yes")
        heal(scene)
        assert_next_apply_ends_it(scene)
        assert boots(scene) == dict.fromkeys((*numbers, CALM), 1)
        assert {found.starts for found in marks(scene).values()} == {1}

        scene.declare(dict.fromkeys((*numbers, CALM), MORE), rollout=ALL_AT_ONCE)
        for name in (*numbers, CALM):
            scene.ask(name, meddle)
        lie_in_wait(scene, {name: middle(repair[step], 1) for name, step in numbers.items() if step in repair})
        kill_when_all_are_met(scene, "apply", "--yes")
        heal(scene)
        assert_next_apply_ends_it(scene)
        assert boots(scene) == dict.fromkeys((*numbers, CALM), 1)


def test_a_step_at_the_cloud_loses_its_request_or_its_answer(open_scene: OpenScene) -> None:
    """The steps that send no command to a host: by child what it needs, and the request that breaks off."""
    steps: dict[str, tuple[dict[str, Any], str]] = {
        "power-on": ({}, "POST /servers/{}/actions/poweron"),
        "backups": ({"backups": True}, "POST /servers/{}/actions/enable_backup"),
        "ssh-from": ({"access": {"ssh_from": ["127.0.0.0/8"]}}, "PUT /servers/{}"),
    }
    names = {f"{step}-{fault}": step for step in steps for fault in (CALM, "drop", "drop-before")}
    with open_scene() as scene:
        scene.declare({name: {} for name in names})
        assert scene.fleet("apply", "--yes").code == 0
        unplug(scene, [name for name, step in names.items() if step == "power-on"])
        scene.declare({name: steps[step][0] for name, step in names.items()})
        faulty = {name: step for name, step in names.items() if not name.endswith(CALM)}
        requests = {name: steps[step][1].format(scene.servers()[name].id) for name, step in faulty.items()}
        scene.stage.set_faults([f'{name.removeprefix(faulty[name] + "-")} "{on}"' for name, on in requests.items()])
        scene.fleet("apply", "--yes")
        assert scene.stage.cloud.faults.all == []
        assert_next_apply_ends_it(scene, {name: f"{step}-{CALM}" for name, step in names.items()})
        assert boots(scene) == {name: 2 if step == "power-on" else 1 for name, step in names.items()}


def begin(scene: Scene, names: Iterable[str]) -> None:
    """All are declared, and the first one is there."""
    scene.declare({CALM: {}})
    assert scene.fleet("apply", "--yes").code == 0
    scene.declare({name: {} for name in (*names, CALM)})


def unplug(scene: Scene, names: list[str]) -> None:
    """Off, and of a first apply that did not end."""
    for name in names:
        row = scene.servers()[name]
        labels = {**row.labels, f"{LABEL_PREFIX}unfinished": "true"}
        scene.stage.machines.power_off(row.id)
        scene.stage.cloud.servers.put(replace(row, labels=labels, status="off"))


def middle(span: range, before: int = 0) -> Interruption:
    return Interruption(before + span[len(span) // 2], Moment.WITHIN, Fate.VANISHES)


def apply_interrupted(scene: Scene, fate: Fate) -> None:
    ended = scene.fleet("apply", "--yes")
    assert missed(scene) == []
    print("\n".join(line for line in ended.output.splitlines() if "failed" in line))
    if fate is Fate.HANGS_UP:
        assert ended.code == 0, ended.output
    assert_next_apply_ends_it(scene)


def assert_next_apply_ends_it(scene: Scene, models: Mapping[str, str] | None = None) -> None:
    """`models` says which undisturbed child each one must be like: `calm` unless told otherwise."""
    ended = scene.fleet("apply", "--yes")
    assert ended.code == 0, ended.output
    found = outcome(scene)
    assert (found["to do"], found["said"]) == ([], [])
    assert set(scene.creates().values()) == {1}
    for part in ("facts", "hosts", "servers"):
        like = {name: found[part][models[name] if models else CALM] for name in found[part]}
        wrong = {name: list(differences(one, like[name])) for name, one in found[part].items()}
        assert not {name: fields for name, fields in wrong.items() if fields}


def boots(scene: Scene) -> dict[str, int]:
    return {name: scene.ask(name, lambda host: host.boots) for name in scene.declared()}
