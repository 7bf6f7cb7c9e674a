"""A machine's disk: an upper layer over the base image, filled with what its cloud gives a machine at first boot.

Writes plain files into the upper layer before the first boot and never mounts anything: the supervisor mounts the
layers in a mount namespace of its own, so that no mount outlives it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from ipaddress import IPv4Network
from pathlib import Path

from reconciler.sandbox.network import service_address
from reconciler.sandbox.paths import MachinePaths
from reconciler.sandbox.ports import MachineSpec

SEED = "var/lib/cloud/seed/nocloud"


@dataclass(frozen=True, slots=True)
class Description:
    """What a machine is made of, without its user data. `uuid` is its machine id, 32 hex digits.

    `image_folder` are the layers below its own, uppermost first, joined by colons as overlayfs takes them.
    """

    id: int
    hostname: str
    address: str
    image: str
    image_folder: str
    memory_mb: int
    uuid: str

    @classmethod
    def from_file(cls, file: Path) -> Description:
        return cls(**json.loads(file.read_text()))

    def to_file(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self)))


def make_disk(paths: MachinePaths, machine: MachineSpec, subnet: IPv4Network, apt_sources: Sequence[str]) -> None:
    """The layers' folders, and in the upper one the cloud-init seed, the package sources and the user's data.

    What was in an earlier upper layer is gone.
    """
    paths.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for folder in (paths.upper, paths.work, paths.root):
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(mode=0o755)
    seed = {
        "user-data": machine.user_data,
        "meta-data": json.dumps({"instance-id": str(machine.id), "local-hostname": machine.hostname}),
        "network-config": json.dumps(_network(machine, subnet)),
    }
    for name, content in seed.items():
        _write(paths.upper, f"{SEED}/{name}", content, 0o600)
    # Our own copy: what the machine makes of its files is never read from out here.
    paths.user_data.touch(mode=0o600)
    paths.user_data.write_text(machine.user_data)
    _write(paths.upper, "etc/apt/sources.list", "".join(f"{line}\n" for line in apt_sources), 0o644)


def remove_disk(paths: MachinePaths) -> None:
    """All of the machine's files; its processes must be gone."""
    shutil.rmtree(paths.folder, ignore_errors=True)


def overlay_options(paths: MachinePaths, image_folder: str) -> str:
    return f"lowerdir={image_folder},upperdir={paths.upper},workdir={paths.work}"


def _network(machine: MachineSpec, subnet: IPv4Network) -> dict[str, object]:
    interface = {
        "addresses": [f"{machine.address}/{subnet.prefixlen}"],
        "routes": [{"to": "0.0.0.0/0", "via": service_address(subnet)}],
    }
    return {"version": 2, "ethernets": {"eth0": interface}}


def _write(root: Path, name: str, content: str, mode: int) -> None:
    path = root / name
    for parent in reversed(path.relative_to(root).parents):
        # A folder in the upper layer covers the image's own: it must look the same, whatever our umask is.
        (root / parent).mkdir(exist_ok=True)
        (root / parent).chmod(0o755)
    path.touch(mode=mode)
    path.chmod(mode)
    path.write_text(content)
