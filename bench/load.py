"""How long a valid fleet file takes to load: CPU seconds and memory of a fresh process for each size.

    python bench/load.py

The target is under 3 seconds for 10,000 children on a quiet machine.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

SIZES = (3, 100, 1_000, 10_000)

HEAD = """\
fleet: bench
cloud: {provider: hetzner, token: env:HCLOUD_TOKEN}
defaults:
  region: nbg1
  version: 2026.9.6
  model: {name: claude-sonnet-4-6, key: env:ANTHROPIC_API_KEY}
groups:
  eu:
    region: [nbg1, fsn1]
    files: {SOUL.md: {text: "You are {{ name }} in {{ region }}."}}
    config: {agents: {defaults: {thinkingDefault: low}}}
children:
"""

CHILD = """\
  child{number}:
    group: eu
    server_type: [cx23, cx33]
    bot: {{token: env:BOT_{number}}}
    users: {{policy: allowlist, allowed: [4242, 1{number}], owner: 4242}}
    labels: {{team: blue, tier: one}}
    protect: true
"""

LOAD = """\
import resource, sys, time
from pathlib import Path
from reconciler.fleet import load_fleet
fleet = load_fleet(Path(sys.argv[1]))
print(len(fleet.children), time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def main() -> None:
    print("children   CPU s   MB")
    with tempfile.TemporaryDirectory() as directory:
        for size in SIZES:
            file = Path(directory, "fleet.yaml")
            file.write_text(HEAD + "".join(CHILD.format(number=number) for number in range(size)), encoding="utf-8")
            run = [sys.executable, "-c", LOAD, str(file)]
            done = subprocess.run(run, check=True, capture_output=True, text=True)
            children, seconds, megabytes = done.stdout.split()
            print(f"{int(children):8,}  {float(seconds):6.2f}  {megabytes:>3}")


if __name__ == "__main__":
    main()
