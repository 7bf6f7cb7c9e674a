"""The shell programs of a change of versions, run by a real sh, and killed at every moment.

Whatever is killed when, and then left alone: the host brings itself back to a release and the state that belongs to it,
with a gateway that runs; it was never started on anything else; and no state that ever was there is lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from reconciler import commands
from reconciler.commands.switching import CHECKPOINTS, HELD_PATH
from reconciler.managed import files
from tests.fakes.damage import flip_last_byte
from tests.fakes.shell_host import WATCHED, ShellHost
from tests.fakes.states import Tree
from tests.unit.switching import (
    FIRST,
    HELD,
    LAST,
    LONG_AFTER,
    NEW,
    OLD,
    SECOND,
    START,
    STORIES,
    UP,
    Story,
    Watch,
    some,
    well,
)

stories = pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)


@pytest.fixture
def host() -> Iterator[ShellHost]:
    """In memory: it is copied and compared for every moment."""
    with TemporaryDirectory(prefix="fleet-shell-", dir="/dev/shm") as place:
        yield ShellHost(Path(place) / "host", OLD)


@stories
def test_a_command_that_is_killed_at_any_moment_is_undone_by_the_host(host: ShellHost, story: Story) -> None:
    watch, wrong = Watch(host, story), []
    for command in watch.chapters():
        if command not in (None, START):
            assert command is not None
            found = watch.kills(partial(host.does, command))
            wrong += [f"{command.name} {text}" for text in found]
    assert not wrong, "\n".join(wrong)


@stories
def test_a_return_that_is_killed_at_any_moment_is_ended_by_the_next(host: ShellHost, story: Story) -> None:
    watch, wrong = Watch(host, story), []
    for command in watch.chapters():
        if host.is_switching:
            host.set_uptime(LONG_AFTER)
            found = watch.kills(host.looks_whether_to_return)
            wrong += [f"return before {command and command.name} {text}" for text in found]
    assert not wrong, "\n".join(wrong)


@stories
def test_a_return_from_the_midst_of_making_the_switch_is_ended_too(host: ShellHost, story: Story) -> None:
    """Both are killed, one after the other, at every moment of both."""
    watch, wrong = Watch(host, story), []
    for command in story.commands()[:2]:
        well(host.does(command))
    begun, make, known = watch.saved("taken"), story.commands()[2], list[Tree]()
    well(host.does(make, WATCHED))
    for moment in some(host.moments()):
        host.restore(begun)
        host.does(make, moment)
        if (left := host.disk()) in known:
            continue
        known.append(left)
        host.set_uptime(LONG_AFTER)
        found = watch.kills(host.looks_whether_to_return, always_again=False)
        wrong += [f"made until {moment}, return {text}" for text in found]
    assert not wrong, "\n".join(wrong)


@stories
def test_a_killed_order_to_go_back_leaves_its_note_as_a_whole_or_none(host: ShellHost, story: Story) -> None:
    watch = Watch(host, story)
    for command in story.commands()[:4]:
        well(host.does(command))
    wrong = list(watch.kills(partial(host.does, commands.go_back(story.origin, HELD))))
    assert not wrong, "\n".join(wrong)
    well(host.does(commands.go_back(story.origin, HELD)))
    assert watch.wrong() == []
    assert host.at(HELD_PATH).read_bytes() == HELD


def test_a_note_that_has_not_arrived_as_a_whole_is_none(host: ShellHost) -> None:
    begin, take, make, start, _ = UP.commands()
    for command in (begin, take, replace(make, stdin=HELD[:-1]), make, start):
        done = host.does(command)
        assert (done.returncode == 0) == (command.stdin in (b"", HELD)), done
    other = b"[]"
    for ends in (commands.go_back(OLD, other), commands.stay(FIRST, NEW, other)):
        done = host.does(replace(ends, stdin=other[:-1]))
        assert b"the note has not arrived as a whole" in done.stderr
        assert host.is_switching
    host.set_uptime(LONG_AFTER)
    well(host.looks_whether_to_return())
    assert (host.linked, host.is_running, host.at(HELD_PATH).read_bytes()) == (OLD, True, HELD)


@stories
def test_a_reboot_brings_it_back_before_the_gateway_starts(host: ShellHost, story: Story) -> None:
    watch = Watch(host, story)
    for _ in watch.chapters():
        if host.is_switching:
            host.reboot()
            assert watch.wrong() == []


@stories
def test_the_host_waits_for_as_long_as_it_was_told(host: ShellHost, story: Story) -> None:
    watch = Watch(host, story)
    for command in watch.chapters():
        if host.is_switching:
            host.set_uptime(host.postponed_to - 1)
            before = host.home(), host.linked, host.is_running
            well(host.looks_whether_to_return())
            assert host.is_switching, command
            assert (host.home(), host.linked, host.is_running) == before
            well(host.does(commands.postpone_return()))
            host.set_uptime(host.postponed_to)
            well(host.looks_whether_to_return())
            assert not host.is_switching


@stories
def test_who_comes_too_late_is_told_so_and_changes_nothing(host: ShellHost, story: Story) -> None:
    watch = Watch(host, story)
    for command in watch.chapters():
        if host.is_switching and command not in (None, START):
            assert command is not None
            watch.left_alone()
            for late in (command, commands.postpone_return()):
                assert b"the host has gone back by itself" in host.does(late).stderr, command
            assert watch.wrong() == []


def test_each_command_can_be_given_twice(host: ShellHost) -> None:
    """Its answer was lost."""
    for command in UP.commands():
        well(host.does(command))
        well(host.does(command))
    assert (host.linked, host.is_switching) == (NEW, False)


def test_nothing_is_stopped_where_there_is_no_room_or_no_way(host: ShellHost) -> None:
    begin, take, *_ = UP.commands()
    for command in UP.commands():
        well(host.does(command))
    before = host.home()
    archive = host.at(f"{CHECKPOINTS}/{FIRST}/state.tar")
    for late, what in (
        (commands.begin_switch(SECOND, NEW, OLD, LAST), b"there is no checkpoint"),
        (begin, b"there is a checkpoint"),
    ):
        assert what in host.does(late).stderr
    down = commands.begin_switch(SECOND, NEW, OLD, FIRST)
    (host.top / "free").write_text("1000\n")
    assert b"the disk has 0 MB left" in host.does(down).stderr
    (host.top / "free").write_text("10000000\n")
    flip_last_byte(archive)
    assert b"is damaged" in host.does(down).stderr
    assert (host.home(), host.is_running, host.is_switching) == (before, True, False)
    assert b"the host has gone back" in host.does(take).stderr


def test_a_copy_that_fails_makes_nobody_wait_for_as_long_as_it_might_have_taken(host: ShellHost) -> None:
    begin, take, *_ = UP.commands()
    well(host.does(begin))
    usual = host.postponed_to
    (host.top / "free").write_text("1000\n")
    assert b"the disk has 0 MB left" in host.does(take).stderr
    assert host.postponed_to == usual


def test_a_running_gateway_is_neither_copied_nor_exchanged(host: ShellHost) -> None:
    begin, take, make, *_ = UP.commands()
    well(host.does(begin))
    (host.top / "active" / files.UNIT).touch()
    assert b"the gateway runs" in host.does(take).stderr
    (host.top / "active" / files.UNIT).unlink()
    well(host.does(take))
    (host.top / "active" / files.UNIT).touch()
    assert b"the gateway runs" in host.does(make).stderr
    assert host.linked == OLD


@stories
def test_a_copy_that_is_made_again_and_killed_is_never_taken_for_a_whole_one(host: ShellHost, story: Story) -> None:
    """Whoever made it did not hear that it was there."""
    watch, wrong = Watch(host, story), []
    begin, take, make, *_ = story.commands()
    for command in (begin, take):
        well(host.does(command))
    taken = watch.saved("taken")
    well(host.does(take, WATCHED))
    for moment in some(host.moments()):
        host.restore(taken)
        host.does(take, moment)
        if host.does(make).returncode == 0:
            well(host.does(START))
        watch.left_alone()
        wrong += [f"take killed {moment}: {text}" for text in watch.wrong()]
    assert not wrong, "\n".join(wrong)


def test_a_home_that_cannot_be_exchanged_by_a_rename_is_left_alone(host: ShellHost) -> None:
    begin, *_ = UP.commands()
    for tool, answer in (("mountpoint", "exit 0"), ("stat", 'for path; do echo "$path"; done')):
        host.fake(tool, answer)
        assert b"cannot be exchanged" in host.does(begin).stderr, tool
        assert (host.is_running, host.is_switching) == (True, False)
        (host.top / "fakes" / tool).unlink()
    well(host.does(begin))


def test_a_state_comes_back_although_somebody_has_removed_the_unit(host: ShellHost) -> None:
    """The next apply, which goes back first, puts the unit there and starts it."""
    for command in UP.commands()[:4]:
        well(host.does(command))
    (host.top / "active" / files.UNIT).unlink()
    host.fake("systemctl", f'case "$*" in *{files.UNIT}*) exit 5 ;; esac')
    well(host.does(commands.go_back(OLD, HELD)))
    assert (host.linked, host.is_switching) == (OLD, False)
