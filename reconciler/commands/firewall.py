"""The host's firewall: ufw, made exactly as wanted. A change takes itself back unless it is confirmed.

`apply_firewall` arms a timer first; `confirm_firewall`, sent over a *new* connection, disarms it. So a rule that locks
us out lasts a minute.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from ipaddress import ip_network
from typing import Final

from reconciler.commands.shell import arm, confirm, exclusive, script
from reconciler.model import Command

SAVED: Final = "/run/openclaw-deploy/firewall-before"  # there while a change waits for its confirmation
TIMER: Final = "openclaw-deploy-revert"

_SAVE: Final = """
  cp -p /etc/ufw/*.rules /etc/ufw/ufw.conf "$saved/"; cp -p /etc/default/ufw "$saved/ufw.default"
  foreign_tables | while read -r family name; do nft list table "$family" "$name"; done >"$saved/tables.nft"
"""
_RESTORE: Final = """
cp -p *.rules ufw.conf /etc/ufw/; cp -p ufw.default /etc/default/ufw
if grep -q '^ENABLED=yes' ufw.conf; then ufw --force enable; ufw reload; else ufw --force disable; fi
[ ! -s tables.nft ] || nft -f tables.nft
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

# `ufw reset` also puts back the files of before and after chains as the package has them.
_APPLY = f"""
foreign_tables() {{
  nft list tables | sed 's/^table //' | grep -vxE 'ip6? filter|inet openclaw_deploy' || true
}}
{arm(SAVED, TIMER, _SAVE, _RESTORE)}
ufw --force reset >/dev/null
rm -f /etc/ufw/*.rules.[0-9]*_[0-9]*
python3 -I -c {shlex.quote(_REMOVE_FOREIGN)}
foreign_tables | while read -r family name; do nft delete table "$family" "$name"; done
ufw default deny incoming >/dev/null; ufw default allow outgoing >/dev/null; ufw default deny routed >/dev/null
ports=; while [ "$#" -gt 0 ] && [ "$1" != from ]; do ports="$ports $1"; shift; done
[ "$#" -eq 0 ] || shift
for port in $ports; do
  [ "$#" -gt 0 ] || ufw allow "$port/tcp" >/dev/null
  for source; do ufw allow from "$source" to any port "$port" proto tcp >/dev/null; done
done
ufw --force enable >/dev/null
"""


def apply_firewall(inbound_tcp: Sequence[int], sources: Sequence[str] = ()) -> Command:
    """Nothing comes in but these TCP ports, from `sources` (CIDR) or, without any, from everywhere; for 60 seconds.

    Everything may go out; rules of others are gone.
    """
    ports = [str(int(port)) for port in sorted(inbound_tcp)]
    limits = ["from", *sorted(str(ip_network(source)) for source in sources)] if sources else []
    return exclusive("set the firewall", _APPLY, *ports, *limits, timeout=120)


def confirm_firewall() -> Command:
    """The change stays. Fails when it was taken back before."""
    return script("confirm the firewall", confirm(SAVED, TIMER))
