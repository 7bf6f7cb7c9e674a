"""Small changes to a YAML file that leave everything else in it as it is, byte for byte: comments, quotes, line ends.

Positions are those of the reader (document.py). A library that reads and writes whole files changes more than it was
told to: of 44 odd scalars ruamel.yaml 0.19 in YAML 1.1 mode writes 12 otherwise, and `1_0.5` as another number.

What a change makes of the data, as the reader reads it, is compared with what it was to make of it: so it is right, or
there is none. Where comments would get lost or come to stand in something else, there is none either; those on lines of
their own above what is removed stay, for nobody can tell of how much of what follows they speak.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, TypeAlias

import yaml

from reconciler.document import Document, compose
from reconciler.errors import ConfigError, Refused
from reconciler.model import Json
from reconciler.schema import is_free

Keys: TypeAlias = tuple[str, ...]
Splice: TypeAlias = tuple[int, int, str]  # from here to there comes this text

STEP: Final = 2  # columns that a new level is indented by
_ALIAS: Final = re.compile(r"\s*\*[^\s,\[\]{}]+")


@dataclass(frozen=True)
class Text:
    """A YAML file whose top is a map; `name` is what messages call it."""

    raw: bytes
    name: str

    def with_values(self, values: Mapping[Keys, Json]) -> Text:
        """What is at these keys is this now; maps on the way there are made. No two come into the same new place.

        Raises Refused, ConfigError.
        """
        wanted, edit = self.data, _Edit(self)
        for keys, value in values.items():
            wanted = _with(wanted, keys, value)
        return self._proven([edit.put(keys, value) for keys, value in values.items()], wanted)

    def with_value(self, keys: Keys, value: Json) -> Text:
        return self.with_values({keys: value})

    def without(self, *entries: Keys) -> Text:
        """These are gone, with what stands in them, and comments below that are indented by more. Raises Refused."""
        there = [keys for keys in entries if self.has(keys)]
        changed = self._without(there[:-1]) if len(there) > 1 else self
        return changed._without(there[-1:])  # the last of a map leaves an empty one

    def with_item(self, keys: Keys, item: Json) -> Text:
        """The list there has one more at its end. Raises Refused, ConfigError."""
        found = self.at(keys)
        items = [*found, item] if isinstance(found, list) else [item]
        return self._proven([_Edit(self).append(keys, item)], _with(self.data, keys, items))

    def at(self, keys: Keys) -> Any:
        """What is there; None where nothing is."""
        found: Any = self.data
        for name in keys:
            found = found.get(name) if isinstance(found, dict) else None
        return found

    def has(self, keys: Keys) -> bool:
        above = self.at(keys[:-1])
        return isinstance(above, dict) and keys[-1] in above

    @property
    def data(self) -> dict[str, Json]:
        return self.document.data

    @cached_property
    def document(self) -> Document:
        """As the reader of fleet files has it. Raises ConfigError."""
        return compose(self.raw, self.name, is_free)

    def _without(self, entries: Iterable[Keys]) -> Text:
        wanted, edit, splices = self.data, _Edit(self), list[Splice]()
        for keys in entries:
            wanted = _without(wanted, keys)
            splices += edit.drop(keys)
        return self._proven(splices, wanted)

    def _proven(self, splices: Iterable[Splice], wanted: Mapping[str, Any]) -> Text:
        mark, text = b"\xef\xbb\xbf", self.raw.decode("utf-8-sig")
        for start, end, instead in sorted(splices, reverse=True):
            text = text[:start] + instead + text[end:]
        changed = Text((mark if self.raw.startswith(mark) else b"") + text.encode(), self.name)
        try:
            is_right = changed.data == wanted
        except ConfigError:
            is_right = False
        if not is_right:
            raise _refused(self.name)
        return changed


class _Edit:
    """Changes of the text, by where its nodes stand."""

    def __init__(self, before: Text) -> None:
        self._name, self._nodes = before.name, before.document.nodes
        self._text = before.raw.decode("utf-8-sig")
        self._newline = "\r\n" if "\r\n" in self._text else "\n"

    def put(self, keys: Keys, value: Json) -> Splice:
        known = self._known(keys)
        if known == keys and not (isinstance(value, dict) and self._is_empty(keys)):
            return self._replaced(self._nodes[keys][1], value)
        above = known if self._is_map(known) else known[:-1]
        rest = keys[len(above) :]
        for name in reversed(rest[1:]):
            value = {name: value}
        return self._added(above, rest[0], value)

    def append(self, keys: Keys, item: Json) -> Splice:
        node = self._nodes[keys][1] if keys in self._nodes else None
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            return self.put(keys, [item])
        last = node.value[-1]
        if node.flow_style:
            end = last.end_mark.index
            return end, end, f", {_flow(item)}"
        end = self._line_end(self._end_of(last))
        return end, end, f"{self._newline}{' ' * node.start_mark.column}- {_flow(item)}"

    def drop(self, keys: Keys) -> list[Splice]:
        key, value = self._nodes[keys]
        above_key, parent = self._nodes[keys[:-1]][0], self._map(keys[:-1])
        if parent.flow_style:
            return [self._dropped_from_flow(parent, key, value)]
        start, end = self._line_start(key.start_mark.index), self._line_end(self._end_of(value, key))
        cut = start, self._next_line(self._with_comments(end, key.start_mark.column)), ""
        if len(parent.value) > 1 or len(keys) == 1:
            return [cut]
        colon = self._colon(above_key)  # nothing is left of the map
        return [cut, (colon, colon, " {}")]

    def _known(self, keys: Keys) -> Keys:
        """The part of the way that is there."""
        return next(keys[:end] for end in range(len(keys), -1, -1) if keys[:end] in self._nodes)

    def _map(self, keys: Keys) -> yaml.MappingNode:
        node = self._nodes[keys][1]
        if not isinstance(node, yaml.MappingNode):
            raise _refused(self._name)
        return node

    def _is_map(self, keys: Keys) -> bool:
        """With something in it: what is added to an empty one, or to none, replaces that."""
        node = self._nodes[keys][1]
        return isinstance(node, yaml.MappingNode) and (bool(node.value) or not keys)

    def _is_empty(self, keys: Keys) -> bool:
        node = self._nodes[keys][1]
        return not node.value if isinstance(node, yaml.CollectionNode) else node.tag.endswith(":null")

    def _replaced(self, node: yaml.Node, value: Json) -> Splice:
        start, end = node.start_mark.index, self._end_of(node)
        lead = "" if self._text[start - 1] in " \t[{," else " "
        return start, max(start, end), lead + _flow(value)

    def _added(self, above: Keys, name: str, value: Json) -> Splice:
        parent = self._map(above)
        if (*above, name) in self._nodes:
            if not self._is_empty((*above, name)):
                raise _refused(self._name)
            return self._filled(parent, self._nodes[*above, name], value)
        last_key, last = parent.value[-1] if parent.value else (None, None)
        if parent.flow_style:
            self._refuse_comments(parent)
            at = parent.start_mark.index + 1 if last is None else self._end_in_flow(last)
            return at, at, f"{', ' if last is not None else ''}{_flow(name)}: {_flow(value)}"
        if last is None:
            raise _refused(self._name)
        column = parent.value[0][0].start_mark.column
        end = self._with_comments(self._line_end(self._end_of(last, last_key)), column)
        return end, end, self._newline + self._block(name, value, column)

    def _filled(self, parent: yaml.MappingNode, entry: tuple[yaml.Node, yaml.Node], value: Json) -> Splice:
        """There is nothing in it: null, or {}."""
        key, node = entry
        start, end = node.start_mark.index, self._end_of(node, key)
        if isinstance(node, yaml.CollectionNode):
            self._refuse_comments(node)
        if parent.flow_style or not isinstance(value, dict):
            return start, max(start, end), f" {_flow(value)}" if start >= end else _flow(value)
        column = key.start_mark.column + STEP
        lines = self._newline.join(self._block(name, one, column) for name, one in value.items())
        rest = self._line_end(max(start, end))
        comment = self._text[max(start, end) : rest].strip()
        return self._colon(key), rest, f"{comment and ' ' + comment}{self._newline}{lines}"

    def _block(self, name: str, value: Json, column: int) -> str:
        """`name: value` at this column; maps below each other, down to what fits on a line."""
        if not isinstance(value, dict) or not value or _is_small(value):
            return f"{' ' * column}{_flow(name)}: {_flow(value)}"
        below = (self._block(key, one, column + STEP) for key, one in value.items())
        return self._newline.join((f"{' ' * column}{_flow(name)}:", *below))

    def _dropped_from_flow(self, parent: yaml.MappingNode, key: yaml.Node, value: yaml.Node) -> Splice:
        self._refuse_comments(parent)
        number = [entry[0] for entry in parent.value].index(key)
        start, end = key.start_mark.index, self._end_of(value, key)
        if number + 1 < len(parent.value):
            end = parent.value[number + 1][0].start_mark.index
        elif number:
            start = self._end_in_flow(parent.value[number - 1][1])
        return start, end, ""

    def _refuse_comments(self, node: yaml.Node) -> None:
        """Nobody can tell to which entry of a flow map a comment in it belongs."""
        text = self._text[node.start_mark.index : node.end_mark.index]
        if "\n" in text and re.search(r"(^|\s)#", text):
            raise _refused(self._name)

    def _colon(self, key: yaml.Node) -> int:
        """Right after it."""
        found = self._text.find(":", key.end_mark.index)
        if found < 0:
            raise _refused(self._name)
        return found + 1

    def _end_of(self, node: yaml.Node, key: yaml.Node | None = None) -> int:
        """Where what it says ends: what follows of comments and empty lines belongs to nobody."""
        if key is not None and node.start_mark.index < key.start_mark.index:  # an alias: its node stands elsewhere
            found = _ALIAS.match(self._text, self._colon(key))
            if found is None:
                raise _refused(self._name)
            return found.end()
        if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
            last = node.value[-1]
            return self._end_of(last[1], last[0]) if isinstance(last, tuple) else self._end_of(last)
        end = node.end_mark.index
        if end == node.start_mark.index and key is not None:  # nothing is written
            return self._colon(key)
        return len(self._text[:end].rstrip())

    def _end_in_flow(self, node: yaml.Node) -> int:
        """Where nothing is written, right before what follows: `{a:}` is another thing than `{a: }`."""
        end = node.end_mark.index
        return int(end) if end == node.start_mark.index else self._end_of(node)

    def _with_comments(self, end: int, column: int) -> int:
        """The end of what follows on lines of their own that are indented by more: it is about what stands above."""
        found, at = end, end
        while (start := self._text.find("\n", at) + 1) and start < len(self._text):
            at = self._line_end(start)
            line = self._text[start:at]
            if line.strip() and not line.lstrip().startswith("#"):
                break
            if line.strip() and len(line) - len(line.lstrip()) <= column:
                break
            found = at if line.strip() else found
        return found

    def _line_start(self, index: int) -> int:
        return self._text.rfind("\n", 0, index) + 1

    def _line_end(self, index: int) -> int:
        """Before the end of the line, after a comment."""
        found = self._text.find("\n", index)
        end = len(self._text) if found < 0 else found
        return end - 1 if self._text[end - 1 : end] == "\r" else end

    def _next_line(self, end: int) -> int:
        """Behind the end of a line that ends there."""
        return end + len(re.match(r"\r?\n?", self._text[end : end + 2]).group())  # type: ignore[union-attr]


def _refused(name: str) -> Refused:
    return Refused(f"{name} is written in a way that this cannot change", "change it by hand")


def _is_small(value: Mapping[str, Json]) -> bool:
    return len(value) < 3 and not any(isinstance(one, dict | list) and one for one in value.values())


def _flow(value: Json) -> str:
    """On one line, as YAML 1.1 reads it back."""
    text = yaml.safe_dump(value, default_flow_style=True, width=1 << 20, allow_unicode=True, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def _with(data: Mapping[str, Any], keys: Keys, value: Json) -> dict[str, Any]:
    """Copies what lies on the way, and nothing else."""
    below = data.get(keys[0])
    changed = value if len(keys) == 1 else _with(below if isinstance(below, dict) else {}, keys[1:], value)
    return {**data, keys[0]: changed}


def _without(data: Mapping[str, Any], keys: Keys) -> dict[str, Any]:
    if len(keys) == 1:
        return {key: value for key, value in data.items() if key != keys[0]}
    return {**data, keys[0]: _without(data[keys[0]], keys[1:])}
