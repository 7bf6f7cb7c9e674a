"""The way in: sshd's host key, its configuration, who may log in and become root.

Any of these can lock us out. `arm_access` comes first and takes all of them back after a minute; `confirm_access`, sent
over a *new* connection, makes them stay.
"""

from __future__ import annotations

from typing import Final

from reconciler.commands.shell import arm, confirm, script
from reconciler.model import Command, Secret

SAVED: Final = "/run/openclaw-deploy/access-before"  # there while a change waits for its confirmation
TIMER: Final = "openclaw-deploy-revert-access"

# By name and not by tar alone: what was not there before must be gone afterwards.
_SAVE: Final = """
  for path in /etc/ssh/sshd_config.d /etc/ssh/ssh_host_ed25519_key* /etc/sudoers.d /home/fleet/.ssh/authorized_keys; do
    [ ! -e "$path" ] || printf '%s\\n' "${path#/}"
  done | tar -C / -cpf "$saved/files.tar" -T -
"""
_RESTORE: Final = """
rm -rf /etc/ssh/sshd_config.d/* /etc/sudoers.d/* /home/fleet/.ssh/authorized_keys
tar -C / -xpf files.tar; sync
systemctl reload ssh
"""

# A reload takes a moment in which sshd refuses or still shows the old key. The public half is written last, when the
# new key has been seen: it is the sign that all of this was done.
_HOST_KEY = """
key=/etc/ssh/ssh_host_ed25519_key
umask 077; rm -f "$key.part"; cat >"$key.part"
[ "$(ssh-keygen -y -f "$key.part" </dev/null | cut -d' ' -f1,2)" = "$1" ] || { echo 'not the wanted key' >&2; exit 1; }
rm -f "$key.pub"
sync "$key.part"; mv -fT "$key.part" "$key"
sshd -t; systemctl reload ssh
left=50
until ssh-keyscan -T 2 -t ed25519 127.0.0.1 2>/dev/null | grep -qF -- "$1"; do
  left=$((left - 1)); [ "$left" -gt 0 ] || { echo 'sshd does not show the new key' >&2; exit 1; }
  sleep 0.2
done
printf '%s\\n' "$1" >"$key.pub.part"; chmod 0644 "$key.pub.part"; sync "$key.pub.part"
mv -fT "$key.pub.part" "$key.pub"; sync /etc/ssh
"""
_AUTHORIZED_KEYS = """
home=$(getent passwd "$1" | cut -d: -f6); directory=$home/.ssh; part=$directory/.authorized_keys.part
[ -n "$home" ] || { echo "no account $1" >&2; exit 1; }
[ -d "$directory" ] || mkdir -m 0700 "$directory"
chown "$1:" "$directory"; chmod 0700 "$directory"
umask 077; rm -f "$part"; cat >"$part"
[ "$(wc -c <"$part")" -eq "$2" ] || { rm -f "$part"; echo 'the keys did not arrive whole' >&2; exit 1; }
chown "$1:" "$part"; chmod 0600 "$part"; sync "$part"; mv -fT "$part" "$directory/authorized_keys"; sync "$directory"
"""

# Ours comes last in sudoers.d, where the last rule that matches decides. A file of others that makes anybody root
# without a password gets a name that sudo leaves out.
_SUDO = """
directory=/etc/sudoers.d; file=$directory/$2; part=$directory/.$2.part
install -d -m 0750 -o root -g root "$directory"
umask 077; rm -f "$part"; cat >"$part"; chmod 0440 "$part"
visudo -cqf "$part" || { rm -f "$part"; echo 'sudo does not understand its rule' >&2; exit 1; }
sync "$part"; mv -fT "$part" "$file"
for other in "$directory"/*; do
  case ${other##*/} in "$2" | *.* | *~) continue ;; esac
  if grep -Ev "^[[:space:]]*(#|$1[[:space:]])" -- "$other" | grep -qE 'NOPASSWD|![[:space:]]*authenticate'; then
    mv -fT -- "$other" "$other.off"
  fi
done
sync "$directory"
"""

# The first value that sshd reads counts, so a drop-in before ours beats it, and one with conditions may.
_DROP_INS = """
cd /etc/ssh/sshd_config.d
for file in *.conf; do
  [ -e "$file" ] && [ "$file" != "$1" ] || continue
  first=$(printf '%s\\n%s\\n' "$file" "$1" | sort | head -n 1)
  if [ "$first" = "$file" ] || grep -qiE '^[[:space:]]*(match|include)[[:space:]]' -- "$file"; then
    mv -fT -- "$file" "$file.off"
  fi
done
sync .
"""


def arm_access() -> Command:
    """What changes from now on of sshd's files, login keys and sudoers is as now again after 60 seconds."""
    return script("arm the way back", arm(SAVED, TIMER, _SAVE, _RESTORE))


def confirm_access() -> Command:
    """The changes stay. Fails when they were taken back before."""
    return script("confirm the way in", confirm(SAVED, TIMER))


def rotate_host_key(private_key: Secret, public_key: str) -> Command:
    """sshd shows this Ed25519 key to new connections. `public_key` is "ssh-ed25519 AAAA…", without a comment."""
    return script("replace the host key", _HOST_KEY, public_key, stdin=private_key.reveal().encode())


def set_authorized_keys(user: str, lines: str) -> Command:
    """Exactly these lines let anybody in as `user`. Raises ValueError for none: nobody could log in."""
    if not lines.strip():
        raise ValueError(f"no login key for {user}")
    content = lines.encode()
    return script(f"set the login keys of {user}", _AUTHORIZED_KEYS, user, str(len(content)), stdin=content)


def reload_sshd() -> Command:
    """sshd works by its configuration as it is on disk; a wrong one is refused and the old one stays in force."""
    return script("reload sshd", "sshd -t; systemctl reload ssh")


def grant_sudo(user: str, file: str, rule: str) -> Command:
    """`rule` is /etc/sudoers.d/`file`, and no other file there makes others than `user` root without a password."""
    return script(f"let {user} use sudo", _SUDO, user, file, stdin=rule.encode())


def set_aside_drop_ins(ours: str) -> Command:
    """Drop-ins of sshd that beat `ours`, or may, get a name that sshd does not read."""
    return script("set foreign settings of sshd aside", _DROP_INS, ours)
