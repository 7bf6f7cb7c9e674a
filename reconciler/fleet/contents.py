"""The workspace files of one child: its entries of `files`, templates filled in. Pure: sources.py has read them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

import yaml

from reconciler.document import Problem, shown
from reconciler.fleet.blocks import Layered, as_map
from reconciler.fleet.settings import listed
from reconciler.fleet.sources import Content, Sources
from reconciler.fleet.templates import TemplateProblem, filled, is_template
from reconciler.model import Diagnostic, FileMode, Severity, WorkspaceFile

MAX_BYTES: Final = 1024 * 1024  # of one child

_PATH: Final = re.compile("[A-Za-z0-9._@+/-]{1,200}")  # as the schema says; what a directory holds it has not seen

Problems: TypeAlias = dict[tuple[str, int], Problem]  # by file and line


def workspace_files(child: Layered, sources: Sources, fleet: str, problems: Problems) -> dict[str, WorkspaceFile]:
    """Every file by its path in the workspace. What is wrong goes to `problems`, once for each place."""
    found: dict[str, WorkspaceFile] = {}
    variables = _variables(child, fleet)
    entries = {path: entry for path, entry in as_map(child.values.get("files")).items() if entry is not None}
    # Directories first: a file that has an entry of its own is not what the directory says.
    for path in sorted(entries, key=lambda path: (not path.endswith("/"), path)):
        entry = entries[path]
        for below, text in _texts(entry, sources.contents):
            try:
                content = filled(text, variables) if entry.get("template", True) and is_template(text) else text
            except TemplateProblem as problem:
                place = _place(child, path, below, problem, sources)
                problems.setdefault(place, _unfilled(child, path, below, problem, place))
                continue
            found[path + below] = WorkspaceFile(content, FileMode(entry.get("mode", FileMode.SEED)))
    for wrong in _whole_problems(child, found):
        problems.setdefault((wrong.diagnostic.file, wrong.diagnostic.line), wrong)
    return dict(sorted(found.items()))


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


def _whole_problems(child: Layered, files: Mapping[str, WorkspaceFile]) -> Iterator[Problem]:
    block = child.source(("files",))
    size = sum(len(file.content.encode()) for file in files.values())
    if size > MAX_BYTES:
        summary = f"the files of {child.own.words} have {size:,} bytes together"
        yield block.problem(("files",), summary, f"at most {MAX_BYTES:,} fit: leave some out", at_key=True)
    for path in files:
        if not _PATH.fullmatch(path):
            summary = f"the files of {child.own.words} have {shown(path)}, which is no path for a workspace"
            advice = "rename it: letters, digits and . _ @ + -, at most 200 characters with its directories"
            yield block.problem(("files",), summary, advice, at_key=True)
        above = next((path[:end] for end in range(len(path)) if path[end] == "/" and path[:end] in files), None)
        if above is not None:
            summary = f"the files of {child.own.words} have {shown(above)} as a file and as a directory"
            yield block.problem(("files",), summary, f"rename one of {above} and {path}", at_key=True)
