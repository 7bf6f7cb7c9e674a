"""The rungs of the ladder by which a child is brought back."""

from __future__ import annotations

from enum import StrEnum


class Rung(StrEnum):
    """What can be tried, the least first (facts on OpenClaw, section 9). Their order is the ladder's."""

    CHANNEL = "channel"  # the gateway starts its channel again
    RESTART = "restart"  # its unit, or a server that is off
    CONFIG = "config"  # the last configuration that the release takes is put back
    DISK = "disk"  # what can be fetched or made again is deleted
    PORT = "port"  # who else holds the gateway's port, or runs a gateway of its own, ends
    DOCTOR = "doctor"  # OpenClaw's own repair, after a copy of the state
    REINSTALL = "reinstall"  # all that we own on the host is put back, the same release among it
    CHECKPOINT = "checkpoint"  # the state of then, with the release that wrote it; asks
    REBOOT = "reboot"  # as by the power button
    RESET = "reset"  # as by pulling the plug
    REBUILD = "rebuild"  # another server, with the child's memory; asks


ASKING = frozenset({Rung.CHECKPOINT, Rung.REBUILD})  # what somebody was told may be lost, or the address changes
