"""What of this machine a sandbox could change, as comparable values: taken before `up` and after `down`."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from reconciler.sandbox import cgroups
from reconciler.sandbox.paths import Paths

PATHS = Paths.default()

# Counters and clocks, which differ from one second to the next.
VOLATILE = {"expires", "stats", "stats64", "age", "used"}


def snapshot() -> dict[str, object]:
    """Links, routes of all tables, rules, packet filters, sysctls, mounts, namespaces, control groups, processes."""
    return {
        "links": _ip("link"),
        "addresses": _ip("address"),
        "routes": _ip("-4", "route", "show", "table", "all") + _ip("-6", "route", "show", "table", "all"),
        "rules": _ip("rule"),
        "nft": _output("nft", "list", "ruleset"),
        "sysctls": _sysctls(),
        "mounts": _mounts(),
        "namespaces": _listed(Path("/run/netns")),
        "cgroups": _cgroups(),
        "processes": _processes(),
        "folders": [_listed(path) for path in (PATHS.run, PATHS.data)],
    }


def difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What differs. A sysctl that was not there before came with a kernel module, which nobody unloads."""
    later = {key: value for key, value in after["sysctls"].items() if key in before["sysctls"]}
    compared = {**after, "sysctls": later}
    found = {key: (before[key], compared[key]) for key in before if before[key] != compared[key]}
    if "sysctls" in found:
        changed = {key for key in before["sysctls"] if before["sysctls"][key] != later.get(key)}
        found["sysctls"] = ({key: before["sysctls"][key] for key in changed}, {key: later.get(key) for key in changed})
    return found


def _listed(folder: Path) -> list[str] | None:
    return sorted(entry.name for entry in folder.iterdir()) if folder.exists() else None


def _ip(*arguments: str) -> list[Any]:
    return [_steady(entry) for entry in json.loads(_output("ip", "-j", *arguments))]


def _steady(entry: Any) -> Any:
    return {key: value for key, value in entry.items() if key not in VOLATILE and not key.endswith("_life_time")}


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _sysctls() -> dict[str, str]:
    """All of net.ipv4 and net.ipv6 that can be read, per interface too."""
    found = {}
    for family in ("ipv4", "ipv6"):
        for folder, _, files in os.walk(f"/proc/sys/net/{family}"):
            for name in files:
                try:
                    found[f"{folder}/{name}"] = Path(folder, name).read_text()
                except OSError:  # write-only, or gone with its interface
                    continue
    return found


def _mounts() -> list[list[str]]:
    """Without the numbers that the kernel gives anew to every mount."""
    return sorted(line.split()[2:6] + line.split(" - ")[1].split() for line in _lines("/proc/self/mountinfo"))


def _cgroups() -> list[str]:
    """Every group beside and below the places where the sandbox makes its own."""
    own = Path("/proc/self/cgroup").read_text()
    places = {tree.parent for tree in cgroups.find_trees(own).values()}
    return sorted(folder for place in places for folder, _, _ in os.walk(place))


def _processes() -> list[str]:
    """Processes of ours, and whatever lives in a process namespace that is not ours."""
    here = Path("/proc/self/ns/pid").readlink()
    return [found for entry in Path("/proc").iterdir() if entry.name.isdigit() and (found := _suspicious(entry, here))]


def _suspicious(entry: Path, here: Path) -> str:
    try:
        command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        inside = (entry / "ns/pid").readlink() != here
    except OSError:  # it has just ended
        return ""
    ours = any(word in command for word in ("reconciler.sandbox", "systemd-nspawn", "openclaw-deploy-sandbox"))
    # A killed process without a command line waits for PID 1 to bury it: it holds nothing any more.
    return f"{entry.name} {command}" if command and (inside or ours) else ""


def _lines(file: str) -> list[str]:
    return Path(file).read_text().splitlines()
