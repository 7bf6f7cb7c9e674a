"""What a template may consist of, and what it pays for: the tree that jinja2 read, checked and rewritten. Pure.

Only what is listed here is compiled. What a node makes a value of, or looks through, goes through a filter of jinja.py
first, under a name that no template can write. A filter, test or method that is added to these lists must make nothing
bigger than the product of what it is given.
"""

from __future__ import annotations

from typing import Any, Final

from jinja2 import nodes
from jinja2.exceptions import TemplateAssertionError
from jinja2.visitor import NodeTransformer

from reconciler.document import shown

MAX_NUMBER: Final = 10**18
WEIGHED: Final = "="
ITEM: Final = "[]"
ROUNDS: Final = "{%"
METHOD: Final = "."

_NODES: Final = (  # noqa: SIM905
    "Template Output TemplateData If For Assign Name Const Getattr Getitem Slice List Tuple Dict Pair Filter Test Call"
    " Keyword Compare Operand And Or Not CondExpr Concat Add Sub Neg Scope"
).split()
FILTERS: Final = (  # noqa: SIM905
    "capitalize count d default dictsort first items join last length list lower replace reverse sort string title trim"
    " unique upper"
).split()
TESTS: Final = (  # noqa: SIM905
    "boolean defined even false in iterable mapping none number odd sequence string true undefined"
).split()
METHODS: Final = (  # noqa: SIM905
    "capitalize endswith get items join keys lower lstrip replace rstrip split startswith strip title upper values"
).split()


class Priced(NodeTransformer):
    """Makes filters of what costs, and counts the nodes. Raises TemplateSyntaxError for what is not for templates."""

    count = 0

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        if objection := _objection(node):
            raise TemplateAssertionError(objection, node.lineno)
        self.count += 1
        before = self.count
        return _priced(self.generic_visit(node), self.count - before)


def _objection(node: nodes.Node) -> str:
    kind = type(node).__name__
    match node:
        case nodes.NSRef():
            return "what is in a value cannot be set"
        case _ if kind not in _NODES:
            return f'"{getattr(node, "operator", kind.lower())}" is not for templates'
        case nodes.Filter(name=name) if name not in FILTERS:
            return f"the filter {shown(name)} is not for templates: known are {', '.join(FILTERS)}"
        case nodes.Test(name=name) if name not in TESTS:
            return f"the test {shown(name)} is not for templates: known are {', '.join(TESTS)}"
        case nodes.Call(node=nodes.Getattr(attr=name)) if name not in METHODS:
            return f"the method {shown(name)} is not for templates: known are {', '.join(METHODS)}"
        case nodes.Call(node=target) if not isinstance(target, nodes.Getattr):
            return "only methods can be called"
        case nodes.Filter() | nodes.Test() | nodes.Call() if node.dyn_args or node.dyn_kwargs:
            return "the operators * and ** are not for templates"
        case nodes.For(recursive=True):
            return "a loop cannot be recursive"
        case nodes.Const(value=int() | float() as number) if abs(number) > MAX_NUMBER:
            return "a number is too big"
    return ""


def _priced(node: Any, cost: int) -> Any:
    """What is compiled for a node. Its parts are done already, and they are `cost` nodes."""
    match node:
        case nodes.For():
            node.iter = _filter(ROUNDS, node.iter, nodes.Const(cost))
        case nodes.Compare() | nodes.Operand():
            node.expr = _filter(WEIGHED, node.expr)
        case nodes.Assign() | nodes.Getitem(arg=nodes.Slice()):
            node.node = _filter(WEIGHED, node.node)
        case nodes.Add() | nodes.Sub():
            node.left, node.right = _filter(WEIGHED, node.left), _filter(WEIGHED, node.right)
        case nodes.Concat():
            node.nodes = [_filter(WEIGHED, part) for part in node.nodes]
        case nodes.Dict():
            return _filter(WEIGHED, node)
        case nodes.Getattr() | nodes.Getitem():
            key = nodes.Const(node.attr) if isinstance(node, nodes.Getattr) else node.arg
            owner = node.node.name if isinstance(node.node, nodes.Name) else "it"
            return _filter(ITEM, node.node, key, nodes.Const(owner))
        case nodes.Call(node=nodes.Filter(node=owner, args=[nodes.Const(value=name), *_])):
            return nodes.Filter(owner, METHOD + name, node.args, node.kwargs, None, None, lineno=node.lineno)
    return node


def _filter(name: str, node: Any, *args: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(node, name, list(args), [], None, None, lineno=node.lineno)
