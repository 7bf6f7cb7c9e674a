"""System users and systemd units on a host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from reconciler.commands.shell import script
from reconciler.model import Command

NOLOGIN: Final = "/usr/sbin/nologin"

# Whoever has the name already (a cloud image's login user, say) is turned into what we need.
_ACCOUNT = """
id -u "$1" >/dev/null 2>&1 || useradd --system --user-group --home-dir "$2" --no-create-home --shell "$3" -- "$1"
[ "$(getent passwd "$1" | cut -d: -f6,7)" = "$2:$3" ] || usermod --home "$2" --shell "$3" -- "$1"
usermod --lock -- "$1"
groups=$(id -nG "$1"); [ "$groups" = "$1" ] || usermod --groups '' -- "$1"
"""

# Drop-ins of root's own places; what a package brings is not anybody's change.
_PLAIN = """
for unit; do
  for file in /etc/systemd/system/"$unit".d/* /run/systemd/system/"$unit".d/* /etc/systemd/system.control/"$unit".d/* \\
    /run/systemd/system.control/"$unit".d/* /run/systemd/transient/"$unit".d/* /run/systemd/system/"$unit"; do
    [ -e "$file" ] || continue
    case $file in *.off) continue ;; esac
    mv -fT -- "$file" "$file.off"
  done
done
systemctl daemon-reload
"""


def make_system_user(name: str, home: str, shell: str = NOLOGIN) -> Command:
    """A system account without password or other groups; its home isn't made."""
    return script(f"make the account {name}", _ACCOUNT, name, home, shell)


def plain_units(units: Sequence[str]) -> Command:
    """systemd has read these units from their files alone: what was added to them elsewhere is set aside."""
    return script("take additions away from units", _PLAIN, *units, timeout=60)


def daemon_reload() -> Command:
    """systemd has read the unit files as they are now."""
    return script("reload the unit files", "systemctl daemon-reload", timeout=60)


def enable_unit(unit: str, *more: str) -> Command:
    """Started at every boot; not started now."""
    return _systemctl("enable", unit, *more)


def disable_unit(unit: str) -> Command:
    """No boot starts it; it goes on if it runs."""
    return _systemctl("disable", unit)


def restart_unit(unit: str) -> Command:
    """Started, or stopped and started, and up as far as its Type= tells."""
    return _systemctl("restart", unit)


def reload_unit(unit: str) -> Command:
    """It works by its files as they are now: by ExecReload= while it is active, so that what requires it goes on."""
    return _systemctl("reload-or-restart", unit)


def stop_unit(unit: str) -> Command:
    """Stopped; it takes as long as the unit's own TimeoutStopSec= allows."""
    return _systemctl("stop", unit)


def reset_failed(unit: str) -> Command:
    """Its failures and its start limit are forgotten; nothing to do where there were none."""
    return script(f"reset-failed {unit}", 'systemctl reset-failed -- "$1" 2>/dev/null || true', unit)


def _systemctl(verb: str, unit: str, *more: str) -> Command:
    text = 'verb=$1; shift; systemctl --no-ask-password "$verb" -- "$@"'
    return script(f"{verb} {unit}", text, verb, unit, *more, timeout=150)
