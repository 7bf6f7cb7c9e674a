"""From one OpenClaw version to another with a way back: the copy of the state, the switch, and the host's own return.

A switch lies in a directory of its own on the host for as long as it lasts, with the program that undoes it. A timer
runs that program unless somebody keeps postponing it: a gateway whose operator has died must not stay stopped, or
unproven. Undoing by hand, by a failed proof and by the timer is the same program.

Below the gateway's home its user could put links in our way, so what reads or writes there does it as that user.
"""

from __future__ import annotations

import re
from typing import Final

from reconciler.commands.release import RELEASES, exact
from reconciler.commands.shell import exclusive, script
from reconciler.model import Command

NOTES: Final = "/var/lib/openclaw-deploy"
CHECKPOINTS: Final = f"{NOTES}/checkpoints"
SWITCH: Final = f"{NOTES}/switch"
HELD_PATH: Final = f"{NOTES}/held.json"
TIMER: Final = "openclaw-deploy-switch"
PATIENCE: Final = 150  # seconds without a word from the operator; whoever waits for a start speaks every few
COPY_TIMEOUT: Final = 600.0  # 54 MB took 0.2 s (facts on real gateways, section 4); memory grows for years

_PLACES: Final = f"""
notes={NOTES}; switch={SWITCH}; copies={CHECKPOINTS}; releases={RELEASES}; current=/opt/openclaw/current
home=/var/lib/openclaw; unit=openclaw-gateway.service; timer={TIMER}
started=/run/openclaw-gateway/started.json
"""

# What can be fetched again is no memory.
_LEFT_OUT: Final = "--exclude=./.cache --exclude=./.npm"

_RESTORE: Final = """
# $1 checkpoint, $2 name of what is set aside for it. Done when the latter and a home are there.
restore() {
  if [ ! -e "$copies/$2" ]; then
    ( cd "$copies/$1" && sha256sum --check --status state.sha256 ) || { echo "checkpoint $1 is damaged" >&2; exit 1; }
    rm -rf -- "$home.restored"; install -d -m 0700 -o openclaw -g openclaw "$home.restored"
    ( cd "$home.restored" && runuser -u openclaw -- tar -xpf - ) <"$copies/$1/state.tar"
    sync -f "$home.restored"
    [ ! -e "$home" ] || mv -T -- "$home" "$copies/$2"
    sync "$copies"
  fi
  [ -e "$home" ] || mv -T -- "$home.restored" "$home"
  sync /var/lib
}
link() {
  ln -sfnT -- "$releases/$1" /opt/openclaw/.current.part; mv -fT -- /opt/openclaw/.current.part "$current"
  sync /opt/openclaw
}
"""

# The only program that goes back. It lies on the host, for the timer and for us.
_RETURN: Final = f"""set -eu
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; umask 022; cd /
{_PLACES}{_RESTORE}
exec 9>/run/openclaw-deploy.lock; flock -w 700 9
[ -d "$switch" ] || exit 0
: >"$switch/undone"; sync -f "$switch"
# Whatever fails from here on: a bot that may not be as it was is better than none.
trap 'systemctl reset-failed "$unit" 2>/dev/null || true; systemctl start --no-block "$unit"' EXIT
systemctl stop "$unit"
if [ -e "$switch/made" ]; then
  restore "$(cat "$switch/checkpoint")" "$(cat "$switch/checkpoint").aside"
  link "$(cat "$switch/origin")"
fi
if [ -e "$switch/held.json" ]; then mv -fT -- "$switch/held.json" "$notes/held.json"; sync "$notes"; fi
mv -T -- "$switch" "$switch.undone"; sync "$notes"; rm -rf -- "$switch.undone"
"""

_POSTPONE: Final = f"""
systemctl stop "$timer.timer" 2>/dev/null || true
systemctl reset-failed "$timer.timer" "$timer.service" 2>/dev/null || true
systemd-run --quiet --collect --unit="$timer" --on-active={PATIENCE} --timer-property=AccuracySec=1s \\
  sh "$switch/return"
"""
_MUST_GO_ON: Final = """
[ -d "$switch" ] && [ ! -e "$switch/undone" ] || {
  echo 'the host has gone back to the version before by itself' >&2; exit 1; }
"""
_MUST_BE_STOPPED: Final = """
case $(systemctl is-active "$unit") in
  active|activating|deactivating|reloading)
    echo 'the gateway runs, so its state cannot be taken as a whole' >&2; exit 1 ;;
esac
"""

# Its time is set first and the gateway stopped then: from the first moment on somebody brings it back.
_BEGIN = f"""{_PLACES}
if [ ! -d "$switch" ]; then
  rm -rf -- "$switch.part"; mkdir -p -m 0700 "$copies" "$switch.part"
  printf '%s\\n' "$1" >"$switch.part/checkpoint"; printf '%s\\n' "$2" >"$switch.part/origin"
  printf '%s\\n' "$3" >"$switch.part/target"; printf '%s\\n' "$4" >"$switch.part/restore"
  cat >"$switch.part/return"
  sync -f "$switch.part"; mv -T -- "$switch.part" "$switch"; sync "$notes"
fi
{_POSTPONE}
systemctl stop "$unit"
"""

# Read back by the user who owns it: what was copied is what is there.
_TAKE = f"""{_PLACES}{_MUST_GO_ON}{_MUST_BE_STOPPED}
copy=$copies/$1
rm -rf -- "$copy" "$copy.part"; mkdir -p -m 0700 "$copies" "$copy.part"
needed=$(du -sk -- "$home" | cut -f1); free=$(df -Pk -- "$copies" | tail -n 1 | awk '{{ print $4 }}')
[ "$free" -gt $((needed * 2 + 204800)) ] || {{
  echo "the disk has $((free / 1024)) MB left, and copies of $((needed / 1024)) MB are to be made" >&2; exit 1; }}
as_owner() ( cd "$home"; exec runuser -u openclaw -- "$@" )
as_owner tar -cpf - {_LEFT_OUT} . >"$copy.part/state.tar"
as_owner tar -df - <"$copy.part/state.tar" >&2
( cd "$copy.part"; sha256sum state.tar >state.sha256 )
printf '{{"id": "%s", "version": "%s", "at": "%s", "size": %s}}\\n' \\
  "$1" "$2" "$(date -u +%Y-%m-%dT%H:%M:%S+00:00)" "$(stat -c %s "$copy.part/state.tar")" >"$copy.part/manifest.json"
sync -f "$copy.part"; mv -T -- "$copy.part" "$copy"; sync "$copies"
"""

# From the word `made` on the state may be changed by the new release, so from then on going back restores it.
_MAKE = f"""{_PLACES}{_RESTORE}{_MUST_GO_ON}{_MUST_BE_STOPPED}
id=$(cat "$switch/checkpoint"); other=$(cat "$switch/restore")
[ -e "$copies/$id/manifest.json" ] || {{ echo "there is no checkpoint $id" >&2; exit 1; }}
[ -e "$switch/made" ] || sed -n 's/.*"starts": \\([0-9]*\\).*/\\1/p' "$started" >"$switch/starts" 2>/dev/null || true
: >"$switch/made"; sync -f "$switch"
if [ -n "$other" ]; then restore "$other" "$id.left"; fi
link "$1"
"""

_GO_BACK = f"""{_PLACES}
if [ -d "$switch" ]; then
  systemctl stop "$timer.timer" 2>/dev/null || true
  if [ "$1" -gt 0 ]; then cat >"$switch/held.part"; mv -fT -- "$switch/held.part" "$switch/held.json"; fi
  exec sh "$switch/return"
fi
"""

# The host that has gone back has set aside what it found; done twice is done once.
_STAY = f"""{_PLACES}
if [ -e "$switch/undone" ]; then echo 'the host is going back to the version before by itself' >&2; exit 1; fi
if [ ! -d "$switch" ]; then
  [ ! -e "$copies/$2.aside" ] || {{ echo 'the host has gone back to the version before by itself' >&2; exit 1; }}
  exit 0
fi
systemctl stop "$timer.timer" 2>/dev/null || true
if [ "$1" -gt 0 ]; then cat >"$switch/held.part"; mv -fT -- "$switch/held.part" "$notes/held.json"; else
  rm -f -- "$notes/held.json"; fi
rm -rf -- "$copies/$2.left"
mv -T -- "$switch" "$switch.done"; sync "$notes"; rm -rf -- "$switch.done"
"""


def begin_switch(checkpoint: str, origin: str, target: str, restore: str | None = None) -> Command:
    """The gateway is stopped, and comes back as it was in PATIENCE seconds unless that is postponed.

    `checkpoint` will be the way back, `restore` the state that `target` gets, where it is not the present one.
    """
    arguments = (_id(checkpoint), exact(origin), exact(target), "" if restore is None else _id(restore))
    return script("begin the switch", _BEGIN, *arguments, stdin=_RETURN.encode(), timeout=150)


def postpone_return() -> Command:
    """PATIENCE more seconds for the switch. Fails where the host has gone back already."""
    return script("postpone the return", f"{_PLACES}{_MUST_GO_ON}{_POSTPONE}", timeout=60)


def take_checkpoint(checkpoint: str, version: str) -> Command:
    """A verified copy of the stopped gateway's state, as `version` left it; an older one of this id is replaced."""
    return exclusive("take a checkpoint", _TAKE, _id(checkpoint), exact(version), timeout=COPY_TIMEOUT)


def make_switch(version: str) -> Command:
    """`version` is linked, with the state that the switch was begun with. After its checkpoint was taken."""
    return exclusive(f"switch to {version}", _MAKE, exact(version), timeout=COPY_TIMEOUT)


def go_back(held: bytes = b"") -> Command:
    """The version before is linked, its state back in its place and its gateway started; the newer state is kept aside.

    `held` is kept as held.json. Nothing to do where there is no switch.
    """
    return script("go back", _GO_BACK, str(len(held)), stdin=held, timeout=COPY_TIMEOUT)


def stay(checkpoint: str, held: bytes = b"") -> Command:
    """The switch with this way back is over: nobody goes back any more. Fails where the host has done so already."""
    return exclusive("end the switch", _STAY, str(len(held)), _id(checkpoint), stdin=held, timeout=COPY_TIMEOUT)


def _id(text: str) -> str:
    if not re.fullmatch(r"[0-9]{8}T[0-9]{6}Z", text):
        raise ValueError(f"{text!r} is no checkpoint's id such as 20261126T184500Z")
    return text
