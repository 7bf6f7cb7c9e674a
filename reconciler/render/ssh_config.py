"""One child's part of an OpenSSH configuration, and its known_hosts. Pure text; cli/ssh_config.py writes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from reconciler.model import HostAddress

MARK: Final = "# Written by `fleet ssh-config`; run it again instead of changing this."

_UNSAYABLE: Final = ('"', "\\", "*", "?", "[", "${")  # it has no way to write one that means itself

# Nothing but the pinned key counts, and nothing but our own key is shown: no agent, no other file, no prompt.
_ENTRY: Final = """\
{mark}
Host {name}
  HostName {address}
  Port {port}
  User {user}
{identities}
  IdentitiesOnly yes
  IdentityAgent none
  HostKeyAlias {name}
  HostKeyAlgorithms ssh-ed25519
  UserKnownHostsFile {known_hosts}
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  UpdateHostKeys no
  CheckHostIP no
  PasswordAuthentication no
  KbdInteractiveAuthentication no
  ForwardAgent no
"""


def entry(name: str, address: HostAddress, key_files: Sequence[str], known_hosts: str) -> str:
    """The Host block. Paths are absolute; keys in the order in which they are tried."""
    return _ENTRY.format(
        mark=MARK,
        name=name,
        address=address.address,
        port=address.port,
        user=address.user,
        identities="\n".join(f"  IdentityFile {_path(path)}" for path in key_files),
        known_hosts=_path(known_hosts),
    )


def known_hosts(name: str, address: HostAddress) -> str:
    """Under the alias, so that a new address needs no new line."""
    return "".join(f"{name} {key}\n" for key in address.host_keys)


def can_be_written(path: str) -> bool:
    """Whether the path can stand in a configuration, and ssh then finds this path and no other."""
    return path.isprintable() and not any(part in path for part in _UNSAYABLE)


def include(directory: str) -> str:
    """The line for ~/.ssh/config."""
    return f"Include {_quoted(f'{directory}/*.conf')}"


def _path(path: str) -> str:
    """ssh expands %-words in paths."""
    return _quoted(path.replace("%", "%%"))


def _quoted(path: str) -> str:
    return f'"{path}"' if any(character.isspace() or character == "'" for character in path) else path
