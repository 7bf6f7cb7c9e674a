"""Files, directories and links on a host. Each replaces what is there by one rename, so a crash leaves old or new.

Below the gateway's own directories its user could put links in our way, so there we act as that user and never as
root: the kernel then refuses what the user may not do.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

from reconciler.commands.shell import PREAMBLE, exclusive, script
from reconciler.model import Command

GATEWAY_USER: Final = "openclaw"
GATEWAY_OWNED: Final = (PurePosixPath("/var/lib/openclaw"), PurePosixPath("/var/log/openclaw"))

# When we are killed while sending, the host sees an early end: what is not whole must not get its name.
_INSTALL = """
directory=$(dirname -- "$1"); part="$directory/.$(basename -- "$1").part"
[ -d "$directory" ] || mkdir -p -m "$4" -- "$directory"
umask 077
rm -f -- "$part"; cat >"$part"
[ "$(wc -c <"$part")" -eq "$5" ] || { rm -f -- "$part"; echo 'the content did not arrive whole' >&2; exit 1; }
[ -z "$2" ] || chown -- "$2" "$part"
chmod -- "$3" "$part"; sync "$part"; mv -fT -- "$part" "$1"; sync "$directory"
"""
_DIRECTORY = """
[ -d "$1" ] || mkdir -p -- "$1"
[ -z "$2" ] || chown -- "$2" "$1"
chmod -- "$3" "$1"; sync "$(dirname -- "$1")"
"""
_SYMLINK = """
new="$(dirname -- "$2")/.$(basename -- "$2").part"
ln -sfnT -- "$1" "$new"; mv -fT -- "$new" "$2"; sync "$(dirname -- "$2")"
"""
# `top` may be a link to a directory, nothing below it may be one. `mv` numbers what was moved aside before.
_MAKE_WAY = """
aside() { mv -fT --backup=numbered -- "$1" "$1.aside"; sync "$(dirname -- "$1")"; }
top=$1
if [ ! -d "$top" ] && { [ -e "$top" ] || [ -L "$top" ]; }; then aside "$top"; fi
while IFS= read -r name; do
  place=$top/${name%/}
  case $name in
    */) if [ -L "$place" ] || { [ -e "$place" ] && [ ! -d "$place" ]; }; then aside "$place"; fi ;;
    *) if [ ! -L "$place" ] && [ -d "$place" ]; then aside "$place"; fi ;;
  esac
done
"""
_REMOVE = 'rm -rf -- "$@"; sync "$(dirname -- "$1")"'
_CLEAR = """
directory=$1; pattern=$2; shift 2
for known; do set -- "$@" ! -name "$known"; shift; done
[ ! -d "$directory" ] || find "$directory" -mindepth 1 -maxdepth 1 -name "$pattern" "$@" -exec rm -rf -- {} +
"""


def install_file(path: str, content: bytes, owner: str, mode: str, directory_mode: str = "0755") -> Command:
    """`path` with exactly `content`, owner ("root:openclaw") and mode ("0640").

    A missing parent directory gets `directory_mode`. Raises ValueError for what is no plain path, owner or mode.
    """
    return _at(f"write {path}", _INSTALL, path, owner, mode, [_mode(directory_mode), str(len(content))], stdin=content)


def make_way(top: str, names: Sequence[str]) -> Command:
    """Files can be written at these names below `top`: what stands in their way is called `….aside` afterwards.

    In the way is whatever stands where a directory must be, a link too, and a directory where a file must be. For the
    gateway's own places.
    """
    if _user_for(top) is None:
        raise ValueError(f"{top} does not belong to the gateway's user")
    stdin = "".join(f"{name}\n" for name in _with_parents(names)).encode()
    return script(f"make way in {top}", _for(top, _MAKE_WAY), str(_absolute(top)), stdin=stdin)


def read_file(path: str) -> Command:
    """Its content on stdout (the first MiB); another exit code than 0 where there is no such file."""
    text = f'exec head -c {1 << 20} -- "$1"'
    return script(f"read {path}", _for(path, text), str(_absolute(path)), check=False)


def read_time(path: str) -> Command:
    """When its content was written last, in seconds of the host's clock; another exit code where there is no file."""
    return script(f"read the time of {path}", _for(path, 'exec stat -c %Y -- "$1"'), str(_absolute(path)), check=False)


def remove_file(path: str) -> Command:
    """Nothing is there any more, whatever it was."""
    _absolute(path)
    return script(f"remove {path}", _for(path, _REMOVE), path)


def clear_strays(directory: str, pattern: str, only: Sequence[str]) -> Command:
    """Of what matches `pattern` in `directory`, only what matches one of `only` is left. For root's places.

    Waits for an installation that is still at work although its operator was killed: it writes there, too.
    """
    if _user_for(f"{_absolute(directory)}/any"):
        raise ValueError(f"{directory} belongs to the gateway's user")
    return exclusive(f"clear {directory}", _CLEAR, directory, pattern, *only, timeout=600.0)


def make_directory(path: str, owner: str, mode: str) -> Command:
    """A directory with this owner and mode; parents that are missing are made with mode 0755."""
    return _at(f"make {path}", _DIRECTORY, path, owner, mode, [])


def make_symlink(target: str, link: str) -> Command:
    """`link` points to `target`, switched in one rename. For places that are root's only."""
    if _user_for(str(_absolute(link))):
        raise ValueError(f"{link} is in a directory of the gateway's user")
    return script(f"point {link} to {target}", _SYMLINK, target, link)


def _at(name: str, text: str, path: str, owner: str, mode: str, more: list[str], stdin: bytes = b"") -> Command:
    _absolute(path)
    user = _user_for(path)
    if not user:
        return script(name, text, path, _owner(owner), _mode(mode), *more, stdin=stdin)
    if owner != f"{user}:{user}":
        raise ValueError(f"{path} is in a directory of {user}: it can't belong to {owner}")
    # No chown: what that user makes is that user's.
    return script(name, _for(path, text), path, "", _mode(mode), *more, stdin=stdin)


def _with_parents(names: Sequence[str]) -> list[str]:
    """Each once, the upper ones first; a directory ends in a slash."""
    found: dict[str, None] = {}
    for name in names:
        if "\n" in name or str(_absolute(f"/{name}")) != f"/{name}":
            raise ValueError(f"{name!r} is not a plain path on one line")
        found |= {f"{parent}/": None for parent in reversed(PurePosixPath(name).parents[:-1])}
        found[name] = None
    return [*found]


def _for(path: str, text: str) -> str:
    """`text`, to be run as the user who owns the directories on the way to `path`."""
    user = _user_for(path)
    if user is None:
        return text
    inner = shlex.quote(f"{PREAMBLE}\n{text}")
    return f'exec runuser -u {user} -- sh -c {inner} sh "$@"'


def _user_for(path: str) -> str | None:
    """The user as whom a path must be touched: None for root."""
    owned = any(directory in PurePosixPath(path).parents for directory in GATEWAY_OWNED)
    return GATEWAY_USER if owned else None


def _absolute(path: str) -> PurePosixPath:
    pure = PurePosixPath(path)
    if not pure.is_absolute() or ".." in pure.parts or "\0" in path or str(pure) != path:
        raise ValueError(f"{path!r} is not a plain absolute path")
    return pure


def _mode(mode: str) -> str:
    if not re.fullmatch(r"0[0-7]{3}", mode):
        raise ValueError(f"{mode!r} is not a mode such as 0640")
    return mode


def _owner(owner: str) -> str:
    if not re.fullmatch(r"[a-z_][a-z0-9_-]*:[a-z_][a-z0-9_-]*", owner):
        raise ValueError(f"{owner!r} is not an owner such as root:openclaw")
    return owner
