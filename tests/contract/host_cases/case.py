"""What a case of the Host contract is: commands, how they end, and what the probe says afterwards.

The same cases run on simulated machines and on real ones. On a real machine they run one after the other on the same
disk, so each makes what it needs and uses paths of its own; `is_fresh` cases want a machine on which nothing was done.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from reconciler.commands import install_file, install_release, read_file, read_lockfile, remove_file, run_probe
from reconciler.errors import HostError
from reconciler.managed import files
from reconciler.model import Command, Completed, Endpoints, Json
from reconciler.probe_program.tree import CONTENT_MARK
from tests.crash.comparing import differences

DIGEST_KEY: Final = "5a" * 32
APPLIED: Final = "/var/lib/openclaw-deploy/contract.json"  # nothing of the product's own
BOT_TOKEN: Final = "/etc/contract.bot"  # where it is, not what it is
OF_ONE_MACHINE: Final = ("boot_id", "clock", "disk_free_mb", "memory_free_mb")
OF_ONE_RUN: Final = ("main_pid", "journal", "channel_activity", "errors")
OURS: Final = f"{files.SERVICE_USER}:{files.SERVICE_USER}"
READY_SECONDS: Final = 120
INSTALL_SECONDS: Final = 600.0
LOCK_OUT_SECONDS: Final = 15
NOT_RUNNING: Final[dict[str, Json]] = {
    "active": "inactive", "sub": "dead", "result": "success", "restarts": 0, "exit_status": 0, "starts": 0,
    "stale": [], "loopback_only": None,
}  # fmt: skip


class Hosted(Protocol):
    """A machine under test, and whence it may fetch."""

    endpoints: Endpoints
    bot_token: bytes
    """Of a bot that no other machine has: two that poll for one are both told 409."""

    def run(self, command: Command) -> Completed:
        """Over the open connection, or a new one where that broke off."""

    def reboot(self) -> None:
        """The ACPI way; back when it returns."""

    def wait(self, seconds: float) -> None:
        """On the machine's clock; what comes next comes over a new connection."""

    def knock(self) -> None:
        """A new connection, which tells nothing of the one that is open. Raises HostError where it gets nobody in."""


@dataclass(frozen=True, slots=True)
class Reboot:
    """A step of a case."""


@dataclass(frozen=True, slots=True)
class Wait:
    seconds: float


@dataclass(frozen=True, slots=True)
class LockedOut:
    """Nobody gets in any more, for this reason; whoever is in stays in."""

    error: type[HostError]


@dataclass(frozen=True, slots=True)
class Ready:
    """The gateway is ready, and its channel has moved."""


@dataclass(frozen=True, slots=True)
class GiveBot:
    """The token of the machine's own bot lies where its gateway reads it."""


@dataclass(frozen=True, slots=True)
class InstallAgain:
    """This release, which is there, is taken away and installed from its own lock file; it must be the same tree."""

    version: str
    node: str


@dataclass(frozen=True, slots=True)
class Some:
    """Equal to any text of this form: what two machines need not say alike."""

    form: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and re.fullmatch(self.form, other) is not None

    def __hash__(self) -> int:
        return hash(self.form)


# What fetches from outside is told from where.
Step = Command | Callable[[Endpoints], Command] | Reboot | Wait | LockedOut | Ready | GiveBot | InstallAgain


@dataclass(frozen=True, slots=True)
class Case:
    """`does` end with `codes` (all 0 where none are given); then each look in `sees` gives its answer.

    `gateway` is what the facts of `unit`, whose starts are noted in `started`, have other than those of a unit that
    does not run, which `token` lets answer; `says` is what the last command prints; `applied` what applied.json says;
    `bot` whose token is in BOT_TOKEN; `versions` what is kept in `notes` of earlier ones, beside nothing.
    """

    name: str
    does: Sequence[Step] = ()
    sees: Sequence[tuple[Json, Any]] = ()
    codes: Sequence[int] = ()
    says: bytes | re.Pattern[bytes] = b""
    unit: str = files.UNIT
    started: str = "/run/contract/never-started.json"
    token: str = "/etc/contract.token"  # where it is, not what it is
    gateway: dict[str, Json] = field(default_factory=dict)
    applied: Json = None
    bot: str | None = None
    notes: str = "/srv/no-notes"
    versions: dict[str, Json] = field(default_factory=dict)
    is_fresh: bool = False

    def __str__(self) -> str:
        return self.name


def check(case: Case, host: Hosted) -> None:
    """Do it, and compare everything that the probe says."""
    ends = [_do(host, step, case) for step in case.does]
    assert [end.exit_code for end in ends] == list(case.codes or [0] * len(ends)), [end.stderr for end in ends]
    assert _is_said(case.says, ends[-1].stdout if ends else b"")
    answer = _probed(host, case)
    for name in OF_ONE_MACHINE:
        del answer[name]
    for name in OF_ONE_RUN:
        answer["gateway"].pop(name, None)
    for checkpoint in answer["versions"]["checkpoints"]:
        assert checkpoint.pop("size") > 0
        assert checkpoint.pop("at").endswith("+00:00")
    wanted = {
        "architecture": "x86_64",
        "managed": {str(number): wanted for number, (_, wanted) in enumerate(case.sees)},
        "gateway": {**NOT_RUNNING, **case.gateway},
        "applied": case.applied,
        "bot": case.bot,
        "versions": {"checkpoints": [], "asides": [], "switch": None, "held": None, "releases": [], **case.versions},
    }
    assert answer == wanted, list(differences(answer, wanted))


def _do(host: Hosted, step: Step, case: Case) -> Completed:
    match step:
        case Ready():
            _await_ready(host, case)
        case Reboot():
            host.reboot()
        case Wait(seconds):
            host.wait(seconds)
        case GiveBot():
            return host.run(install_file(files.TELEGRAM_TOKEN_PATH, host.bot_token, OURS, "0400"))
        case InstallAgain(version, node):
            return _install_again(host, version, node)
        case LockedOut(error):
            _await_lock_out(host, error)
        case Command():
            return host.run(replace(step, check=False))
        case _:
            return host.run(replace(step(host.endpoints), check=False))
    return Completed(0, b"", b"")


def _install_again(host: Hosted, version: str, node: str) -> Completed:
    place = f"{files.RELEASES}/{version}"
    lockfile = host.run(read_lockfile(version)).stdout
    tree = host.run(read_file(f"{place}/{CONTENT_MARK}")).stdout.decode().strip()
    host.run(replace(remove_file(place), timeout=300))  # tens of thousands of files
    return host.run(install_release(version, node, host.endpoints.npm_registry, INSTALL_SECONDS, lockfile, tree))


def _await_lock_out(host: Hosted, error: type[HostError]) -> None:
    """sshd reads its configuration a moment after it was told to, and listens to nobody meanwhile."""
    deadline = time.monotonic() + LOCK_OUT_SECONDS
    while True:
        try:
            host.knock()
        except HostError as found:
            if isinstance(found, error):
                return
        assert time.monotonic() < deadline, f"no {error.__name__}"
        time.sleep(0.1)


def _await_ready(host: Hosted, case: Case) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not ((found := _probed(host, case)["gateway"]).get("ready") and found.get("channel_activity")):
        assert time.monotonic() < deadline, found
        time.sleep(0.3)


def _probed(host: Hosted, case: Case) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(host.run(run_probe(_request(case))).stdout)
    return answer


def _is_said(wanted: bytes | re.Pattern[bytes], said: bytes) -> bool:
    if isinstance(wanted, re.Pattern):
        return wanted.fullmatch(said) is not None
    return wanted in (b"", said)


def _request(case: Case) -> Json:
    return {
        "root": "/",
        "digest_key": DIGEST_KEY,
        "looks": {str(number): look for number, (look, _) in enumerate(case.sees)},
        "gateway": {
            "port": files.PORT,
            "token_path": case.token,
            "unit": case.unit,
            "started_path": case.started,
        },
        "applied_path": APPLIED,
        "bot_token_path": BOT_TOKEN,
        "notes": case.notes,
        "releases": "/srv/no-releases",
    }


# --- looks and their answers -------------------------------------------------------------------------------------


def file(path: str, *, secret: bool = False) -> Json:
    return {"kind": "file", "path": path, "secret": secret}


def directory(path: str, program: str = "", only: Sequence[str] | None = None) -> Json:
    more: dict[str, Json] = {"program": program} if program else {}
    return {"kind": "directory", "path": path, **more, **({} if only is None else {"only": list(only)})}


def account(name: str) -> Json:
    return {"kind": "account", "name": name}


def packages(*names: str) -> Json:
    return {"kind": "packages", "names": list(names)}


def unit(name: str) -> Json:
    return {"kind": "unit", "name": name}


def rules(table: str, *, names: bool = False) -> Json:
    return {"kind": "rules", "table": ["inet", table], "names": names}


def release(path: str) -> Json:
    return {"kind": "release", "path": path}


def json_keys(path: str, *keys: tuple[str, ...]) -> Json:
    return {"kind": "json_keys", "path": path, "keys": [list(key) for key in keys]}


def holding(content: bytes, owner: str = "root:root", mode: str = "0644") -> Json:
    return {"sha256": hashlib.sha256(content).hexdigest(), "mode": mode, "owner": owner}


def keeping(secret: bytes, owner: str = "root:root", mode: str = "0600") -> Json:
    digest = hmac.new(bytes.fromhex(DIGEST_KEY), secret, hashlib.sha256).hexdigest()
    return {"hmac": digest, "mode": mode, "owner": owner}


def rights(mode: str, owner: str = "root:root") -> dict[str, Json]:
    return {"mode": mode, "owner": owner}
