"""Problems and errors as text: `file:line:column: what`, and what to do indented below."""

from __future__ import annotations

from reconciler.errors import ConfigError, FleetError
from reconciler.model import Diagnostic, Severity
from reconciler.render.text import harmless


def diagnostic_text(found: Diagnostic) -> str:
    """One problem; the place in front of it as far as it is known."""
    place = [found.file, str(found.line), str(found.column)] if found.line else [found.file]
    where = ":".join(place) + ": " if found.file else ""
    kind = "" if found.severity is Severity.ERROR else f"{found.severity}: "
    return f"{harmless(where)}{kind}{harmless(found.summary)}" + _indented(found.detail)


def error_text(error: FleetError) -> str:
    """What a person reads on stderr when a command fails."""
    problems = [diagnostic_text(found) for found in error.diagnostics] if isinstance(error, ConfigError) else []
    return "\n".join([*problems, f"Error: {harmless(error.summary)}{_indented(error.advice)}"])


def _indented(text: str) -> str:
    return "".join(f"\n  {harmless(line)}" for line in text.splitlines())
