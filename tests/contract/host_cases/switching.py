"""Cases on a change of version and the way back, with a gateway that runs. One release stands for both."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from reconciler.commands import (
    begin_switch,
    clear_strays,
    daemon_reload,
    enable_unit,
    go_back,
    install_file,
    make_directory,
    make_switch,
    postpone_return,
    remove_file,
    restart_unit,
    stay,
    stop_unit,
    summarize_state,
    take_checkpoint,
)
from reconciler.commands.switching import (
    ASIDES,
    CHECKPOINTS,
    HELD_PATH,
    PATIENCE,
    RETURN_EVERY,
    RETURN_PATH,
    RETURN_PROGRAM,
    RETURN_SERVICE,
    RETURN_TIMER,
    SWITCH,
)
from reconciler.managed import files
from reconciler.model import Json
from tests.contract.host_cases.case import OURS, Case, Ready, Reboot, Step, Wait, file, holding
from tests.contract.host_cases.releases import HEALTHY, STARTED, VERSION

ID: Final = "20261126T184500Z"
OLDER: Final = "20261120T080000Z"
OTHER: Final = "20261126T190000Z"
ROOT: Final = "root:root"
NOTE: Final = f"{files.HOME}/.openclaw/NOTE.md"
LEFT: Final = f"{ID}@{VERSION}"
ASIDE: Final = f"{ASIDES}/{LEFT}/.openclaw/NOTE.md"
HELD: Final[Json] = {"version": "2026.9.9", "reason": "it never got ready", "at": "2026-11-26T18:47:00+00:00"}
HELD_TEXT: Final = json.dumps(HELD).encode()
THEN, NOW = b"as it was then", b"as it is now"
COPY: Final[dict[str, Json]] = {"id": ID, "version": VERSION, "left": False}
OLD_COPY: Final[Json] = {**COPY, "id": OLDER}

_note_then: Final = install_file(NOTE, THEN, OURS, "0600")
_note_now: Final = install_file(NOTE, NOW, OURS, "0600")
_begin: Final = begin_switch(ID, VERSION, VERSION)
_take: Final = take_checkpoint()
_make: Final = make_switch()
_stay: Final = stay(ID, VERSION)
# What an earlier case has left does not count, nor what it was to do later.
RUNNING: Final[tuple[Step, ...]] = (
    make_directory(files.NOTES, ROOT, "0700"),
    *(remove_file(SWITCH), clear_strays(CHECKPOINTS, "*", ()), clear_strays(ASIDES, "*", ()), remove_file(HELD_PATH)),
    install_file(RETURN_PATH, RETURN_PROGRAM.encode(), ROOT, "0755"),
    install_file(f"/etc/systemd/system/{RETURN_SERVICE}", files.RETURN_UNIT.encode(), ROOT, "0644"),
    install_file(f"/etc/systemd/system/{RETURN_TIMER}", files.RETURN_TIMER_UNIT.encode(), ROOT, "0644"),
    *(daemon_reload(), enable_unit(RETURN_SERVICE, RETURN_TIMER)),
    Reboot(),
    *STARTED[1:],
    _note_then,
)
STOPPED: Final[dict[str, Json]] = {"starts": 1}
TWICE: Final[dict[str, Json]] = {**HEALTHY, "starts": 2}


def switch(*, is_made: bool = False, is_undone: bool = False, restore: str = "") -> dict[str, Json]:
    return {
        "checkpoint": ID,
        "origin": VERSION,
        "target": VERSION,
        "restore": restore,
        "is_made": is_made,
        "is_undone": is_undone,
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
        "what a home holds is counted by table and file",
        (_begin, summarize_state()),
        {"switch": switch()},
        gateway=STOPPED,
        says=re.compile(rb'\{"databases": \{.*\}, "workspace": \{"files": \d+, "digest": "[0-9a-f]{64}"\}\}\n?'),
    ),
    case("a switch that is begun twice is begun once", (_begin, _begin), {"switch": switch()}, gateway=STOPPED),
    case(
        "there is one switch at a time",
        (_begin, begin_switch(OTHER, VERSION, VERSION)),
        {"switch": switch()},
        gateway=STOPPED,
        codes=codes(2, 1),
    ),
    case(
        "nothing starts the gateway while its state is taken",
        (_begin, restart_unit(files.UNIT)),
        {"switch": switch()},
        gateway=STOPPED,
    ),
    case(
        "a checkpoint is taken of a gateway that is stopped, and again instead",
        (_begin, _take, _take),
        {"switch": switch(), "checkpoints": [COPY]},
        gateway=STOPPED,
    ),
    case(
        "who stays with an older state has left the one of before the switch",
        (
            *(begin_switch(OLDER, VERSION, VERSION), _take, _make, stay(OLDER, VERSION)),
            *(begin_switch(ID, VERSION, VERSION, OLDER), _take, _make, stay(ID, VERSION)),
        ),
        {"checkpoints": [OLD_COPY, {**COPY, "left": True}]},
        gateway=STOPPED,
    ),
    case(
        "no checkpoint is taken of a gateway that runs",
        (_begin, _take, _make, restart_unit(files.UNIT), Ready(), _take),
        {"switch": switch(is_made=True), "checkpoints": [COPY]},
        gateway=TWICE,
        codes=codes(6, 1),
    ),
    case(
        "no switch is made without a checkpoint",
        (_begin, _make),
        {"switch": switch()},
        gateway=STOPPED,
        codes=codes(2, 1),
    ),
    case(
        "a switch is made over a checkpoint, and making it twice is making it once",
        (_begin, _take, _make, _make),
        {"switch": switch(is_made=True), "checkpoints": [COPY]},
        gateway=STOPPED,
    ),
    case(
        "nobody goes on with a switch that was not begun", (postpone_return(),), {}, gateway=HEALTHY, codes=codes(1, 1)
    ),
    case(
        "a switch that stays leaves its checkpoint, and staying twice is staying once",
        (_begin, _take, _make, stay(ID, VERSION, HELD_TEXT), stay(ID, VERSION, HELD_TEXT)),
        {"checkpoints": [COPY], "held": HELD},
        gateway=STOPPED,
    ),
    case(
        "who goes back has the state of then, and what came since is set aside",
        (_begin, _take, _make, _note_now, go_back(VERSION, HELD_TEXT), Ready()),
        {"checkpoints": [COPY], "asides": [LEFT], "held": HELD},
        sees=[(file(NOTE), holding(THEN, OURS, "0600")), (file(ASIDE), holding(NOW, OURS, "0600"))],
        gateway=TWICE,
    ),
    case(
        "who goes back twice goes back once, and why is kept also then",
        (_begin, _take, _make, _note_now, go_back(VERSION), Ready(), go_back(VERSION, HELD_TEXT)),
        {"checkpoints": [COPY], "asides": [LEFT], "held": HELD},
        sees=[(file(NOTE), holding(THEN, OURS, "0600"))],
        gateway=TWICE,
    ),
    case(
        "who has gone back cannot stay",
        (_begin, _take, _make, go_back(VERSION), Ready(), _stay),
        {"checkpoints": [COPY], "asides": [LEFT]},
        gateway=TWICE,
        codes=codes(6, 1),
    ),
    case(
        "who goes back before the switch was made keeps the state that there is",
        (_begin, _take, _note_now, go_back(VERSION), Ready()),
        {"checkpoints": [COPY]},
        sees=[(file(NOTE), holding(NOW, OURS, "0600"))],
        gateway=TWICE,
    ),
    case(
        "a switch may go on with an older state",
        (
            *(begin_switch(OLDER, VERSION, VERSION), _take, _make, stay(OLDER, VERSION)),
            _note_now,
            *(begin_switch(ID, VERSION, VERSION, OLDER), _take, _make),
        ),
        {"switch": switch(is_made=True, restore=OLDER), "checkpoints": [OLD_COPY, COPY]},
        sees=[(file(NOTE), holding(THEN, OURS, "0600"))],
        gateway=STOPPED,
    ),
    case(
        "who goes back from an older state has the one of before the switch",
        (
            *(begin_switch(OLDER, VERSION, VERSION), _take, _make, stay(OLDER, VERSION)),
            _note_now,
            *(begin_switch(ID, VERSION, VERSION, OLDER), _take, _make, go_back(VERSION), Ready()),
        ),
        {"checkpoints": [OLD_COPY, COPY], "asides": [LEFT]},
        sees=[(file(NOTE), holding(NOW, OURS, "0600")), (file(ASIDE), holding(THEN, OURS, "0600"))],
        gateway=TWICE,
    ),
    case(
        "a host that boots in the midst of a switch goes back at once",
        (_begin, _take, _make, _note_now, Reboot(), Wait(2 * RETURN_EVERY), Ready()),
        {"checkpoints": [COPY], "asides": [LEFT]},
        sees=[(file(NOTE), holding(THEN, OURS, "0600"))],
        gateway=HEALTHY,
    ),
    case(
        "a host that goes back by itself holds what it was told to hold then",
        (_begin, _take, make_switch(HELD_TEXT), Reboot(), Wait(2 * RETURN_EVERY), Ready()),
        {"checkpoints": [COPY], "asides": [LEFT], "held": HELD},
        gateway=HEALTHY,
    ),
    case(
        "who goes back and says nothing of it leaves what was laid there",
        (_begin, _take, make_switch(HELD_TEXT), go_back(VERSION), Ready()),
        {"checkpoints": [COPY], "asides": [LEFT], "held": HELD},
        gateway=TWICE,
    ),
    case(
        "a return that was interrupted is ended by the host",
        (
            *(_begin, _take, _make, _note_now, install_file(f"{SWITCH}/undone", b"", ROOT, "0600")),
            *(Wait(3 * RETURN_EVERY), Ready()),
        ),
        {"checkpoints": [COPY], "asides": [LEFT]},
        sees=[(file(NOTE), holding(THEN, OURS, "0600"))],
        gateway=TWICE,
    ),
    case(
        "a damaged checkpoint is not gone on with, and the gateway is not even stopped",
        (
            *(begin_switch(OLDER, VERSION, VERSION), _take, _make, stay(OLDER, VERSION)),
            *(restart_unit(files.UNIT), Ready()),
            install_file(f"{CHECKPOINTS}/{OLDER}/state.tar", b"?", ROOT, "0600"),
            begin_switch(ID, VERSION, VERSION, OLDER),
        ),
        {"checkpoints": [OLD_COPY]},
        gateway=TWICE,
        codes=codes(8, 1),
    ),
    case(
        "what its user puts among the states is no checkpoint",
        (
            stop_unit(files.UNIT),
            install_file(f"{CHECKPOINTS}/{ID}.aside/manifest.json", HELD_TEXT, ROOT, "0600", "0700"),
            install_file(f"{CHECKPOINTS}/{OTHER}/manifest.json", json.dumps(COPY).encode(), ROOT, "0600", "0700"),
        ),
        {},
        gateway=STOPPED,
    ),
)
# They take as long as a host waits for its operator, and longer.
PATIENT: Final = (
    case(
        "a host that hears nothing more goes back by itself",
        (_begin, _take, _make, _note_now, Wait(PATIENCE + 3 * RETURN_EVERY), Ready()),
        {"checkpoints": [COPY], "asides": [LEFT]},
        sees=[(file(NOTE), holding(THEN, OURS, "0600"))],
        gateway=TWICE,
    ),
    case(
        "a host that hears something does not",
        (
            *(_begin, _take, _make, restart_unit(files.UNIT), Ready(), postpone_return()),  # a start may take a minute
            *(Wait(PATIENCE - 40), postpone_return(), Wait(PATIENCE - 40), postpone_return()),
        ),
        {"switch": switch(is_made=True), "checkpoints": [COPY]},
        gateway=TWICE,
    ),
)
