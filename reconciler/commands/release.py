"""Node and OpenClaw releases below /opt/openclaw: root's, read-only to the gateway, complete or not there.

Each is made beside its place and moved there by one rename at the very end, so whatever kills it, the next run starts
over and nothing half-made is ever used.
"""

from __future__ import annotations

import json
import re
from typing import Final

from reconciler.commands.files import read_file
from reconciler.commands.shell import exclusive, script
from reconciler.model import Command, Json
from reconciler.probe_program.tree import CONTENT_MARK, FINGERPRINT, MARK

BUILD_USER: Final = "openclaw-build"
RELEASES: Final = "/opt/openclaw/releases"
LOCKFILE: Final = "package-lock.json"  # npm's: which packages a release consists of, each with its integrity

# npm 11 refuses --allow-scripts in a local installation and runs no script without it; this is its other way
# (facts on real gateways, section 1).
_SCRIPTS: Final = ("openclaw", "koffi", "protobufjs", "@google/genai", "tree-sitter-bash")

_TREE: Final = f"""
fingerprint() ( {FINGERPRINT} )
intact() {{ [ "$(cat "$1/{MARK}" 2>/dev/null)" = "$(fingerprint "$1")" ]; }}
"""

_FETCH = (
    _TREE
    + """
mark=$3/.openclaw-deploy-sha256
if [ "$(cat "$mark" 2>/dev/null)" = "$2" ] && [ -x "$3/bin/node" ] && intact "$3"; then
  chown root:root "$3"; chmod 0755 "$3"; exit 0
fi
part=$3.part; archive=$3.archive
trap 'rm -rf -- "$part" "$archive"' EXIT
rm -rf -- "$part" "$archive"; mkdir -p -- "$part"
curl -fsS --proto =http,https --connect-timeout 10 --retry 3 --max-time "$patience" -o "$archive" -- "$1" </dev/null
printf '%s  %s\\n' "$2" "$archive" | sha256sum --check --status - || {
  echo "what $1 gave has another SHA-256 than $2" >&2; exit 1; }
tar -xf "$archive" -C "$part" --strip-components=1 --no-same-owner --no-same-permissions
chmod -R go-w -- "$part"; printf '%s\\n' "$2" >"$part/.openclaw-deploy-sha256"
fingerprint "$part" >"$part/.openclaw-deploy-tree"; sync -f "$part"
rm -rf -- "$3"; mv -T -- "$part" "$3"
"""
)

_BUILDER: Final = f"""
id -u {BUILD_USER} >/dev/null 2>&1 ||
  useradd --system --user-group --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin {BUILD_USER}
"""

_NEWEST = f"""
node=$1 registry=$2; {_BUILDER}
set -- view openclaw@latest version
[ -z "$registry" ] || set -- "$@" "--registry=$registry"
home=$(mktemp -d /run/openclaw-newest.XXXXXX); trap 'rm -rf -- "$home"' EXIT; chown {BUILD_USER}: "$home"; cd "$home"
runuser -u {BUILD_USER} -- env -i HOME="$home" PATH="$node/bin:/usr/bin:/bin" npm_config_update_notifier=false \
  npm "$@" </dev/null
"""

# Every name with its type, mode and link's target, and every content: the same on any host, whenever it was installed.
# Two installations of one lock file differ in nothing (measured with npm 11.21: OpenClaw 2026.9.6 by `npm install` and
# by `npm ci`; its node_modules/.package-lock.json too). package.json is what we say to npm, in the words of a version
# of this tool. No path has "//" in it, so that ends each.
CONTENT: Final = f"""
content() {{
  (
    cd -- "$1"
    set -- ! -path ./{MARK} ! -path ./{CONTENT_MARK} ! -path ./package.json
    find . -mindepth 1 "$@" -printf '%y%m %P//%l\\0' >"$scratch/names"
    find . -type f "$@" -exec sha256sum -z -- {{}} + >"$scratch/sums"
  )
  LC_ALL=C sort -z -- "$scratch/names" "$scratch/sums" | sha256sum | cut -c1-40
}}
"""

# Nothing that npm fetched ever runs as root: the lifecycle that OpenClaw finishes at its first start is finished by
# the build user, which can no longer be at work when the tree becomes root's.
_INSTALL = f"""{_TREE}{CONTENT}
version=$1 node=$2 registry=$3 manifest=$4 wanted=$5
final={RELEASES}/$version build=/opt/openclaw/build; stage=$build/$version home=$build/home
scratch=$(mktemp -d /run/openclaw-install.XXXXXX); trap 'rm -rf -- "$scratch"' EXIT; cat >"$scratch/lock"
unfinished() {{
  for mark in .openclaw-lifecycle-pending dist/openclaw-install-guard; do
    [ ! -e "$1/$mark" ] || {{ echo "$mark"; return 0; }}
  done
  return 1
}}
if [ -e "$final/node_modules/openclaw/openclaw.mjs" ] && ! unfinished "$final/node_modules/openclaw" >/dev/null &&
  intact "$final"; then
  if [ ! -e "$final/{CONTENT_MARK}" ]; then
    tree=$(content "$final"); printf '%s\\n' "$tree" >"$final/{CONTENT_MARK}"
    fingerprint "$final" >"$final/{MARK}"; sync -f "$final"
  fi
  tree=$(cat "$final/{CONTENT_MARK}")
  if [ "$tree" = "${{wanted:-$tree}}" ]; then
    chown root:root "$final"; chmod 0755 "$final"; echo "$tree kept"; exit 0
  fi
fi
{_BUILDER}
pkill -KILL -u {BUILD_USER} || true
rm -rf -- "$build"; mkdir -p {RELEASES}; install -d -m 0711 "$build"
install -d -m 0700 -o {BUILD_USER} -g {BUILD_USER} "$stage" "$home"
printf '%s\\n' "$manifest" >"$stage/package.json"; chown {BUILD_USER}: "$stage/package.json"
set -- install
if [ -s "$scratch/lock" ]; then
  install -m 0644 -o {BUILD_USER} -g {BUILD_USER} "$scratch/lock" "$stage/{LOCKFILE}"; set -- ci
fi
as_builder() {{
  ( cd "$stage"; exec 9>&-; exec runuser -u {BUILD_USER} -- env -i HOME="$home" PATH="$node/bin:/usr/bin:/bin" \
    npm_config_update_notifier=false "$@" </dev/null )
}}
set -- "$@" --no-audit --no-fund --no-progress --loglevel=error
[ -z "$registry" ] || set -- "$@" "--registry=$registry"
as_builder npm "$@" >&2
package=$stage/node_modules/openclaw
says=$(as_builder node "$package/openclaw.mjs" --version)
pkill -KILL -u {BUILD_USER} || true
case "$says " in "OpenClaw $version "*) ;; *) echo "installed $version, but it says: $says" >&2; exit 1 ;; esac
if mark=$(unfinished "$package"); then echo "the installation is unfinished: $mark is still there" >&2; exit 1; fi
chown -R root:root -- "$stage"; chmod -R go-w,u-s,g-s,a+rX -- "$stage"
tree=$(content "$stage")
if [ "$tree" != "${{wanted:-$tree}}" ]; then rm -rf -- "$build"; echo "$tree other"; exit 0; fi
printf '%s\\n' "$tree" >"$stage/{CONTENT_MARK}"
fingerprint "$stage" >"$stage/{MARK}"; sync -f "$stage"
rm -rf -- "$final"; mv -T -- "$stage" "$final"; rm -rf -- "$build"; echo "$tree made"
"""


def fetch_archive(url: str, sha256: str, directory: str, timeout: float = 300.0) -> Command:
    """`directory` holds what the tar archive at `url` has below its one top directory, if its SHA-256 is right."""
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise ValueError(f"{sha256!r} is not a SHA-256 in lower-case hex")
    return exclusive(f"fetch {url}", _FETCH, url, sha256, directory, timeout=timeout)


def install_release(
    version: str,
    node_directory: str,
    npm_registry: str | None,
    timeout: float,
    lockfile: bytes = b"",
    tree: str = "",
) -> Command:
    """OpenClaw `version` (exact) in /opt/openclaw/releases/<version>, from npm, with its lifecycle finished.

    With a `lockfile` it consists of the packages that this names, else of those that npm chooses now, and its lock file
    lies there. Prints the digest of its content, and what became of it: `made`, `kept` as it was, or `other`. That one
    is not the `tree` that was wanted, and whatever was there has stayed.
    """
    if not re.fullmatch(r"([0-9a-f]{40})?", tree):
        raise ValueError(f"{tree!r} is not the digest of a tree")
    arguments = (exact(version), node_directory, npm_registry or "", _manifest(version), tree)
    return exclusive(f"install OpenClaw {version}", _INSTALL, *arguments, stdin=lockfile, timeout=timeout)


def newest_release(node_directory: str, npm_registry: str | None) -> Command:
    """Prints the version that npm calls latest in the registry that installs it. To be checked before it is used."""
    return script("ask for the newest OpenClaw", _NEWEST, node_directory, npm_registry or "", timeout=60)


def read_lockfile(version: str) -> Command:
    """The lock file of an installed release on stdout; another exit code than 0 where there is none."""
    return read_file(f"{RELEASES}/{exact(version)}/{LOCKFILE}")


def is_exact(version: str) -> bool:
    """YYYY.M.N with an optional -beta.N or -N (OpenClaw's own scheme; not semantic versions)."""
    return re.fullmatch(r"\d{4}\.\d{1,2}\.\d{1,3}(-[0-9A-Za-z.]+)?", version) is not None


def exact(version: str) -> str:
    if not is_exact(version):
        raise ValueError(f"{version!r} is not an exact OpenClaw version such as 2026.9.6")
    return version


def _manifest(version: str) -> str:
    """The package.json of an installation that consists of OpenClaw alone."""
    scripts: Json = dict.fromkeys(_SCRIPTS, True)
    return json.dumps({"private": True, "allowScripts": scripts, "dependencies": {"openclaw": version}})
