"""Templates of workspace files: Jinja's language, read by jinja2 and filled in by filling.py. The only user of jinja2.

A template sees the values that it is given and nothing else; a name that is not there is an error. Pure.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from reconciler.fleet.effort import TemplateProblem, TooMuchForAll, Work
from reconciler.fleet.filling import written

if TYPE_CHECKING:
    from jinja2 import Environment

MAX_CHARACTERS: Final = 256 * 1024  # of one template: jinja2 takes 300 bytes for a character of some of them
MAX_TOKENS: Final = 10_000  # of one template
MAX_MEMORY: Final = 64 * 1024 * 1024  # of everything that is filled in for one fleet
_KEPT_TOKENS: Final = 100_000  # of the templates that are kept as they were read: some 60 MB
_STEPS_PER_TOKEN: Final = 5
_MARKS: Final = ("{{", "{%", "{#")


@dataclass(slots=True)
class Templates:
    """What all templates of one fleet may take together, and those that have been read already."""

    work: Work
    memory: int = MAX_MEMORY
    tokens: int = 0
    read: dict[str, Any] = field(default_factory=dict)


def filled(text: str, values: Mapping[str, Any], templates: Templates, room: int) -> str:
    """The text with its expressions replaced, of `room` characters at most. Raises TemplateProblem, TooMuchForAll."""
    if text not in templates.read:
        templates.read[text] = _nodes(text, templates) if any(mark in text for mark in _MARKS) else None
    nodes = templates.read[text]
    if nodes is None:
        return text
    found = written(nodes, values, templates.work, room)
    templates.memory -= sys.getsizeof(found)
    if templates.memory < 0:
        raise TooMuchForAll(f"what is filled in for all children takes more than {MAX_MEMORY >> 20} MiB")
    return found


def _nodes(text: str, templates: Templates) -> Any:
    """The template as jinja2 reads it. What holds no mark never comes here, so jinja2 is not even imported for it."""
    from jinja2 import TemplateSyntaxError

    try:
        _count_tokens(text, templates)
        return _environment().parse(text).body
    except TemplateSyntaxError as error:
        raise TemplateProblem((error.message or "it cannot be read").rstrip(".")[:200], error.lineno) from error
    except RecursionError as error:
        raise TemplateProblem("it is nested too deep", 1) from error
    except ValueError as error:  # a number with more digits than Python reads
        raise TemplateProblem("a number in it is too long", 1) from error


def _count_tokens(text: str, templates: Templates) -> None:
    """A token takes hundreds of times its bytes when it is read."""
    if len(text) > MAX_CHARACTERS:
        raise TemplateProblem(f"it has more than {MAX_CHARACTERS:,} characters", 1)
    tokens = 0
    for line, _, _ in _environment().lex(text):
        tokens += 1
        if tokens > MAX_TOKENS:
            raise TemplateProblem(f"it has more than {MAX_TOKENS:,} words and signs", line)
    templates.work.take(_STEPS_PER_TOKEN * tokens)
    templates.tokens += tokens
    if templates.tokens > _KEPT_TOKENS:
        templates.read.clear()
        templates.tokens = tokens


@cache
def _environment() -> Environment:
    from jinja2 import Environment

    return Environment(keep_trailing_newline=True)  # noqa: S701 - the text is no HTML, and nothing is rendered
