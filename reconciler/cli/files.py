"""`fleet validate` and `fleet init`: what has to do with the fleet file alone. Neither asks any network."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from reconciler.cli import starter
from reconciler.cli.options import Settings, with_settings
from reconciler.errors import ConfigError, FleetError, Refused, StateError
from reconciler.render.text import count_text
from reconciler.wholefile import write_new

if TYPE_CHECKING:
    from reconciler.model import Secret

_NAME = re.compile(r"[a-z0-9]{1,61}")


@click.command()
@with_settings
def validate(settings: Settings) -> None:
    """Check the fleet file: every problem with its line and what to do. Needs no secret and no network."""
    from reconciler.fleet import load_fleet

    fleet = load_fleet(settings.file)
    children = count_text(len(fleet.children), "child", "children")
    click.echo(f'{settings.file} is valid: fleet "{fleet.name}" with {children}.')


@click.command()
@click.option("--name", metavar="NAME", help="The fleet's name: a-z and 0-9. Otherwise made of the directory's name.")
@click.option("--sandbox", is_flag=True, help="A fleet for the sandbox on this machine instead of Hetzner Cloud.")
@with_settings
def init(settings: Settings, name: str | None, sandbox: bool) -> None:
    """Start a fleet here: a first fleet file, the state directory and a new fleet key. Overwrites nothing."""
    name = _checked_name(name, settings.file)
    made = _begin(settings, name, _fleet_file(name, sandbox))
    access = starter.SANDBOX_ACCESS if sandbox else starter.HETZNER_ACCESS
    click.echo(made + starter.NEXT.format(file=settings.file, access=access), nl=False)


@click.command("import legacy")
@click.argument("path", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--name", metavar="NAME", help="The fleet's name: a-z and 0-9. Otherwise made of the directory's name.")
@with_settings
def import_legacy(settings: Settings, path: Path, name: str | None) -> None:
    """Write the fleet file of what the original scripts have made, from their directory `instances`.

    No server is touched, and no secret is copied: the fleet file refers to where it lies. The state directory and a new
    fleet key are made, too; overwrites nothing.
    """
    from reconciler.legacy import doubts, fleet_text, next_commands, read_legacy
    from reconciler.render.text import harmless

    name, home = _checked_name(name, settings.file), settings.file.absolute().parent
    legacy = read_legacy(path, home)
    text = fleet_text(legacy, name, starter.RELEASE)
    _refuse_invalid(text)
    made = _begin(settings, name, text)
    more = "" if settings.file == Path("fleet.yaml") else f" --file {shlex.quote(str(settings.file))}"
    commands = "\n".join(f"     {harmless(command)}" for command in next_commands(legacy.instances, home, more))
    for doubt in doubts(legacy):
        click.echo(f"Warning: {harmless(doubt)}.", err=True)
    click.echo(made + starter.NEXT_OF_LEGACY.format(file=settings.file, commands=commands), nl=False)


def _refuse_invalid(text: str) -> None:
    """Raises Refused for a fleet file that would have to be mended before anything else. It names no other files."""
    from reconciler.fleet import load_fleet

    with TemporaryDirectory() as place:
        file = Path(place, "fleet.yaml")
        file.write_text(text, encoding="utf-8", errors="surrogateescape")
        try:
            load_fleet(file)
        except ConfigError as error:
            found = [f"{found.summary}: {found.detail}" for found in error.diagnostics[:5]]
            raise Refused(
                "these instances make no valid fleet file, and nothing was written", "\n".join(found)
            ) from error


def _begin(settings: Settings, name: str, text: str) -> str:
    """Writes a fleet file with its state directory and key; what was made, in words. Overwrites nothing."""
    from reconciler import keys
    from reconciler.clock import random_bytes
    from reconciler.secrets import fleet_key

    key, key_file = keys.make_key(random_bytes(keys.KEY_BYTES)), fleet_key.default_path(name, os.environ)
    files = {
        settings.file: text,
        settings.state_dir / "README.md": starter.STATE_README,
        settings.state_dir / ".gitignore": starter.STATE_GITIGNORE,
    }
    _refuse_to_overwrite([*files, key_file])
    _write(files, key_file, key)
    written = ", ".join(str(path) for path in files)
    return starter.DONE.format(files=written, key_file=key_file, fingerprint=keys.fingerprint(key))


def _checked_name(name: str | None, file: Path) -> str:
    if name is None:
        return re.sub("[^a-z0-9]", "", file.absolute().parent.name.lower())[:20] or "demo"
    if not _NAME.fullmatch(name):
        raise click.BadParameter("use only the letters a-z and digits, at most 61", param_hint="--name")
    return name


def _fleet_file(name: str, sandbox: bool) -> str:
    import yaml

    text = name if yaml.safe_load(name) == name else f'"{name}"'  # YAML reads a bare 42 or `no` as something else
    return starter.FLEET_FILE.format(name=text, cloud=starter.SANDBOX if sandbox else starter.HETZNER)


def _refuse_to_overwrite(paths: list[Path]) -> None:
    present = [str(path) for path in paths if path.exists() or path.is_symlink()]
    if present:
        raise Refused(
            f"nothing is overwritten, and this is here already: {', '.join(present)}",
            "Start in an empty directory, and with a name that no other fleet of yours has: --name NAME",
        )


def _write(files: dict[Path, str], key_file: Path, key: Secret) -> None:
    """All of them or none: what was made before a failure is taken away again."""
    from reconciler.secrets import fleet_key

    made: list[Path] = []
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_new(path, text.encode(), 0o666)
            made.append(path)
        fleet_key.write(key_file, key)
    except (OSError, FleetError) as error:
        for path in made:
            path.unlink(missing_ok=True)
        if isinstance(error, FleetError):
            raise
        raise StateError(f"cannot write {error.filename}: {error.strerror}", "Mend that path.") from error
