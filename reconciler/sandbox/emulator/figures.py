"""The real API's figures: how many of everything, how often, how long. `fleet sandbox fault` changes each of them."""

from __future__ import annotations

# Those of a grown project; a fresh account has 5 servers. Sources: Hetzner's documentation on limits, 2026-10.
LIMITS = {
    "servers": 5_000,
    "primary_ips": 10_000,
    "snapshots": 30,
    "firewalls": 50,
    "networks": 50,
    "placement_groups": 500,
    "ssh_keys": 200,
}

REQUESTS_PER_HOUR = 3600  # a full bucket, refilled one a second
ACTION_REQUESTS_SHARE = 2  # GET /actions has a bucket of its own, twice as large

# Every command and the seconds that it takes on the real cloud. Sources: Hetzner's comments in its Ansible module
# (change_type 160 on average), users' reports of 2025-26 (create 10 to 35, rebuild 28); the rest are guesses.
REAL_SECONDS = {
    "create_server": 15.0,
    "start_server": 8.0,
    "stop_server": 3.0,
    "shutdown_server": 2.0,
    "reboot_server": 2.0,
    "reset_server": 3.0,
    "delete_server": 5.0,
    "rebuild_server": 28.0,
    "change_server_type": 160.0,
    "create_image": 90.0,
    **dict.fromkeys(
        (
            "change_protection", "enable_backup", "disable_backup", "change_dns_ptr", "attach_to_network",
            "detach_from_network", "change_alias_ips", "add_to_placement_group", "remove_from_placement_group",
            "apply_firewall", "remove_firewall", "set_firewall_rules", "assign_primary_ip", "unassign_primary_ip",
            "add_subnet", "delete_subnet", "add_route", "delete_route", "change_ip_range",
        ),
        2.0,
    ),
}  # fmt: skip
