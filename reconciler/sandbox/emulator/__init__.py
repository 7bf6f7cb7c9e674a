"""A Hetzner Cloud API (November 2026) on this machine, whose servers are the sandbox's machines."""
