"""The values of a template's expressions: a part of Jinja's, each kind done here. Pure.

A template has texts, numbers, lists and maps, never an object of ours, and nothing in it changes one of them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from reconciler.document import shown
from reconciler.fleet.effort import Effort, Missing
from reconciler.fleet.functions import FILTERS, METHODS, TESTS, joined

Names: TypeAlias = dict[str, Any]


@dataclass(slots=True)
class Expressions(Effort):
    """What a node of jinja2's tree is worth where names have these values."""

    def value(self, node: Any, names: Names) -> Any:
        self.at(node)
        kind = type(node).__name__
        if kind not in _EXPRESSIONS:
            sign = getattr(node, "operator", kind)
            raise self.problem(f"the operator {sign} is not for templates")
        return _EXPRESSIONS[kind](self, node, names)

    def text(self, node: Any, names: Names) -> str:
        return str(self.weighed(str(self.weighed(self.value(node, names)))))

    def constant(self, node: Any, _: Names) -> Any:
        return self.weighed(node.value)

    def name(self, node: Any, names: Names) -> Any:
        if node.name not in names:
            raise Missing(f"{shown(node.name)} is undefined", node.lineno)
        return names[node.name]

    def attribute(self, node: Any, names: Names) -> Any:
        return self.looked_up(node, self.value(node.node, names), node.attr)

    def item(self, node: Any, names: Names) -> Any:
        found = self.value(node.node, names)
        if type(node.arg).__name__ == "Slice":
            parts = (node.arg.start, node.arg.stop, node.arg.step)
            bounds = [None if part is None else self.value(part, names) for part in parts]
            return self.done("a slice", lambda value: value[slice(*bounds)], found)
        return self.looked_up(node, found, self.weighed(self.value(node.arg, names)))

    def looked_up(self, node: Any, value: Any, key: Any) -> Any:
        try:
            if isinstance(value, Mapping) or (isinstance(value, list | tuple | str) and isinstance(key, int)):
                return value[key]
        except (LookupError, TypeError):
            pass
        name = _dotted(node.node)
        raise Missing(f"{name or 'it'} has no {shown(key)}", node.lineno)

    def listed(self, node: Any, names: Names) -> list[Any]:
        found = [self.value(item, names) for item in node.items]
        self.weighed(found)
        return found

    def mapped(self, node: Any, names: Names) -> dict[Any, Any]:
        pairs = [(self.value(pair.key, names), self.value(pair.value, names)) for pair in node.items]
        found: dict[Any, Any] = self.done("a map", dict, pairs)
        return found

    def filter(self, node: Any, names: Names) -> Any:
        values, named = self.arguments(node, names)
        if node.name in ("default", "d"):
            return self.default(node, names, *self.done("default", _instead, *values, **named))
        if node.name not in FILTERS:
            raise self.problem(f"the filter {shown(node.name)} is not for templates: known are {_known(FILTERS)}")
        value = self.value(node.node, names)
        return self.done(f'the filter "{node.name}"', FILTERS[node.name], value, *values, **named)

    def default(self, node: Any, names: Names, instead: Any, boolean: Any) -> Any:
        try:
            value = self.value(node.node, names)
        except Missing:
            return instead
        return instead if boolean and not value else value

    def test(self, node: Any, names: Names) -> bool:
        values, named = self.arguments(node, names)
        if node.name in ("defined", "undefined"):
            return self.is_defined(node.node, names) is (node.name == "defined")
        if node.name not in TESTS:
            raise self.problem(f"the test {shown(node.name)} is not for templates: known are {_known(TESTS)}")
        found = self.done(f'the test "{node.name}"', TESTS[node.name], self.value(node.node, names), *values, **named)
        return bool(found)

    def is_defined(self, node: Any, names: Names) -> bool:
        try:
            self.value(node, names)
        except Missing:
            return False
        return True

    def call(self, node: Any, names: Names) -> Any:
        target = node.node
        if type(target).__name__ != "Getattr":
            self.value(target, names)
            raise self.problem("a value cannot be called")
        if target.attr not in METHODS:
            raise self.problem(f"the method {shown(target.attr)} is not for templates: known are {_known(METHODS)}")
        kind, function = METHODS[target.attr]
        values, named = self.arguments(node, names)
        owner = self.value(target.node, names)
        if not isinstance(owner, kind):
            raise self.problem(f'the method "{target.attr}" is not for such a value')
        return self.done(f'the method "{target.attr}"', function, owner, *values, **named)

    def arguments(self, node: Any, names: Names) -> tuple[list[Any], dict[str, Any]]:
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            raise self.problem("the operators * and ** are not for templates")
        named = {pair.key: self.value(pair.value, names) for pair in node.kwargs}
        return [self.value(value, names) for value in node.args], named

    def comparison(self, node: Any, names: Names) -> bool:
        left = self.value(node.expr, names)
        for operand in node.ops:
            right = self.value(operand.expr, names)
            if not self.done("a comparison", _COMPARED[operand.op], left, right):
                return False
            left = right
        return True

    def both(self, node: Any, names: Names) -> Any:
        return self.value(node.left, names) and self.value(node.right, names)

    def either(self, node: Any, names: Names) -> Any:
        return self.value(node.left, names) or self.value(node.right, names)

    def negation(self, node: Any, names: Names) -> bool:
        return not self.value(node.node, names)

    def choice(self, node: Any, names: Names) -> Any:
        if self.value(node.test, names):
            return self.value(node.expr1, names)
        if node.expr2 is None:
            raise Missing("an if without else has no value", node.lineno)
        return self.value(node.expr2, names)

    def concatenation(self, node: Any, names: Names) -> Any:
        return self.done("~", joined, [self.text(part, names) for part in node.nodes])

    def sum(self, node: Any, names: Names) -> Any:
        return self.done("+", _added, self.value(node.left, names), self.value(node.right, names))

    def difference(self, node: Any, names: Names) -> Any:
        return self.done("-", operator.sub, self.value(node.left, names), self.value(node.right, names))

    def minus(self, node: Any, names: Names) -> Any:
        return self.done("-", operator.neg, self.value(node.node, names))


def _instead(default_value: Any = "", boolean: Any = False) -> tuple[Any, Any]:
    return default_value, boolean


def _added(left: Any, right: Any) -> Any:
    return joined([left, right]) if isinstance(left, str) and isinstance(right, str) else left + right


def _dotted(node: Any) -> str:
    """`vars.city` for a message; nothing for what has no such name."""
    kind = type(node).__name__
    if kind == "Name":
        return str(node.name)[:60]
    above = _dotted(node.node) if kind == "Getattr" else ""
    return f"{above}.{node.attr}"[:60] if above else ""


def _known(table: Mapping[str, Any]) -> str:
    return ", ".join(sorted(table))


_COMPARED: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "lteq": operator.le,
    "gt": operator.gt,
    "gteq": operator.ge,
    "in": lambda one, many: one in many,
    "notin": lambda one, many: one not in many,
}
_EXPRESSIONS: Final[Mapping[str, Callable[[Expressions, Any, Names], Any]]] = {
    "Const": Expressions.constant,
    "Name": Expressions.name,
    "Getattr": Expressions.attribute,
    "Getitem": Expressions.item,
    "List": Expressions.listed,
    "Tuple": Expressions.listed,
    "Dict": Expressions.mapped,
    "Filter": Expressions.filter,
    "Test": Expressions.test,
    "Call": Expressions.call,
    "Compare": Expressions.comparison,
    "And": Expressions.both,
    "Or": Expressions.either,
    "Not": Expressions.negation,
    "CondExpr": Expressions.choice,
    "Concat": Expressions.concatenation,
    "Add": Expressions.sum,
    "Sub": Expressions.difference,
    "Neg": Expressions.minus,
}
