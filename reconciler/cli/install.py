"""`fleet monitor install`: what looks after the fleet when nobody is there."""

from __future__ import annotations

import getpass
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.options import Settings, with_settings
from reconciler.errors import UsageProblem

if TYPE_CHECKING:
    from reconciler.model import Fleet, SecretRef
    from reconciler.schedules import Schedule

PLACES = ("systemd", "cron", "openclaw", "github", "prometheus", "grafana")
_FILES = {
    "github": ".github/workflows/fleet-monitor.yaml",
    "prometheus": "fleet-monitor.rules.yaml",
    "grafana": "fleet-monitor.dashboard.json",
}


@click.command("monitor install")
@click.argument("where", type=click.Choice(PLACES))
@click.option("--print", "prints", is_flag=True, help="Print it instead, to put it there yourself.")
@click.option(
    "--to",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="github, prometheus, grafana: another file.",
)
@click.option("--force", is_flag=True, help="Write over a file that says something else; that is kept beside it.")
@click.option("--remove", is_flag=True, help="Take it away again.")
@with_settings
def install(settings: Settings, where: str, prints: bool, to: Path | None, force: bool, remove: bool) -> int:
    """Let the fleet be looked at again and again: fleet monitor install systemd

    systemd: a timer, of the system for root, else of your account. cron: lines in your crontab. openclaw: a job of the
    gateway on this machine, which asks no model. github: a workflow that keeps one issue while something is wrong.
    prometheus: alert rules. grafana: a dashboard. How often is `monitoring: {interval: ...}` in the fleet file; run it
    again after a change of that. Running it twice changes nothing.
    """
    from reconciler.fleet import load_fleet
    from reconciler.wiring import note, open_store

    it = _schedule(load_fleet(settings.file), settings, elsewhere=where == "github")
    file = to or settings.file.parent / _FILES[where] if where in _FILES else None
    if file is not None and remove:
        raise UsageProblem(f"{where} is a file of yours", f"delete it: {file}")
    if to is not None and file is None:
        raise UsageProblem(f"{where} has its own place", f"--to is for {', '.join(_FILES)}; to see it: --print")
    if prints:
        click.echo(_text(where, it), nl=False)
        return 0
    done = _put(where, it, file, force=force) if not remove else _taken_away(where, it)
    for line in done:
        click.echo(line)
    if not done:
        click.echo("It is not there." if remove else "It is there already, as it shall be.")
    else:
        note(open_store(settings.state_dir), "monitor-removed" if remove else "monitor-installed", where=where)
    if not remove:
        _say_what_it_needs(where, it)
    return 0


def _put(where: str, it: Schedule, file: Path | None, *, force: bool) -> list[str]:
    """What was done, in words."""
    from reconciler import installing

    if file is not None:
        return installing.install_file(file, _text(where, it), force=force)
    there = {"systemd": installing.install_systemd, "cron": installing.install_cron}
    return there.get(where, installing.install_openclaw)(it)


def _taken_away(where: str, it: Schedule) -> list[str]:
    from reconciler import installing

    there = {"systemd": installing.remove_systemd, "cron": installing.remove_cron}
    return there.get(where, installing.remove_openclaw)(it)


def _text(where: str, it: Schedule) -> str:
    from reconciler import installing, schedules

    match where:
        case "systemd":
            place, units = installing.units_place(), schedules.systemd_units(it, is_system=installing.is_root())
            return "\n".join(f"# {place / name}\n{text}" for name, text in units.items())
        case "cron":
            return schedules.cron_table("", it)
        case "openclaw":
            return f"{shlex.join(schedules.openclaw_job(it))}\n"
        case "github":
            return schedules.workflow(it)
        case "prometheus":
            return schedules.prometheus_rules(it)
        case _:
            return schedules.asset("grafana-dashboard.json")


def _say_what_it_needs(where: str, it: Schedule) -> None:
    """On stderr: it is nobody's data."""
    from reconciler.installing import ends_with_session
    from reconciler.schedules import wanted_lines

    if where == "systemd" and ends_with_session():
        click.echo(f"It ends when {it.user} logs out, unless: loginctl enable-linger {it.user}", err=True)
    if where == "github":
        click.echo(f"It needs these secrets of the repository: {', '.join(it.references)}.", err=True)
        for place in it.unreachable:
            click.echo(f"Warning: {place}: write env:FLEET_SECRET_... in the fleet file instead.", err=True)
    elif where not in _FILES and it.references and not Path(it.variables).exists():
        click.echo(f"It finds its secrets in {it.variables}, which {it.user} alone may read (mode 0600):", err=True)
        lines = wanted_lines(it.references).splitlines()
        click.echo("".join(f"    {line}\n" for line in lines), nl=False, err=True)


def _schedule(fleet: Fleet, settings: Settings, *, elsewhere: bool) -> Schedule:
    """`elsewhere`: on a machine that has nothing of this one."""
    from reconciler.schedules import Schedule
    from reconciler.secrets import fleet_key

    user = os.environ.get("SUDO_USER") or getpass.getuser()
    file = settings.file.absolute()
    home = Path(fleet_key.default_path(fleet.name, os.environ))
    if os.environ.get("SUDO_USER") and not os.environ.get("FLEET_CONFIG_HOME"):
        home = Path(f"~{user}").expanduser() / ".config" / "openclaw-deploy" / home.name
    places = [fleet.token, *(place.url for place in fleet.alerts.to), fleet.alerts.ping, fleet_key.reference(fleet)]
    for spec in fleet.children.values():  # who mends needs what an apply needs
        if spec.monitoring.resuscitate is not None or spec.monitoring.acts_on_drift:
            places += [spec.bot_token, spec.model.key]
    asked = [place for place in places if place is not None]
    wanted = [place.locator for place in asked if place.source == "env"]
    if fleet_key.reference(fleet) is None and (elsewhere or not home.exists()):
        wanted.insert(0, fleet_key.VARIABLE)
    return Schedule(
        fleet=fleet.name,
        command=(*_program(), "--file", str(file), *_allowed(settings), "monitor", "--quiet"),
        file=str(file),
        directory=str(file.parent),
        variables=str(home.with_suffix(".env").absolute()),
        user=user,
        every=fleet.alerts.interval,
        references=tuple(dict.fromkeys(wanted)),
        unreachable=tuple(_objection(place) for place in asked if elsewhere and _objection(place)),
    )


def _objection(place: SecretRef) -> str:
    """Why a workflow cannot have it; empty where it can."""
    from reconciler.secrets.fleet_key import VARIABLE

    if place.source != "env":
        return f"{place} is not there"
    is_allowed = place.locator.startswith("FLEET_SECRET_") or str(place) == f"env:{VARIABLE}"
    return "" if is_allowed else f"{place} may not be used under CI"


def _program() -> tuple[str, ...]:
    """This very program, by its whole path: nobody's PATH is that of a timer."""
    called = Path(sys.argv[0]).absolute()
    if called.name == "fleet" and os.access(called, os.X_OK):
        return (str(called),)
    return (sys.executable, "-m", "reconciler")


def _allowed(settings: Settings) -> list[str]:
    """What the file may ask for here it may ask for there."""
    words = []
    sources = settings.allow_sources or os.environ.get("FLEET_ALLOW_SOURCES")
    if sources:
        words += ["--allow-sources", sources]
    programs = settings.allow_cmd or tuple(filter(None, os.environ.get("FLEET_ALLOW_CMD", "").split(os.pathsep)))
    for program in programs:
        words += ["--allow-cmd", program]
    if settings.state_dir.absolute() != settings.file.absolute().parent / "state":
        words += ["--state-dir", str(settings.state_dir.absolute())]
    return words
