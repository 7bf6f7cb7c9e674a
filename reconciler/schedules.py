"""What calls `fleet monitor` again and again when nobody is there, as texts: systemd's, cron's, GitHub's.

Pure. No secret is in any of them: they name a file with variables, which its owner writes.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from importlib import resources
from typing import Final

from reconciler.errors import UsageProblem

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
SILENT: Final = 900  # seconds without a pass, of which a rule for Prometheus tells
PASSES_MISSED: Final = 3  # or so many intervals, if that is more
# Reads the variables ($0, where it is there), goes to the directory ($1), and runs the rest; to find something is no
# failure of who calls it.
WRAPPER: Final = (
    '[ ! -r "$0" ] || { set -a; . "$0"; set +a; }; cd "$1" || exit; shift; "$@"; code=$?; '
    '[ "$code" -ne 2 ] || code=0; exit "$code"'
)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Who looks at which fleet, and how often. `command` is what makes a pass, `directory` is the fleet file's.

    `variables` is a file of lines `NAME='value'`. `references` are the names that a pass needs and finds there,
    `unreachable` says which it cannot have where it runs, and why.
    """

    fleet: str
    command: tuple[str, ...]
    file: str
    directory: str
    variables: str
    user: str
    every: timedelta
    references: tuple[str, ...] = ()
    unreachable: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"fleet-monitor-{self.fleet}"


def systemd_units(it: Schedule, *, is_system: bool) -> dict[str, str]:
    """File name to text, of a service and of the timer that starts it; of the whole system, or of a user's own."""
    account = f"User={it.user}\n" if is_system else ""
    service = f"""\
# Written by `fleet monitor install systemd`, which writes it anew; what you add goes to: systemctl edit {it.name}
[Unit]
Description=Looks after the OpenClaw fleet {it.fleet}
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
{account}WorkingDirectory={_escaped(it.directory)}
EnvironmentFile=-{_escaped(it.variables)}
ExecStart={" ".join(map(_quoted, it.command))}
# It has found something, and told it.
SuccessExitStatus=2
TimeoutStartSec=15min
NoNewPrivileges=yes
PrivateTmp=yes
ProtectSystem=full
"""
    timer = f"""\
# Written by `fleet monitor install systemd`, which writes it anew.
[Unit]
Description=Every {spoken(it.every)}: looks after the OpenClaw fleet {it.fleet}

[Timer]
OnActiveSec=30s
OnUnitInactiveSec={int(it.every.total_seconds())}s
RandomizedDelaySec={max(1, int(it.every.total_seconds()) // 10)}s
AccuracySec=1s

[Install]
WantedBy=timers.target
"""
    return {f"{it.name}.service": service, f"{it.name}.timer": timer}


def cron_times(every: timedelta) -> str:
    """The five fields of cron. Raises UsageProblem where cron has no such rhythm."""
    minutes = every // timedelta(minutes=1)
    if every % timedelta(minutes=1) == timedelta(0) and minutes:
        if minutes < 60 and 60 % minutes == 0:
            return f"*/{minutes} * * * *" if minutes > 1 else "* * * * *"
        if minutes % 60 == 0 and 24 % (minutes // 60) == 0:
            return f"7 */{minutes // 60} * * *" if minutes < 24 * 60 else "7 4 * * *"
    raise UsageProblem(
        f"cron has no rhythm of {spoken(every)}, as `monitoring: {{interval: ...}}` says",
        "take one that divides an hour or a day, such as 5m, 15m, 1h; or: fleet monitor install systemd",
    )


def cron_table(before: str, it: Schedule) -> str:
    """A user's table with our lines in it, in the place of those that were there; all else as it was."""
    words = ("flock", "-n", it.file, "sh", "-c", WRAPPER, it.variables, it.directory, *it.command)
    # What was told comes on stderr: once, and cron mails it. The fleet's state at every pass is nobody's mail.
    line = f"{cron_times(it.every)} {shlex.join(words)} >/dev/null"
    block = f"{_begin(it)}\n{line.replace('%', chr(92) + '%')}\n{_end(it)}\n"
    rest = without_cron_lines(before, it)
    return (rest if rest.endswith("\n") or not rest else f"{rest}\n") + block


def without_cron_lines(before: str, it: Schedule) -> str:
    """The same table without our lines."""
    return re.sub(f"^{re.escape(_begin(it))}\n.*?^{re.escape(_end(it))}\n?", "", before, flags=re.DOTALL | re.MULTILINE)


def openclaw_job(it: Schedule) -> tuple[str, ...]:
    """The words that give a gateway on the same machine a job of its own cron, which asks no model.

    Facts on OpenClaw, section 10: a job of the same declaration key is written over.
    """
    argv = ("sh", "-c", WRAPPER, it.variables, it.directory, *it.command)
    rhythm = f"{int(it.every.total_seconds())}s"
    return (
        *("openclaw", "cron", "add", "--name", it.name, "--declaration-key", it.name, "--every", rhythm),
        *("--session", "isolated", "--command-argv", json.dumps(argv), "--no-deliver", "--json"),
    )


def workflow(it: Schedule) -> str:
    """A workflow for GitHub Actions that keeps one issue while something is wrong."""
    names = "".join(f"      {name}: ${{{{ secrets.{name} }}}}\n" for name in it.references)
    text = asset("github-workflow.yaml")
    return (
        text.replace("@FLEET@", it.fleet)
        .replace("@CRON@", cron_times(max(it.every, timedelta(minutes=5))))
        .replace("      @ENV@\n", names)
    )


def prometheus_rules(it: Schedule) -> str:
    """The alert rules; who watches is silent when some passes have not come."""
    seconds = max(SILENT, round(PASSES_MISSED * it.every.total_seconds()))
    return asset("prometheus-rules.yaml").replace(f"> {SILENT}\n", f"> {seconds}\n")


def asset(name: str) -> str:
    """A file that goes along with this package."""
    return resources.files("reconciler.assets").joinpath(name).read_text(encoding="utf-8")


def spoken(span: timedelta) -> str:
    for unit, word in ((DAY, "d"), (HOUR, "h"), (timedelta(minutes=1), "m")):
        if span >= unit and span % unit == timedelta(0):
            return f"{span // unit}{word}"
    return f"{int(span.total_seconds())}s"


def wanted_lines(names: Iterable[str]) -> str:
    """What the file with variables has to have, for a person."""
    return "".join(f"{name}='...'\n" for name in names)


def _begin(it: Schedule) -> str:
    return f"# BEGIN {it.name}: written by `fleet monitor install cron`, which writes it anew"


def _end(it: Schedule) -> str:
    return f"# END {it.name}"


def _escaped(path: str) -> str:
    """systemd.unit(5): a percent sign begins a specifier."""
    return path.replace("%", "%%")


def _quoted(word: str) -> str:
    """systemd.service(5): double quotes with C escapes; percent and dollar signs are doubled."""
    plain = word.replace("%", "%%").replace("$", "$$")
    if re.fullmatch(r"[A-Za-z0-9_./:=@%$,+-]+", plain):
        return plain
    escaped = plain.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
