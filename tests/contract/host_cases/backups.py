"""Cases on the last copy of a stopped gateway's state, and on the state that a new one is given before its start."""

from __future__ import annotations

import re
from typing import Any, Final

from reconciler.commands import (
    begin_switch,
    check_room,
    copy_stopped,
    find_state,
    install_file,
    make_directory,
    make_switch,
    pack_earlier,
    place_state,
    read_file,
    remove_file,
    stay,
    stop_unit,
    take_checkpoint,
)
from reconciler.commands.backups import ARCHIVE, PLACED
from reconciler.commands.switching import ASIDES, CHECKPOINTS
from reconciler.managed import files
from reconciler.model import Json
from tests.contract.host_cases.case import OURS, Case, Step, file, holding
from tests.contract.host_cases.releases import HEALTHY, VERSION
from tests.contract.host_cases.switching import COPY, ID, LEFT, NOTE, NOW, ROOT, RUNNING, STOPPED, THEN, case

ASIDE: Final = f"{ASIDES}/{LEFT}/.openclaw/NOTE.md"
SAYS: Final = re.compile(
    rb'\{"at": "[0-9T:+-]{25}", "version": "[^"]+", "size": [0-9]+, "digest": "[0-9a-f]{64}", "holds": \{.*\}\}\n?'
)
ARCHIVED: Final = "ab" * 32  # the digest of what the checkpoint would have come as
_stop: Final = stop_unit(files.UNIT)
_place: Final = place_state(ID, ARCHIVED)
# The checkpoint is what a backup becomes that was sent; since then its user has written something else.
GIVEN: Final[tuple[Step, ...]] = (
    *(remove_file(PLACED), remove_file(ARCHIVE)),
    *(begin_switch(ID, VERSION, VERSION), take_checkpoint(), make_switch(), stay(ID, VERSION)),
    install_file(NOTE, NOW, OURS, "0600"),
)
THERE: Final[dict[str, Json]] = {"checkpoints": [COPY]}
SET_ASIDE: Final[dict[str, Json]] = {"checkpoints": [COPY], "asides": [LEFT]}


def placed(name: str, does: tuple[Step, ...], versions: dict[str, Json], *last: int, **more: Any) -> Case:
    """`last` are the exit codes of the last ones."""
    count = len(RUNNING) + len(GIVEN) + len(does)
    ends = [0] * (count - len(last)) + list(last)
    return case(name, (*GIVEN, *does), versions, **{"gateway": STOPPED, "codes": ends, **more})


CASES: Final = (
    case(
        "the state of a gateway that runs is not copied as if it was stopped",
        (copy_stopped(),),
        {},
        gateway=HEALTHY,
        codes=[0] * len(RUNNING) + [1],
    ),
    case(
        "what a stopped gateway remembers is copied by no tool of its release",
        (_stop, copy_stopped()),
        {},
        gateway=STOPPED,
        says=SAYS,
    ),
    case(
        "where a gateway has started there is a memory",
        (find_state(),),
        {},
        gateway=HEALTHY,
        says=b"state\n",
    ),
    placed(
        "a gateway is given a state, and what lay there is kept",
        (_place,),
        SET_ASIDE,
        sees=[(file(NOTE), holding(THEN, OURS, "0600")), (file(ASIDE), holding(NOW, OURS, "0600"))],
    ),
    placed(
        "a state that is given twice is given once",
        (_place, install_file(NOTE, NOW, OURS, "0600"), _place),
        SET_ASIDE,
        sees=[(file(NOTE), holding(NOW, OURS, "0600"))],
    ),
    placed(
        "which state it was given is noted",
        (_place, read_file(PLACED)),
        SET_ASIDE,
        says=f"{ARCHIVED}\n".encode(),
    ),
    placed(
        "a damaged checkpoint is given to nobody",
        (install_file(f"{CHECKPOINTS}/{ID}/state.tar", b"?", ROOT, "0600"), _place),
        THERE,
        1,
        sees=[(file(NOTE), holding(NOW, OURS, "0600"))],
    ),
    placed(
        "a checkpoint is packed as it lies there, and stays",
        (pack_earlier(ID, VERSION),),
        THERE,
        says=SAYS,
    ),
    placed(
        "what was set aside is packed as it lies there, and stays",
        (_place, pack_earlier(LEFT, VERSION)),
        SET_ASIDE,
        says=SAYS,
        sees=[(file(ASIDE), holding(NOW, OURS, "0600"))],
    ),
    placed(
        "a damaged checkpoint is not packed",
        (install_file(f"{CHECKPOINTS}/{ID}/state.tar", b"?", ROOT, "0600"), pack_earlier(ID, VERSION)),
        THERE,
        1,
    ),
    placed("what is not there is not packed", (pack_earlier("20200101T000000Z", VERSION),), THERE, 1),
    placed("there is room for a change of version, also to a checkpoint", (check_room(1), check_room(1, ID)), THERE),
    placed("more room than there is is missed", (check_room(1 << 30),), THERE, 1),
    placed(
        "no state is given in the midst of a switch",
        (begin_switch("20261126T190000Z", VERSION, VERSION), _place, remove_file("/var/lib/openclaw-deploy/switch")),
        THERE,
        *(1, 0),
        sees=[(file(NOTE), holding(NOW, OURS, "0600"))],
    ),
    case(
        "a gateway that runs is given no other state",
        (remove_file(PLACED), make_directory(CHECKPOINTS, ROOT, "0700"), _place),
        {},
        gateway=HEALTHY,
        codes=[0] * (len(RUNNING) + 2) + [1],
    ),
)
