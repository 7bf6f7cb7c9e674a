"""Backups: an archive of what a gateway remembers, made while it runs, and carried off the host and back in pieces.

It is made by the release's own tool, which knows how to copy its databases while they are written to; and then put into
the same form as a checkpoint, so that going back to it needs no tool of the gateway's. What the gateway's user has made
is read and unpacked as that user, in a directory of its own.
"""

from __future__ import annotations

import re
from typing import Final

from reconciler.commands.release import exact
from reconciler.commands.shell import exclusive, script
from reconciler.commands.summary import SUMMARY
from reconciler.commands.switching import (
    CHECKPOINTS,
    COPY_TIMEOUT,
    LEFT_OUT,
    MUST_BE_STOPPED,
    NOTES,
    SPARE_MB,
    TOOLS,
    checkpoint_id,
    is_aside_name,
    is_checkpoint_id,
)
from reconciler.model import Command

ARCHIVE: Final = f"{NOTES}/archive"
PLACED: Final = f"{NOTES}/placed"  # the digest of the archive that a gateway was given before it started here
PIECE: Final = 1 << 20  # bytes; what a host may answer at most
MAKE_TIMEOUT: Final = 900.0  # the tool took 3.7 s of 114 kB (facts on OpenClaw, section 5)
PIECE_TIMEOUT: Final = 120.0

_PLACES: Final = f"""
archive={ARCHIVE}; copies={CHECKPOINTS}; notes={NOTES}; home=/var/lib/openclaw
user=openclaw; unit=openclaw-gateway.service
fail() {{ echo "$1" >&2; exit 1; }}
need() {{
  free=$(df -Pk -- "$notes" | tail -n 1 | awk '{{ print $4 }}')
  [ "$free" -gt $(($1 + {SPARE_MB} * 1024)) ] ||
    fail "the disk has $((free / 1024)) MB left, and $(($1 / 1024)) MB are needed for the archive"
}}
# Root never enters what the gateway's user can change while it looks.
as_owner() ( cd "$work"; exec 9>&-; exec runuser -u "$user" -- env -i HOME="$home" LC_ALL=C.UTF-8 \\
  PATH="${{node:-/usr}}/bin:/usr/bin:/bin" OPENCLAW_NO_AUTO_UPDATE=1 "$@" )
make_room() {{
  work=$(mktemp -d /var/tmp/openclaw-archive.XXXXXX); trap 'rm -rf -- "$work"' EXIT; chown "$user:" "$work"
}}
# $1 version, $2 what it holds: of $archive/state.tar, and only of a whole one
finish() {{
  gzip -1 "$archive/state.tar"; sync "$archive/state.tar.gz"
  printf '{{"at": "%s", "version": "%s", "size": %s, "digest": "%s", "holds": %s}}\\n' \\
    "$(date -u +%Y-%m-%dT%H:%M:%S+00:00)" "$1" "$(stat -c %s "$archive/state.tar.gz")" \\
    "$(sha256sum "$archive/state.tar.gz" | cut -d' ' -f1)" "$2"
}}
"""

_MAKE: Final = f"""{_PLACES}
version=$1 node=$2 summary=$3
rm -rf -- "$archive"; make_room; mkdir -m 0700 "$archive"
need $(($(du -sk -- "$home" | cut -f1) * 3))
as_owner node "/opt/openclaw/releases/$version/node_modules/openclaw/openclaw.mjs" backup create \\
  --output "$work/archive.tar.gz" --verify --json >"$archive/said.json" </dev/null
grep -q '"verified": *true' "$archive/said.json" || fail 'OpenClaw did not verify its archive'
as_owner mkdir out; as_owner tar -xzf archive.tar.gz -C out; as_owner rm archive.tar.gz
set -- "$work"/out/*/payload/posix"$home"
[ "$#" -eq 1 ] && [ -d "$1" ] || fail "there is no $home in OpenClaw's archive"
holds=$(as_owner python3 -I -c "$summary" "$1")
as_owner tar -cf - -C "$1" . >"$archive/state.tar"
finish "$version" "$holds"
"""

# Of a stopped gateway what lies there is whole, so no tool of the release is needed: that may be what is broken.
_COPY: Final = f"""{_PLACES}{MUST_BE_STOPPED}
summary=$1; must_be_stopped
rm -rf -- "$archive"; make_room; mkdir -m 0700 "$archive"
[ -d "$home" ] || fail 'there is no state'
need $(($(du -sk -- "$home" | cut -f1) * 2))
release=$(readlink /opt/openclaw/current) || fail 'no release is linked, so nobody knows which one wrote this state'
holds=$(as_owner python3 -I -c "$summary" "$home")
tar --numeric-owner -Scpf "$archive/state.tar" {LEFT_OUT} --exclude=./.openclaw/cache -C "$home" .
tar --numeric-owner -df "$archive/state.tar" -C "$home" >&2
finish "${{release##*/}}" "$holds"
"""

# What its host has kept of before: a checkpoint as it was packed, or a state that was set aside.
_EARLIER: Final = f"""{_PLACES}
summary=$1 place=$2 name=$3 version=$4; kept=$notes/$place/$name
rm -rf -- "$archive"; make_room; mkdir -m 0700 "$archive"
[ -d "$kept" ] || fail "there is no $name in $place"
need $(($(du -sk -- "$kept" | cut -f1) * 3))
if [ "$place" = checkpoints ]; then
  ( cd "$kept"; sha256sum --check --status state.sha256 ) || fail "checkpoint $name is damaged"
  cp -- "$kept/state.tar" "$archive/state.tar"
else
  tar --numeric-owner -Scpf "$archive/state.tar" {LEFT_OUT} --exclude=./.openclaw/cache -C "$kept" .
fi
as_owner mkdir -m 0700 then; as_owner tar -xf - -C then <"$archive/state.tar"
holds=$(as_owner python3 -I -c "$summary" "$work/then")
finish "$version" "$holds"
"""

# What was said, by the rows of OpenClaw's transcripts. A gateway that runs writes them; to read does not disturb it.
_ENTRIES: Final = """
import pathlib, sqlite3, sys, urllib.parse
entries = None
for path in sorted(pathlib.Path(sys.argv[1]).glob(".openclaw/agents/*/agent/openclaw-agent.sqlite")):
    if path.is_symlink() or not path.is_file():
        continue
    try:
        with sqlite3.connect("file:%s?mode=ro" % urllib.parse.quote(str(path)), uri=True, timeout=2) as found:
            [(number,)] = found.execute("SELECT count(*) FROM transcript_events")
    except sqlite3.Error:
        continue
    entries = (entries or 0) + number
print("null" if entries is None else entries)
"""

_COUNT: Final = f"""{_PLACES}
make_room; as_owner mkdir -m 0700 then
as_owner tar -xf - -C then --wildcards './.openclaw/agents/*/agent/openclaw-agent.sqlite*' \\
  <"$copies/$1/state.tar" 2>/dev/null || true  # there may be none
then=$(as_owner timeout 20 python3 -I -c "$2" "$work/then"); now=$(as_owner timeout 20 python3 -I -c "$2" "$home")
printf '{{"then": %s, "now": %s}}\\n' "$then" "$now"
"""

# What only a gateway writes, and from its first start on. A link in its place may lead to it, and counts.
_FIND: Final = f"""{_PLACES}
own=$home/.openclaw
[ ! -d "$home" ] || find "$home" -mindepth 1 ! -path "$own" ! -path "$own/agents" ! -path "$own/agents/*" \\
  ! -path "$own/state" ! -path "$own/state/*" -prune -o ! -type d -printf 'state\\n' -quit
"""

# What root prints of it is what the gateway's user has counted.
_SUMMARIZE: Final = f"""{_PLACES}
work=/
as_owner python3 -I -c "$1" "$home" "$2"
"""

_READ = f"{_PLACES}" + 'tail -c "+$(($1 + 1))" "$archive/state.tar.gz" | head -c "$2"'
_DROP = f"{_PLACES}" + 'rm -rf -- "$archive"'

# A piece that is sent twice is there once.
_RECEIVE = f"""{_PLACES}
mkdir -p -m 0700 "$notes" "$archive"
touch "$archive/received"
[ "$(stat -c %s "$archive/received")" -ge "$1" ] || fail 'a piece before this one is missing'
truncate -s "$1" "$archive/received"; cat >>"$archive/received"
[ "$(stat -c %s "$archive/received")" = $(($1 + $2)) ] || fail 'the piece has not arrived as a whole'
"""

# Its owner unpacks it, so all of it is his. Root packs it again, by tar alone: also what its owner may not read is his.
# He cannot exchange the directory for another, because the one above it is root's.
_UNPACK = f"""{_PLACES}
id=$1 version=$2 at=$3 digest=$4 left=$5 of=$6; copy=$copies/$id
if [ -e "$copy" ]; then
  grep -qF '"archive": "'"$digest"'"' "$copy/manifest.json" || fail "another checkpoint has the id $id"
  rm -rf -- "$archive"; exit 0
fi
[ "$(sha256sum "$archive/received" | cut -d' ' -f1)" = "$digest" ] || fail 'what has arrived is not what was sent'
rm -rf -- "$copy.part"; mkdir -p -m 0700 "$copies" "$copy.part"
make_room; chown root: "$work"; chmod 0711 "$work"; mkdir -m 0700 "$work/out"; chown "$user:" "$work/out"
need $(($(gzip -dc "$archive/received" | wc -c) / 1024 * 3))
gzip -dc "$archive/received" | as_owner tar -xpf - -C out
as_owner chmod 0700 out out/.openclaw  # OpenClaw's tool makes them anew, for everybody to read
tar --numeric-owner -Scpf "$copy.part/state.tar" -C "$work/out" .
( cd "$copy.part"; sha256sum state.tar >state.sha256 )
printf '{{"id": "%s", "version": "%s", "at": "%s", "size": %s, "archive": "%s", "left": %s, "of": "%s"}}\\n' \\
  "$id" "$version" "$at" "$(stat -c %s "$copy.part/state.tar")" "$digest" "$left" "$of" >"$copy.part/manifest.json"
sync -f "$copy.part"; mv -T -- "$copy.part" "$copy"; sync "$copies"; rm -rf -- "$archive"
"""

# Before a gateway starts for the first time on a host: nothing that is there is lost all the same.
_PLACE: Final = f"""{TOOLS}placed={PLACED}
[ "$(cat "$placed" 2>/dev/null)" != "$2" ] || exit 0
must_be_stopped
[ ! -e "$switch" ] || fail 'a change of version is on its way'
[ -e "$copies/$1/manifest.json" ] || fail "there is no checkpoint $1"
mkdir -p -m 0700 "$asides"
need "$(du -sk -- "$copies/$1" | cut -f1)"; drop "$notes/next"; unpack "$1" "$notes/next"
[ -n "$(find "$home" ! -type d -print -quit)" ] || rm -rf -- "$home"  # as our steps have made it
release=$(readlink "$current" || true); set_aside "$home" "$1" "${{release##*/}}"
mv -T -- "$notes/next" "$home"; sync /var/lib
printf '%s\\n' "$2" >"$placed.part"; sync "$placed.part"; mv -fT -- "$placed.part" "$placed"
sync "$notes"
"""


def make_archive(version: str, node_directory: str) -> Command:
    """Prints {"at", "version", "size", "digest", "holds"} of an archive that lies on the host until it is dropped."""
    return exclusive("make an archive", _MAKE, exact(version), node_directory, SUMMARY, timeout=MAKE_TIMEOUT)


def copy_stopped() -> Command:
    """The same of a gateway that is stopped, whichever version was linked, and without a tool of it."""
    return exclusive("copy the state", _COPY, SUMMARY, timeout=MAKE_TIMEOUT)


def pack_earlier(kept: str, version: str) -> Command:
    """The same of what the host has kept of before: the checkpoint of this id, or what is set aside by this name."""
    place = "checkpoints" if is_checkpoint_id(kept) else "asides"
    if place == "asides" and not is_aside_name(kept):
        raise ValueError(f"{kept!r} is no name of what was set aside, such as 20261126T184500Z@2026.9.7")
    return exclusive("pack what was before", _EARLIER, SUMMARY, place, kept, exact(version), timeout=MAKE_TIMEOUT)


def find_state() -> Command:
    """Prints something where a gateway has ever started on what lies in its home: then users may have talked to it."""
    return script("look for a memory", _FIND, timeout=60)


def summarize_state(*, live: bool = False) -> Command:
    """Prints what the gateway's home holds, as a backup's note says it: as it lies there, or while the gateway runs."""
    return exclusive("summarize the state", _SUMMARIZE, SUMMARY, "live" if live else "", timeout=MAKE_TIMEOUT)


def read_archive(offset: int) -> Command:
    """Prints at most PIECE bytes of it."""
    return script("read the archive", _READ, str(offset), str(PIECE), timeout=PIECE_TIMEOUT)


def drop_archive() -> Command:
    return exclusive("drop the archive", _DROP, timeout=PIECE_TIMEOUT)


def receive_archive(offset: int, piece: bytes) -> Command:
    """The piece that belongs there; what came after it before is forgotten."""
    arguments = str(offset), str(len(piece))
    return script("send the archive", _RECEIVE, *arguments, stdin=piece, timeout=PIECE_TIMEOUT)


def unpack_archive(
    checkpoint: str, version: str, at: str, digest: str, *, is_left: bool = False, of: str = ""
) -> Command:
    """What was sent, an archive of this digest, becomes the checkpoint of this id, as `version` left it then.

    `of` is whose it is, where it is another child's.
    Fails where another archive, or none, became that checkpoint.
    """
    if not re.fullmatch(r"[0-9T:.+-]{19,32}", at):
        raise ValueError(f"{at!r} is no time in ISO 8601")
    if not re.fullmatch(r"[a-z0-9-]{0,63}", of):
        raise ValueError(f"{of!r} is no child's name")
    arguments = checkpoint_id(checkpoint), exact(version), at, _digest(digest), "true" if is_left else "false", of
    return exclusive("unpack the archive", _UNPACK, *arguments, timeout=MAKE_TIMEOUT)


def count_entries(checkpoint: str) -> Command:
    """Prints {"then", "now"}: how many entries its conversations have had, and have; null where nobody can tell."""
    return script("count what was said", _COUNT, checkpoint_id(checkpoint), _ENTRIES, timeout=90)


def place_state(checkpoint: str, digest: str) -> Command:
    """A gateway that has not started on this host yet has this checkpoint's state; once, however often it is asked.

    `digest` is of the archive that became the checkpoint: ids are times, and another child has one of the same.
    """
    return exclusive("place the state", _PLACE, checkpoint_id(checkpoint), _digest(digest), timeout=COPY_TIMEOUT)


def _digest(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise ValueError(f"{text!r} is not a SHA-256 in lower-case hex")
    return text
