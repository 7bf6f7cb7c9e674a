"""Node and OpenClaw releases below /opt/openclaw: root's, read-only to the gateway, complete or not there.

Each is made beside its place and moved there by one rename at the very end, so whatever kills it, the next run starts
over and nothing half-made is ever used.
"""

from __future__ import annotations

import json
import re
from typing import Final

from reconciler.commands.shell import exclusive, script
from reconciler.model import Command
from reconciler.probe_program.tree import FINGERPRINT, MARK

BUILD_USER: Final = "openclaw-build"
RELEASES: Final = "/opt/openclaw/releases"

# npm 11 refuses --allow-scripts in a local installation and runs no script without it; this is its other way
# (facts on real gateways, section 1).
_MANIFEST: Final = json.dumps(
    {
        "private": True,
        "allowScripts": dict.fromkeys(("openclaw", "koffi", "protobufjs", "@google/genai", "tree-sitter-bash"), True),
    }
)

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

# Nothing that npm fetched ever runs as root: the lifecycle that OpenClaw finishes at its first start is finished by
# the build user, which can no longer be at work when the tree becomes root's.
_INSTALL = f"""{_TREE}
version=$1 node=$2 registry=$3 manifest=$4
final={RELEASES}/$version build=/opt/openclaw/build; stage=$build/$version home=$build/home
unfinished() {{
  for mark in .openclaw-lifecycle-pending dist/openclaw-install-guard; do
    [ ! -e "$1/$mark" ] || {{ echo "$mark"; return 0; }}
  done
  return 1
}}
if [ -e "$final/node_modules/openclaw/openclaw.mjs" ] && ! unfinished "$final/node_modules/openclaw" >/dev/null &&
  intact "$final"; then
  chown root:root "$final"; chmod 0755 "$final"; exit 0
fi
{_BUILDER}
pkill -KILL -u {BUILD_USER} || true
rm -rf -- "$build"; mkdir -p {RELEASES}; install -d -m 0711 "$build"
install -d -m 0700 -o {BUILD_USER} -g {BUILD_USER} "$stage" "$home"
printf '%s\\n' "$manifest" >"$stage/package.json"; chown {BUILD_USER}: "$stage/package.json"
as_builder() {{
  ( cd "$stage"; exec 9>&-; exec runuser -u {BUILD_USER} -- env -i HOME="$home" PATH="$node/bin:/usr/bin:/bin" \
    npm_config_update_notifier=false "$@" </dev/null )
}}
set -- install --no-audit --no-fund --no-progress --loglevel=error --save-exact "openclaw@$version"
[ -z "$registry" ] || set -- "$@" "--registry=$registry"
as_builder npm "$@" >&2
package=$stage/node_modules/openclaw
says=$(as_builder node "$package/openclaw.mjs" --version)
pkill -KILL -u {BUILD_USER} || true
case "$says " in "OpenClaw $version "*) ;; *) echo "installed $version, but it says: $says" >&2; exit 1 ;; esac
if mark=$(unfinished "$package"); then echo "the installation is unfinished: $mark is still there" >&2; exit 1; fi
chown -R root:root -- "$stage"; chmod -R go-w,u-s,g-s,a+rX -- "$stage"
fingerprint "$stage" >"$stage/{MARK}"; sync -f "$stage"
rm -rf -- "$final"; mv -T -- "$stage" "$final"; rm -rf -- "$build"
"""


def fetch_archive(url: str, sha256: str, directory: str, timeout: float = 300.0) -> Command:
    """`directory` holds what the tar archive at `url` has below its one top directory, if its SHA-256 is right."""
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise ValueError(f"{sha256!r} is not a SHA-256 in lower-case hex")
    return exclusive(f"fetch {url}", _FETCH, url, sha256, directory, timeout=timeout)


def install_release(version: str, node_directory: str, npm_registry: str | None, timeout: float) -> Command:
    """OpenClaw `version` (exact) in /opt/openclaw/releases/<version>, from npm, with its lifecycle finished."""
    arguments = (exact(version), node_directory, npm_registry or "", _MANIFEST)
    return exclusive(f"install OpenClaw {version}", _INSTALL, *arguments, timeout=timeout)


def newest_release(node_directory: str, npm_registry: str | None) -> Command:
    """Prints the version that npm calls latest in the registry that installs it. To be checked before it is used."""
    return script("ask for the newest OpenClaw", _NEWEST, node_directory, npm_registry or "", timeout=60)


def is_exact(version: str) -> bool:
    """YYYY.M.N with an optional -beta.N or -N (OpenClaw's own scheme; not semantic versions)."""
    return re.fullmatch(r"\d{4}\.\d{1,2}\.\d{1,3}(-[0-9A-Za-z.]+)?", version) is not None


def exact(version: str) -> str:
    if not is_exact(version):
        raise ValueError(f"{version!r} is not an exact OpenClaw version such as 2026.9.6")
    return version
