"""What passes of the monitor cost: the first of a process, those after it, and with hosts that are ill. Needs root.

    python bench/passes.py [--passes N] [SIZE...]

As scale.py: the emulated cloud with its true limits, simulated machines over real SSH. The passes are made in a
process of their own, as `fleet monitor --watch` makes them: cold is its first, warm are those after it. Then 10 % of
the hosts accept connections and say nothing, 5 % refuse them, and 1 % show another host key.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from world import SECONDS, Stage, enter_namespaces, environment, stage

from reconciler import keys
from reconciler.sandbox.simulated.host import SimulatedHost
from reconciler.sandbox.simulated.trouble import Answer, Trouble

LOOKER = """\
import json, resource, sys, time
from pathlib import Path
from reconciler.api import FleetClient
client = FleetClient.load(Path("fleet.yaml"), Path("state"))
if sys.argv[2] == "kept":
    client.stay_connected()
kept = {}
for _ in range(int(sys.argv[1])):
    began, cpu = time.perf_counter(), time.process_time()
    found = client.watch(None, kept, remembers=True)
    kept = found.kept
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    silent = sum(row.answers is False for row in found.rows)
    took = time.perf_counter() - began, time.process_time() - cpu
    print(json.dumps([*took, used, silent, len(found.rows)]), flush=True)
"""
HEAD = f"{'':36}  children   wall s    CPU s     MB  requests  trips  silent"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--passes", type=int, default=6)
    parser.add_argument("sizes", type=int, nargs="*")
    asked = parser.parse_args()
    enter_namespaces()
    print(HEAD, flush=True)
    for size in asked.sizes or (100, 1000):
        with tempfile.TemporaryDirectory() as directory, stage(Path(directory), size) as set_up:
            set_up.fleet("apply", "--yes")
            of_fleet(set_up, size, asked.passes)
    print(f"{'load average':36}  {os.getloadavg()[0]:.1f}")


def of_fleet(set_up: Stage, size: int, passes: int) -> None:
    for how, words in (("on new lines", "new"), ("on lines that stay open", "kept")):
        told = looked(set_up, passes, words)
        show(f"cold, {how}", size, told[:1])
        show(f"warm, {how}", size, told[1:])
    machines = sorted(it.id for it in set_up.machines.specs())
    for number in machines[: size // 10]:
        set_up.machines.make_trouble(number, Trouble(Answer.HANGS))
    for number in machines[size // 10 : size // 10 + size // 20]:
        set_up.machines.make_trouble(number, Trouble(Answer.REFUSES))
    for number in machines[size // 10 + size // 20 : size // 10 + size // 20 + max(1, size // 100)]:
        set_up.machines.ask(number, show_another_key)
    told = looked(set_up, 2, "kept")
    show("10 % hung, 5 % refusing, 1 % strange", size, told[:1])
    show("the same again", size, told[1:])


def show_another_key(host: SimulatedHost) -> None:
    """As a machine does that somebody has put in its place."""
    host.private_key = keys.host_key(keys.make_key(bytes(32)), "somebody else", 1).reveal().encode()


def looked(set_up: Stage, passes: int, how: str) -> list[list[float]]:
    """Of each pass: seconds, CPU seconds, MB, silent children, requests of the cloud, trips."""
    words = [sys.executable, "-c", LOOKER, str(passes), how]
    given = environment(set_up.directory, Path(__file__).parents[1])
    found, asked, trips = [], len(set_up.cloud.log.entries), set_up.connections
    with subprocess.Popen(words, cwd=set_up.directory, env=given, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            seconds, cpu, used, silent, count = json.loads(line)
            assert count == len(set_up.machines.specs())
            requests, connections = len(set_up.cloud.log.entries), set_up.connections
            found.append([seconds, cpu, used, requests - asked, connections - trips, silent])
            asked, trips = requests, connections
        assert process.wait(SECONDS) == 0
    return found


def show(what: str, size: int, told: list[list[float]]) -> None:
    seconds, cpu, used, requests, trips, silent = (statistics.median(column) for column in zip(*told, strict=True))
    print(
        f"{what:36}  {size:8,}{seconds:9.2f}{cpu:9.2f}{used:7.0f}{requests:10.0f}{trips:7.0f}{silent:8.0f}", flush=True
    )


if __name__ == "__main__":
    main()
