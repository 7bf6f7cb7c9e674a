"""The system below the gateway: packages, firewall, the closed metadata address, the service account."""

from __future__ import annotations

from typing import Final

from reconciler import commands
from reconciler.managed import PACKAGES, entry_named, files
from reconciler.steps.work import CONNECT_TIMEOUT, Work, address_of

OPEN_PORTS: Final = (22,)


def ensure_packages(work: Work) -> bool:
    """The Debian packages we need, also right after an interrupted installation or beside apt's own first run."""
    if work.is_right("packages"):
        return False
    host = work.connection()
    host.run(commands.repair_packages())
    host.run(commands.refresh_packages())
    host.run(commands.install_packages(PACKAGES))
    return True


def ensure_firewall(work: Work) -> bool:
    """Only SSH comes in. The host takes the change back by itself unless a new connection confirms it."""
    if work.is_right("firewall"):
        return False
    work.connection().run(commands.apply_firewall(OPEN_PORTS))
    address = address_of(work.existing(), work.fleet, work.ports)
    fresh = work.ports.dialer.connect(address, CONNECT_TIMEOUT)
    fresh.run(commands.confirm_firewall())
    work.connection().close()
    work.host = fresh
    return True


def ensure_metadata_closed(work: Work) -> bool:
    """Nobody but root reaches the metadata address, now and after every boot."""
    names = ("metadata rules", "metadata unit", "metadata drop", "metadata rules in force")
    if work.is_right(*names):
        return False
    install_files(work, "metadata rules", "metadata unit")
    work.connection().run(commands.daemon_reload())
    work.connection().run(commands.enable_unit(files.METADATA_UNIT))
    work.connection().run(commands.reload_unit(files.METADATA_UNIT))
    return True


def ensure_account(work: Work) -> bool:
    """The system account `openclaw`: no login, no sudo, its home and nothing else."""
    if work.is_right("account", "home", "secrets directory"):
        return False
    host, owner = work.connection(), files.SERVICE_USER
    host.run(commands.make_system_user(owner, files.HOME))
    host.run(commands.make_directory(files.HOME, f"{owner}:{owner}", "0700"))
    host.run(commands.make_directory(files.SECRETS_DIRECTORY, f"root:{owner}", "0750"))
    return True


def install_files(work: Work, *names: str) -> bool:
    """Write those of the named managed files that differ; whether there were any."""
    acted = False
    for name in names:
        if work.is_right(name):
            continue
        file = entry_named(name).file
        assert file is not None, f"{name} is not a file"
        content = file.content(work.materials())
        work.connection().run(commands.install_file(file.path, content, file.owner, file.mode))
        acted = True
    return acted
