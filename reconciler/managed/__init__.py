"""MANAGED: the one tuple that names everything we own on a host, in the order in which it is put there.

Each entry says how the probe looks at it and what the look shall show. Steps bring a host there; the planner compares.
Nothing here acts.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network
from typing import Final

from reconciler.commands import forced
from reconciler.commands.switching import RETURN_PATH, RETURN_PROGRAM, RETURN_SERVICE, RETURN_TIMER
from reconciler.diff import digest
from reconciler.managed import files
from reconciler.managed.config import config_look, wanted_config
from reconciler.managed.questions import probe_program
from reconciler.managed.things import (
    Managed,
    ManagedDirectory,
    ManagedFile,
    Materials,
    directory,
    file,
    plain,
    secret_file,
    text_file,
    unit,
    unit_at_boot,
)
from reconciler.managed.workspace import wanted_workspace, workspace_look
from reconciler.model import ChildSpec, Json

__all__ = [
    "FOREIGN_UNITS",
    "MANAGED",
    "PACKAGES",
    "UNITS",
    "Managed",
    "ManagedDirectory",
    "ManagedFile",
    "Materials",
    "digests",
    "entry_named",
    "looks",
    "wanted_values",
]

PACKAGES: Final = ("ca-certificates", "curl", "nftables", "ufw", "xz-utils")
UNITS: Final = (files.UNIT, files.METADATA_UNIT, RETURN_SERVICE, RETURN_TIMER)
# Units whose names begin like ours, and are none of ours.
FOREIGN_UNITS: Final = ("/etc/systemd/system", "openclaw-*", (*UNITS, "*.d"))
_SSHD_SETTINGS: Final = {name.lower(): value for name, value in files.SSHD_SETTINGS.items()}


def wanted_values(spec: ChildSpec, materials: Materials) -> dict[str, Json]:
    """What every managed thing of this child shall look like to the probe."""
    return {entry.name: entry.wanted(spec, materials) for entry in MANAGED}


def digests(values: Mapping[str, Json]) -> dict[str, str]:
    """A digest per managed thing, as applied.json keeps them."""
    return {name: digest(value) for name, value in values.items()}


def looks(spec: ChildSpec | None) -> dict[str, Json]:
    """The probe's questions by name; of a child that nobody declares, those that any host of ours can answer."""
    return {entry.name: entry.look(spec) for entry in MANAGED}


def entry_named(name: str) -> Managed:
    return _BY_NAME[name]


MANAGED: Final[tuple[Managed, ...]] = (
    file(
        "login key",
        files.AUTHORIZED_KEYS_PATH,
        f"{files.LOGIN_USER}:{files.LOGIN_USER}",
        "0600",
        lambda m: files.login_lines(m.login_public_key, m.probe_public_key).encode(),
    ),
    plain("other login keys", {"kind": "paths", "paths": list(files.OTHER_KEYS)}, []),
    # The public half stands for both in what is written: an OpenSSH private key file is never the same bytes twice.
    file("host key", f"{files.HOST_KEY_PATH}.pub", "root:root", "0644", lambda m: f"{m.host_public_key}\n".encode()),
    Managed(
        "host key file",
        lambda s: {"kind": "private_key", "path": files.HOST_KEY_PATH},
        lambda s, m: {"public": m.host_public_key, "mode": "0600", "owner": "root:root"},
    ),
    text_file("sshd", files.SSHD_PATH, files.SSHD),
    plain(
        "sshd in force",
        {
            "kind": "sshd",
            "user": files.LOGIN_USER,
            "settings": list(_SSHD_SETTINGS),
            "ours": files.SSHD_PATH.rpartition("/")[2],
        },
        {"settings": {**_SSHD_SETTINGS}, "foreign": []},
    ),
    plain(
        "login account",
        {"kind": "account", "name": files.LOGIN_USER},
        {"home": files.LOGIN_HOME, "shell": "/bin/sh", "locked": True},
    ),
    text_file("sudoers", files.SUDOERS_PATH, files.SUDOERS, "0440"),
    plain(
        "other sudoers",
        {"kind": "sudoers", "user": files.LOGIN_USER, "ours": files.SUDOERS_PATH.rpartition("/")[2]},
        [],
    ),
    plain("packages", {"kind": "packages", "names": list(PACKAGES)}, dict.fromkeys(PACKAGES, True)),
    Managed(
        "firewall",
        lambda s: {"kind": "firewall"},
        lambda s, m: {
            "enabled": True,
            "incoming": "deny",
            "outgoing": "allow",
            "rules": list(_ssh_rules(s)),
            "foreign": [],
        },
    ),
    directory("settings directory", "/etc/openclaw-deploy", only=(files.METADATA_RULES_PATH.rpartition("/")[2],)),
    file(
        "metadata rules",
        files.METADATA_RULES_PATH,
        "root:root",
        "0644",
        lambda m: (files.FENCED_RULES if m.is_throwaway else files.METADATA_RULES).encode(),
    ),
    text_file("metadata unit", files.METADATA_UNIT_PATH, files.METADATA_SERVICE),
    unit("metadata drop", files.METADATA_UNIT),
    Managed(
        "metadata rules in force",
        # By names where one is about an account, whose number is each host's own.
        lambda s: {"kind": "rules", "table": ["inet", "openclaw_deploy"], "names": s is not None and s.is_throwaway},
        lambda s, m: list(files.FENCED_RULES_IN_FORCE if s.is_throwaway else files.METADATA_RULES_IN_FORCE),
    ),
    plain(
        "account",
        {"kind": "account", "name": files.SERVICE_USER},
        {"home": files.HOME, "shell": "/usr/sbin/nologin", "locked": True},
    ),
    directory("home", files.HOME, f"{files.SERVICE_USER}:{files.SERVICE_USER}", "0700"),
    directory(
        "secrets directory",
        files.SECRETS_DIRECTORY,
        f"root:{files.SERVICE_USER}",
        "0750",
        ("gateway.token", "telegram.token", "model.key"),
    ),
    # Releases and Nodes of other versions are ours too: the running gateway may still be of one of them.
    directory("software directory", "/opt/openclaw", only=("current", "releases", "node-*[0-9]")),
    directory("releases directory", files.RELEASES, only=("[0-9]*",)),
    directory("notes directory", files.NOTES, mode="0700", only=files.NOTED),
    directory("programs directory", "/usr/local/lib/openclaw-deploy", only=("probe", "return", "stamp")),
    plain(
        "node",
        {"kind": "directory", "path": f"/opt/openclaw/node-{files.NODE_VERSION}", "program": "bin/node"},
        {"mode": "0755", "owner": "root:root", "program": True, "intact": True},
    ),
    Managed(
        "release",
        lambda s: {"kind": "release", "path": files.CURRENT},
        lambda s, m: {
            "version": s.version,
            "complete": True,
            "link": f"{files.RELEASES}/{s.version}",
            "intact": True,
            "tree": m.tree,
            "mode": "0755",
            "owner": "root:root",
        },
    ),
    secret_file("gateway token", files.GATEWAY_TOKEN_PATH, lambda m: m.gateway_token),
    secret_file("bot token", files.TELEGRAM_TOKEN_PATH, lambda m: m.bot_token),
    secret_file("model key", files.MODEL_KEY_PATH, lambda m: m.model_key),
    text_file("stamp program", files.STAMP_PATH, files.STAMP, "0755"),
    text_file("return program", RETURN_PATH, RETURN_PROGRAM, "0755"),
    # It holds the key that the digests of this host's secrets are made with.
    file(
        "probe program",
        forced.PROGRAM_PATH,
        "root:root",
        "0700",
        lambda m: probe_program(m, looks(None)),
        secret=True,
    ),
    text_file("return unit", f"/etc/systemd/system/{RETURN_SERVICE}", files.RETURN_UNIT),
    text_file("return timer", f"/etc/systemd/system/{RETURN_TIMER}", files.RETURN_TIMER_UNIT),
    unit_at_boot("return at boot", RETURN_SERVICE),
    unit_at_boot("return again and again", RETURN_TIMER),
    text_file("unit", files.UNIT_PATH, files.GATEWAY_UNIT),
    plain(
        "other units",
        {"kind": "names", "path": FOREIGN_UNITS[0], "pattern": FOREIGN_UNITS[1], "only": list(FOREIGN_UNITS[2])},
        [],
    ),
    plain(
        "units as loaded",
        {"kind": "loaded", "units": list(UNITS)},
        {name: {"from": f"{FOREIGN_UNITS[0]}/{name}", "drop_ins": [], "outdated": False} for name in UNITS},
    ),
    Managed("config", config_look, lambda s, m: wanted_config(s, m.endpoints)),
    Managed("workspace files", workspace_look, lambda s, m: wanted_workspace(s)),
    Managed(
        "gateway",
        lambda s: {"kind": "unit", "name": files.UNIT},
        lambda s, m: {"enabled": "disabled" if s.is_throwaway else "enabled", "active": "active"},
    ),
)

_BY_NAME: Final = {entry.name: entry for entry in MANAGED}


def _ssh_rules(spec: ChildSpec) -> list[str]:
    """As the probe words ufw's rules."""
    return sorted(f"22/tcp from {ip_network(source)}" for source in spec.ssh_from) or ["22/tcp"]
