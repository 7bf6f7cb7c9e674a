"""What must be true of this machine before the sandbox touches anything; each refusal says how to mend it."""

from __future__ import annotations

import os
import shutil
import stat

from reconciler.errors import SandboxError

# program -> Debian package
PROGRAMS = {
    "ip": "iproute2",
    "mmdebstrap": "mmdebstrap",
    "nft": "nftables",
    "systemctl": "systemd",
    "systemd-nspawn": "systemd-container",
    "unshare": "util-linux",
}
NETWORK = ("ip", "nft")


def require_root(user_id: int) -> None:
    """Network namespaces, mounts and control groups are root's."""
    if user_id:
        raise SandboxError("the sandbox boots machines, and only root may", "Run it as root: `sudo fleet sandbox …`.")


def require_programs(simulated: bool = False) -> None:
    """For simulated machines only those that make the network."""
    needed = [name for name in PROGRAMS if name in NETWORK or not simulated]
    missing = sorted({PROGRAMS[program] for program in needed if shutil.which(program) is None})
    if missing:
        raise SandboxError(
            f"the sandbox needs Debian's {', '.join(missing)}",
            f"Install: `apt-get install --no-install-recommends {' '.join(missing)}`.",
        )


def require_null_device(found: os.stat_result, path: str = os.devnull) -> None:
    """Machines get this machine's own null device with its mode; at another mode than 0666 gateways cannot start."""
    if not stat.S_ISCHR(found.st_mode) or found.st_rdev != os.makedev(1, 3):
        raise SandboxError(
            f"{path} is not the null device (character device 1:3)",
            f"Something replaced it. Mend it: `rm -f {path} && mknod -m 666 {path} c 1 3`.",
        )
    mode = stat.S_IMODE(found.st_mode)
    if mode != 0o666:
        raise SandboxError(
            f"{path} has mode {mode:04o} instead of 0666: gateways on the machines could not start",
            f"Mend it: `chmod 666 {path}`.",
        )
