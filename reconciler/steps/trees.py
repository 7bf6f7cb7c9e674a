"""Which tree of files each version of OpenClaw is, so that all children of one version run the same.

npm chooses the packages that a release consists of anew each time, unless a lock file names them. So the first
installation of a version decides: the digest of its tree is a label at the cloud, its lock file is kept in state/, and
all others are installed from that. One version has a tree per architecture, because some packages are machine code, and
one lock file, which names those of all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from reconciler.commands import is_exact
from reconciler.diff import value_at
from reconciler.errors import HostError
from reconciler.model import LABEL_PREFIX, Child, Firewall, Fleet, HostFacts
from reconciler.steps.marks import marks
from reconciler.steps.versions import linked

MOST_FAILURES: Final = 3  # children on which a first installation fails in one run; npm may take minutes for each
_MARK: Final = LABEL_PREFIX + "tree-"
_ARCHITECTURE: Final = re.compile("[a-z0-9]+(_[0-9]+)?")

Key = tuple[str, str]  # version, architecture


def known_trees(fleet: Fleet, firewalls: Iterable[Firewall]) -> dict[Key, str]:
    """By version and architecture, what the labels say; what a person has written there and is none, says nothing."""
    found = {}
    for name, digest in marks(fleet, firewalls, _MARK).items():
        version, _, architecture = name.partition("_")
        if is_exact(version) and _ARCHITECTURE.fullmatch(architecture) and is_digest(digest):
            found[version, architecture] = digest
    return found


def mark_name(version: str, architecture: str) -> str:
    """The name of the label. Raises HostError for what cannot stand in one: a host has said it."""
    if not (is_exact(version) and _ARCHITECTURE.fullmatch(architecture)):
        raise HostError(f"no label can be named after OpenClaw {version} on {architecture}", "use an x86 or arm server")
    return f"{_MARK}{version}_{architecture}"


def wanted_tree(version: str, facts: HostFacts | None, known: Mapping[Key, str]) -> str | None:
    """The digest that the linked release shall have: the fleet's, and as it is where the fleet knows none."""
    return known.get((version, facts.architecture), tree_of(facts)) if facts is not None else None


def tree_of(facts: HostFacts) -> str | None:
    """The digest of the linked release as it was installed; None where none was noted."""
    noted = value_at(facts.managed.get("release"), ("tree",))
    return noted if isinstance(noted, str) and is_digest(noted) else None


def holders(version: str, children: Iterable[Child], known: Mapping[Key, str]) -> Iterator[Child]:
    """Those whose hosts have the lock file of this version: the fleet's tree, or any where the fleet knows none."""
    is_open = not any(of == version for of, _ in known)
    for child in children:
        if child.facts is None or child.server is None or linked(child.facts) != version:
            continue
        is_intact = value_at(child.facts.managed.get("release"), ("intact",)) is True
        is_right = tree_of(child.facts) == known.get((version, child.facts.architecture), "")
        if is_intact and (is_right or is_open):
            yield child


def is_digest(text: str) -> bool:
    """Whether it is one of a tree: whoever said it, no other text becomes a label."""
    return re.fullmatch("[0-9a-f]{40}", text) is not None


def is_lockfile(content: bytes, version: str) -> bool:
    """Whether it is npm's and names the packages of this version; one that was cut off is none."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return value_at(document, ("packages", "", "dependencies", "openclaw")) == version


@dataclass(slots=True)
class Trees:
    """What one run knows of them, and who may install: shared by the threads of all its children."""

    known: dict[Key, str] = field(default_factory=dict)
    lockfiles: dict[str, bytes] = field(default_factory=dict)  # by version
    children: Mapping[str, Child] = field(default_factory=dict)  # as they were looked at
    marking: Lock = field(default_factory=Lock)  # a firewall's labels are replaced as a whole
    failed: dict[str, set[str]] = field(default_factory=dict)  # by version, on whom a first installation has failed
    _turns: dict[str, Lock] = field(default_factory=dict)

    def has(self, version: str) -> bool:
        """Whether it is known on any architecture: then its lock file is settled."""
        return any(of == version for of, _ in self.known)

    def is_known(self, version: str, architecture: str) -> bool:
        """Whether it can be installed on many at a time."""
        return version in self.lockfiles and (version, architecture) in self.known

    @contextmanager
    def turn(self, version: str, child: str) -> Iterator[None]:
        """Nobody else makes this version known meanwhile. Raises HostError where that has failed on too many."""
        with self._turns.setdefault(version, Lock()):  # atomic, as the methods of a dict are
            failed = self.failed.setdefault(version, set())
            if len(failed - {child}) >= MOST_FAILURES:
                raise HostError(
                    f"not tried, OpenClaw {version} could not be installed on {', '.join(sorted(failed))}",
                    "what was wrong there is wrong here too, most likely: see to it, then apply again",
                )
            try:
                yield
            except HostError:
                failed.add(child)
                raise
