"""Templates of workspace files, filled in for one child after the other, within what a fleet may take. Pure.

jinja2 is imported for the first text that has one of its marks, so a fleet without templates loads without it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from reconciler.fleet.effort import TooMuchForAll, Work

if TYPE_CHECKING:
    from reconciler.fleet.jinja import Jinja

MAX_MEMORY: Final = 64 * 1024 * 1024  # of everything that is filled in for one fleet
_MARKS: Final = ("{{", "{%", "{#")


@dataclass(slots=True)
class Templates:
    """What is left to all templates of one fleet, and the Jinja that has compiled some of them already."""

    work: Work
    memory: int = MAX_MEMORY
    jinja: Jinja | None = None


def filled(text: str, values: Mapping[str, Any], templates: Templates, room: int) -> str:
    """The text with its expressions replaced, of `room` characters at most. Raises TemplateProblem, TooMuchForAll."""
    if not any(mark in text for mark in _MARKS):
        return text
    if templates.jinja is None:
        from reconciler.fleet.jinja import Jinja

        templates.jinja = Jinja(templates.work)
    found = templates.jinja.fill(text, values, room)
    templates.memory -= sys.getsizeof(found)
    if templates.memory < 0:
        raise TooMuchForAll(f"what is filled in for all children takes more than {MAX_MEMORY >> 20} MiB")
    return found
