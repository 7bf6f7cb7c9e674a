"""What a person allows a plan, by the same options wherever one is made."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.client import declared_names, named_children

if TYPE_CHECKING:
    from reconciler.api import FleetClient
    from reconciler.model import Percent, PlanOptions


def _limit(context: click.Context, option: click.Parameter, value: str | None) -> int | Percent | None:
    from reconciler.model import Percent

    if value is None:
        return None
    found = re.fullmatch(r"([0-9]{1,6})(%?)", value)
    if found is None or (found[2] and int(found[1]) > 100):
        raise click.BadParameter(f"{value} is neither a number of servers nor a share such as 10%", context, option)
    return Percent(int(found[1])) if found[2] else int(found[1])


max_destroys_option = click.option(
    "--max-destroys",
    callback=_limit,
    metavar="N or N%",
    help="At most so many servers are deleted, instead of what the file's policy says.",
)


no_backup_option = click.option(
    "--no-backup",
    multiple=True,
    metavar="CHILD",
    help="What this child remembers may be lost: no copy is made before its server goes, or before an update "
    "(repeatable).",
)


def with_plan_options(command: Any) -> Any:
    """What a person allows a plan; the same for plan and apply."""
    for option in (
        max_destroys_option,
        click.option(
            "--repair",
            multiple=True,
            metavar="CHILD or glob",
            help="Mend what was mended too often and then left (repeatable).",
        ),
        click.option(
            "--retry",
            multiple=True,
            metavar="CHILD or glob",
            help="Go again to the version that this child was brought back from (repeatable).",
        ),
        click.option(
            "--allow-replace",
            multiple=True,
            metavar="CHILD or glob",
            help="This child's server may be replaced by a new one, which gets its memory (repeatable).",
        ),
        no_backup_option,
    ):
        command = option(command)
    return command


def plan_options(
    client: FleetClient,
    allow_replace: tuple[str, ...],
    repair: tuple[str, ...],
    retry: tuple[str, ...],
    no_backup: tuple[str, ...],
    max_destroys: int | Percent | None,
) -> PlanOptions:
    from reconciler.model import PlanOptions

    return PlanOptions(
        allow_replace=declared_names(client, allow_replace, "--allow-replace"),
        repair=declared_names(client, repair, "--repair"),
        retry=declared_names(client, retry, "--retry"),
        without_copy=named_children(client, no_backup, "--no-backup"),
        max_destroys=max_destroys,
    )
