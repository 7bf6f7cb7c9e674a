"""Jinja's sandbox, made narrower: a fleet file may be somebody else's. Pure.

jinja2 keeps Python out of a template's reach, and sets no bounds on time and memory. So whatever makes a value or looks
through one pays for its size in steps; jinja_tree.py sees to it that nothing else is compiled.
"""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, KeysView, Mapping, ValuesView
from contextlib import suppress
from functools import wraps
from itertools import islice
from traceback import walk_tb
from typing import Any, Final, Literal

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, Undefined, filters, pass_context, tests
from jinja2.exceptions import SecurityError, TemplateRuntimeError
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from reconciler.document import shown
from reconciler.fleet.effort import TemplateProblem, Work
from reconciler.fleet.jinja_tree import FILTERS, ITEM, MAX_NUMBER, METHOD, METHODS, ROUNDS, TESTS, WEIGHED, Priced

MAX_CHARACTERS: Final = 256 * 1024  # of one template
MAX_TOKENS: Final = 10_000  # of one template
MAX_STEPS: Final = 100_000  # to fill in one template for one child
_STEPS_PER_TEMPLATE: Final = 100  # to compile it, and for each of its tokens
_STEPS_PER_TOKEN: Final = 16
_CHARACTERS_PER_STEP: Final = 32

_OF_A_LOOP: Final = ("index", "index0", "first", "last", "length", "revindex", "revindex0")
_FAILURES: Final = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RuntimeError,
    TemplateRuntimeError,
    TypeError,
    ValueError,
)


class Jinja(ImmutableSandboxedEnvironment):
    """The templates of one fleet as they were compiled, and the steps that are left to the one at work."""

    def __init__(self, work: Work) -> None:
        # Optimized, jinja2 would run filters already when it compiles.
        super().__init__(keep_trailing_newline=True, undefined=StrictUndefined, optimized=False, finalize=self.written)
        self.work = work
        self.steps = MAX_STEPS
        self.known: dict[str, tuple[Template, int] | TemplateProblem] = {}
        self.globals.clear()
        self.filters = {name: self.paid(filters.FILTERS[name]) for name in FILTERS}
        self.filters |= {METHOD + name: self.paid(getattr(str, name, None) or getattr(dict, name)) for name in METHODS}
        self.filters |= {name: filters.FILTERS[name] for name in ("d", "default")}
        self.filters |= {WEIGHED: self.weighed, ITEM: self.getitem, ROUNDS: self.rounds}
        self.tests = {name: self.paid(tests.TESTS[name]) for name in TESTS}
        self.tests |= {name: tests.TESTS[name] for name in ("defined", "undefined")}
        # jinja2 asks with %, which fills in a text.
        self.tests |= {"even": lambda value: value & 1 == 0, "odd": lambda value: value & 1 == 1}

    def fill(self, text: str, values: Mapping[str, Any], room: int) -> str:
        """The text with its expressions replaced. Raises TemplateProblem, TooMuchForAll."""
        template, cost = self.compiled(text)
        self.steps = MAX_STEPS
        try:
            self.take(cost)
            pieces = list(template.root_render_func(template.new_context(dict(values))))
            if sum(map(len, pieces)) > room:
                raise SecurityError("it makes more text than fits")
        except _FAILURES as error:
            raise TemplateProblem(str(error)[:200], _line(template, error)) from error
        return "".join(pieces)

    def compiled(self, text: str) -> tuple[Template, int]:
        """The template and the number of its nodes. Raises TemplateProblem, TooMuchForAll."""
        if text not in self.known:
            try:
                self.known[text] = self.read(text)
            except TemplateProblem as problem:
                self.known[text] = problem
        found = self.known[text]
        if isinstance(found, TemplateProblem):
            raise found.with_traceback(None)
        return found

    def read(self, text: str) -> tuple[Template, int]:
        self.newline_sequence = _line_end(text)
        try:
            self.count_tokens(text)
            tree = Priced()
            return self.from_string(tree.visit(self.parse(text))), tree.count
        except TemplateSyntaxError as error:
            raise TemplateProblem(str(error.message).rstrip(".")[:200], error.lineno) from error
        except (RecursionError, MemoryError) as error:
            raise TemplateProblem("it is nested too deep", 1) from error
        except (SyntaxError, ValueError) as error:  # of the Python that it became, or of a number
            raise TemplateProblem(f"it cannot be compiled: {error.args[0]}"[:200], 1) from error

    def count_tokens(self, text: str) -> None:
        if len(text) > MAX_CHARACTERS:
            raise TemplateProblem(f"it has more than {MAX_CHARACTERS:,} characters", 1)
        tokens = sum(1 for _ in islice(self.lex(text), MAX_TOKENS + 1))
        self.work.take(tokens)
        if tokens > MAX_TOKENS:
            raise TemplateProblem(f"it has more than {MAX_TOKENS:,} words and signs", 1)
        self.work.take(_STEPS_PER_TEMPLATE + _STEPS_PER_TOKEN * tokens)

    def take(self, steps: int) -> None:
        self.steps -= steps
        if self.steps < 0:
            raise SecurityError(f"it takes more than {MAX_STEPS:,} steps")
        self.work.take(steps)

    def size(self, value: Any) -> int:
        """How much there is of a value, paid for: a list of lists of lists may be much bigger than it looks."""
        size = 1
        if isinstance(value, str):
            size += len(value)
        elif isinstance(value, list | tuple):
            self.take(len(value))
            size += sum(map(self.size, value))
        elif isinstance(value, dict):
            size += self.size(list(value.items()))
        elif isinstance(value, int | float):
            if abs(value) > MAX_NUMBER:
                raise SecurityError("a number is too big")
        elif isinstance(value, Undefined):
            str(value)  # raises what jinja2 says of it
        elif value is not None:
            raise SecurityError(f"a {type(value).__name__} is not for templates")
        self.take(size // _CHARACTERS_PER_STEP)
        return size

    def weighed(self, value: Any) -> Any:
        self.size(value)
        return value

    def paid(self, function: Any) -> Callable[..., Any]:
        """A filter, test or method that first pays for what it could make of what it is given."""

        @wraps(function)
        def paying(*values: Any, **named: Any) -> Any:
            first, *others = [*values[hasattr(function, "jinja_pass_arg") :], *named.values()]
            self.take(self.size(first) * self.size(others) // _CHARACTERS_PER_STEP)
            found = function(*values, **named)
            return list(found) if isinstance(found, Iterator | KeysView | ValuesView | ItemsView) else found

        return paying

    def rounds(self, values: Any, cost: int) -> list[Any]:
        """What a loop goes over, paid for with all its rounds."""
        found = list(self.weighed(values))
        self.take(cost * len(found))
        return found

    def getitem(self, obj: Any, argument: Any, owner: str = "it") -> Any:
        """What maps, lists and texts hold; jinja2 would look among their attributes too."""
        if isinstance(obj, Undefined):
            return obj
        self.size(argument)
        if isinstance(obj, LoopContext) and argument in _OF_A_LOOP:
            return getattr(obj, argument)
        with suppress(LookupError, TypeError):
            if isinstance(obj, dict) or (isinstance(obj, list | tuple | str) and isinstance(argument, int)):
                return obj[argument]
        return self.undefined(f"{owner} has no {shown(argument)}")

    @pass_context
    def written(self, _: Context, value: Any) -> str:
        """The text for a value. Without the context, jinja2 would ask for those of constants when it compiles."""
        text = str(self.weighed(value))
        if "\0" in text:
            raise SecurityError("it writes a NUL character")
        if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
            raise SecurityError("it writes half of a character (a surrogate)")
        return text


def _line_end(text: str) -> Literal["\n", "\r\n"]:
    """That of the first line: jinja2 ends all lines of a template alike."""
    first, end, _ = text.partition("\n")
    return "\r\n" if end and first.endswith("\r") else "\n"


def _line(template: Template, error: BaseException) -> int:
    """The line of the template that was at work."""
    lines = [line for frame, line in walk_tb(error.__traceback__) if frame.f_code.co_filename == template.filename]
    return template.get_corresponding_lineno(lines[-1]) if lines else 1
