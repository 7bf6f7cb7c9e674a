"""What is done on a server that this tool has not made, before it is ours: look around, and make the account."""

from __future__ import annotations

from reconciler.commands.shell import script
from reconciler.model import Command

# One fact a line, `key value`. Only names of things: nobody's data is read.
_SURVEY = """
(. /etc/os-release; echo "system $PRETTY_NAME")
echo "machine $(uname -m)"
[ ! -d /run/systemd/system ] || echo 'init systemd'
[ ! -f /etc/ssh/ssh_host_ed25519_key ] || echo 'hostkey ed25519'
! command -v sudo >/dev/null || echo 'sudo yes'
sshd -T 2>/dev/null | while read -r key value; do [ "$key" != port ] || echo "port $value"; done
for path in /var/lib/openclaw /opt/openclaw /etc/openclaw /root/.openclaw /home/*/.openclaw; do
  [ ! -e "$path" ] || echo "gateway $path"
done
for unit in $(systemctl list-units --type=service --state=active --plain --no-legend 'openclaw*' | cut -d' ' -f1); do
  echo "running $unit"
done
[ ! -e /var/lib/openclaw-deploy/applied.json ] || echo 'applied yes'
! getent passwd "$1" >/dev/null || echo "account $1"
"""
# As cloud-init makes it from our user_data: no password, key only, root by sudo without asking.
_ACCOUNT = """
user=$1 sudoers=$2
getent passwd "$user" >/dev/null || useradd --create-home --shell /bin/sh -- "$user"
[ "$(id -u "$user")" -ne 0 ] || { echo "$user is root" >&2; exit 1; }
usermod --shell /bin/sh --lock -- "$user"
part="$(dirname "$sudoers")/.part"  # a name with a dot: sudo does not read it
umask 0337; rm -f "$part"; cat >"$part"; visudo -cqf "$part"
sync "$part"; mv -fT "$part" "$sudoers"; sync "$(dirname "$sudoers")"
"""


def survey(user: str) -> Command:
    """What kind of system it is and what is there already: lines of `key value`. `user` is the account that we need."""
    return script("look around", _SURVEY, user)


def make_login_account(user: str, sudoers: str, rule: str) -> Command:
    """The account that we log in to: without a password, root by the `rule` that becomes the file `sudoers`.

    Its keys are set_authorized_keys' part.
    """
    return script(f"make the login account {user}", _ACCOUNT, user, sudoers, stdin=rule.encode())


def prove_root() -> Command:
    """Fails where a login does not lead to root."""
    return script("prove the way in", '[ "$(id -u)" -eq 0 ]')
