"""How long `fleet --help` takes, as a ratio to a bare `import click`: medians of processes run in turn.

    python bench/startup.py [RUNS]

The ratio is what counts: machines differ and are shared. The target is at most 1.5.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

BARE = [sys.executable, "-c", "import click"]
HELP = [sys.executable, "-m", "reconciler", "--help"]


def seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    pairs = [(seconds(BARE), seconds(HELP)) for _ in range(runs)]
    bare, shown = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"import click {bare * 1000:.0f} ms, fleet --help {shown * 1000:.0f} ms: {shown / bare:.2f}x of {runs}")


if __name__ == "__main__":
    main()
