"""The host's firewall: ufw, made exactly as wanted. A change takes itself back unless it is confirmed.

`apply_firewall` arms a timer first; `confirm_firewall`, sent over a *new* connection, disarms it. So a rule that locks
us out lasts a minute.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Final

from reconciler.commands.shell import exclusive, script
from reconciler.model import Command

REVERT_AFTER: Final = 60  # seconds
SAVED: Final = "/run/openclaw-deploy/firewall-before"  # there while a change waits for its confirmation
TIMER: Final = "openclaw-deploy-revert"

# Taking back and confirming both start with a rename of the saved state: whichever comes first, the other fails.
_REVERT: Final = f"""
set -eu; mv -T {SAVED} {SAVED}.revert; cd {SAVED}.revert
cp -p user.rules user6.rules ufw.conf /etc/ufw/; cp -p ufw.default /etc/default/ufw
if grep -q '^ENABLED=yes' ufw.conf; then ufw --force enable; ufw reload; else ufw --force disable; fi
cd /; rm -rf {SAVED}.revert
"""

# Rules put into the built-in chains by hand, past ufw: ufw itself never removes them.
_REMOVE_FOREIGN: Final = """
import shlex, subprocess
for tool in ("iptables", "ip6tables"):
    for chain in ("INPUT", "OUTPUT"):
        listing = subprocess.run([tool, "-S", chain], stdout=subprocess.PIPE, check=True).stdout.decode()
        for line in listing.splitlines():
            words = shlex.split(line)
            if words[0] == "-A" and not (len(words) == 4 and words[3].startswith(("ufw-", "ufw6-"))):
                subprocess.run([tool, "-D", *words[1:]], check=True)
"""

_APPLY = f"""
if [ ! -d {SAVED} ]; then
  rm -rf {SAVED}.*; mkdir -p -m 0700 {SAVED}.part
  cp -p /etc/ufw/user.rules /etc/ufw/user6.rules /etc/ufw/ufw.conf {SAVED}.part/
  cp -p /etc/default/ufw {SAVED}.part/ufw.default
  mv -T {SAVED}.part {SAVED}
fi
systemctl stop {TIMER}.timer {TIMER}.service 2>/dev/null || true
systemctl reset-failed {TIMER}.timer {TIMER}.service 2>/dev/null || true
systemd-run --quiet --collect --unit={TIMER} --on-active={REVERT_AFTER} --timer-property=AccuracySec=1s \
  sh -c {shlex.quote(_REVERT)}
ufw --force reset >/dev/null
rm -f /etc/ufw/*.rules.[0-9]*_[0-9]*
python3 -I -c {shlex.quote(_REMOVE_FOREIGN)}
ufw default deny incoming >/dev/null; ufw default allow outgoing >/dev/null; ufw default deny routed >/dev/null
for port in "$@"; do ufw allow "$port/tcp" >/dev/null; done
ufw --force enable >/dev/null
"""

_CONFIRM = f"""
mv -T {SAVED} {SAVED}.confirmed 2>/dev/null || {{ echo 'the change was already taken back' >&2; exit 1; }}
systemctl stop {TIMER}.timer
rm -rf {SAVED}.confirmed
"""


def apply_firewall(inbound_tcp: Sequence[int]) -> Command:
    """Nothing comes in but these TCP ports, everything may go out, rules of others are gone; for 60 seconds."""
    return exclusive("set the firewall", _APPLY, *(str(int(port)) for port in sorted(inbound_tcp)), timeout=120)


def confirm_firewall() -> Command:
    """The change stays. Fails when it was taken back before."""
    return script("confirm the firewall", _CONFIRM)
