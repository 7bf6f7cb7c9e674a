"""From a command's settings to the fleet, and what several commands do with it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import click

from reconciler.cli.options import Settings
from reconciler.errors import UsageProblem

if TYPE_CHECKING:
    from reconciler.api import FleetClient
    from reconciler.model import Secret
    from reconciler.reaching import Lines
    from reconciler.selection import Selection


def open_client(
    settings: Settings, key: Secret | None = None, *, beside: bool = False, only_looks: bool = False
) -> FleetClient:
    """The fleet; its progress goes to standard output, or `beside` it. Raises ConfigError, SecretError.

    Who `only_looks` may do so with a probe key.
    """
    from reconciler.api import FleetClient

    load = click.get_current_context().obj or FleetClient.load
    client: FleetClient = load(
        settings.file,
        settings.state_dir,
        _progress_beside if beside else _progress,
        allow_sources=settings.allow_sources,
        allow_cmd=settings.allow_cmd,
        key=key,
        only_looks=only_looks,
    )
    return client


def names_of(client: FleetClient, selection: Selection) -> tuple[str, ...] | None:
    """The selected children; None where all are meant, which needs no list of them."""
    return None if selection.means_all else client.select(selection)


def declared_of(client: FleetClient, selection: Selection) -> tuple[str, ...]:
    """The selected children that the file declares. Raises UsageProblem where somebody else is named in full."""
    chosen = client.select(selection)
    if strangers := [name for name in chosen if name in selection.names and name not in client.fleet.children]:
        advice = "there is a server of it; to ask something of that, write it into the fleet file again"
        raise UsageProblem(f"the fleet file does not declare: {', '.join(strangers)}", advice)
    declared = tuple(name for name in chosen if name in client.fleet.children)
    if chosen and not declared:
        raise UsageProblem(
            f"the fleet file declares none of them: {', '.join(chosen)}", "fleet list shows who is there"
        )
    return declared


def declared_names(client: FleetClient, patterns: Iterable[str], option: str) -> frozenset[str]:
    """The declared children that an option such as --allow-replace names. Raises UsageProblem for a stranger."""
    declared = sorted(client.fleet.children)
    found: set[str] = set()
    for pattern in patterns:
        matching = {name for name in declared if fnmatchcase(name, pattern)}
        if not matching:
            near = difflib.get_close_matches(pattern, declared, 3)
            advice = f"did you mean {' or '.join(near)}?" if near else "name a child of the fleet file, or a glob"
            raise UsageProblem(f"{option} {pattern}: the fleet file declares no such child", advice)
        found |= matching
    return frozenset(found)


def named_children(client: FleetClient, names: Iterable[str], option: str) -> frozenset[str]:
    """Children that an option names one by one, also those that only have a server. Raises UsageProblem."""
    asked = frozenset(names)
    if asked <= client.fleet.children.keys():
        return asked
    known = client.servers()
    for name in sorted(asked - known.keys()):
        near = difflib.get_close_matches(name, known, 3)
        advice = f"did you mean {' or '.join(near)}?" if near else "name each child in full"
        raise UsageProblem(f"{option} {name}: there is no such child", advice)
    return asked


def _progress_beside(child: str, step: str, seconds: float) -> None:
    _progress(child, step, seconds, beside=True)


def _progress(child: str, step: str, seconds: float, *, beside: bool = False) -> None:
    from reconciler.render.text import seconds_text

    click.echo(f"  {child}: {step} ({seconds_text(seconds)})", err=beside)


def with_server(client: FleetClient, names: tuple[str, ...], selection: Selection) -> tuple[str, ...]:
    """The same by a listing of its own. Raises CloudError."""
    servers = client.servers()
    return _without(names, [name for name in names if servers.get(name) is None], selection)


def asked_of(lines: Lines, names: tuple[str, ...], selection: Selection) -> tuple[str, ...]:
    """Those with a server, and who is named: of the others it is said that they have none, and that is no failure."""
    return _without(names, lines.without_server(names), selection)


def _without(names: tuple[str, ...], gone: Iterable[str], selection: Selection) -> tuple[str, ...]:
    missing = [name for name in gone if name not in selection.names]
    if missing:
        click.echo(f"Not asked, for want of a server: {', '.join(missing)}", err=True)
    return tuple(name for name in names if name not in missing)
