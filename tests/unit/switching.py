"""Changes of version as an operator tells a host of them, and what must hold of that host whatever happens to it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from reconciler import commands
from reconciler.commands.switching import HELD_PATH
from reconciler.managed import files
from reconciler.model import Command
from tests.extent import FULL
from tests.fakes.shell_host import WATCHED, Moment, ShellHost, was_killed
from tests.fakes.states import Tree

OLD: Final = "2026.9.6"
NEW: Final = "2026.9.7"
FIRST, SECOND, LAST = "20261126T184500Z", "20261126T184501Z", "20261126T184502Z"
START: Final = commands.restart_unit(files.UNIT)
HELD: Final = b'{"version": "2026.9.7", "reason": "it was not healthy", "at": ""}'
LONG_AFTER: Final = 1_000_000  # seconds of uptime
EVERY: Final = 8  # one moment in so many, in the quick suite

Does = Callable[[Moment], "subprocess.CompletedProcess[bytes]"]


@dataclass(frozen=True)
class Story:
    """From one version to another, as an operator tells a host; `before` is what it has been through by then."""

    origin: str
    target: str
    checkpoint: str
    restore: str | None = None
    before: Callable[[ShellHost], None] = lambda host: None

    def commands(self) -> list[Command]:
        return [
            commands.begin_switch(self.checkpoint, self.origin, self.target, self.restore),
            commands.take_checkpoint(),
            commands.make_switch(HELD),
            START,
            commands.stay(self.checkpoint, self.target),
        ]


UP: Final = Story(OLD, NEW, FIRST)


def has_gone_up(host: ShellHost) -> None:
    for command in UP.commands():
        well(host.does(command))
    (host.at(files.HOME) / "memory/since").write_text("my dog is called Bello")


STORIES: Final = {
    "up": UP,
    "down to a checkpoint": Story(NEW, OLD, SECOND, FIRST, has_gone_up),
    "to an older state of the same version": Story(NEW, NEW, SECOND, FIRST, has_gone_up),
}


def some(moments: list[Moment]) -> list[Moment]:
    """In the quick suite those in the midst of a command, and a few of the others."""
    return [moment for moment in moments if FULL or moment.where != "after" or is_one_in_many(moment)]


def is_one_in_many(moment: Moment) -> bool:
    return moment.where == "after" and moment.number % EVERY == 1


def well(done: subprocess.CompletedProcess[bytes]) -> None:
    assert done.returncode == 0, done


class Watch:
    """What must hold of a host in a story, whatever happens to it. The story is told once undisturbed, to know it."""

    def __init__(self, host: ShellHost, story: Story) -> None:
        self.host, self.story = host, story
        story.before(host)
        begun, self.earlier = self.saved("begun"), len(host.starts())
        self.origin_state = host.home()
        for command in story.commands():
            well(host.does(command))
        [(_, self.taken_over)] = host.starts()[self.earlier :]
        self.target_state = host.home()
        host.restore(begun)

    def chapters(self) -> Iterator[Command | None]:
        """Each command that comes next; none at the end. A host that was meddled with goes on as if it was not."""
        for number, command in enumerate([*self.story.commands(), None]):
            saved = self.saved(f"before-{number}")
            yield command
            self.host.restore(saved)
            if command is not None:
                well(self.host.does(command))

    def kills(self, does: Does, *, always_again: bool = FULL) -> Iterator[str]:
        """What is wrong after `does` was killed, for each moment of it. The host is left alone, then tries again.

        Unless `always_again`, that last is five more commands that it does after one moment in so many only. Moments
        that leave a disk as another one has left it are one and the same: nothing but the disk outlives the power.
        """
        saved, known = self.saved("trial"), list[Tree]()
        well(does(WATCHED))
        for moment in some(self.host.moments()):
            self.host.restore(saved)
            done = does(moment)
            assert was_killed(done), done
            if (left := self.host.disk()) in known:
                continue
            known.append(left)
            self.left_alone()
            found = [*self.wrong(), *(self.wrong_again() if always_again or is_one_in_many(moment) else ())]
            yield from (f"killed {moment}: {text}" for text in found)
        self.host.restore(saved)

    def left_alone(self) -> None:
        """But for somebody who starts the gateway in the midst of it, as systemd does after a failure."""
        if self.host.is_switching:
            self.host.run(["systemctl", "start", files.UNIT])
        self.host.set_uptime(LONG_AFTER)
        well(self.host.looks_whether_to_return())

    def wrong(self) -> list[str]:
        """If the target has run, what it has made of the state is a state, too."""
        host = self.host
        begins, starts = (self.story.target, self.taken_over), host.starts()[self.earlier :]
        right = [(self.story.origin, self.origin_state)]
        if begins in starts:
            right.append((self.story.target, self.target_state))
        kept, held = [host.home(), *host.kept()], host.at(HELD_PATH)
        tests = (
            (not host.is_switching, "the switch is not over"),
            (host.is_running, "the gateway does not run"),
            ((host.linked, host.home()) in right, f"{host.linked} is linked, and its state is not there"),
            (all(start in (*right, begins) for start in starts), "it was started on another state"),
            (all(state in kept for _, state in right), "a state is lost"),
            (not held.exists() or held.read_bytes() == HELD, "its note is not whole"),
        )
        return [text for holds, text in tests if not holds]

    def wrong_again(self) -> list[str]:
        """Where it has gone back, the same switch is made once more and ends well."""
        host = self.host
        if host.home() == self.target_state:
            return []
        for command in replace(self.story, checkpoint=LAST).commands():
            done = host.does(command)
            if done.returncode:
                return [f"and again: {command.name}: {done.stderr.decode()}"]
        strays = {path.name for path in host.at(files.NOTES).iterdir()} - set(files.NOTED)
        tests = (
            (host.linked == self.story.target, "and again: it is not linked"),
            (host.home() == self.target_state, "and again: its state is not there"),
            (not strays, f"and again: left behind: {strays}"),
        )
        return [text for holds, text in tests if not holds]

    def saved(self, name: str) -> Path:
        place = self.host.top.with_name(name)
        subprocess.run(["rm", "-rf", "--", place], check=True)
        self.host.save(place)
        return place
