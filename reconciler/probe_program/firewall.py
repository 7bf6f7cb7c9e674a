"""The firewall, from ufw's files and the kernel: `ufw status` is slow and shows only ufw's own rules.

Ours is all that filters packets on a host: ufw's rules, the files that it came with, its chains, and every table of nft
but iptables' own and the one that closes the metadata address. What else is there is foreign.

Part of the probe: Python 3.9, standard library and this package only.
"""

from __future__ import annotations

import ipaddress
import os
import re
from typing import Any

from reconciler.probe_program.reading import at, content, fields, listed, text

PRISTINE = "/usr/share/ufw/iptables"
TABLES = ("table ip filter", "table ip6 filter", "table inet openclaw_deploy")  # the first two are iptables'
MOST = 20  # of what is foreign: more says nothing more


def look_at_firewall(look: Any, key: bytes) -> Any:
    live4, live6 = listed("iptables", "-S"), listed("ip6tables", "-S")
    saved4, saved6 = text("/etc/ufw/user.rules"), text("/etc/ufw/user6.rules")
    enabled = fields(text("/etc/ufw/ufw.conf")).get("ENABLED") == "yes" and "-N ufw-user-input" in live4
    answer = {
        "enabled": enabled,
        "incoming": policy("INPUT", live4 + live6),
        "outgoing": policy("OUTPUT", live4 + live6),
        "rules": rules(saved4, saved6),
        "foreign": [
            *foreign(live4, saved4, enabled),
            *foreign(live6, saved6, enabled),
            *changed_files(),
            *(changed_chains(live4, "") + changed_chains(live6, "6") if enabled else ()),
            *foreign_tables(),
        ][:MOST],
    }
    # A change that was never confirmed takes itself back soon: it is not what is wanted, whatever it looks like.
    return {**answer, "unconfirmed": True} if os.path.lexists(at("/run/openclaw-deploy/firewall-before")) else answer


def policy(chain: str, live: list[str]) -> str:
    found = {line.split()[2] for line in live if line.startswith(f"-P {chain} ")}
    return "deny" if found == {"DROP"} else "allow" if found <= {"ACCEPT"} else "mixed"


def rules(saved4: str, saved6: str) -> list[str]:
    four, six = tuples(saved4, "0.0.0.0/0"), tuples(saved6, "::/0")
    named = {rule for rule in four ^ six if " from " in rule}  # an address is of one family
    only = {4: four - six - named, 6: six - four - named}
    alone = [f"{rule} (IPv{family} only)" for family, found in only.items() for rule in found]
    return sorted([*(four & six), *named, *alone])


def tuples(saved: str, anywhere: str) -> set[str]:
    """ufw notes each rule as `### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in`."""
    found = set()
    for line in saved.splitlines():
        if line.startswith("### tuple ###"):
            words = line.split()[3:]
            found.add(readable(words, anywhere))
    return found


def readable(words: list[str], anywhere: str) -> str:
    """A rule in our own words where it lets a port in; else in ufw's."""
    if len(words) != 7 or [words[0], words[3], words[4], words[6]] != ["allow", anywhere, "any", "in"]:
        return " ".join(words)
    port = f"{words[2]}/{words[1]}"
    return port if words[5] == anywhere else f"{port} from {ipaddress.ip_network(words[5], strict=False)}"


def foreign(live: list[str], saved: str, enabled: bool) -> list[str]:
    """Rules put in by hand past ufw, and ufw's own that are no longer in force."""
    built_in, ours = ("-A INPUT ", "-A OUTPUT "), ("-A ufw-user-input ", "-A ufw6-user-input ")
    by_hand = [line for line in live if line.startswith(built_in) and not goes_to_ufw(line)]
    in_file = {meaning(line): plain(line) for line in saved.splitlines() if line.startswith(ours)}
    in_force = {meaning(line): plain(line) for line in live if line.startswith(ours)}
    more = [line for key, line in in_force.items() if key not in in_file]
    missing = [f"missing: {line}" for key, line in in_file.items() if key not in in_force and enabled]
    return [line[:200] for line in [*by_hand, *sorted(more), *sorted(missing)]]


def changed_files() -> list[str]:
    """The rules that ufw brings along are copies of what its package holds."""
    names = [f"{chain}{family}.rules" for chain in ("before", "after") for family in ("", "6")]
    pairs = [(f"/etc/ufw/{name}", content(f"{PRISTINE}/{name}")) for name in names]
    return [
        f"{path} is not as the package has it" for path, pristine in pairs if pristine and content(path) != pristine
    ]


def changed_chains(live: list[str], family: str) -> list[str]:
    """Chains of those files that are not in force so: compared by their targets, for the kernel rewords rules."""
    saved = [line for name in ("before", "after") for line in text(f"/etc/ufw/{name}{family}.rules").splitlines()]
    chains = [line[1:].split()[0] for line in saved if line.startswith(":ufw")]
    return [f"{chain} is not as its file has it" for chain in chains if targets(live, chain) != targets(saved, chain)]


def targets(rules: list[str], chain: str) -> list[str]:
    found = [line.split() for line in rules if line.startswith(f"-A {chain} ") and " -j " in line]
    jumps = [words[words.index("-j") + 1] for words in found]
    return [jump for jump in jumps if not jump.startswith(("ufw-user-", "ufw6-user-"))]  # ufw adds these itself


def foreign_tables() -> list[str]:
    return [line for line in listed("nft", "list", "tables") if line.startswith("table ") and line not in TABLES]


def goes_to_ufw(rule: str) -> bool:
    """ufw's chains are called ufw-… and, for IPv6, ufw6-…; it jumps to them without any condition."""
    words = rule.split()
    return len(words) == 4 and words[2] == "-j" and words[3].startswith(("ufw-", "ufw6-"))


def meaning(rule: str) -> tuple[str, ...]:
    """A rule's words in whatever order: the kernel names the address first, ufw's file the port."""
    return tuple(sorted(plain(rule).split()))


def plain(rule: str) -> str:
    """The kernel's listing names each protocol's match module and the size of a single address; the file does not."""
    rule = re.sub(r" -m (tcp|udp)\b", "", rule)
    return re.sub(r"/(32|128)\b", "", rule)
