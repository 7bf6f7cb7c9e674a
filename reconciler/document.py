"""YAML nodes -> plain data that remembers its lines. It knows nothing about fleets and opens no file.

A wrong place in a readable file becomes a Problem, so that all are shown together. A value that looks like a secret
is never repeated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TypeAlias

import yaml

from reconciler.errors import ConfigError
from reconciler.model import Diagnostic, Json
from reconciler.yamltext import (
    CHILDREN,
    MAX_DEPTH,
    MAX_NODES,
    MAX_TEXT,
    START,
    Position,
    diagnostic,
    failure,
    more_for_children,
    position,
    root_map,
)

Path: TypeAlias = tuple[str | int, ...]

_TAG = "tag:yaml.org,2002:"
_PLAIN_TEXT_TAGS = frozenset({_TAG + "str", _TAG + "timestamp", _TAG + "value"})
_COLLECTION_TAGS = frozenset({_TAG + "map", _TAG + "seq"})
_TRUE = frozenset({"yes", "true", "on"})
_WORDS = {_TAG + "null": frozenset({"", "~", "null"}), _TAG + "bool": _TRUE | {"no", "false", "off"}}
MAX_PROBLEMS = 100
MAX_KEY = 1000

_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_FRACTION = re.compile(r"-?(0|[1-9][0-9]{0,17})\.[0-9]{1,18}")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SECRET = re.compile(
    r"[0-9]{6,12}:[A-Za-z0-9_-]{30,}"  # a Telegram bot token
    r"|\b(?:sk-[A-Za-z0-9_-]{12,}"  # Anthropic, OpenAI and others
    r"|A[KS]IA[0-9A-Z]{16}\b"  # Amazon
    r"|AIza[0-9A-Za-z_-]{35}"  # Google
    r"|gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{40,}"  # GitHub
    r"|xox[abprs]-[A-Za-z0-9-]{20,})"  # Slack
    r"|fleet-key-[0-9]+-|AGE-SECRET-KEY-1|-----BEGIN"
    r"|^(?:env:)?[A-Za-z0-9]{64}$"  # a Hetzner Cloud token
)


@dataclass(frozen=True, slots=True)
class Problem:
    """A diagnostic and the path in the data that it is about."""

    path: Path
    diagnostic: Diagnostic
    meant: Path = ()  # what the suggestion in it names


@dataclass(frozen=True, slots=True)
class Document:
    """A file's data, where each part of it stands, and what is wrong with it so far."""

    file: str
    data: dict[str, Json]
    nodes: Mapping[Path, tuple[yaml.Node, yaml.Node]]  # key (the item itself in a list) and value
    problems: tuple[Problem, ...] = ()
    troubled: frozenset[Path] = frozenset()  # every path at or inside of which something is wrong

    def is_sound(self, path: Path) -> bool:
        """Nothing wrong has been found at `path` or inside of it."""
        return path not in self.troubled

    def with_problems(self, more: Iterable[Problem]) -> Document:
        problems = (*self.problems, *more)
        troubled = frozenset(one.path[:end] for one in problems for end in range(len(one.path) + 1))
        return replace(self, problems=problems, troubled=troubled)

    def key_position(self, path: Path) -> Position:
        """Where the key at `path` stands, else the nearest map or list around it."""
        return position(self._nearest(path)[0])

    def value_position(self, path: Path) -> Position:
        """Where the value at `path` stands, else the nearest map or list around it."""
        key, value = self._nearest(path)
        return position(value if path in self.nodes else key)

    def written(self, path: Path) -> str:
        """The scalar as it stands in the file: `no` where the data says False."""
        return str(self.nodes[path][1].value)

    def problem(self, path: Path, summary: str, detail: str, *, at_key: bool = False) -> Problem:
        position = self.key_position(path) if at_key else self.value_position(path)
        return Problem(path, diagnostic(self.file, position, summary, detail))

    def _nearest(self, path: Path) -> tuple[yaml.Node, yaml.Node]:
        while path not in self.nodes:
            path = path[:-1]
        return self.nodes[path]


def compose(
    raw: bytes, file: str, is_free: Callable[[Path], bool], advice: str = START, budget: int = MAX_NODES
) -> Document:
    """The bytes of a YAML file, called `file` in every message.

    `is_free(path)` says where text may have many lines, `advice` how such a file begins, `budget` how many keys and
    values it may have. Raises ConfigError when the bytes are no single YAML map, or have more.
    """
    root = root_map(raw, file, advice, budget)
    maps = [value.value for key, value in root.value if key.value == CHILDREN and isinstance(value, yaml.MappingNode)]
    budget += more_for_children(sum(map(len, maps)))
    walk = _Walk(file, is_free, budget, nodes={(): (root, root)})
    if root.tag not in _COLLECTION_TAGS:
        walk.unread_tag((), root)
    data = walk.map(root, ())
    return Document(file, data, walk.nodes).with_problems(walk.problems)


def failure_of(problems: Iterable[Problem]) -> ConfigError:
    """The error that shows the problems in the order of their places, MAX_PROBLEMS of them at most."""
    some = list(islice(problems, MAX_PROBLEMS + 1))
    found = sorted(
        (problem.diagnostic for problem in some[:MAX_PROBLEMS]), key=lambda one: (one.file, one.line, one.column)
    )
    if len(some) > MAX_PROBLEMS:
        detail = f"only {MAX_PROBLEMS} are shown: mend these first, then look again"
        found.append(diagnostic(found[-1].file, (0, 0), "there are more problems", detail))
    return ConfigError(found)


def shown(value: object) -> str:
    """A value for a message: quoted, short, with nothing that could move a terminal's cursor and no secret."""
    text = str(value)
    if looks_secret(text):
        return '"***"'
    safe = "".join(character if character.isprintable() else "?" for character in text[:61])
    return f'"{safe if len(safe) <= 60 else safe[:57] + "..."}"'


def looks_secret(text: str) -> bool:
    return _SECRET.search(text) is not None


@dataclass(slots=True)
class _Walk:
    """Turns nodes into data, collecting positions and problems on the way."""

    file: str
    is_free: Callable[[Path], bool]
    budget: int  # values that may be made: aliases of aliases would make any number
    nodes: dict[Path, tuple[yaml.Node, yaml.Node]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    open: set[int] = field(default_factory=set)

    def map(self, node: yaml.Node, path: Path) -> dict[str, Json]:
        data: dict[str, Json] = {}
        for key_node, value_node in node.value:
            key = self.key(key_node, path)
            if key is None:
                continue
            here = (*path, key)
            if key in data:
                first = position(self.nodes[here][0])[0]
                self.report(here, key_node, f"the key {shown(key)} is written twice", f"the first is on line {first}")
                continue
            self.nodes[here] = (key_node, value_node)
            data[key] = self.value(value_node, here)
        return data

    def key(self, node: yaml.Node, path: Path) -> str | None:
        """Keys are always text, so a child may be called `no` or `1`."""
        if not isinstance(node, yaml.ScalarNode):
            self.report((*path, ""), node, "a key must be text, not a list or a map", "write `name: value`")
            return None
        if node.tag == _TAG + "merge":
            self.report(
                (*path, ""), node, "merge keys (<<) are not read here", 'write what children share under "defaults"'
            )
            return None
        if node.tag not in _PLAIN_TEXT_TAGS and node.tag not in _SCALARS:
            self.unread_tag((*path, ""), node)
            return None
        key = str(node.value)
        if len(key) > MAX_KEY:
            self.report((*path, ""), node, f"a key of more than {MAX_KEY:,} characters", "write a shorter one")
            return None
        if not key or not key.isprintable():
            self.report(
                (*path, ""), node, "a key is empty or has a line break or control character", "write `name: value`"
            )
            return None
        if looks_secret(key):
            self.report((*path, ""), node, *_PLAIN_SECRET)
            return None
        return key

    def value(self, node: yaml.Node, path: Path) -> Json:
        self.budget -= 1
        if self.budget < 0:
            raise failure(self.file, position(node), "aliases make this file too big", "write the values out")
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node, path)
        if id(node) in self.open:
            raise failure(self.file, position(node), "an alias (*) stands inside its own anchor (&)", "remove it")
        if len(path) > MAX_DEPTH:
            raise failure(self.file, position(node), "aliases nest this too deep", "write the values out")
        self.open.add(id(node))
        if node.tag not in _COLLECTION_TAGS:
            self.unread_tag(path, node)
        data: Json = self.list(node, path) if isinstance(node, yaml.SequenceNode) else self.map(node, path)
        self.open.remove(id(node))
        return data

    def list(self, node: yaml.SequenceNode, path: Path) -> list[Json]:
        data: list[Json] = []
        for index, item in enumerate(node.value):
            here = (*path, index)
            self.nodes[here] = (item, item)
            data.append(self.value(item, here))
        return data

    def scalar(self, node: yaml.ScalarNode, path: Path) -> Json:
        text = str(node.value)
        if len(text) > MAX_TEXT:
            self.report(path, node, f"a text of more than {MAX_TEXT:,} characters", "write a shorter one")
            return ""
        if looks_secret(text):
            self.report(path, node, *_PLAIN_SECRET)
            return ""
        if node.tag in _PLAIN_TEXT_TAGS:
            if not text.isprintable():
                self.unprintable(text, path, node)
            return text
        if (node.tag == _TAG + "int" and not _DECIMAL.fullmatch(text)) or (
            node.tag == _TAG + "float" and not _FRACTION.fullmatch(text)
        ):
            self.report(
                path, node, f"{shown(text)} is no plain decimal number", "if it is text, write quotes around it"
            )
            return 0
        if node.tag not in _SCALARS:
            self.unread_tag(path, node)
            return text
        if node.tag in _WORDS and text.lower() not in _WORDS[node.tag]:
            summary = f"the YAML tag {shown(node.tag.replace(_TAG, '!!'))} does not fit what stands here"
            self.report(path, node, summary, "remove the tag")
            return text
        return _SCALARS[node.tag](text)

    def unread_tag(self, path: Path, node: yaml.Node) -> None:
        summary = f"the YAML tag {shown(node.tag.replace(_TAG, '!!'))} is not read here"
        self.report(path, node, summary, "remove the tag")

    def unprintable(self, text: str, path: Path, node: yaml.Node) -> None:
        if not self.is_free(path):
            self.report(path, node, "text with a line break or control character", "write it on one line")
        elif _CONTROL.search(text):
            self.report(path, node, "text with a control character", "remove it")

    def report(self, path: Path, node: yaml.Node, summary: str, detail: str) -> None:
        self.problems.append(Problem(path, diagnostic(self.file, position(node), summary, detail)))
        if len(self.problems) > MAX_PROBLEMS:
            raise failure_of(self.problems)


_PLAIN_SECRET = (
    "this looks like a secret itself",
    "write env:NAME or file:PATH instead, and revoke this one: it has been in a file",
)
_SCALARS: Mapping[str, Callable[[str], Json]] = {
    _TAG + "null": lambda _: None,
    _TAG + "bool": lambda text: text.lower() in _TRUE,
    _TAG + "int": int,
    _TAG + "float": float,
}
