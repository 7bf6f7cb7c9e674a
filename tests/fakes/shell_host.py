"""A directory that the shell programs of the product take for a whole host, where the power can go at any moment.

Everything is real (sh, tar, mv, flock) but systemd, the free space of the disk and the uptime. The gateway is a model,
too: it writes into its home what the release that runs makes of it, and every start is kept as it was found.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reconciler.commands.switching import (
    ASIDES,
    CHECKPOINTS,
    RETURN_PATH,
    RETURN_PROGRAM,
    SWITCH,
    UNTIL_PATH,
    is_checkpoint_id,
)
from reconciler.managed import files
from reconciler.model import Command
from tests.fakes.states import Tree, digest, make_state, tree

SYSTEM: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Of each the power can go right after it, and in the midst of those that take a while.
_WATCHED: Final = (
    *("cat", "date", "df", "du", "flock", "ln", "mark", "mkdir", "mountpoint", "mv"),
    *("readlink", "rm", "sha256sum", "stat", "sync", "systemctl", "tar"),
)
LENGTHY: Final = ("rm", "tar")
_OURS: Final = re.compile(r"(?<![\w/.}])(?=/(?:var/lib|opt/openclaw|run/openclaw|proc/uptime|usr/local/lib/openclaw))")

_WATCHER: Final = r"""#!/bin/sh
# The command of this name, and then the power goes if it is time.
name=${0##*/}; PATH=@fakes@:@system@; count=@top@/count
read -r number <"$count"; number=$((number + 1)); echo "$number" >"$count"; echo "$name" >>@top@/trace
if [ "$number within" = "$DIES" ]; then
  case $name in
    tar) ( ulimit -f 4; exec tar "$@" ) 2>/dev/null ;;
    rm) for path; do [ ! -e "$path" ] || find "$path" -type f -delete -quit; done ;;
  esac
  kill -KILL 0
fi
"$name" "$@"; code=$?
[ "$number after" != "$DIES" ] || kill -KILL 0
exit "$code"
"""
_DF: Final = """#!/bin/sh
echo 'Filesystem 1024-blocks Used Available Capacity Mounted on'; echo "/dev/sda1 0 0 $(cat @top@/free) 1% /"
"""
_SYSTEMCTL: Final = r"""#!/bin/sh
verb=
for word; do case $word in -*) ;; *) [ -n "$verb" ] && unit=$word || verb=$word ;; esac; done
active=@top@/active/$unit; home=@root@/var/lib/openclaw
case $verb in
  is-active) [ -e "$active" ] && echo active || { echo inactive; exit 3; } ;;
  stop) rm -f -- "$active" ;;
  start|restart)
    [ "$verb" = restart ] && rm -f -- "$active"
    [ ! -e "$active" ] || exit 0
    if [ "$unit" = openclaw-gateway.service ]; then
      [ ! -e @root@/var/lib/openclaw-deploy/switch/closed ] || exit 0  # a condition of the unit
      start=@top@/starts/$(ls @top@/starts | wc -l); mkdir "$start"
      release=$(readlink @root@/opt/openclaw/current); release=${release##*/}; echo "$release" >"$start/release"
      cp -a "$home" "$start/home" || exit 1
      if [ "$(cat "$home/.openclaw/schema")" != "$release" ]; then
        echo "$release" >"$home/.openclaw/schema"; echo "$release" >"$home/memory/learnt by $release"
        rm -f -- "$home/memory/forgotten by later ones"
      fi
    fi
    : >"$active" ;;
esac
"""


@dataclass(frozen=True, slots=True)
class Moment:
    """After the nth watched command, or in its midst."""

    number: int
    where: str = "after"

    def __str__(self) -> str:
        return f"{self.number} {self.where}"


NEVER: Final = Moment(0)
WATCHED: Final = Moment(-1)


class ShellHost:
    """A gateway of `version` runs by the state that `make_state` has laid down."""

    def __init__(self, top: Path, version: str) -> None:
        self.top, self.root = top, top / "root"
        for path in (files.NOTES, files.RELEASES, "/run", "/proc", RETURN_PATH.rpartition("/")[0], files.HOME):
            self.at(path).mkdir(parents=True)
        for name in ("fakes", "watched", "active", "starts"):
            (top / name).mkdir()
        self._tool("fakes/df", _DF)
        self._tool("fakes/mark", "#!/bin/sh\n")
        self._tool("fakes/systemctl", _SYSTEMCTL)
        self._tool("watched/watcher", _WATCHER)
        for name in _WATCHED:
            (top / "watched" / name).symlink_to("watcher")
        (top / "free").write_text("10000000\n")
        self.set_uptime(1000)
        program = self.at(RETURN_PATH)
        program.write_text(self._placed(RETURN_PROGRAM))
        program.chmod(0o755)
        self.at(files.CURRENT).symlink_to(self.at(f"{files.RELEASES}/{version}"))
        make_state(self.at(files.HOME), version)
        self.run(["systemctl", "start", files.UNIT])

    def at(self, path: str) -> Path:
        return self.root / path.removeprefix("/")

    def does(self, command: Command, dies: Moment = NEVER) -> subprocess.CompletedProcess[bytes]:
        return self.run(["sh", "-c", self._placed(command.line)], dies, command.stdin)

    def looks_whether_to_return(self, dies: Moment = NEVER) -> subprocess.CompletedProcess[bytes]:
        """What the timer and every boot do."""
        return self.run([str(self.at(RETURN_PATH))], dies)

    def run(self, words: list[str], dies: Moment = NEVER, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """All its processes end with it when the power goes."""
        (self.top / "count").write_text("0\n")
        (self.top / "trace").write_text("")
        places = "watched" if dies is not NEVER else "fakes"
        environment = {"DIES": str(dies), "TOOLS": str(self.top / places), "PATH": f"{self.top}/{places}:{SYSTEM}"}
        return subprocess.run(
            words, env=environment, input=stdin, capture_output=True, check=False, start_new_session=True, timeout=60
        )

    def moments(self) -> list[Moment]:
        """All those of the last run, which was a watched one."""
        names = (self.top / "trace").read_text().split()
        midst = [Moment(number, "within") for number, name in enumerate(names, 1) if name in LENGTHY]
        return [*(Moment(number) for number in range(1, len(names) + 1)), *midst]

    def fake(self, tool: str, text: str) -> None:
        """From now on this is what that command does."""
        self._tool(f"fakes/{tool}", f"#!/bin/sh\n{text}\n")

    def set_uptime(self, seconds: int) -> None:
        self.at("/proc/uptime").write_text(f"{seconds}.25 1.00\n")

    def reboot(self) -> None:
        """What is in memory is forgotten. The return looks before the gateway starts, as its unit says."""
        shutil.rmtree(self.at("/run"))
        self.at("/run").mkdir()
        for unit in (self.top / "active").iterdir():
            unit.unlink()
        self.set_uptime(5)
        self.looks_whether_to_return()
        self.run(["systemctl", "start", files.UNIT])

    @property
    def is_running(self) -> bool:
        return (self.top / "active" / files.UNIT).exists()

    @property
    def is_switching(self) -> bool:
        return self.at(SWITCH).exists()

    @property
    def linked(self) -> str:
        return self.at(files.CURRENT).readlink().name

    @property
    def postponed_to(self) -> int:
        return int(self.at(UNTIL_PATH).read_text())

    def home(self) -> Tree:
        return tree(self.at(files.HOME))

    def disk(self) -> Tree:
        """All that its programs can find, and who runs."""
        return {**tree(self.root), **{f"active/{path.name}": () for path in (self.top / "active").iterdir()}}

    def starts(self) -> list[tuple[str, Tree]]:
        """By which release and which state the gateway was started."""
        found = sorted((self.top / "starts").iterdir(), key=lambda path: int(path.name))
        return [((start / "release").read_text().strip(), tree(start / "home")) for start in found]

    def kept(self) -> list[Tree]:
        """The states that are in a checkpoint, or were set aside."""
        found = [tree(path) for path in self._within(ASIDES)]
        for copy in self._within(CHECKPOINTS):
            if is_checkpoint_id(copy.name) and (copy / "manifest.json").exists():
                assert digest(copy / "state.tar") == (copy / "state.sha256").read_text().split()[0]
                found.append(self._unpacked(copy / "state.tar"))
        return found

    def save(self, to: Path) -> None:
        subprocess.run(["cp", "-a", "--", self.top, to], check=True)

    def restore(self, saved: Path) -> None:
        subprocess.run(["rm", "-rf", "--", self.top], check=True)
        subprocess.run(["cp", "-a", "--", saved, self.top], check=True)

    def _within(self, path: str) -> list[Path]:
        return sorted(self.at(path).iterdir()) if self.at(path).exists() else []

    def _unpacked(self, archive: Path) -> Tree:
        place = self.top / "unpacked" / digest(archive)
        if not place.exists():
            place.mkdir(parents=True)
            subprocess.run(["tar", "--numeric-owner", "-xpf", archive, "-C", place], check=True)
        return tree(place)

    def _placed(self, text: str) -> str:
        """Our paths are below the root, our tools first on PATH, and a command that can be watched makes marks."""
        text = _OURS.sub(str(self.root), text).replace(f"PATH={SYSTEM}", f'PATH="$TOOLS:{SYSTEM}"')
        return text.replace(": >", "mark >")

    def _tool(self, name: str, text: str) -> None:
        path = self.top / name
        places = {"@top@": self.top, "@root@": self.root, "@fakes@": self.top / "fakes", "@system@": SYSTEM}
        for word, place in places.items():
            text = text.replace(word, str(place))
        path.write_text(text)
        path.chmod(0o755)


def was_killed(done: subprocess.CompletedProcess[bytes]) -> bool:
    return done.returncode == -signal.SIGKILL
