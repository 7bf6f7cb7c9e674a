"""The way in: sshd's host key, its configuration, and who may log in."""

from __future__ import annotations

from reconciler.commands.shell import script
from reconciler.model import Command, Secret

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
