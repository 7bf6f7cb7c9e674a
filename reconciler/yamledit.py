"""Small changes to a YAML file that leave everything else in it as it is, byte for byte: comments, quotes, line ends.

Positions are those of the reader (yamltext). A library that reads and writes whole files changes more than it was told
to: of 44 odd scalars ruamel.yaml 0.19 in YAML 1.1 mode writes 14 otherwise, and `1_0.5` as another number.

What a change makes of the data is compared with what it was to make of it; so it is right, or there is none.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import yaml

from reconciler.errors import Refused
from reconciler.model import Json
from reconciler.yamltext import MAX_NODES, root_map

Keys: TypeAlias = tuple[str, ...]

STEP: Final = 2  # columns that a new level is indented by


if TYPE_CHECKING:
    from yaml import SafeLoader as _Base
else:
    _Base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):
    """A lone `=` is text, as it is for the reader of fleet files."""


def _text(loader: Any, node: Any) -> Any:
    return loader.construct_scalar(node)


_Loader.add_constructor("tag:yaml.org,2002:value", _text)


@dataclass(frozen=True, slots=True)
class Text:
    """A YAML file whose top is a map; `name` is what messages call it."""

    raw: bytes
    name: str

    def with_value(self, keys: Keys, value: Json) -> Text:
        """What is at these keys is `value` now; maps on the way there are made. Raises Refused, ConfigError."""
        return self._proven(_Edit(self).put(keys, value), _with(self.data, keys, value))

    def without(self, keys: Keys) -> Text:
        """The entry is gone, with what stands in it; comments above it stay. Raises Refused, ConfigError."""
        return self._proven(_Edit(self).drop(keys), _without(self.data, keys))

    def with_item(self, keys: Keys, item: Json) -> Text:
        """The list there has one more at its end. Raises Refused, ConfigError."""
        found = _at(self.data, keys)
        items = [*found, item] if isinstance(found, list) else [item]
        return self._proven(_Edit(self).append(keys, item), _with(self.data, keys, items))

    @property
    def data(self) -> dict[str, Any]:
        found: Any = yaml.load(self.raw, Loader=_Loader)  # noqa: S506  # it is a safe one
        assert isinstance(found, dict)
        return found

    def _proven(self, text: str, wanted: Mapping[str, Any]) -> Text:
        mark = b"\xef\xbb\xbf" if self.raw.startswith(b"\xef\xbb\xbf") else b""
        changed = Text(mark + text.encode(), self.name)
        try:
            is_right = changed.data == wanted
        except (yaml.YAMLError, AssertionError):
            is_right = False
        if not is_right:
            raise Refused(f"{self.name} is written in a way that this cannot change", "change it by hand")
        return changed


class _Edit:
    """One change of the text, by where its nodes stand."""

    def __init__(self, before: Text) -> None:
        self._text = before.raw.decode("utf-8-sig")
        self._root = root_map(before.raw, before.name, "", MAX_NODES)
        self._newline = "\r\n" if "\r\n" in self._text else "\n"

    def put(self, keys: Keys, value: Json) -> str:
        parent, rest = self._deepest(keys)
        if not rest:
            return self._replaced(_entry(parent, keys[-1])[1], value)
        for name in reversed(rest[1:]):
            value = {name: value}
        return self._added(parent, rest[0], value)

    def append(self, keys: Keys, item: Json) -> str:
        parent, rest = self._deepest(keys)
        node = None if rest else _entry(parent, keys[-1])[1]
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            return self.put(keys, [item])
        last = node.value[-1]
        if node.flow_style:
            return self._spliced(last.end_mark.index, last.end_mark.index, f", {_flow(item)}")
        end = self._line_end(self._end_of(last))
        return self._spliced(end, end, f"{self._newline}{' ' * node.start_mark.column}- {_flow(item)}")

    def drop(self, keys: Keys) -> str:
        parent, rest = self._deepest(keys)
        if rest:
            return self._text
        key, value = _entry(parent, keys[-1])
        if parent.flow_style:
            return self._dropped_from_flow(parent, key, value)
        start, end = self._line_start(key.start_mark.index), self._line_end(self._end_of(value, key))
        cut = self._spliced(start, min(len(self._text), end + len(self._newline)), "")
        if len(parent.value) > 1 or len(keys) == 1:
            return cut
        above, _ = self._deepest(keys[:-1])  # nothing is left of the map
        colon = self._colon(_entry(above, keys[-2])[0])
        return f"{cut[:colon]} {{}}{cut[colon:]}"

    def _deepest(self, keys: Keys) -> tuple[yaml.MappingNode, Keys]:
        """The map that lies furthest on the way, and the keys that are not in it yet; none where all are there."""
        node = self._root
        for number, name in enumerate(keys):
            if not _has(node, name):
                return node, keys[number:]
            below = _entry(node, name)[1]
            if number == len(keys) - 1:
                break
            if not isinstance(below, yaml.MappingNode) or not below.value:
                return node, keys[number:]
            node = below
        return node, ()

    def _replaced(self, node: yaml.Node, value: Json) -> str:
        start, end = node.start_mark.index, self._end_of(node)
        lead = "" if self._text[start - 1] in " \t[{," else " "
        return self._spliced(start, max(start, end), lead + _flow(value))

    def _added(self, parent: yaml.MappingNode, name: str, value: Json) -> str:
        if _has(parent, name):  # there is nothing in it: null, or {}
            return self._filled(parent, _entry(parent, name), value)
        if parent.flow_style:
            last = parent.value[-1][1] if parent.value else None
            at = parent.start_mark.index + 1 if last is None else self._end_in_flow(last)
            return self._spliced(at, at, f"{', ' if last is not None else ''}{_flow(name)}: {_flow(value)}")
        key, last = parent.value[-1]
        end = self._line_end(self._end_of(last, key))
        return self._spliced(end, end, self._newline + self._block(name, value, parent.value[0][0].start_mark.column))

    def _filled(self, parent: yaml.MappingNode, entry: tuple[yaml.Node, yaml.Node], value: Json) -> str:
        key, node = entry
        start, end = node.start_mark.index, self._end_of(node, key)
        if parent.flow_style or not isinstance(value, dict):
            return self._spliced(start, max(start, end), f" {_flow(value)}" if start >= end else _flow(value))
        column = key.start_mark.column + STEP
        lines = self._newline.join(self._block(name, one, column) for name, one in value.items())
        rest = self._line_end(max(start, end))
        comment = self._text[max(start, end) : rest].rstrip()
        return self._spliced(self._colon(key), rest, f"{comment and ' ' + comment.strip()}{self._newline}{lines}")

    def _block(self, name: str, value: Json, column: int) -> str:
        """`name: value` at this column; maps below each other, down to what fits on a line."""
        if not isinstance(value, dict) or not value or _is_small(value):
            return f"{' ' * column}{_flow(name)}: {_flow(value)}"
        below = (self._block(key, one, column + STEP) for key, one in value.items())
        return self._newline.join((f"{' ' * column}{_flow(name)}:", *below))

    def _dropped_from_flow(self, parent: yaml.MappingNode, key: yaml.Node, value: yaml.Node) -> str:
        number = [entry[0] for entry in parent.value].index(key)
        start, end = key.start_mark.index, self._end_of(value, key)
        if number + 1 < len(parent.value):
            end = parent.value[number + 1][0].start_mark.index
        elif number:
            start = self._end_in_flow(parent.value[number - 1][1])
        return self._spliced(start, end, "")

    def _colon(self, key: yaml.Node) -> int:
        """Right after it."""
        return self._text.index(":", key.end_mark.index) + 1

    def _end_of(self, node: yaml.Node, key: yaml.Node | None = None) -> int:
        """Where what it says ends: what follows of comments and empty lines belongs to nobody."""
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

    def _line_start(self, index: int) -> int:
        return self._text.rfind("\n", 0, index) + 1

    def _line_end(self, index: int) -> int:
        """Before the end of the line, after a comment."""
        found = self._text.find("\n", index)
        end = len(self._text) if found < 0 else found
        return end - 1 if self._text[end - 1 : end] == "\r" else end

    def _spliced(self, start: int, end: int, text: str) -> str:
        return self._text[:start] + text + self._text[end:]


def _has(node: yaml.MappingNode, name: str) -> bool:
    return any(key.value == name for key, _ in node.value)


def _entry(node: yaml.MappingNode, name: str) -> tuple[yaml.Node, yaml.Node]:
    return next((key, value) for key, value in node.value if key.value == name)


def _is_small(value: Mapping[str, Json]) -> bool:
    return len(value) < 3 and not any(isinstance(one, dict | list) and one for one in value.values())


def _flow(value: Json) -> str:
    """On one line, as YAML 1.1 reads it back."""
    text = yaml.safe_dump(value, default_flow_style=True, width=1 << 20, allow_unicode=True, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def _at(data: Any, keys: Sequence[str]) -> Any:
    for name in keys:
        data = data.get(name) if isinstance(data, dict) else None
    return data


def _with(data: Mapping[str, Any], keys: Keys, value: Json) -> dict[str, Any]:
    changed = copy.deepcopy(dict(data))
    place = changed
    for name in keys[:-1]:
        below = place.get(name)
        place[name] = place = below if isinstance(below, dict) else {}
    place[keys[-1]] = value
    return changed


def _without(data: Mapping[str, Any], keys: Keys) -> dict[str, Any]:
    changed = copy.deepcopy(dict(data))
    place = _at(changed, keys[:-1])
    if isinstance(place, dict):
        place.pop(keys[-1], None)
    return changed
