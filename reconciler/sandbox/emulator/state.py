"""The emulator's state as one JSON file, so that a new process knows the servers of the one before.

Never contains user_data or a token.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from reconciler.errors import SandboxError
from reconciler.sandbox.emulator.resources import Action, Firewall, Server, SshKey


@dataclass(frozen=True, slots=True)
class Saved:
    """What outlives a process."""

    last_id: int
    last_address: str | None
    servers: Mapping[int, Server]
    ssh_keys: Mapping[int, SshKey]
    firewalls: Mapping[int, Firewall]
    actions: Mapping[int, Action]


def write_state(path: Path, state: Saved) -> None:
    """Replace the file, readable by its owner only: whole or not at all."""
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(state), file)
    temporary.replace(path)


def read_state(path: Path) -> Saved | None:
    """The state of the last process, None when there was none. Raises SandboxError for a file that is not ours."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return Saved(
            data["last_id"],
            data["last_address"],
            {row["id"]: Server(**row) for row in data["servers"].values()},
            {row["id"]: SshKey(**row) for row in data["ssh_keys"].values()},
            {row["id"]: _firewall(row) for row in data["firewalls"].values()},
            {row["id"]: _action(row) for row in data["actions"].values()},
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        advice = "Run `fleet sandbox down`, then `fleet sandbox up`."
        raise SandboxError(f"{path} is not a state file of this sandbox's version", advice) from error


def _firewall(row: dict[str, Any]) -> Firewall:
    lists = {key: tuple(row[key]) for key in ("rules", "selectors", "servers")}
    return Firewall(**{**row, **lists})


def _action(row: dict[str, Any]) -> Action:
    resources = tuple((kind, identifier) for kind, identifier in row["resources"])
    error = tuple(row["error"]) if row["error"] else None
    return Action(**{**row, "resources": resources, "error": error})
