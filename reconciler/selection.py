"""Which children a command means: the one selector of all commands, as a value. It knows no cloud and no terminal."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from reconciler.errors import UsageProblem
from reconciler.model import ChildSpec, Server

_MOST_NEAR = 3


@dataclass(frozen=True, slots=True)
class Selection:
    """What was asked for. Of each kind any may hold, of labels all must; kinds narrow each other down.

    So `web-* --group canary` are the children of the group canary whose names begin with web-. `labels` are `key` or
    `key=value`. Nothing at all given is not "all": each command says what that means to it.
    """

    names: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    everything: bool = False

    @property
    def is_empty(self) -> bool:
        return not (self.names or self.groups or self.labels or self.everything)

    @property
    def means_all(self) -> bool:
        return self.everything or self.is_empty

    def names_only(self, declared: Mapping[str, ChildSpec]) -> bool:
        """Whether the file alone answers it: declared children by their full names, and nothing else."""
        return bool(self.names) and not self.groups and not self.labels and all(name in declared for name in self.names)

    def __str__(self) -> str:
        """As it is written on a command line."""
        words = [*self.names, *(f"--group {group}" for group in self.groups), *(f"--label {it}" for it in self.labels)]
        return " ".join(words) or "--all"


def resolve(
    selection: Selection, declared: Mapping[str, ChildSpec], servers: Mapping[str, Server | None]
) -> tuple[str, ...]:
    """The selected children by name, sorted. A child that the file does not declare has no group, but its name and
    the labels of its server.

    Raises UsageProblem for whatever matches nothing, with what comes near, and when nothing is left in the end.
    """
    known = sorted({*declared, *servers})
    if selection.means_all:
        return tuple(known)
    groups = {name: spec.group for name, spec in declared.items() if spec.group is not None}
    labels = {name: _labels(name, declared, servers) for name in known}
    _refuse_strangers("child", selection.names, known)
    _refuse_strangers("group", selection.groups, set(groups.values()))
    _refuse_strangers("label", selection.labels, {text for own in labels.values() for text in own})
    chosen = [
        name
        for name in known
        if _matches(name, selection.names)
        and (not selection.groups or groups.get(name) in selection.groups)
        and labels[name].issuperset(selection.labels)
    ]
    if not chosen:
        raise UsageProblem(
            f"no child is all of this: {selection}", "names, --group and --label narrow each other down: leave one out"
        )
    return tuple(chosen)


def _labels(name: str, declared: Mapping[str, ChildSpec], servers: Mapping[str, Server | None]) -> set[str]:
    """Each label twice: as `key` and as `key=value`."""
    server = servers.get(name)
    own = declared[name].labels if name in declared else server.labels if server else {}
    return {*own, *(f"{key}={value}" for key, value in own.items())}


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)


def _refuse_strangers(kind: str, patterns: Iterable[str], known: Iterable[str]) -> None:
    there = sorted(known)
    for pattern in patterns:
        exact = pattern in there
        if exact or (kind == "child" and any(fnmatchcase(name, pattern) for name in there)):
            continue
        near = difflib.get_close_matches(pattern, there, _MOST_NEAR)
        shown = f"did you mean {' or '.join(near)}?" if near else f"there are: {_some(there)}"
        raise UsageProblem(f"no {kind} matches {pattern}", shown)


def not_declared(name: str, declared: Iterable[str]) -> UsageProblem:
    """What to raise of a child that the fleet file does not have."""
    near = difflib.get_close_matches(name, sorted(declared), _MOST_NEAR)
    meant = f"did you mean {' or '.join(near)}? else " * bool(near)
    return UsageProblem(f"the fleet file declares no child {name}", f"{meant}write it there first: fleet add {name}")


def _some(names: list[str], most: int = 20) -> str:
    rest = len(names) - most
    return (", ".join(names[:most]) or "none") + (f" and {rest} more" if rest > 0 else "")
