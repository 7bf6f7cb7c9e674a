"""Fills in the templates of workspace files: Jinja in its sandbox. The only user of jinja2. Pure.

A template sees the values that it is given and nothing else; a name that is not there is an error.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from jinja2 import Template
    from jinja2.sandbox import SandboxedEnvironment

_NAME: Final = "<template>"
_MARKS: Final = ("{{", "{%", "{#")


class TemplateProblem(Exception):
    """A template that cannot be filled in: why, and at which line of it (from 1)."""

    def __init__(self, summary: str, line: int) -> None:
        super().__init__(summary)
        self.summary = summary
        self.line = line


def is_template(text: str) -> bool:
    """Whether there is anything to fill in. Where there is not, jinja2 is not even imported."""
    return any(mark in text for mark in _MARKS)


def filled(text: str, values: Mapping[str, Any]) -> str:
    """The text with its expressions replaced. Raises TemplateProblem."""
    from jinja2 import TemplateError

    try:
        return _compiled(text).render(values)
    except TemplateError as error:
        line = getattr(error, "lineno", None) or _line_of(error)
        raise TemplateProblem(str(error.message or "it cannot be filled in").rstrip("."), line) from error
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError) as error:
        raise TemplateProblem(f"{type(error).__name__}: {error}", _line_of(error)) from error


@cache
def _compiled(text: str) -> Template:
    return _environment().from_string(text)


@cache
def _environment() -> SandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.exceptions import SecurityError
    from jinja2.sandbox import SandboxedEnvironment

    class Environment(SandboxedEnvironment):
        """Without what makes big things of small ones: a fleet file may be somebody else's text."""

        intercepted_binops = frozenset(("*", "**", "%"))

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            raise SecurityError(f"the operator {operator} is not for templates")

    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)
    environment.globals.clear()  # range, lipsum, cycler
    return environment


def _line_of(error: BaseException) -> int:
    """The last line of the template that was being filled in: jinja2 writes it into the traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame.lineno for frame in reversed(frames) if frame.filename == _NAME and frame.lineno), 1)
