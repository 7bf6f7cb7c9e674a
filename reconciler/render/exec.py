"""What a command said on the hosts of several children."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.errors import FleetError
from reconciler.model import Completed, Json
from reconciler.render.text import harmless
from reconciler.wire import OUTPUT_LIMIT


def answer_lines(answers: Mapping[str, Completed | FleetError]) -> Iterator[tuple[str, str | None]]:
    """A heading for each child, and its output below; what it said on standard error is red."""
    for name, answer in answers.items():
        if isinstance(answer, FleetError):
            yield f"{harmless(name)}: {harmless(answer.summary)}", "red"
            if answer.advice:
                yield f"  {harmless(answer.advice)}", None
            continue
        yield f"{harmless(name)}: exit code {answer.exit_code}", "red" if answer.exit_code else None
        for output, color in ((answer.stdout, None), (answer.stderr, "red")):
            for line in output.decode("utf-8", "replace").splitlines():
                yield f"  {harmless(line)}", color
            if len(output) >= OUTPUT_LIMIT:
                yield f"  (only the first {OUTPUT_LIMIT} bytes are shown)", color


def answer_json(answers: Mapping[str, Completed | FleetError]) -> dict[str, Json]:
    return {name: _json(answer) for name, answer in answers.items()}


def _json(answer: Completed | FleetError) -> Json:
    if isinstance(answer, FleetError):
        return {"exit_code": None, "stdout": "", "stderr": "", "problem": answer.summary}
    out, err = (output.decode("utf-8", "replace") for output in (answer.stdout, answer.stderr))
    return {"exit_code": answer.exit_code, "stdout": out, "stderr": err, "problem": None}
