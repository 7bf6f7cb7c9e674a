r"""From one OpenClaw version to another with a way back: the copy of the state, the switch, and the host's own return.

A switch lies in a directory of its own on the host for as long as it lasts. A timer looks there every ten seconds and
goes back unless somebody keeps postponing that: a gateway whose operator has died must not stay stopped, or unproven.
A reboot forgets what was postponed. Undoing by hand, by a failed proof and by the timer is the same program.

What `switch/` holds: `checkpoint`, `origin`, `target` and `restore` (one word each); `home` and `next`, states that are
unpacked and only need to be moved in place; and marks. `closed`: the gateway is not to be started, its unit obeys.
`made`: the new release may have changed the state. `undone`: the host is going back.

The gateway's user can put links into its home. So root reads there by tar alone, which follows none, and unpacks into a
directory that this user does not reach.
"""

from __future__ import annotations

import re
from typing import Final

from reconciler.commands.release import RELEASES, exact
from reconciler.commands.shell import exclusive, script
from reconciler.model import Command

NOTES: Final = "/var/lib/openclaw-deploy"
CHECKPOINTS: Final = f"{NOTES}/checkpoints"
ASIDES: Final = f"{NOTES}/asides"  # states that were given up by going back: ID@VERSION that had written it
SWITCH: Final = f"{NOTES}/switch"
HELD_PATH: Final = f"{NOTES}/held.json"
RETURN_PATH: Final = "/usr/local/lib/openclaw-deploy/return"
RETURN_SERVICE: Final = "openclaw-deploy-return.service"
RETURN_TIMER: Final = "openclaw-deploy-return.timer"
RETURN_EVERY: Final = 10  # seconds
UNTIL_PATH: Final = "/run/openclaw-deploy.until"  # the uptime in seconds from which on the host goes back
PATIENCE: Final = 150  # seconds without a word from the operator; whoever waits for a start speaks every few
COPY_TIMEOUT: Final = 600.0  # 54 MB took 0.2 s (facts on real gateways, section 4); memory grows for years
SPARE_MB: Final = 200  # of disk, beside the copies

_PLACES: Final = f"""
notes={NOTES}; switch={SWITCH}; copies={CHECKPOINTS}; asides={ASIDES}; releases={RELEASES}; until={UNTIL_PATH}
current=/opt/openclaw/current; home=/var/lib/openclaw; unit=openclaw-gateway.service; timer={RETURN_TIMER}
"""

# What can be fetched again is no memory.
LEFT_OUT: Final = "--exclude=./.cache --exclude=./.npm"

MUST_BE_STOPPED: Final = """
must_be_stopped() {
  case $(systemctl is-active "$unit") in
    active|activating|deactivating|reloading) fail 'the gateway runs, so its state cannot be taken as a whole' ;;
  esac
}
"""

_SHELL: Final = """
fail() { echo "$1" >&2; exit 1; }
uptime() { read -r up rest </proc/uptime; echo "${up%.*}"; }
wait_for_word() { echo $(($(uptime) + $1)) >"$until.part"; mv -fT -- "$until.part" "$until"; }
must_go_on() { [ -d "$switch" ] && [ ! -e "$switch/undone" ] || fail 'the host has gone back by itself'; }
is_unknown() { [ $? = 5 ]; }  # what systemctl says of a unit that was removed: the next apply puts it there again
# $1 path, $2 checkpoint that came before it, $3 version that has written it: nothing is ever overwritten
set_aside() {
  [ -e "$1" ] || return 0
  name=$2${3:+@$3}; while [ -e "$asides/$name" ]; do name=$name+; done
  mv -T -- "$1" "$asides/$name"; sync "$asides"
}
has_aside() { [ -n "$(find "$asides" -maxdepth 1 -name "$1*" -print -quit 2>/dev/null)" ]; }
# $1 path: whatever interrupts it, what is called by that name is whole
drop() { rm -rf -- "$1.part"; [ ! -e "$1" ] || mv -T -- "$1" "$1.part"; rm -rf -- "$1.part"; }
# $1 checkpoint, $2 directory to make
unpack() {
  ( cd "$copies/$1" && sha256sum --check --status state.sha256 ) || fail "checkpoint $1 is damaged"
  rm -rf -- "$2.part"; mkdir -m 0700 "$2.part"
  tar --numeric-owner --same-owner -xpf "$copies/$1/state.tar" -C "$2.part"
  sync -f "$2.part"; mv -T -- "$2.part" "$2"
}
link() {
  ln -sfnT -- "$releases/$1" /opt/openclaw/.current.part; mv -fT -- /opt/openclaw/.current.part "$current"
  sync /opt/openclaw
}
# $1 kilobytes
need() {
  free=$(df -Pk -- "$notes" | tail -n 1 | awk '{ print $4 }')
  [ "$free" -gt $(($1 + spare * 1024)) ] ||
    fail "the disk has $((free / 1024)) MB left, and copies of $(($1 / 1024)) MB are to be made"
}
# $1 length, $2 path: what came on stdin is all of it
keep() {
  cat >"$2.part"; [ "$(stat -c %s "$2.part")" = "$1" ] || fail 'the note has not arrived as a whole'
  sync "$2.part"; mv -fT -- "$2.part" "$2"
}
"""
TOOLS: Final = f"spare={SPARE_MB}\n{_PLACES}{_SHELL}{MUST_BE_STOPPED}"

# Every step of it is a rename, so it needs no disk; whatever interrupts it, the timer begins it again where it was.
# The gateway is not to be started before all is in its place, and the last thing is that it may.
RETURN_PROGRAM: Final = f"""\
#!/bin/sh
# Back to the version and the state of before a switch, unless somebody has postponed that. With `now`, at once.
# Written by OpenClaw Deploy; changes are put back by the next apply.
set -eu
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; umask 022; cd /
{TOOLS}
exec 9>/run/openclaw-deploy.lock
if [ "${{1-}}" = now ]; then flock -w 600 9; else flock -n 9 || exit 0; fi
if [ ! -d "$switch" ]; then systemctl stop --no-block "$timer"; exit 0; fi
if [ "${{1-}}" != now ] && [ ! -e "$switch/undone" ]; then
  [ "$(uptime)" -ge "$(cat "$until" 2>/dev/null || echo 0)" ] || exit 0
fi
: >"$switch/closed"; : >"$switch/undone"; sync -f "$switch"
systemctl stop "$unit" || is_unknown
if [ -e "$switch/made" ]; then
  if [ -d "$switch/home" ]; then
    set_aside "$home" "$(cat "$switch/checkpoint")" "$(cat "$switch/target")"
    mv -T -- "$switch/home" "$home"; sync /var/lib
  fi
  link "$(cat "$switch/origin")"
fi
if [ -e "$switch/held.json" ]; then mv -fT -- "$switch/held.json" "$notes/held.json"; fi
rm -f -- "$switch/closed"; sync "$notes"
systemctl reset-failed "$unit" 2>/dev/null || true
systemctl start --no-block "$unit" || is_unknown
mv -T -- "$switch" "$switch.over"; sync "$notes"; rm -rf -- "$switch.over"
systemctl stop --no-block "$timer"
"""

# Its time is set and somebody looks at it before the gateway is stopped: from the first moment on it comes back.
_BEGIN = f"""{TOOLS}
if [ -e "$switch" ]; then
  [ "$(cat "$switch/checkpoint")" = "$1" ] || fail 'another change of version is on its way'
  must_go_on; wait_for_word {PATIENCE}; systemctl stop "$unit"; exit 0
fi
[ -d "$home" ] || fail 'there is no state'
mkdir -p -m 0700 "$copies" "$asides"
! mountpoint -q -- "$home" && [ "$(stat -c %d -- "$home" "$notes" "$asides" | sort -u | wc -l)" = 1 ] ||
  fail "$home and $notes are on file systems of their own: a state cannot be exchanged by a rename"
rm -rf -- "$switch.part" "$switch.over" "$copies"/*.part
[ ! -e "$copies/$1" ] && ! has_aside "$1" || fail "there is a checkpoint $1 already"
mkdir -m 0700 "$switch.part"; : >"$switch.part/closed"
printf '%s\\n' "$1" >"$switch.part/checkpoint"; printf '%s\\n' "$2" >"$switch.part/origin"
printf '%s\\n' "$3" >"$switch.part/target"; printf '%s\\n' "$4" >"$switch.part/restore"
if [ -n "$4" ]; then
  [ -e "$copies/$4/manifest.json" ] || fail "there is no checkpoint $4"
  need "$(du -sk -- "$copies/$4" | cut -f1)"; unpack "$4" "$switch.part/next"
fi
wait_for_word {PATIENCE}
systemctl start "$timer"
sync -f "$switch.part"; mv -T -- "$switch.part" "$switch"; sync "$notes"
systemctl stop "$unit"
"""

_TAKE = f"""{TOOLS}
must_go_on; must_be_stopped
id=$(cat "$switch/checkpoint"); copy=$copies/$id
trap 'rm -rf -- "$copy.part" "$switch/home.part"; wait_for_word {PATIENCE}' EXIT
wait_for_word {int(COPY_TIMEOUT) + PATIENCE}
needed=$(du -sk -- "$home" | cut -f1); need $((needed * 2))
drop "$switch/home"; drop "$copy"; mkdir -m 0700 "$copy.part"
tar --numeric-owner -Scpf "$copy.part/state.tar" {LEFT_OUT} -C "$home" .
tar --numeric-owner -df "$copy.part/state.tar" -C "$home" >&2
( cd "$copy.part"; sha256sum state.tar >state.sha256 )
printf '{{"id": "%s", "version": "%s", "at": "%s", "size": %s, "left": false}}\\n' "$id" "$(cat "$switch/origin")" \\
  "$(date -u +%Y-%m-%dT%H:%M:%S+00:00)" "$(stat -c %s "$copy.part/state.tar")" >"$copy.part/manifest.json"
sync -f "$copy.part"; mv -T -- "$copy.part" "$copy"; sync "$copies"
unpack "$id" "$switch/home"
"""

# From the word `made` on the state may be changed by the new release, so from then on going back restores it.
_MAKE = f"""{TOOLS}
must_go_on; must_be_stopped; wait_for_word {PATIENCE}
[ -d "$switch/home" ] || fail 'no checkpoint was taken'
if [ "$1" -gt 0 ]; then keep "$1" "$switch/held.json"; fi
: >"$switch/made"; sync -f "$switch"
if [ -d "$switch/next" ]; then
  [ -e "$switch/left" ] || mv -T -- "$home" "$switch/left"
  set_aside "$home" "$(cat "$switch/checkpoint")" "$(cat "$switch/origin")"
  mv -T -- "$switch/next" "$home"; sync /var/lib
fi
link "$(cat "$switch/target")"
rm -f -- "$switch/closed"; sync "$switch"
"""

# The note of why goes with the return, so that one cannot be without the other. Where the host has returned before, it
# is kept as well.
_GO_BACK = f"""{TOOLS}
exec 9>/run/openclaw-deploy.lock; flock -w 600 9
if [ -d "$switch" ]; then
  if [ "$1" -gt 0 ]; then keep "$1" "$switch/held.json"; fi  # else what was laid there when the switch was made
elif [ "$1" -gt 0 ] && [ "$(readlink "$current")" = "$releases/$2" ]; then
  keep "$1" "$notes/held.json"
fi
exec 9>&-
exec {RETURN_PATH} now
"""

_STAY = f"""{TOOLS}
if [ ! -d "$switch" ] && ! has_aside "$2" && [ "$(readlink "$current")" = "$releases/$3" ]; then exit 0; fi
must_go_on
if [ "$1" -gt 0 ]; then keep "$1" "$notes/held.json"; else rm -f -- "$notes/held.json"; fi
note=$copies/$2/manifest.json
if [ -n "$(cat "$switch/restore")" ] && [ -e "$note" ]; then  # what was there is left for another state, from now on
  sed 's/"left": false/"left": true/' "$note" >"$note.part"; sync "$note.part"; mv -fT -- "$note.part" "$note"
fi
mv -T -- "$switch" "$switch.over"; sync "$notes"; rm -rf -- "$switch.over"
systemctl stop --no-block "$timer"
"""


# Before anybody is told of it, or waits. In kilobytes: $1 is for the release, $2 the checkpoint that is gone back to.
# The state is there once more as an archive and twice as it is packed for that, or as a checkpoint and a way back.
_ROOM = f"""{TOOLS}
older=0; [ -z "$2" ] || older=$(du -sk -- "$copies/$2" | cut -f1)
needed=$(($1 + older + $(du -sk -- "$home" | cut -f1) * 3 + spare * 1024))
free=$(df -Pk -- "$notes" | tail -n 1 | awk '{{ print $4 }}')
[ "$free" -ge "$needed" ] ||
  fail "another version takes $((needed / 1024)) MB of disk, and $((free / 1024)) MB are left"
"""


def check_room(release_mb: int, restore: str | None = None) -> Command:
    """Fails where a change of version would fill the disk, with the copies of the state that it takes."""
    older = "" if restore is None else checkpoint_id(restore)
    return script("check for room", _ROOM, str(release_mb * 1024), older, timeout=COPY_TIMEOUT)


def begin_switch(checkpoint: str, origin: str, target: str, restore: str | None = None) -> Command:
    """The gateway is stopped, and comes back as it was in PATIENCE seconds unless that is postponed.

    `checkpoint` will be the way back, `restore` the one whose state `target` gets, where it is not the present state.
    Changes nothing where there is no room, or another switch.
    """
    older = "" if restore is None else checkpoint_id(restore)
    arguments = checkpoint_id(checkpoint), exact(origin), exact(target), older
    return exclusive("begin the switch", _BEGIN, *arguments, timeout=COPY_TIMEOUT)


def postpone_return() -> Command:
    """PATIENCE more seconds for the switch. Fails where the host has gone back already."""
    return script("postpone the return", f"{TOOLS}must_go_on; wait_for_word {PATIENCE}", timeout=60)


def take_checkpoint() -> Command:
    """A verified copy of the stopped gateway's state, as the switch's origin left it, ready to be moved in place."""
    return exclusive("take a checkpoint", _TAKE, timeout=COPY_TIMEOUT)


def make_switch(held: bytes = b"") -> Command:
    """The target is linked, with the state that the switch was begun with. After its checkpoint was taken.

    `held` is kept as held.json where the host goes back by itself.
    """
    return exclusive("make the switch", _MAKE, str(len(held)), stdin=held, timeout=60)


def go_back(origin: str = "", held: bytes = b"") -> Command:
    """The version before is linked, its state back in its place and its gateway started; the newer state is kept aside.

    `held` is kept as held.json where the host is at `origin` then, instead of what was laid beside the switch. Nothing
    else to do where there is no switch.
    """
    arguments = str(len(held)), exact(origin) if origin else ""
    return script("go back", _GO_BACK, *arguments, stdin=held, timeout=COPY_TIMEOUT)


def stay(checkpoint: str, target: str, held: bytes = b"") -> Command:
    """This switch is over: nobody goes back any more. Fails where the host has done so already.

    `held` is kept as held.json; without it, nothing is held any more.
    """
    arguments = str(len(held)), checkpoint_id(checkpoint), exact(target)
    return exclusive("end the switch", _STAY, *arguments, stdin=held, timeout=COPY_TIMEOUT)


def is_checkpoint_id(text: str) -> bool:
    return re.fullmatch(r"[0-9]{8}T[0-9]{6}Z", text) is not None


def is_aside_name(text: str) -> bool:
    """Of what was set aside: after the checkpoint that came before it, with the version that had written it."""
    return re.fullmatch(r"[0-9]{8}T[0-9]{6}Z@[0-9A-Za-z.-]+\+*", text) is not None


def checkpoint_id(text: str) -> str:
    """The same, if it is one. Raises ValueError."""
    if not is_checkpoint_id(text):
        raise ValueError(f"{text!r} is no checkpoint's id such as 20261126T184500Z")
    return text
