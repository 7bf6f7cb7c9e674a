"""Node and the OpenClaw release, each in a directory of its version: root's, read-only to the gateway."""

from __future__ import annotations

from typing import Final

from reconciler import commands
from reconciler.errors import HostError
from reconciler.managed import files
from reconciler.steps.work import Work

NODE_DIRECTORY: Final = f"/opt/openclaw/node-{files.NODE_VERSION}"
INSTALL_TIMEOUT: Final = 900.0  # measured 30-40 s alone on two cores; a first apply of many shares them


def ensure_node(work: Work) -> bool:
    """Node of the version that the unit names, from a tarball with a known digest."""
    if work.is_right("node"):
        return False
    assert work.facts is not None
    distribution = work.ports.endpoints.node.get(work.facts.architecture)
    if distribution is None:
        raise HostError(
            f"no Node.js is known for the architecture {work.facts.architecture}", "use an x86 or arm server type"
        )
    work.connection().run(commands.fetch_archive(distribution.url, distribution.sha256, NODE_DIRECTORY))
    return True


def ensure_release(work: Work) -> bool:
    """The release is installed and linked as current. A running gateway keeps the one it started with."""
    if work.is_right("release"):
        return False
    version = work.declared().version
    registry = work.ports.endpoints.npm_registry
    work.connection().run(commands.install_release(version, NODE_DIRECTORY, registry, INSTALL_TIMEOUT))
    work.connection().run(commands.make_symlink(f"{files.RELEASES}/{version}", files.CURRENT))
    return True
