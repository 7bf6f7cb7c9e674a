"""How every command is made: a constant script, and its arguments as quoted positional parameters.

`arm` and `confirm` are for changes that could lock us out: they take themselves back unless a new connection confirms.

User data reaches a script only as "$1", "$2", … or on stdin; never as part of the script's text. Secrets travel on
stdin only: arguments are visible in the host's process list.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Final

from reconciler.model import Command

PREAMBLE: Final = (
    "set -eu; export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; umask 022; cd /"
)

# An earlier run that was killed on our side may still be at work on the host: wait for it, then find its work done.
ONE_AT_A_TIME: Final = (
    'exec 9>/run/openclaw-deploy.lock; flock -w "$patience" 9 || '
    "{ echo 'an earlier run is still at work on this host' >&2; exit 75; }"
)

REVERT_AFTER: Final = 60  # seconds


def arm(saved: str, timer: str, save: str, restore: str) -> str:
    """Shell text: `save` fills the new directory "$saved"; in 60 seconds `restore` runs there, unless confirmed.

    What was saved first is kept when it is armed again: that is the state that somebody could work with.
    """
    # The text is in a file: systemd reads its own note of a timer again at every daemon-reload (an installed package is
    # enough), and a command of several lines does not survive that (measured: systemd 252).
    # Taking back and confirming both start with a rename of what was saved: whichever comes first, the other fails.
    revert = f"set -eu; mv -T {saved} {saved}.revert; cd {saved}.revert\n{restore}\ncd /; rm -rf {saved}.revert"
    return f"""
if [ ! -d {saved} ]; then
  saved={saved}.part; rm -rf {saved}.*; mkdir -p -m 0700 "$saved"
  {save.strip()}
  mv -T "$saved" {saved}
fi
systemctl stop {timer}.timer {timer}.service 2>/dev/null || true
systemctl reset-failed {timer}.timer {timer}.service 2>/dev/null || true
printf '%s\\n' {shlex.quote(revert)} >{saved}/revert
systemd-run --quiet --collect --unit={timer} --on-active={REVERT_AFTER} --timer-property=AccuracySec=1s \
  sh {saved}/revert
"""


def confirm(saved: str, timer: str) -> str:
    """Shell text: what was armed stays as it is; fails when it was taken back before."""
    return f"""
mv -T {saved} {saved}.confirmed 2>/dev/null || {{ echo 'the change was already taken back' >&2; exit 1; }}
systemctl stop {timer}.timer
rm -rf {saved}.confirmed
"""


def script(
    name: str, text: str, *arguments: str, stdin: bytes = b"", timeout: float = 30.0, check: bool = True
) -> Command:
    """A Command that runs `text` (POSIX sh, a constant) as root with `arguments` as $1, $2, …"""
    words = shlex.join(["--", *arguments])
    return Command(
        name=name, line=f"{PREAMBLE}; set {words}\n{text}", stdin=stdin, timeout=timeout, as_root=True, check=check
    )


def plain(words: Sequence[str], timeout: float) -> Command:
    """A person's own command as the login account: these words, and nothing that a shell makes of them."""
    # The first word stands behind exec: as it is, a shell would take A=B for an assignment, and `if` for its own.
    line = f'set -- {shlex.join(words)}; exec "$@"'
    return Command("your command", line, timeout=timeout, as_root=False, check=False)


def exclusive(name: str, text: str, *arguments: str, stdin: bytes = b"", timeout: float, check: bool = True) -> Command:
    """As `script`, and at most one of these runs on a host at a time; a second waits within its own time."""
    patience = f"patience={max(1, int(timeout) - 5)}"
    return script(name, f"{patience}\n{ONE_AT_A_TIME}\n{text}", *arguments, stdin=stdin, timeout=timeout, check=check)
