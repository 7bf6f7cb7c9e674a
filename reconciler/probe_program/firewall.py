"""The firewall, from ufw's files and the kernel: `ufw status` is slow and shows only ufw's own rules.

Part of the probe: Python 3.9, standard library and this package only.
"""

from __future__ import annotations

import os
import re
from typing import Any

from reconciler.probe_program.reading import at, fields, output, text


def look_at_firewall(look: Any, key: bytes) -> Any:
    live4, live6 = listed("iptables"), listed("ip6tables")
    saved4, saved6 = text("/etc/ufw/user.rules"), text("/etc/ufw/user6.rules")
    enabled = fields(text("/etc/ufw/ufw.conf")).get("ENABLED") == "yes" and "-N ufw-user-input" in live4
    answer = {
        "enabled": enabled,
        "incoming": policy("INPUT", live4 + live6),
        "outgoing": policy("OUTPUT", live4 + live6),
        "rules": rules(saved4, saved6),
        "foreign": foreign(live4, saved4, enabled) + foreign(live6, saved6, enabled),
    }
    # A change that was never confirmed takes itself back soon: it is not what is wanted, whatever it looks like.
    return {**answer, "unconfirmed": True} if os.path.lexists(at("/run/openclaw-deploy/firewall-before")) else answer


def listed(tool: str) -> list[str]:
    try:
        return output(tool, "-S").splitlines()
    except FileNotFoundError:
        return []


def policy(chain: str, live: list[str]) -> str:
    found = {line.split()[2] for line in live if line.startswith(f"-P {chain} ")}
    return "deny" if found == {"DROP"} else "allow" if found <= {"ACCEPT"} else "mixed"


def rules(saved4: str, saved6: str) -> list[str]:
    four, six = tuples(saved4, "0.0.0.0/0"), tuples(saved6, "::/0")
    only = [f"{rule} (IPv4 only)" for rule in four - six] + [f"{rule} (IPv6 only)" for rule in six - four]
    return sorted([*(four & six), *only])


def tuples(saved: str, anywhere: str) -> set[str]:
    """ufw notes each rule as `### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in`."""
    found = set()
    for line in saved.splitlines():
        if line.startswith("### tuple ###"):
            words = line.split()[3:]
            plain = len(words) == 7 and [words[0], *words[3:]] == ["allow", anywhere, "any", anywhere, "in"]
            found.add(f"{words[2]}/{words[1]}" if plain else " ".join(words))
    return found


def foreign(live: list[str], saved: str, enabled: bool) -> list[str]:
    """Rules put in by hand past ufw, and ufw's own that are no longer in force."""
    built_in, ours = ("-A INPUT ", "-A OUTPUT "), ("-A ufw-user-input ", "-A ufw6-user-input ")
    by_hand = [line for line in live if line.startswith(built_in) and not goes_to_ufw(line)]
    in_file = {plain(line) for line in saved.splitlines() if line.startswith(ours)}
    in_force = {plain(line) for line in live if line.startswith(ours)}
    missing = ["missing: " + line for line in sorted(in_file - in_force)] if enabled else []
    return [line[:200] for line in [*by_hand, *sorted(in_force - in_file), *missing]][:20]


def goes_to_ufw(rule: str) -> bool:
    """ufw's chains are called ufw-… and, for IPv6, ufw6-…; it jumps to them without any condition."""
    words = rule.split()
    return len(words) == 4 and words[2] == "-j" and words[3].startswith(("ufw-", "ufw6-"))


def plain(rule: str) -> str:
    """The kernel's listing names each protocol's match module and the size of a single address; the file does not."""
    rule = re.sub(r" -m (tcp|udp)\b", "", rule)
    return re.sub(r"/(32|128)\b", "", rule)
