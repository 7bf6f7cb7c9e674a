"""The text that a template becomes, once jinja2 has read it: texts, expressions, `if`, `for` and `set`. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from reconciler.fleet.effort import TemplateProblem, Work
from reconciler.fleet.expressions import Expressions, Names


def written(nodes: Iterable[Any], values: Mapping[str, Any], work: Work, room: int) -> str:
    """The text of a template, of `room` characters at most. Raises TemplateProblem, TooMuchForAll."""
    filling = _Filling(work, room=room)
    try:
        filling.body(nodes, dict(values))
    except RecursionError as error:
        raise TemplateProblem("it is nested too deep", filling.line) from error
    return "".join(filling.texts)


@dataclass(slots=True)
class _Filling(Expressions):
    room: int = 0
    texts: list[str] = field(default_factory=list)

    def body(self, nodes: Iterable[Any], names: Names) -> None:
        for node in nodes:
            self.at(node)
            kind = type(node).__name__
            if kind not in _STATEMENTS:
                name = kind.lower().removesuffix("block") or "block"
                raise self.problem(f'"{name}" is not for templates: known are if, for and set')
            _STATEMENTS[kind](self, node, names)

    def output(self, node: Any, names: Names) -> None:
        for part in node.nodes:
            self.write(part.data if type(part).__name__ == "TemplateData" else self.sound(self.text(part, names)))

    def write(self, text: str) -> None:
        self.room -= len(text)
        if self.room < 0:
            raise self.problem("it makes more text than fits")
        self.texts.append(text)

    def sound(self, text: str) -> str:
        if "\0" in text:
            raise self.problem("it writes a NUL character")
        if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
            raise self.problem("it writes half of a character (a surrogate)")
        return text

    def condition(self, node: Any, names: Names) -> None:
        for branch in (node, *node.elif_):
            if self.value(branch.test, names):
                self.body(branch.body, names)
                return
        self.body(node.else_, names)

    def loop(self, node: Any, names: Names) -> None:
        if node.recursive:
            raise self.problem("a loop cannot be recursive")
        items = self.items(node, names)
        for index, item in enumerate(items):
            inner = self.inner(node, names, item)
            inner["loop"] = _loop(index, len(items))
            self.body(node.body, inner)
        if not items:
            self.body(node.else_, names)

    def items(self, node: Any, names: Names) -> list[Any]:
        found = self.done("a loop", list, self.value(node.iter, names))
        if node.test is None:
            return list(found)
        return [item for item in found if self.value(node.test, self.inner(node, names, item))]

    def inner(self, node: Any, names: Names, item: Any) -> Names:
        """The names inside of a loop: what is set there ends with the round."""
        self.take(len(names))
        inner = dict(names)
        self.put(node.target, item, inner)
        return inner

    def assignment(self, node: Any, names: Names) -> None:
        self.put(node.target, self.value(node.node, names), names)

    def put(self, target: Any, value: Any, names: Names) -> None:
        self.at(target)
        kind = type(target).__name__
        if kind == "Name":
            names[target.name] = value
        elif kind == "Tuple" and isinstance(value, list | tuple) and len(value) == len(target.items):
            for inner, item in zip(target.items, value, strict=True):
                self.put(inner, item, names)
        else:
            raise self.problem("the names do not fit what they are set to")


def _loop(index: int, length: int) -> dict[str, Any]:
    left = length - index
    return {
        "index": index + 1,
        "index0": index,
        "first": index == 0,
        "last": left == 1,
        "length": length,
        "revindex": left,
        "revindex0": left - 1,
    }


_STATEMENTS: Final[Mapping[str, Callable[[_Filling, Any, Names], None]]] = {
    "Output": _Filling.output,
    "If": _Filling.condition,
    "For": _Filling.loop,
    "Assign": _Filling.assignment,
}
