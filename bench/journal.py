"""What the journal costs: disk flushes per created child, and the lock's time over journals of growing length.

    python bench/journal.py

Flushes are counted by strace(1) on the real `fleet`; both should stay flat. Needs root.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from world import enter_namespaces, stage

from reconciler.clock import SystemClock
from reconciler.model import Event
from reconciler.store import DirectoryStore

CHILDREN = (5, 20)
EVENTS = (1_000, 10_000, 100_000)
TRIES = 15


def main() -> None:
    enter_namespaces()
    for children in CHILDREN:
        with tempfile.TemporaryDirectory() as directory, stage(Path(directory), children) as set_up:
            counted = Path(directory, "flushes")
            strace = ("strace", "-f", "--seccomp-bpf", "-e", "trace=fsync,fdatasync", "-o", str(counted))
            set_up.fleet("apply", "--yes", before=strace)
            flushes = sum("sync(" in line for line in counted.read_text(encoding="utf-8").splitlines())
        print(f"create {children:3} children: {flushes:4} flushes, {flushes / children:.1f} each", flush=True)
    for events in EVENTS:
        print(f"lock over {events:7,} events: {milliseconds(events):.2f} ms", flush=True)


def milliseconds(events: int) -> float:
    """Median of taking and leaving the lock."""
    with tempfile.TemporaryDirectory() as directory:
        store = DirectoryStore(Path(directory), SystemClock())
        store.append(Event("apply-started", "2026-11-22T12:00:00+00:00", "r" * 16, {"actions": ["x" * 150]}), True)
        journal = Path(directory, "journal.jsonl")
        journal.write_bytes(journal.read_bytes() * events)
        return statistics.median(seconds(store) for _ in range(TRIES)) * 1000


def seconds(store: DirectoryStore) -> float:
    started = time.perf_counter()
    with store.lock("benchmark"):
        return time.perf_counter() - started


if __name__ == "__main__":
    main()
