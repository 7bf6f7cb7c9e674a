"""Debian packages and first boot. Nothing here may ask a question or hang on another one's lock for ever."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from reconciler.commands.shell import exclusive, script
from reconciler.model import Command

LOCK_TIMEOUT: Final = 120  # seconds to wait for apt-daily and its like, which run on every first boot

# Newer versions say 2 for "done, with something to grumble about", which stops nothing.
_WAIT = """
command -v cloud-init >/dev/null || exit 0
code=0; said=$(cloud-init status --wait --long 2>&1 </dev/null) || code=$?
[ "$code" -ne 2 ] || code=0
[ "$code" -eq 0 ] || printf '%s\\n' "$said" >&2
exit "$code"
"""
_NO_QUESTIONS = (
    "export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a NEEDRESTART_SUSPEND=1 APT_LISTCHANGES_FRONTEND=none\n"
)
_APT = f"apt-get -q -y -o DPkg::Lock::Timeout={LOCK_TIMEOUT} -o Acquire::Retries=3 -o Dpkg::Options::=--force-confold"
# dpkg itself does not wait for its lock, so we do; any other failure is final.
_REPAIR = (
    _NO_QUESTIONS
    + f"""
left={LOCK_TIMEOUT // 3}
until said=$(dpkg --configure -a --force-confold 2>&1 </dev/null); do
  case $said in *"locked by another process"*) left=$((left - 1)) ;; *) left=0 ;; esac
  [ "$left" -gt 0 ] || {{ printf '%s\\n' "$said" >&2; exit 1; }}
  sleep 3
done
"""
)
_REFRESH = _NO_QUESTIONS + f"{_APT} -o APT::Update::Error-Mode=any update </dev/null\n"
_INSTALL = _NO_QUESTIONS + f'{_APT} install --no-install-recommends -- "$@" </dev/null\n'


# Only looked at, so no lock is waited for. When apt was asked for news last is told by its stamp, or by the lists.
_UPDATES: Final = """
found=$(apt-get -s -qq -o Debug::NoLocking=1 -o APT::Get::Show-User-Simulation-Note=0 upgrade </dev/null)
count=$(printf '%s\\n' "$found" | grep -c '^Inst .*(.*[Ss]ecurity' || true)
at=0
for place in /var/lib/apt/periodic/update-success-stamp /var/lib/apt/lists; do
  [ ! -e "$place" ] || { at=$(stat -c %Y "$place"); break; }
done
printf '%s %s\\n' "$count" "$at"
"""


def count_updates() -> Command:
    """Prints how many updates of security are not installed, and when the host has asked for news last (Unix time)."""
    return script("count updates", _UPDATES, timeout=60, check=False)


def wait_for_cloud_init(timeout: float) -> Command:
    """Until first boot's own provisioning has ended; its errors are the command's. Nothing to do without cloud-init."""
    return script("wait for cloud-init", _WAIT, timeout=timeout)


def repair_packages() -> Command:
    """Finish what an interrupted dpkg left behind; nothing to do otherwise."""
    return exclusive("repair packages", _REPAIR, timeout=300)


def refresh_packages() -> Command:
    """The package lists are fresh, or it fails: a list that can't be had is an error."""
    return exclusive("refresh the package lists", _REFRESH, timeout=300)


def install_packages(names: Sequence[str]) -> Command:
    """These Debian packages are installed. Raises ValueError for what is no package name."""
    for name in names:
        if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]+", name):
            raise ValueError(f"{name!r} is not a package name")
    return exclusive(f"install {', '.join(names)}", _INSTALL, *names, timeout=600)


# What an update leaves behind where unattended-upgrades or the like is installed; and a kernel that only a boot starts.
_REBOOT: Final = """
if [ -e /run/reboot-required ]; then
  names=$(sort -u /run/reboot-required.pkgs 2>/dev/null | head -n 20 | tr '\\n' ' ' || true)
  echo "an update asks for it${names:+: ${names% }}"
  exit 0
fi
running=$(uname -r); flavour=$(printf '%s' "$running" | sed 's/^[0-9.-]*//')
newest=$(find /boot -maxdepth 1 -name 'vmlinuz-*' 2>/dev/null | sed 's|.*/vmlinuz-||' |
  awk -v end="$flavour" '{ rest = $0; sub(/^[0-9.-]*/, "", rest); if (rest == end) print }' | sort -V | tail -n 1)
if [ -n "$newest" ] && [ "$newest" != "$running" ]; then echo "Linux $newest is installed, and $running runs"; fi
"""


def find_reboot_reason() -> Command:
    """Prints why the host needs to boot anew; nothing where it does not."""
    return script("look whether a reboot is due", _REBOOT)
