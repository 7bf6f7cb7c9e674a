"""`fleet apply` is killed at seeded moments, against the emulator over HTTP and simulated machines over SSH.

However often it dies, the apply that lives ends where an undisturbed one ends, field by field; every server was posted
once, by the emulator's own log; and no machine was rebooted, no gateway restarted, that nobody wanted changed.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.crash.comparing import differences
from tests.extent import seeds
from tests.kills.comparing import Marks, marks, outcome
from tests.kills.killing import kill_after, moments
from tests.kills.phases import ALLOWED, BYSTANDER, CREATES, CREATES_CHANGED, FIRST, change, in_words
from tests.kills.scene import OpenScene, Scene, scenes

SEEDS: Final = seeds(quick=2, full=5)
KILLS: Final = 5  # of each seed's first apply, and as many of its change
NEVER: Final = 1_000_000
SWITCHING: Final = ("alice", "carol")  # to another version, to another server: who is cut off is proven again
MORE_STARTS: Final = 3 * KILLS


@dataclass
class Calm:
    """What an undisturbed apply leads to, and how many signs of life it gives."""

    signs: int
    outcome: dict[str, Any]
    marks: Mapping[str, Marks]

    @classmethod
    def after(cls, scene: Scene, *options: str) -> Calm:
        died = kill_after(scene, NEVER, "apply", "--yes", *options)
        assert died.code == 0, died.output
        return cls(died.signs, outcome(scene), marks(scene))


@pytest.fixture(scope="module")
def open_scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenScene]:
    with scenes(tmp_path_factory.mktemp("scenes")) as open_scene:
        yield open_scene


@pytest.fixture(scope="module")
def calm(open_scene: OpenScene) -> tuple[Calm, Calm]:
    """After the first apply, and after the change."""
    with open_scene() as scene:
        scene.declare(FIRST)
        first = Calm.after(scene)
        change(scene)
        return first, Calm.after(scene, *ALLOWED)


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_again_and_again(seed: int, open_scene: OpenScene, calm: tuple[Calm, Calm]) -> None:
    dice, (first, changed) = random.Random(seed), calm
    with open_scene() as scene:
        scene.declare(FIRST)
        kill(scene, moments(dice, first.signs, KILLS), keeps_state=seed % 2 == 0)
        assert_same(scene, first)
        assert scene.creates() == CREATES
        before = marks(scene)
        assert {name: found.starts for name, found in before.items()} == dict.fromkeys(FIRST, 1)

        change(scene)
        kill(scene, moments(dice, changed.signs, KILLS), *ALLOWED, keeps_state=seed % 2 == 0)
        assert_same(scene, changed)
        assert in_words(scene.creates()) == CREATES_CHANGED
        after = marks(scene)
        assert after[BYSTANDER] == before[BYSTANDER]
        for name in ("alice", "bob"):
            assert after[name][:2] == before[name][:2], f"another server, or another boot: {name}"


def kill(scene: Scene, when: Iterator[int], *options: str, keeps_state: bool) -> None:
    """One apply after the other is killed, and one more lives."""
    for moment in when:
        died = kill_after(scene, moment, "apply", "--yes", *options)
        print(f"killed after {died.signs} signs: {died.output.splitlines()[-1:]}")
        assert died.code < 0, f"ended before its killer came: it was never in danger\n{died.output}"
        if not keeps_state:
            shutil.rmtree(scene.directory / "state", ignore_errors=True)
    ended = scene.fleet("apply", "--yes", *options)
    assert ended.code == 0, ended.output


def assert_same(scene: Scene, calm: Calm) -> None:
    found = outcome(scene)
    assert not list(differences(found, calm.outcome))
    assert (found["to do"], found["said"]) == ([], [])
    assert found["addresses"] == 2 * len(found["servers"]), "an address belongs to nobody"
    for name, now in marks(scene).items():
        more = now.starts - calm.marks[name].starts
        assert 0 <= more <= (MORE_STARTS if name in SWITCHING else 0), name
