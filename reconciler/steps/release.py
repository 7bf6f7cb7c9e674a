"""Node and the OpenClaw release, each in a directory of its version: root's, read-only to the gateway.

The first installation of a version makes it known to the fleet which tree that is; all others are made from its lock
file, and have to be the same (steps/trees.py).
"""

from __future__ import annotations

from typing import Final

from reconciler import commands
from reconciler.errors import HostError, NotFound, Refused
from reconciler.managed import files
from reconciler.model import LATEST, Json
from reconciler.ports import Host
from reconciler.steps.marks import claim_mark
from reconciler.steps.system import stop_gateway
from reconciler.steps.trees import holders, is_digest, is_lockfile, mark_name
from reconciler.steps.versions import present
from reconciler.steps.work import CONNECT_TIMEOUT, Work, address_of

INSTALL_TIMEOUT: Final = 900.0  # measured 30-40 s alone on two cores; a first apply of many shares them
MOST_ASKED: Final = 3  # hosts, for a lock file that state/ does not have


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
    work.connection().run(commands.fetch_archive(distribution.url, distribution.sha256, files.NODE_DIRECTORY))
    _stop_what_ran_on_it(work, work.facts.managed.get("node"))
    return True


def ensure_release(work: Work) -> bool:
    """The release is installed, beside the one that is linked as current, or as that where there is none.

    A running gateway keeps the one it started with. Linking another one is a switch. Where the fleet does not know yet
    which tree this version is, it learns it here, also from a release that was there before.
    """
    if work.declared().version == LATEST:
        work.made_at = _newest(work, work.ports.endpoints.npm_registry)
    was_right = work.is_right("release")
    if was_right and _has_nothing_to_tell(work):
        return False
    assert work.facts is not None
    version = work.declared().version
    is_made = _install_as_the_fleet_does(work, version)
    if was_right and not is_made:
        return False
    if present(work.facts) in (None, version):
        work.connection().run(commands.make_symlink(f"{files.RELEASES}/{version}", files.CURRENT))
        _stop_what_ran_on_it(work, work.facts.managed.get("release"), is_made=is_made)
    return True


def _has_nothing_to_tell(work: Work) -> bool:
    """The fleet knows the tree of this version, or shall not take this one for it: a person has to decide about it."""
    assert work.facts is not None
    is_known = (work.declared().version, work.facts.architecture) in work.trees.known
    return is_known or any(path.partition(".")[0] == "release" for path in work.left_alone)


def _install_as_the_fleet_does(work: Work, version: str) -> bool:
    """One child at a time while the tree is not known, and all at once from then on. Whether it was made anew."""
    assert work.facts is not None
    trees, architecture = work.trees, work.facts.architecture
    with trees.turn(version, work.name):
        if version not in trees.lockfiles and (lockfile := _lockfile(work, version)):
            trees.lockfiles[version] = lockfile
        if not trees.is_known(version, architecture):
            return _install(work, version, architecture)
    return _install(work, version, architecture)


def _install(work: Work, version: str, architecture: str) -> bool:
    trees = work.trees
    wanted, lockfile = trees.known.get((version, architecture), ""), trees.lockfiles.get(version, b"")
    command = commands.install_release(
        version, files.NODE_DIRECTORY, work.ports.endpoints.npm_registry, INSTALL_TIMEOUT, lockfile, wanted
    )
    said = work.connection().run(command).stdout.decode(errors="replace").strip()
    tree, _, became = said.partition(" ")
    if not is_digest(tree):
        raise HostError(f"OpenClaw {version} was installed, and its digest is none: {said[:80]!r}", "apply again")
    if became == "other":
        raise _other_tree(work, mark_name(version, architecture), version, tree, wanted)
    if not trees.is_known(version, architecture):
        _make_known(work, version, architecture, tree)
    return became == "made"


def _make_known(work: Work, version: str, architecture: str, tree: str) -> None:
    """The label first: it says whose lock file is the right one, if two runs are at this at the same time."""
    trees, name = work.trees, mark_name(version, architecture)
    lockfile = trees.lockfiles.get(version)
    if lockfile is None or not trees.has(version):  # a release that was there before has its own
        lockfile = _lockfile_on(work.connection(), version)
    if lockfile is None:
        raise HostError(
            f"OpenClaw {version} is installed, and there is no lock file of it in {files.RELEASES}/{version}",
            "take that directory away on the host, then apply again: it is installed anew",
        )
    if (version, architecture) not in trees.known:
        with trees.marking:
            agreed = _agreed(work, name, tree)
        if agreed != tree:
            raise _other_tree(work, name, version, tree, agreed)
        trees.known[version, architecture] = tree
        work.note("tree-known", version=version, architecture=architecture, tree=tree)
    if lockfile != trees.lockfiles.get(version):
        work.ports.store.keep_lockfile(version, lockfile)
        trees.lockfiles[version] = lockfile


def _agreed(work: Work, name: str, tree: str) -> str:
    """The fleet's digest, from now on at the latest. Raises CloudError."""
    try:
        return claim_mark(work.fleet, work.ports, name, tree)
    except NotFound as error:  # whoever asks for some children does not make the firewall: a later apply notes it there
        work.note("tree-not-noted", error=error.summary)
        return tree


def _lockfile(work: Work, version: str) -> bytes | None:
    """From state/, else from another child's host that has the right tree."""
    kept = work.ports.store.lockfile(version)
    if kept is not None and is_lockfile(kept, version):
        return kept
    found = [child for _, child in sorted(work.trees.children.items())]
    for child in list(holders(version, found, work.trees.known))[:MOST_ASKED]:
        assert child.server is not None
        try:
            host = work.ports.dialer.connect(address_of(child.server, work.fleet, work.ports), CONNECT_TIMEOUT)
            try:
                lockfile = _lockfile_on(host, version)
            finally:
                host.close()
        except HostError:
            continue  # the next one may answer
        if lockfile is not None:
            work.ports.store.keep_lockfile(version, lockfile)
            return lockfile
    return None


def _lockfile_on(host: Host, version: str) -> bytes | None:
    """What the host has, if it is a lock file of this version; it is another host's to read, too."""
    content = host.run(commands.read_lockfile(version)).stdout
    return content if is_lockfile(content, version) else None


def _other_tree(work: Work, label: str, version: str, tree: str, wanted: str) -> HostError:
    return HostError(
        f"npm makes the tree {tree[:12]} of OpenClaw {version}, and the fleet's is {wanted[:12]}",
        f"delete releases/{version}.lock.json in the state directory and apply to all children: the lock file is read "
        f"from one that has the right tree. If none has it any more, take the label {label} from the firewall "
        f"{work.fleet.name}: what is installed next counts then, and the others follow",
    )


def newest(host: Host, registry: str | None) -> str:
    """The version that `latest` means now, as the registry says it to a host that has Node. Raises HostError."""
    said = host.run(commands.newest_release(files.NODE_DIRECTORY, registry)).stdout.decode(errors="replace").strip()
    if not commands.is_exact(said):
        raise HostError(
            f"the npm registry does not say which OpenClaw is the newest, but {said[:80]!r}",
            "name an exact version in the fleet file, such as 2026.9.6",
        )
    return said


def _newest(work: Work, registry: str | None) -> str:
    said = newest(work.connection(), registry)
    held = work.quarantined.get(said)
    if held is not None and not work.asked.retries:
        raise Refused(
            f"the newest OpenClaw, {said}, is quarantined: {held.reason}",
            f"name another version in the fleet file; or once you know why: fleet quarantine clear {said}",
        )
    return said


def _stop_what_ran_on_it(work: Work, before: Json, *, is_made: bool = False) -> None:
    """A gateway that may have loaded changed files must not go on."""
    if isinstance(before, dict) and (is_made or before.get("intact") is False):
        stop_gateway(work)
