"""Cases on a change of version and the way back, with a gateway that runs. One release stands for both."""

from __future__ import annotations

import json
from typing import Any, Final

from reconciler.commands import (
    begin_switch,
    clear_strays,
    go_back,
    install_file,
    make_directory,
    make_switch,
    postpone_return,
    remove_file,
    restart_unit,
    stay,
    take_checkpoint,
)
from reconciler.commands.switching import CHECKPOINTS, HELD_PATH, PATIENCE, SWITCH
from reconciler.managed import files
from reconciler.model import Json
from tests.contract.host_cases.case import Case, Ready, Reboot, Step, Wait, file, holding
from tests.contract.host_cases.releases import HEALTHY, OURS, STARTED, VERSION

ID: Final = "20261126T184500Z"
OLDER: Final = "20261120T080000Z"
NOTE: Final = f"{files.HOME}/.openclaw/NOTE.md"
HELD: Final[Json] = {"version": "2026.9.9", "reason": "it never got ready", "at": "2026-11-26T18:47:00+00:00"}
THEN, NOW = b"as it was then", b"as it is now"
COPY: Final[Json] = {"id": ID, "version": VERSION}
OLD_COPY: Final[Json] = {"id": OLDER, "version": VERSION}

_note_then: Final = install_file(NOTE, THEN, OURS, "0600")
_note_now: Final = install_file(NOTE, NOW, OURS, "0600")
_begin: Final = begin_switch(ID, VERSION, VERSION)
_take: Final = take_checkpoint(ID, VERSION)
_make: Final = make_switch(VERSION)
# What an earlier case has left does not count, nor what it was to do later.
RUNNING: Final[tuple[Step, ...]] = (
    Reboot(),
    make_directory(files.NOTES, "root:root", "0700"),
    *(remove_file(SWITCH), clear_strays(CHECKPOINTS, "*", ()), remove_file(HELD_PATH)),
    *STARTED[1:],
    _note_then,
)
STOPPED: Final[dict[str, Json]] = {"starts": 1}


def switch(*, is_made: bool = False, is_undone: bool = False, restore: str = "") -> dict[str, Json]:
    return {
        "checkpoint": ID,
        "origin": VERSION,
        "target": VERSION,
        "restore": restore,
        "is_made": is_made,
        "is_undone": is_undone,
        "starts": 1 if is_made else 0,
    }


def case(name: str, does: tuple[Step, ...], versions: dict[str, Json], **more: Any) -> Case:
    known: dict[str, Any] = {"started": files.STARTED_PATH, "token": files.GATEWAY_TOKEN_PATH, "notes": files.NOTES}
    return Case(name, [*RUNNING, *does], versions=versions, **{**known, **more})


def codes(count: int, *last: int) -> list[int]:
    """All 0 but for the last ones, of so many after RUNNING."""
    return [0] * (len(RUNNING) + count - len(last)) + list(last)


CASES: Final = (
    case("a switch that is begun stops the gateway", (_begin,), {"switch": switch()}, gateway=STOPPED),
    case(
        "a checkpoint is taken of a gateway that is stopped",
        (_begin, _take),
        {"switch": switch(), "checkpoints": [COPY]},
        gateway=STOPPED,
    ),
    case(
        "no checkpoint is taken of a gateway that runs",
        (_begin, restart_unit(files.UNIT), Ready(), _take),
        {"switch": switch()},
        gateway={**HEALTHY, "starts": 2},
        codes=codes(4, 1),
    ),
    case(
        "no switch is made without a checkpoint",
        (_begin, _make),
        {"switch": switch()},
        gateway=STOPPED,
        codes=codes(2, 1),
    ),
    case(
        "a switch is made over a checkpoint",
        (_begin, _take, _make),
        {"switch": switch(is_made=True), "checkpoints": [COPY]},
        gateway=STOPPED,
    ),
    case(
        "nobody goes on with a switch that was not begun", (postpone_return(),), {}, gateway=HEALTHY, codes=codes(1, 1)
    ),
    case(
        "a switch that stays leaves its checkpoint, and staying twice is staying once",
        (_begin, _take, _make, stay(ID, json.dumps(HELD).encode()), stay(ID, json.dumps(HELD).encode())),
        {"checkpoints": [COPY], "held": HELD},
        gateway=STOPPED,
    ),
    case(
        "who goes back has the state of then, and what came since is set aside",
        (_begin, _take, _make, _note_now, go_back(json.dumps(HELD).encode()), Ready()),
        {"checkpoints": [COPY], "held": HELD},
        sees=[
            (file(NOTE), holding(THEN, OURS, "0600")),
            (file(f"{CHECKPOINTS}/{ID}.aside/.openclaw/NOTE.md"), holding(NOW, OURS, "0600")),
        ],
        gateway={**HEALTHY, "starts": 2},
    ),
    case(
        "who goes back before the switch was made keeps the state that there is",
        (_begin, _take, _note_now, go_back(), Ready()),
        {"checkpoints": [COPY]},
        sees=[(file(NOTE), holding(NOW, OURS, "0600"))],
        gateway={**HEALTHY, "starts": 2},
    ),
    case(
        "a switch may go on with an older state",
        (
            *(
                begin_switch(OLDER, VERSION, VERSION),
                take_checkpoint(OLDER, VERSION),
                make_switch(VERSION),
                stay(OLDER),
            ),
            _note_now,
            *(begin_switch(ID, VERSION, VERSION, OLDER), _take, _make),
        ),
        {"switch": switch(is_made=True, restore=OLDER), "checkpoints": [OLD_COPY, COPY]},
        sees=[(file(NOTE), holding(THEN, OURS, "0600"))],
        gateway=STOPPED,
    ),
    case(
        "a host that hears nothing more goes back by itself",
        (_begin, _take, _make, _note_now, Wait(PATIENCE + 10), Ready()),
        {"checkpoints": [COPY]},
        sees=[(file(NOTE), holding(THEN, OURS, "0600"))],
        gateway={**HEALTHY, "starts": 2},
    ),
    case(
        "a damaged checkpoint is not put in the place of what there is",
        (
            *(_begin, _take, _make, install_file(f"{CHECKPOINTS}/{ID}/state.tar", b"?", "root:root", "0600")),
            *(go_back(), Ready()),
        ),
        {"switch": switch(is_made=True, is_undone=True), "checkpoints": [COPY]},
        sees=[(file(NOTE), holding(THEN, OURS, "0600"))],
        gateway={**HEALTHY, "starts": 2},
        codes=codes(6, 1, 0),
    ),
)
