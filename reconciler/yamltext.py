"""The bytes of a YAML file -> its one root node. It knows YAML's traps, opens no file and reads no meaning.

What is wrong with a file as a whole stops here, as a ConfigError with the place; no message shows what stands there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias

import yaml

from reconciler.errors import ConfigError
from reconciler.model import Diagnostic, Severity

Position: TypeAlias = tuple[int, int]  # line and column, from 1; (0, 0) for the file as a whole

START = "a fleet file begins with a line such as `fleet: demo`; `fleet init` writes one in an empty directory"

CHILDREN = "children"
MAX_DEPTH = 20
MAX_NODES = 400_000  # keys and values, in some 200 MB of memory
NODES_PER_CHILD = 40  # and so many more for each child: ten settings, with what is in them
MAX_RICH_CHILDREN = 10_000  # of one file
MAX_TEXT = 1024 * 1024  # characters of one value

if TYPE_CHECKING:
    from yaml import SafeLoader as _Base
else:
    _Base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"
_TOO_MANY = f"more than {MAX_NODES:,} keys and values"
_LINE = re.compile("[^\n\r\x85\u2028\u2029]*")  # to where libyaml sees it end
_CONTROL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _Loader(_Base):
    """Counts levels and nodes: the C loader calls itself for each level, and a node takes 30 times its bytes."""

    depth = 0
    budget = MAX_NODES
    is_in_children = False
    children = 0

    def descend_resolver(self, current_node: Any, current_index: Any) -> None:
        self.depth += 1
        self.budget -= 1
        is_value = isinstance(current_index, yaml.Node)  # of a map, whose key this is; a list counts
        if self.depth == 2:
            self.is_in_children = is_value and current_index.value == CHILDREN
        elif self.depth == 3 and self.is_in_children and is_value:
            self.children += 1
            self.budget += NODES_PER_CHILD if self.children <= MAX_RICH_CHILDREN else 0
        if self.depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem=_TOO_DEEP, problem_mark=current_node.start_mark)
        if self.budget < 0:
            raise yaml.MarkedYAMLError(problem=_TOO_MANY, problem_mark=current_node.start_mark)

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        """What is too long for any value is not looked at by PyYAML's patterns: some take memory for each character."""
        if kind is yaml.ScalarNode and len(value) > MAX_TEXT:
            return self.DEFAULT_SCALAR_TAG
        tag: str = super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]
        return tag

    def ascend_resolver(self) -> None:
        self.depth -= 1


def root_map(raw: bytes, file: str, advice: str, budget: int) -> yaml.MappingNode:
    """The file's top-level map; `advice` says how such a file begins, `budget` how many keys and values it may have.

    Raises ConfigError when the bytes are no single YAML document with a map, or hold too much.
    """
    text = _decode(raw, file)
    root = _compose(text, file, budget)
    if root is None:
        raise failure(file, (1, 1), "the file is empty", advice)
    if not isinstance(root, yaml.MappingNode):
        kind = "a list" if isinstance(root, yaml.SequenceNode) else "a single value"
        raise failure(file, position(root), f"the file must be a map (key: value), not {kind}", advice)
    return root


def more_for_children(children: int) -> int:
    """How many keys and values a file with so many children may have above the others."""
    return NODES_PER_CHILD * min(children, MAX_RICH_CHILDREN)


def position(node: yaml.Node) -> Position:
    return node.start_mark.line + 1, node.start_mark.column + 1


def diagnostic(file: str, where: Position, summary: str, detail: str) -> Diagnostic:
    return Diagnostic(Severity.ERROR, summary, detail, file=file, line=where[0], column=where[1])


def failure(file: str, where: Position, summary: str, detail: str) -> ConfigError:
    """The error for a problem that leaves nothing else to look at."""
    return ConfigError([diagnostic(file, where, summary, detail)])


def _decode(raw: bytes, file: str) -> str:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise failure(file, (1, 1), "the file is UTF-16", "save it as UTF-8")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8-sig", "replace")
        raise failure(file, _end_of(before), "this is not UTF-8 text", "save the file as UTF-8") from error
    bad = _CONTROL.search(text)
    if bad is not None:
        name = "a NUL byte" if bad.group() == "\0" else f"the control character U+{ord(bad.group()):04X}"
        raise failure(file, _end_of(text[: bad.start()]), f"{name} stands here", "remove it: a fleet file is text")
    return text


def _compose(text: str, file: str, budget: int) -> yaml.Node | None:
    loader = _Loader(text)
    loader.budget = budget
    try:
        root: yaml.Node | None = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        never_closed = error.problem == "found unexpected end of stream"
        mark = error.context_mark if never_closed else error.problem_mark
        where = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        line = _line_at(text, mark.index - mark.column) if mark else ""
        raise failure(file, where, *_syntax(error.problem or "", line, where)) from error
    return root


def _end_of(text: str) -> Position:
    """The position right after `text`."""
    return text.count("\n") + 1, len(text) - text.rfind("\n")


def _line_at(text: str, start: int) -> str:
    """The line that begins there. Taking the text apart would make an object of each of some million lines."""
    found = _LINE.match(text, start)
    assert found is not None, "a line may be empty"
    return found.group()


def _syntax(problem: str, line: str, where: Position) -> tuple[str, str]:
    """libyaml's words, and ours for the mistakes people make. Neither shows what stands in the line."""
    if line[where[1] - 1 : where[1]] == "\t" or "\t" in line[: len(line) - len(line.lstrip())]:
        return "a tab stands here", "indent with spaces: YAML allows no tabs there"
    if problem == _TOO_DEEP:
        return problem, "a fleet file needs no more than ten"
    if problem == _TOO_MANY:
        return problem, "that is the most for all files together: make two fleets of it"
    if problem == "but found another document":
        return "a second document starts here", "keep one fleet per file, and remove the line `---`"
    if problem.startswith("found undefined alias"):
        return "this alias (*) has no anchor (&)", "if it is not meant as an alias, put the value in quotes"
    if problem == "mapping values are not allowed in this context":
        return "a `:` stands where none can be", 'check the indentation above; text with ": " in it needs quotes'
    if problem == "found unexpected end of stream":
        return "this quote is never closed", "close it on the same line"
    return f"not valid YAML: {problem}", "check the indentation, quotes and brackets here and just above"
