"""`fleet cost`: what the fleet costs in a month."""

from __future__ import annotations

import click

from reconciler.cli.client import open_client
from reconciler.cli.options import Settings, with_settings
from reconciler.cli.output import show_table
from reconciler.cli.selecting import NONE_IS_ALL, with_selection
from reconciler.errors import UsageProblem
from reconciler.selection import Selection


@click.command()
@with_selection(NONE_IS_ALL)
@click.option("--by", type=click.Choice(("child", "group", "region")), help="Sums, and not every server.")
@click.option("--models", is_flag=True, help="And what gateways have spent on models this month: asks each host.")
@click.option("--json", "as_json", is_flag=True, help="Everything as JSON on standard output.")
@click.option("--csv", "as_csv", is_flag=True, help="A line for each server, for a spreadsheet.")
@with_settings
def cost(settings: Settings, selection: Selection, by: str | None, models: bool, as_json: bool, as_csv: bool) -> int:
    """What the servers of the fleet cost in a month: at the cloud's list prices of now, net.

    Every server that carries the fleet's label counts, also one that is off, or of no child of the file. Where all are
    asked for, also said: what there is in the project besides (snapshots, volumes, addresses that no server has), and
    the budget of `policy: max_monthly`. With --models, exit code 3: not every gateway could be asked.
    """
    from reconciler.render.costs import cost_csv, cost_json, notes, server_table, sum_table
    from reconciler.render.text import harmless, json_text

    if as_json and as_csv:
        raise UsageProblem("--json and --csv are two ways to say the same", "give one of them")
    if as_csv and by:
        raise UsageProblem("--csv has a line for each server", "sum them up there, or use --by without --csv")
    if by and models and not as_json:
        raise UsageProblem("--by sums up servers, and --models is of each gateway", "give one of them, or --json")
    client = open_client(settings)
    costs = client.costs(selection, models=models)
    if as_json:
        click.echo(json_text(cost_json(costs, by or "child")))
    elif as_csv:
        click.echo(cost_csv(costs), nl=False)
    else:
        show_table(sum_table(costs, by) if by else server_table(costs), settings)
        click.echo("\n" + "\n".join(notes(costs)))
    unknown = [row for row in costs.rows if row.spending is not None and row.spending.problem]
    for row in unknown:
        assert row.spending is not None
        click.echo(f"{row.child}: what its model costs is not known: {harmless(row.spending.problem)}", err=True)
    return 3 if unknown else 0
