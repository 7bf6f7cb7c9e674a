"""Steps: idempotent `ensure_*(work)` functions, safe to run twice and right after a crash anywhere.

Only the engine and an import run them. CONVERGE is everything from a server that may just have been posted to a proven
gateway.
"""

from __future__ import annotations

from typing import Final

from reconciler.steps.access import ensure_host_key, ensure_login, ensure_reachable
from reconciler.steps.finish import ensure_begun, ensure_recorded
from reconciler.steps.gateway import (
    ensure_config,
    ensure_files,
    ensure_ready,
    ensure_running,
    ensure_secrets,
    ensure_unit,
)
from reconciler.steps.lasting import ensure_lasting
from reconciler.steps.memory import ensure_awake, ensure_memory
from reconciler.steps.networks import ensure_ssh_from, ensure_way_in
from reconciler.steps.power import ensure_powered, ensure_rebooted
from reconciler.steps.profile import ensure_profile
from reconciler.steps.proving import ensure_nothing_forgotten, ensure_same_memory
from reconciler.steps.release import ensure_node, ensure_release
from reconciler.steps.replacing import ensure_others_gone
from reconciler.steps.reshape import ensure_backups, ensure_renamed
from reconciler.steps.spares import ensure_others_silent
from reconciler.steps.switching import (
    ensure_archive,
    ensure_checkpoint,
    ensure_gone_back,
    ensure_kept,
    ensure_pruned,
    ensure_room,
    ensure_settled,
    ensure_switched,
)
from reconciler.steps.system import (
    ensure_account,
    ensure_directories,
    ensure_fenced,
    ensure_firewall,
    ensure_metadata_closed,
    ensure_packages,
)
from reconciler.steps.work import Step, Work

__all__ = ["CONVERGE", "GO_BACK", "PREPARE", "PROVE", "PUT", "REACH", "START", "Step", "Work"]

REACH: Final = (
    Step("silence others", ensure_others_silent),  # before a boot could start the child's own gateway
    Step("power on", ensure_powered),
    Step("way in", ensure_way_in),
    Step("reach", ensure_reachable),
)
PROVE: Final = (Step("start", ensure_running), Step("prove healthy", ensure_ready))
_INSTALL: Final = (
    Step("directories", ensure_directories),
    Step("node", ensure_node),
    Step("room", ensure_room),
    Step("release", ensure_release),
    Step("secrets", ensure_secrets),
    Step("unit", ensure_unit),
)
PUT: Final[tuple[Step, ...]] = (
    *_INSTALL,
    Step("fence", ensure_fenced),
    Step("memory", ensure_memory),
    Step("compare memory", ensure_same_memory),
    Step("archive", ensure_archive),
    Step("checkpoint", ensure_checkpoint),
    Step("switch", ensure_switched),
    Step("config", ensure_config),
    Step("files", ensure_files),
    *PROVE,
    Step("prove memory", ensure_nothing_forgotten),
    Step("awake", ensure_awake),
    Step("prove lasting", ensure_lasting),
    Step("keep", ensure_kept),
    Step("prune", ensure_pruned),
    Step("record", ensure_recorded),
    Step("other servers", ensure_others_gone),  # of a replacement: the child's own is proven, and says so itself
    Step("rename", ensure_renamed),
    Step("bot profile", ensure_profile),  # last: Telegram may refuse it for a day, and nothing else waits for it
)

# Of a gateway whose host was just looked at. It applies nothing, so it records nothing.
START: Final[tuple[Step, ...]] = (*REACH, Step("reboot", ensure_rebooted), *PROVE)
_PREPARE: Final = (
    *REACH,
    Step("begin", ensure_begun),  # before anything that differs is mended, at the cloud too
    Step("backups", ensure_backups),
    Step("ssh from", ensure_ssh_from),
    Step("host key", ensure_host_key),
    Step("login", ensure_login),
    Step("settle", ensure_settled),
    Step("packages", ensure_packages),
    Step("firewall", ensure_firewall),
    Step("account", ensure_account),
    Step("metadata closed", ensure_metadata_closed),  # after it: a throw-away's rules name that account
)
CONVERGE: Final[tuple[Step, ...]] = (*_PREPARE, *PUT)
# All of it that can be done before another gateway of the same child has to stop.
PREPARE: Final[tuple[Step, ...]] = (*_PREPARE, *_INSTALL)
# After a switch that failed: back, and then everything else that the file says, with the version of before.
GO_BACK: Final[tuple[Step, ...]] = (Step("go back", ensure_gone_back), *PUT)
