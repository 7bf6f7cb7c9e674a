"""Keeps one machine powered: `python -m reconciler.sandbox.supervisor <id>` boots it, and boots it again on reboot.

One process per machine, so that a machine outlives the daemon that started it. Holds the machine's power lock (handed
over open by NspawnMachines) until the machine is off, and takes everything of the running machine with it: mounts,
namespaces and control groups. Must not touch the network or the disk's content.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

from reconciler.sandbox import cgroups
from reconciler.sandbox.disk import Description, overlay_options
from reconciler.sandbox.network import machine_namespace
from reconciler.sandbox.paths import MachinePaths, Paths
from reconciler.sandbox.process import SYSTEM_PATH

REBOOT = 133  # nspawn's exit code with --keep-unit when the machine asked for a reboot

# nspawn gives a machine in a ready-made network namespace neither right by itself, and networkd and ufw need them.
ENVIRONMENT = {
    "PATH": SYSTEM_PATH,
    "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
    "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",
    "SYSTEMD_NSPAWN_LOCK": "0",
}
# Fixed text: what varies arrives in "$@".
MOUNT_AND_BOOT = 'mount -t overlay "$1" -o "$2" "$3" && shift 3 && exec "$@"'


def main(machine_id: int) -> None:
    paths = Paths.default()
    machine = paths.machine(machine_id)
    trees = cgroups.load_trees(paths.cgroups)
    description = Description.from_file(machine.description)
    group = machine_namespace(machine_id)
    while True:
        machine.boot_again.unlink(missing_ok=True)
        cgroups.make(trees, group, description.memory_mb)
        exit_code = _boot(machine, description, [tree / group for tree in trees.values()])
        cgroups.kill(trees, group)
        forget_in_nspawn(machine_id)
        if exit_code != REBOOT and not machine.boot_again.exists():
            return


def forget_in_nspawn(machine_id: int) -> None:
    """Remove the folder that a killed nspawn leaves behind."""
    with contextlib.suppress(OSError):
        Path("/run/systemd/nspawn/propagate", machine_namespace(machine_id)).rmdir()


def _boot(paths: MachinePaths, description: Description, groups: list[Path]) -> int:
    """Boot, and wait until the machine is off; nspawn's exit code."""

    def enter_groups() -> None:
        for group in groups:
            (group / "cgroup.procs").write_text("0")

    with paths.console.open("ab") as console:
        return subprocess.run(
            _command(paths, description),
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            env=ENVIRONMENT,
            cwd="/",
            preexec_fn=enter_groups,
            check=False,
        ).returncode


def _command(paths: MachinePaths, description: Description) -> list[str]:
    name = machine_namespace(description.id)
    # Its own clock since boot: without it a machine would show the outer machine's uptime.
    uptime = int(float(Path("/proc/uptime").read_text().split()[0]))
    outer = [
        "unshare", "--mount", "--propagation=slave", "--time", "--fork", "--kill-child",
        f"--boottime=-{uptime}", f"--monotonic=-{uptime}",
        "sh", "-c", MOUNT_AND_BOOT, "sh", name, overlay_options(paths, description.image_folder), str(paths.root),
    ]  # fmt: skip
    inner = [
        "systemd-nspawn", "--quiet", "--boot", f"--directory={paths.root}", f"--machine={name}",
        f"--hostname={description.hostname}", f"--uuid={description.uuid}", "--register=no", "--keep-unit",
        f"--network-namespace-path=/run/netns/{name}", "--capability=CAP_NET_ADMIN,CAP_NET_RAW",
        "--console=pipe", "--resolv-conf=off", "--timezone=off", "--link-journal=no",
    ]  # fmt: skip
    return outer + inner


if __name__ == "__main__":
    main(int(sys.argv[1]))
