"""Children whose hosts are each interrupted once, at one command of their own."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final, cast

from reconciler.sandbox.ports import Machines, MachineSpec
from reconciler.sandbox.simulated.machines import SimulatedMachines
from reconciler.sandbox.simulated.trouble import Interruption, Trouble
from tests.kills.scene import PATIENCE, Scene

Interruptions = Mapping[str, Interruption]  # by child

EVERY: Final = 0.05  # seconds between looks at them


class Ambush:
    """The Machines port: a new machine finds its interruption waiting."""

    def __init__(self, machines: SimulatedMachines, interruptions: Interruptions) -> None:
        self._machines, self._interruptions = machines, interruptions

    def __getattr__(self, name: str) -> Any:
        return getattr(self._machines, name)

    def create(self, machine: MachineSpec) -> None:
        self._machines.create(machine)
        planned = self._interruptions.get(machine.hostname.removeprefix("demo-"))
        self._machines.make_trouble(machine.id, Trouble(interruption=planned))


def lie_in_wait(scene: Scene, interruptions: Interruptions) -> None:
    """For the children that there are, and for those that will be made."""
    for child, number in machines(scene).items():
        scene.stage.machines.make_trouble(number, Trouble(interruption=interruptions.get(child)))
    scene.stage.cloud.machines = cast(Machines, Ambush(scene.stage.machines, interruptions))


def missed(scene: Scene) -> list[str]:
    """The children whose interruption has not come."""
    troubles = {child: scene.stage.machines.trouble(number) for child, number in machines(scene).items()}
    return [child for child, trouble in troubles.items() if trouble.interruption is not None]


def heal(scene: Scene) -> None:
    for number in machines(scene).values():
        scene.stage.machines.make_trouble(number, Trouble())


def machines(scene: Scene) -> dict[str, int]:
    """By child; a server whose creation failed has none."""
    return {spec.hostname.removeprefix("demo-"): spec.id for spec in scene.stage.machines.specs()}


def kill_when_all_are_met(scene: Scene, *arguments: str) -> None:
    """`fleet ARGUMENTS`, killed as soon as every child was interrupted: its operator gives up."""
    declared, deadline = len(scene.declared()), time.monotonic() + PATIENCE
    with scene.start(*arguments) as process:
        try:
            while len(machines(scene)) < declared or missed(scene):
                assert process.poll() is None, "it ended although nobody answers"
                assert time.monotonic() < deadline, missed(scene)
                time.sleep(EVERY)
        finally:
            process.kill()
