"""The text of every file we own on a host. Pure: nothing here reads or writes one."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Final

import yaml

from reconciler.commands import forced
from reconciler.commands.switching import RETURN_EVERY, RETURN_PATH, RETURN_SERVICE, SWITCH
from reconciler.model import Applied, Secret

_DUMPER: Final = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # in C, where libyaml is there: ten times as quick

NODE_VERSION: Final = "24.21.0"  # OpenClaw 2026.9.6 asks for >=24.16 <25 or >=26.1 (its package.json)
NODE_DIRECTORY: Final = f"/opt/openclaw/node-{NODE_VERSION}"
PORT: Final = 18789

LOGIN_USER: Final = "fleet"
SERVICE_USER: Final = "openclaw"
HOME: Final = "/var/lib/openclaw"
CONFIG_PATH: Final = f"{HOME}/.openclaw/openclaw.json"
WORKSPACE: Final = f"{HOME}/workspace"
SECRETS_DIRECTORY: Final = "/etc/openclaw"
GATEWAY_TOKEN_PATH: Final = f"{SECRETS_DIRECTORY}/gateway.token"
TELEGRAM_TOKEN_PATH: Final = f"{SECRETS_DIRECTORY}/telegram.token"
MODEL_KEY_PATH: Final = f"{SECRETS_DIRECTORY}/model.key"
LOG_PATH: Final = "/var/log/openclaw/openclaw.log"
NOTES: Final = "/var/lib/openclaw-deploy"
APPLIED_PATH: Final = f"{NOTES}/applied.json"
NOTED: Final = (
    "applied.json",
    "archive",
    "asides",
    "checkpoints",
    "held.json",
    "openclaw.json.before",
    "placed",
    "switch",
)
UNIT: Final = "openclaw-gateway.service"
UNIT_PATH: Final = f"/etc/systemd/system/{UNIT}"
METADATA_UNIT: Final = "openclaw-deploy-metadata.service"
METADATA_UNIT_PATH: Final = f"/etc/systemd/system/{METADATA_UNIT}"
METADATA_RULES_PATH: Final = "/etc/openclaw-deploy/metadata.nft"
STAMP_PATH: Final = "/usr/local/lib/openclaw-deploy/stamp"
STARTED_PATH: Final = "/run/openclaw-gateway/started.json"
SSHD_PATH: Final = "/etc/ssh/sshd_config.d/10-openclaw-deploy.conf"
HOST_KEY_PATH: Final = "/etc/ssh/ssh_host_ed25519_key"
LOGIN_HOME: Final = f"/home/{LOGIN_USER}"
AUTHORIZED_KEYS_PATH: Final = f"{LOGIN_HOME}/.ssh/authorized_keys"
# Files that sshd would look for by its own settings, ours aside.
OTHER_KEYS: Final = (f"{LOGIN_HOME}/.ssh/authorized_keys2", "/root/.ssh/authorized_keys", "/root/.ssh/authorized_keys2")
SUDOERS_PATH: Final = "/etc/sudoers.d/zz-openclaw-deploy"  # the last word: sudo reads them by name
RELEASES: Final = "/opt/openclaw/releases"
CURRENT: Final = "/opt/openclaw/current"

# What a running gateway has read once: when one of these differs from what it started with, it must restart.
STAMPED: Final = (UNIT_PATH, CURRENT, GATEWAY_TOKEN_PATH, TELEGRAM_TOKEN_PATH, MODEL_KEY_PATH)

# Setting -> value, as sshd prints both. Whatever lets somebody in is said, so that no later file can say it.
SSHD_SETTINGS: Final = {
    "PubkeyAuthentication": "yes",
    "PasswordAuthentication": "no",
    "KbdInteractiveAuthentication": "no",
    "HostbasedAuthentication": "no",
    "PermitEmptyPasswords": "no",
    "PermitRootLogin": "no",
    "PermitUserEnvironment": "no",
    "AllowUsers": LOGIN_USER,
    "AuthorizedKeysFile": ".ssh/authorized_keys",
    "AuthorizedKeysCommand": "none",
    "AuthorizedPrincipalsCommand": "none",
    "TrustedUserCAKeys": "none",
    "X11Forwarding": "no",
}
SSHD: Final = "# Written by OpenClaw Deploy; changes are put back by the next apply.\n" + "".join(
    f"{name} {value}\n" for name, value in SSHD_SETTINGS.items()
)
SUDOERS: Final = f"""\
# Written by OpenClaw Deploy; changes are put back by the next apply.
{LOGIN_USER} ALL=(ALL:ALL) NOPASSWD: ALL
"""

# The metadata service hands out user_data, and with it the first host key: only root may ask (design, "Keys and
# accounts"). An own table: ufw never flushes it.
_RULES: Final = """\
#!/usr/sbin/nft -f
table inet openclaw_deploy
delete table inet openclaw_deploy
table inet openclaw_deploy {
  chain output {
    type filter hook output priority filter; policy accept;
    %s
  }
}
"""
_NO_METADATA: Final = "ip daddr 169.254.169.254 meta skuid != 0 reject"
METADATA_RULES: Final = _RULES % _NO_METADATA
# Of a throw-away besides: whatever a backup makes its gateway do, nobody but its own host hears of it.
FENCED_RULES: Final = _RULES % f'{_NO_METADATA}\n    meta skuid {SERVICE_USER} oifname != "lo" reject'


def _in_force(*rules: str) -> tuple[str, ...]:
    """As `nft list table` prints them (nftables 1.0): the unit stays "active" when somebody flushes the rules."""
    chain = "type filter hook output priority filter; policy accept;"
    return ("table inet openclaw_deploy {", "chain output {", chain, *rules, "}", "}")


METADATA_RULES_IN_FORCE: Final = _in_force(_NO_METADATA)
# As `nft --guid list table` prints them.
FENCED_RULES_IN_FORCE: Final = _in_force(
    'ip daddr 169.254.169.254 meta skuid != "root" reject', f'meta skuid "{SERVICE_USER}" oifname != "lo" reject'
)

METADATA_SERVICE: Final = f"""\
[Unit]
Description=Close the cloud metadata address to all but root
DefaultDependencies=no
Before=network-pre.target
Wants=network-pre.target
After=local-fs.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f {METADATA_RULES_PATH}
ExecReload=/usr/sbin/nft -f {METADATA_RULES_PATH}

[Install]
WantedBy=multi-user.target
"""

# Runs as root just before each start: what the gateway is about to read, and how often it has started since boot.
STAMP: Final = f'''\
#!/usr/bin/python3 -I
"""Notes what the gateway starts with, so that "written but not yet running" can be seen. By OpenClaw Deploy."""
import hashlib, json, os, sys

PATH = "{STARTED_PATH}"


def digest(path):
    try:
        if os.path.islink(path):
            return hashlib.sha256(os.readlink(path).encode()).hexdigest()
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return None


os.makedirs(os.path.dirname(PATH), mode=0o700, exist_ok=True)
try:
    with open(PATH) as file:
        starts = json.load(file)["starts"]
except (OSError, ValueError, KeyError):
    starts = 0
with os.fdopen(os.open(PATH + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
    json.dump({{"starts": starts + 1, "digests": {{path: digest(path) for path in sys.argv[1:]}}}}, file)
os.replace(PATH + ".new", PATH)
'''

# RestrictSUIDSGID= would make openat2 fail and with it the gateway's lock; MemoryDenyWriteExecute= would break the JIT
# (both measured: facts on real gateways, "Hardening").
GATEWAY_UNIT: Final = f"""\
[Unit]
Description=OpenClaw gateway
ConditionPathExists=!{SWITCH}/closed
Requires={METADATA_UNIT}
After=network-online.target {METADATA_UNIT}
Wants=network-online.target
StartLimitBurst=5
StartLimitIntervalSec=300

[Service]
User={SERVICE_USER}
Group={SERVICE_USER}
WorkingDirectory={HOME}
ExecStartPre=+{STAMP_PATH} {" ".join(STAMPED)}
ExecStart={NODE_DIRECTORY}/bin/node {CURRENT}/node_modules/openclaw/openclaw.mjs gateway run
Environment=HOME={HOME} PATH={NODE_DIRECTORY}/bin:/usr/local/bin:/usr/bin:/bin
Environment=OPENCLAW_NO_RESPAWN=1 OPENCLAW_NO_AUTO_UPDATE=1 OPENCLAW_SERVICE_REPAIR_POLICY=external
Environment=NODE_COMPILE_CACHE=/var/cache/openclaw/compile
Restart=always
RestartSec=5
RestartPreventExitStatus=78
SuccessExitStatus=0 143
TimeoutStartSec=90
TimeoutStopSec=60
KillMode=mixed
OOMPolicy=continue
UMask=0077
LogsDirectory=openclaw
CacheDirectory=openclaw
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths={HOME}
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
RestrictRealtime=yes
RestrictNamespaces=yes
LockPersonality=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
CapabilityBoundingSet=

[Install]
WantedBy=multi-user.target
"""


# What brings a gateway back whose switch nobody goes on with: before it starts at a boot, else every few seconds, as
# long as there is a switch. The program itself looks whether it is time, and ends the timer when all is over.
RETURN_UNIT: Final = f"""\
[Unit]
Description=Bring the OpenClaw gateway back from a switch that nobody goes on with
Before={UNIT}
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart={RETURN_PATH}
TimeoutStartSec=900

[Install]
WantedBy=multi-user.target
"""
RETURN_TIMER_UNIT: Final = f"""\
[Unit]
Description=Look whether the OpenClaw gateway is to be brought back

[Timer]
OnActiveSec={RETURN_EVERY}
OnUnitInactiveSec={RETURN_EVERY}
AccuracySec=1s
Unit={RETURN_SERVICE}

[Install]
WantedBy=timers.target
"""


def user_data(login_public_key: str, host_private_key: Secret, host_public_key: str) -> Secret:
    """The cloud-config of a new server: the least that makes it reachable and safe until the first connection."""
    config = {
        "disable_root": True,
        "ssh_pwauth": False,
        "ssh_deletekeys": True,
        "ssh_genkeytypes": ["ed25519"],
        "ssh_keys": {"ed25519_private": host_private_key.reveal(), "ed25519_public": host_public_key},
        "users": [
            {
                "name": LOGIN_USER,
                "shell": "/bin/sh",
                "lock_passwd": True,
                "sudo": ["ALL=(ALL) NOPASSWD:ALL"],
                "ssh_authorized_keys": [login_public_key],
            }
        ],
        "write_files": [
            {"path": SSHD_PATH, "permissions": "0644", "content": SSHD},
            {"path": METADATA_RULES_PATH, "permissions": "0644", "content": METADATA_RULES},
            {"path": METADATA_UNIT_PATH, "permissions": "0644", "content": METADATA_SERVICE},
        ],
        "runcmd": [
            ["systemctl", "daemon-reload"],
            ["systemctl", "enable", "--now", METADATA_UNIT],
            ["systemctl", "reload", "ssh"],
        ],
    }
    return Secret("#cloud-config\n" + yaml.dump(config, Dumper=_DUMPER, sort_keys=False))


def applied_json(note: Applied) -> bytes:
    """What /var/lib/openclaw-deploy/applied.json says after a finished apply."""
    return (json.dumps(asdict(note), indent=1, sort_keys=True) + "\n").encode()


def login_lines(public_key: str, probe_public_key: str | None = None) -> str:
    """The lines of authorized_keys: no forwarding that the tool does not use, and for a probe key one program."""
    line = f"no-agent-forwarding,no-X11-forwarding {public_key}\n"
    return line if probe_public_key is None else f"{line}{forced.OPTIONS} {probe_public_key}\n"
