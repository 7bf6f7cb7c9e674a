"""A child's openclaw.json on this machine, for its operator to change; beside it is noted what it was made from."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.cli.private import write_private
from reconciler.errors import UsageProblem


def read(file: Path) -> bytes:
    """What lies there. Raises UsageProblem where that is no text in UTF-8, too large, or cannot be read."""
    from reconciler.managed.config import LARGEST_CONFIG

    try:
        with file.open("rb") as opened:
            content = opened.read(LARGEST_CONFIG + 1)
        content.decode()
    except OSError as error:
        raise UsageProblem(f"cannot read {file}: {error.strerror}", "fleet config pull CHILD makes one") from error
    except UnicodeDecodeError as error:
        raise UsageProblem(f"{file} is no text in UTF-8", "nothing was changed; mend it first") from error
    if len(content) > LARGEST_CONFIG:
        raise UsageProblem(f"{file} is larger than {LARGEST_CONFIG} bytes", "no gateway has so large a configuration")
    return content


def refuse_changed(file: Path) -> None:
    """Raises UsageProblem where a person's work would be written over."""
    if file.exists() and _digest(file) != base_of(file):
        raise UsageProblem(
            f"{file} was changed since it was fetched, or was not fetched", "push it, or move it away; or pull --force"
        )


def forget(file: Path) -> None:
    """The file and its note are gone."""
    file.unlink(missing_ok=True)
    _note_of(file).unlink(missing_ok=True)


def say_kept(file: Path, child: str) -> None:
    click.echo(f"What you wrote is kept in {file}. To give it to {child}: fleet config push {child}", err=True)


def keep(file: Path, content: bytes) -> None:
    """For its owner alone to read, with a note of what it was. Raises StateError."""
    from reconciler.steps.configuring import digest_of

    write_private(file, content)
    write_private(_note_of(file), f"{digest_of(content)}\n".encode())


def base_of(file: Path) -> str | None:
    """The digest of what it was fetched as; None where that is not noted."""
    import re

    try:
        text = _note_of(file).read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None
    return text if re.fullmatch("[0-9a-f]{64}", text) else None


def _digest(file: Path) -> str:
    from reconciler.steps.configuring import digest_of

    return digest_of(read(file))


def _note_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.base")
