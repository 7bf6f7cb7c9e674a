"""The machines' base image: a Debian 12 as a cloud provider hands it out, built once and kept in the cache.

Nothing of OpenClaw Deploy may be put into it: what the tool needs on a host, the tool installs. Read-only for every
machine (the lower layer of its disk).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from reconciler.errors import SandboxError

PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "libpam-systemd", "openssh-server", "cloud-init", "iptables", "nftables",
    "iproute2", "iputils-ping", "sudo", "ca-certificates", "curl", "less", "procps", "kmod", "xz-utils", "cron",
    "logrotate",
)  # fmt: skip

IMAGES = {"debian-12": "bookworm"}

CLOUD_CONFIG = """\
datasource_list: [ NoCloud, None ]
disable_root: false
manage_etc_hosts: true
locale: C.UTF-8
apt: {preserve_sources_list: true}
system_info: {network: {renderers: [networkd]}}
"""

# Without it systemd-networkd-wait-online sits 12 s waiting for a router advertisement that never comes.
NO_ROUTER_ADVERTISEMENTS = "[Network]\nIPv6AcceptRA=no\n"

# nspawn hands the outer /dev/null in; a non-root Node cannot spawn a child unless it is 0666.
NULL_DEVICE = "z /dev/null 0666 root root -\n"

FILES = {
    "etc/cloud/cloud.cfg.d/90-sandbox.cfg": CLOUD_CONFIG,
    "etc/systemd/network/10-cloud-init-eth0.network.d/sandbox.conf": NO_ROUTER_ADVERTISEMENTS,
    "etc/tmpfiles.d/null.conf": NULL_DEVICE,
    "etc/apt/apt.conf.d/90-sandbox": 'Acquire::Check-Valid-Until "false";\nAcquire::Retries "3";\n',
    "etc/machine-id": "",
    "etc/resolv.conf": "",  # there is no DNS in the sandbox
}

MASKED = ("console-getty.service", "getty@tty1.service")  # the console is a pipe
ENABLED = ("systemd-networkd.service", "systemd-networkd-wait-online.service")


def image_folder(images: Path, name: str) -> Path:
    """Where the image of this name lies, built or not. SandboxError when nobody knows the name."""
    if name not in IMAGES:
        raise SandboxError(f"the sandbox has no image {name!r}", f"Use one of: {', '.join(sorted(IMAGES))}.")
    return images / f"{name}-{_recipe_digest()}"


def ensure_image(images: Path, name: str) -> bool:
    """Build the image unless it is there; True when it was built (30 s to 2 min). SandboxError when that fails."""
    target = image_folder(images, name)
    if target.is_dir():
        return False
    images.mkdir(parents=True, exist_ok=True)
    building = images / f".{target.name}.tmp"
    shutil.rmtree(building, ignore_errors=True)
    _bootstrap(building, IMAGES[name], images / f"{name}.log")
    _generalise(building)
    _configure(building)
    building.rename(target)
    return True


def apt_source_file() -> Path:
    """The outer machine's own list of Debian archives: no mirror's name is written anywhere in this program."""
    for candidate in (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list")):
        if candidate.is_file() and candidate.stat().st_size:
            return candidate
    raise SandboxError(
        "no apt sources of Debian found on this machine",
        "Put the archive's entry into /etc/apt/sources.list.d/debian.sources and run `fleet sandbox up` again.",
    )


def _bootstrap(target: Path, suite: str, log: Path) -> None:
    command = [
        "mmdebstrap", "--variant=minbase", "--mode=root",
        '--aptopt=Acquire::Retries "5"', '--aptopt=Acquire::Check-Valid-Until "false"',
        "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-include=/usr/share/doc/*/copyright", "--dpkgopt=path-exclude=/usr/share/locale/*",
        f"--include={','.join(PACKAGES)}", suite, str(target), str(apt_source_file()),
    ]  # fmt: skip
    with log.open("w") as output:
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False)
    if ended.returncode:
        shutil.rmtree(target, ignore_errors=True)
        raise SandboxError(f"mmdebstrap could not build the base image (exit {ended.returncode})", f"Read {log}.")


def _generalise(root: Path) -> None:
    """What an image builder does before publishing: nothing that belongs to one machine, or to this one, stays."""
    for path in _personal(root):
        path.unlink()
    for name in ("var/lib/cloud", "tmp", "var/tmp", "run"):
        folder = root / name
        if folder.is_dir():
            _empty(folder)
    (root / "var/log/journal").mkdir(exist_ok=True)  # without it the journal is lost at reboot


def _personal(root: Path) -> Iterator[Path]:
    yield from (root / "etc/ssh").glob("ssh_host_*")
    yield from (root / "etc/apt").glob("sources.list")
    yield from (root / "etc/apt/sources.list.d").iterdir()
    for name in ("etc/hostname", "etc/resolv.conf"):
        if (root / name).is_symlink() or (root / name).exists():
            yield root / name


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _configure(root: Path) -> None:
    for name, content in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    for unit in MASKED:
        link = root / "etc/systemd/system" / unit
        if not link.is_symlink():
            link.symlink_to(os.devnull)
    enable = ["systemctl", "--root", str(root), "--quiet", "enable", *ENABLED]
    ended = subprocess.run(enable, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SandboxError(
            f"systemctl could not finish the base image: {ended.stderr.strip()}", "Mend that, and run it again."
        )


def _recipe_digest() -> str:
    """Changes with what goes into the image, so that a cached one is never an older recipe's."""
    recipe = repr((PACKAGES, sorted(FILES.items()), MASKED, ENABLED))
    return hashlib.sha256(recipe.encode()).hexdigest()[:8]
