"""Cases on packages and the firewall."""

from __future__ import annotations

import re
from typing import Final

from reconciler.commands import (
    apply_firewall,
    confirm_firewall,
    count_updates,
    daemon_reload,
    find_reboot_reason,
    install_file,
    install_packages,
    refresh_packages,
    repair_packages,
    wait_for_cloud_init,
)
from reconciler.errors import HostTimedOut
from reconciler.model import Json
from tests.contract.host_cases.case import Case, LockedOut, Reboot, Step, Wait, packages

FIREWALL: Final[Json] = {"kind": "firewall"}
CLOSED: Final[dict[str, Json]] = {"enabled": True, "incoming": "deny", "outgoing": "allow", "foreign": []}
UFW: Final[tuple[Step, ...]] = (repair_packages(), refresh_packages(), install_packages(("ufw",)))
# Wide enough for the test itself.
HERE: Final = ("0.0.0.0/1", "128.0.0.0/1")
HERE_RULES: Final = ("22/tcp from 0.0.0.0/1", "22/tcp from 128.0.0.0/1")
THERE: Final = ("0.0.0.0/1", "128.0.0.0/1", "2001:db8::/32")
THERE_RULES: Final = (*HERE_RULES, "22/tcp from 2001:db8::/32")
PAST_THE_REVERT: Final = Wait(70)

CASES: Final = (
    Case("a fresh machine needs no reboot", [find_reboot_reason()], says=b"", is_fresh=True),
    Case("updates are counted", [count_updates()], says=re.compile(rb"\d+ \d{10}\n")),
    Case(
        "what asks for a reboot is named",
        [
            install_file("/run/reboot-required", b"*** System restart required ***\n", "root:root", "0644"),
            install_file("/run/reboot-required.pkgs", b"linux-base\nlinux-base\nlibc6\n", "root:root", "0644"),
            find_reboot_reason(),
        ],
        says=b"an update asks for it: libc6 linux-base\n",
    ),
    Case(
        "a fresh machine has the image's packages and no firewall",
        [wait_for_cloud_init(60)],
        [
            (packages("curl", "nftables", "ufw", "no-such-package"),
             {"curl": True, "nftables": True, "ufw": False, "no-such-package": False}),
            (FIREWALL, {"enabled": False, "incoming": "allow", "outgoing": "allow", "rules": [], "foreign": []}),
        ],
        is_fresh=True,
    ),
    Case("a package is installed, also again", [*UFW, *UFW], [(packages("ufw"), {"ufw": True})]),
    Case(
        "a firewall is in force and not yet confirmed",
        [*UFW, apply_firewall((22,))],
        [(FIREWALL, {**CLOSED, "rules": ["22/tcp"], "unconfirmed": True})],
    ),
    Case(
        "a confirmed firewall stays",
        [*UFW, apply_firewall((22,)), confirm_firewall(), PAST_THE_REVERT],
        [(FIREWALL, {**CLOSED, "rules": ["22/tcp"]})],
    ),
    Case(
        "a firewall that shuts us out takes itself back to the last confirmed one",
        [*UFW, apply_firewall((22,), HERE), confirm_firewall(), apply_firewall((22,)), apply_firewall((80,)),
         daemon_reload(), LockedOut(HostTimedOut), PAST_THE_REVERT],
        [(FIREWALL, {**CLOSED, "rules": list(HERE_RULES)})],
    ),
    Case(
        "a change that took itself back cannot be confirmed",
        [*UFW, apply_firewall((22,)), confirm_firewall(), confirm_firewall()],
        [(FIREWALL, {**CLOSED, "rules": ["22/tcp"]})],
        codes=[0, 0, 0, 0, 0, 1],
    ),
    Case(
        "a firewall outlives a reboot",
        [*UFW, apply_firewall((22,), HERE), confirm_firewall(), Reboot()],
        [(FIREWALL, {**CLOSED, "rules": list(HERE_RULES)})],
    ),
    Case(
        "a reboot forgets that a firewall was to take itself back",
        [*UFW, apply_firewall((22,), THERE), Reboot(), confirm_firewall()],
        [(FIREWALL, {**CLOSED, "rules": list(THERE_RULES)})],
        codes=[0, 0, 0, 0, 0, 1],
    ),
)  # fmt: skip
