"""Node and the OpenClaw release, each in a directory of its version: root's, read-only to the gateway."""

from __future__ import annotations

from typing import Final

from reconciler import commands
from reconciler.errors import HostError, Refused
from reconciler.managed import files
from reconciler.model import LATEST, Json
from reconciler.steps.system import stop_gateway
from reconciler.steps.versions import present
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
    _stop_what_ran_on_it(work, work.facts.managed.get("node"))
    return True


def ensure_release(work: Work) -> bool:
    """The release is installed, beside the one that is linked as current, or as that where there is none.

    A running gateway keeps the one it started with. Linking another one is a switch.
    """
    registry = work.ports.endpoints.npm_registry
    if work.declared().version == LATEST:
        work.newest = _newest(work, registry)
    if work.is_right("release"):
        return False
    assert work.facts is not None
    version = work.declared().version
    work.connection().run(commands.install_release(version, NODE_DIRECTORY, registry, INSTALL_TIMEOUT))
    if present(work.facts) in (None, version):
        work.connection().run(commands.make_symlink(f"{files.RELEASES}/{version}", files.CURRENT))
        _stop_what_ran_on_it(work, work.facts.managed.get("release"))
    return True


def _newest(work: Work, registry: str | None) -> str:
    """The version that `latest` means now, as the registry says it to the host that is to install it."""
    printed = work.connection().run(commands.newest_release(NODE_DIRECTORY, registry)).stdout
    said = printed.decode(errors="replace").strip()
    if not commands.is_exact(said):
        raise HostError(
            f"the npm registry does not say which OpenClaw is the newest, but {said[:80]!r}",
            "name an exact version in the fleet file, such as 2026.9.6",
        )
    held = work.quarantined.get(said)
    if held is not None and not work.retries:
        raise Refused(
            f"the newest OpenClaw, {said}, is quarantined: {held.reason}",
            f"name another version in the fleet file; or once you know why: fleet quarantine clear {said}",
        )
    return said


def _stop_what_ran_on_it(work: Work, before: Json) -> None:
    """A gateway that may have loaded changed files must not go on."""
    if isinstance(before, dict) and before.get("intact") is False:
        stop_gateway(work)
