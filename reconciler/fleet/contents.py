"""The workspace files of one child: its entries of `files`, templates filled in. Pure: sources.py has read them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import yaml

from reconciler.document import MAX_PROBLEMS, Problem, failure_of, shown
from reconciler.fleet.blocks import Layered, as_map
from reconciler.fleet.effort import TemplateProblem, TooMuchForAll, Work
from reconciler.fleet.settings import listed
from reconciler.fleet.sources import Content, Sources
from reconciler.fleet.templates import Templates, filled
from reconciler.model import Diagnostic, FileMode, Severity, WorkspaceFile

MAX_BYTES: Final = 1024 * 1024  # of one child
MAX_FILES: Final = 500_000  # of all children: each takes some 150 bytes, whatever is in it
_STEPS: Final = 1_000_000  # for the templates of all children, and more for each of them
_STEPS_PER_CHILD: Final = 700

_PATH: Final = re.compile("[A-Za-z0-9._@+/-]{1,200}")  # as the schema says; what a directory holds it has not seen

Problems: TypeAlias = dict[tuple[str, int], Problem]  # by file and line


@dataclass(slots=True)
class _Left:
    """What is left to all children together, and the bytes of each text, which many of them may share."""

    templates: Templates
    files: int = MAX_FILES
    sizes: dict[str, int] = field(default_factory=dict)

    def take_file(self, content: str) -> int:
        """The size of one more file. Raises TooMuchForAll."""
        self.files -= 1
        if self.files < 0:
            raise TooMuchForAll(f"all children together have more than {MAX_FILES:,} files")
        if content.isascii():
            return len(content)
        if content not in self.sizes:
            self.sizes[content] = len(content.encode())
        return self.sizes[content]


def workspace_files(
    children: Iterable[Layered], sources: Sources, fleet: str, problems: Problems
) -> dict[str, Mapping[str, WorkspaceFile]]:
    """The files of each child, by their paths in its workspace. What is wrong goes to `problems`, once for each place.

    Raises ConfigError when all together take more than a fleet may, and when there are too many problems.
    """
    some = sorted(children, key=lambda child: child.name)
    left = _Left(Templates(Work(_STEPS + _STEPS_PER_CHILD * len(some))))
    found: dict[str, Mapping[str, WorkspaceFile]] = {}
    for child in some:
        try:
            found[child.name] = _files(child, sources, fleet, problems, left)
        except TooMuchForAll as error:
            advice = "make them shorter or fewer, or make two fleets of it"
            raise failure_of([child.source(("files",)).problem(("files",), str(error), advice, at_key=True)]) from error
        if len(problems) > MAX_PROBLEMS:
            raise failure_of(problems.values())
    return found


def _files(
    child: Layered, sources: Sources, fleet: str, problems: Problems, left: _Left
) -> Mapping[str, WorkspaceFile]:
    found: dict[str, WorkspaceFile] = {}
    variables = _variables(child, fleet)
    size = 0
    for path, entry, below, text in _entries(child, sources):
        try:
            is_template = entry.get("template", True)
            content = filled(text, variables, left.templates, MAX_BYTES) if is_template else text
        except TemplateProblem as problem:
            place = _place(child, path, below, problem, sources)
            problems.setdefault(place, _unfilled(child, path, below, problem, place))
            continue
        found[path + below] = WorkspaceFile(content, FileMode(entry.get("mode", FileMode.SEED)))
        size += left.take_file(content)
        if size > MAX_BYTES:
            break
    for wrong in _whole_problems(child, found, size):
        problems.setdefault((wrong.diagnostic.file, wrong.diagnostic.line), wrong)
    return dict(sorted(found.items()))


def _entries(child: Layered, sources: Sources) -> Iterator[tuple[str, Mapping[str, Any], str, str]]:
    """Path, entry, path below it and text. Directories first: a file with an entry of its own is not what they say."""
    entries = {path: entry for path, entry in as_map(child.values.get("files")).items() if entry is not None}
    for path in sorted(entries, key=lambda path: (not path.endswith("/"), path)):
        for below, text in _texts(entries[path], sources.contents):
            yield path, entries[path], below, text


def _variables(child: Layered, fleet: str) -> dict[str, Any]:
    """What a template can name; README says the same."""
    values = child.values
    regions = listed(values["region"])
    return {
        "name": child.name,
        "fleet": fleet,
        "group": values.get("group", ""),
        "region": regions[0],
        "regions": regions,
        "labels": values["labels"],
        "users": {"owner": None, **values["users"]},
        "vars": values["vars"],
    }


def _texts(entry: Mapping[str, Any], contents: Mapping[str, Content]) -> Iterator[tuple[str, str]]:
    """The path below the entry (nothing for a single file) and the text of each file."""
    content = entry["text"] if "text" in entry else contents[entry["from"]]
    if isinstance(content, str):
        yield "", content
    else:
        yield from content.items()


def _place(child: Layered, path: str, below: str, problem: TemplateProblem, sources: Sources) -> tuple[str, int]:
    """The line of the template, wherever that is written."""
    entry = child.values["files"][path]
    if "text" not in entry:
        return sources.place_of(entry["from"], below), problem.line
    block = child.source(("files", path))
    node = block.document.nodes[(*block.path, "files", path, "text")][1]
    begins_below = isinstance(node, yaml.ScalarNode) and node.style in ("|", ">")
    return block.document.file, node.start_mark.line + (1 if begins_below else 0) + problem.line


def _unfilled(child: Layered, path: str, below: str, problem: TemplateProblem, place: tuple[str, int]) -> Problem:
    summary = f"the template of {shown(path + below)} cannot be filled in for {child.own.words}: {problem.summary}"
    advice = "known are name, fleet, group, region, regions, labels, users, vars; template: false takes it as it is"
    found = Diagnostic(Severity.ERROR, summary, advice, file=place[0], line=place[1], column=1)
    return Problem((*child.own.path, "files", path), found)


def _whole_problems(child: Layered, files: Mapping[str, WorkspaceFile], size: int) -> Iterator[Problem]:
    block = child.source(("files",))
    if size > MAX_BYTES:
        summary = f"the files of {child.own.words} have more than {MAX_BYTES:,} bytes together"
        yield block.problem(("files",), summary, "leave some out", at_key=True)
    for path in files:
        if not _PATH.fullmatch(path):
            summary = f"the files of {child.own.words} have {shown(path)}, which is no path for a workspace"
            advice = "rename it: letters, digits and . _ @ + -, at most 200 characters with its directories"
            yield block.problem(("files",), summary, advice, at_key=True)
        above = next((path[:end] for end in range(len(path)) if path[end] == "/" and path[:end] in files), None)
        if above is not None:
            summary = f"the files of {child.own.words} have {shown(above)} as a file and as a directory"
            yield block.problem(("files",), summary, f"rename one of {above} and {path}", at_key=True)
