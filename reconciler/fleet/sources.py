"""Brings together everything that makes a fleet: the fleet file, what it includes, and the contents for workspaces.

It judges no value, fills in no template, and never shows what stands in a file.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import TypeAlias

from reconciler.document import Document, Path, Problem, compose, failure_of, looks_secret, shown
from reconciler.fleet.blocks import Block, as_map, rebased
from reconciler.fleet.reading import Reader, Unreadable
from reconciler.schema import check, is_free
from reconciler.wording import words
from reconciler.yamltext import MAX_NODES, failure, more_for_children

MAX_INCLUDED = 1000
MAX_CHILDREN = 20_000  # in all files together; the schema says the same for one

_INCLUDED_START = "an included file begins with a line such as `children:` or `groups:`"

Content: TypeAlias = str | Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that was read, checked against the schema, with what is wrong so far.

    `contents` maps each `from` to the text of that file, or to {path below it: text} for a directory.
    """

    main: Document
    defaults: Block
    groups: Mapping[str, Block]
    children: Mapping[str, Block]
    contents: Mapping[str, Content]
    problems: tuple[Problem, ...]
    digest: str

    def place_of(self, name: str, below: str) -> str:
        """The file that `from` names, or one below it, as a person at the fleet file's place would call it."""
        return str(FilePath(self.main.file).parent / name / below)

    @property
    def blocks(self) -> tuple[Block, ...]:
        return (self.defaults, *self.groups.values(), *self.children.values())


def load(path: FilePath, instead: Mapping[FilePath, bytes] = MappingProxyType({})) -> Sources:
    """The fleet file at `path` with all that it names, as they would be with `instead` of what lies at some paths.

    Raises ConfigError when a YAML file cannot be read or is no YAML map at all; other problems are in `problems`.
    """
    reader = Reader(path.parent, instead)
    composed = compose(_fleet_file(reader, path), str(path), is_free)
    _check_number(path, composed)  # before each of them is looked at
    main = check(composed)
    names, not_found = _included(main, reader, path)
    documents = {"": main}
    budget = MAX_NODES - _cost(main)
    for name, place in names.items():
        documents[name] = _included_document(main, reader, name, place, budget)
        budget -= _cost(documents[name])
        _check_number(path, *documents.values())
    return _gathered(documents, not_found, reader)


def _check_number(path: FilePath, *documents: Document) -> None:
    children = sum(len(as_map(document.data.get("children"))) for document in documents)
    if children > MAX_CHILDREN:
        raise failure(str(path), (0, 0), f"{children:,} children", f"a fleet has at most {MAX_CHILDREN:,}: make two")


def _cost(document: Document) -> int:
    """What a document takes of the budget: each entry is a key and a value, and children bring their own."""
    return max(0, 2 * len(document.nodes) - more_for_children(len(as_map(document.data.get("children")))))


def _fleet_file(reader: Reader, path: FilePath) -> bytes:
    try:
        return reader.fleet_file(path)
    except FileNotFoundError as error:
        advice = "Run `fleet init` in an empty directory to make one, or name yours: --file PATH or FLEET_FILE."
        raise failure(str(path), (0, 0), "there is no such file", advice) from error
    except Unreadable as error:
        raise failure(str(path), (0, 0), error.summary, error.advice) from error


def _included(main: Document, reader: Reader, path: FilePath) -> tuple[dict[str, Path], list[Problem]]:
    """The files that `include` finds, by name, with the place that asks for each."""
    found: dict[str, Path] = {}
    problems = []
    for place, pattern in _patterns(main):
        try:
            for name in reader.matching(pattern):
                if reader.is_same(name, path):
                    raise Unreadable("names the fleet file itself", "put the others in a directory of their own")
                found.setdefault(name, place)
        except Unreadable as error:
            problems.append(main.problem(place, f"include: {shown(pattern)} {error.summary}", error.advice))
    if len(found) > MAX_INCLUDED:
        summary = f"include: more than {MAX_INCLUDED:,} files"
        problems.append(main.problem(("include",), summary, "put more children into each of them", at_key=True))
        return {}, problems
    return found, problems


def _patterns(main: Document) -> list[tuple[Path, str]]:
    wanted = main.data.get("include", [])
    if not main.is_sound(("include",)):
        return []
    if isinstance(wanted, list):
        return [(("include", index), str(pattern)) for index, pattern in enumerate(wanted)]
    return [(("include",), str(wanted))]


def _included_document(main: Document, reader: Reader, name: str, place: Path, budget: int) -> Document:
    try:
        raw = reader.file(name)
    except Unreadable as error:
        raise failure_of([main.problem(place, f"include: {shown(name)} {error.summary}", error.advice)]) from error
    file = str(FilePath(main.file).parent / name)
    return check(compose(raw, file, is_free, _INCLUDED_START, budget), is_included=True)


def _gathered(documents: Mapping[str, Document], problems: list[Problem], reader: Reader) -> Sources:
    main = documents[""]
    defaults = Block(main, ("defaults",), as_map(main.data.get("defaults")))
    groups = _declared(documents, "groups", problems)
    children = _declared(documents, "children", problems)
    contents = _contents((defaults, *groups.values(), *children.values()), reader, problems)
    found = chain.from_iterable(document.problems for document in documents.values())
    return Sources(main, defaults, groups, children, contents, (*found, *problems), reader.digest())


def _declared(documents: Mapping[str, Document], kind: str, problems: list[Problem]) -> dict[str, Block]:
    """The groups or children of all files. The second of one name is a problem."""
    found: dict[str, Block] = {}
    for name_of_file, document in documents.items():
        directory = posixpath.dirname(name_of_file)
        for name, values in as_map(document.data.get(kind)).items():
            path: Path = (kind, name)
            if name not in found:
                found[name] = Block(document, path, rebased(as_map(values), directory))
                continue
            first = found[name].document
            place = f"{first.file}:{first.key_position(path)[0]}"
            summary = f"{words(path)} is declared twice"
            problems.append(document.problem(path, summary, f"the first is at {place}", at_key=True))
    return found


def _contents(blocks: Iterable[Block], reader: Reader, problems: list[Problem]) -> dict[str, Content]:
    found: dict[str, Content] = {}
    for block in blocks:
        for path, entry in as_map(block.sound("files")).items():
            name = as_map(entry).get("from")
            if name is None or name in found:
                continue
            try:
                found[name] = _content(reader, name, is_directory=path.endswith("/"))
            except Unreadable as error:
                place = ("files", path, "from")
                problems.append(block.problem(place, f"{shown(name)} {error.summary}", error.advice))
    return found


def _content(reader: Reader, name: str, *, is_directory: bool) -> Content:
    if is_directory:
        return {below: _text(raw, f"holds {shown(below)}, which ") for below, raw in reader.tree(name).items()}
    return _text(reader.file(name))


def _text(raw: bytes, whose: str = "") -> str:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable(f"{whose}is not UTF-8 text", "name a text file; save it as UTF-8") from error
    if "\0" in text:
        raise Unreadable(f"{whose}holds a NUL character", "name a text file")
    if looks_secret(text):
        advice = "take it out and revoke it: whoever talks to the agent can read its workspace"
        raise Unreadable(f"{whose}holds something that looks like a secret", advice)
    return text
