"""The addresses of simulated machines: all of them are the switch's own, so no link is made for any."""

from __future__ import annotations

import subprocess
from ipaddress import IPv4Network, summarize_address_range

from reconciler.errors import SandboxError
from reconciler.sandbox.network import SWITCH


def own_addresses(subnet: IPv4Network, first_host: int) -> None:
    """The switch answers for every address from `first_host` on; done again it changes nothing. Raises SandboxError."""
    parts = summarize_address_range(subnet[first_host], subnet[-2])
    lines = "".join(f"route replace local {part} dev lo\n" for part in parts)
    done = subprocess.run(["ip", "-n", SWITCH, "-batch", "-"], input=lines, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SandboxError(
            f"the machines' addresses cannot be made: {done.stderr.strip()}", "Run `fleet sandbox down`."
        )
