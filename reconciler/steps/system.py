"""The system below the gateway: packages, firewall, the closed metadata address, the service account, directories."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from reconciler import commands
from reconciler.diff import same
from reconciler.errors import HostError
from reconciler.managed import MANAGED, PACKAGES, entry_named, files
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
    """Only SSH comes in, from where it may. The host takes the change back unless a new connection confirms it."""
    if work.is_right("firewall"):
        return False
    work.connection().run(commands.apply_firewall(OPEN_PORTS, work.declared().ssh_from))
    address = address_of(work.existing(), work.fleet, work.ports)
    fresh = work.ports.dialer.connect(address, CONNECT_TIMEOUT)
    fresh.run(commands.confirm_firewall())
    work.connection().close()
    work.host = fresh
    return True


def ensure_metadata_closed(work: Work) -> bool:
    """Nobody but root reaches the metadata address, and a throw-away's gateway nobody: now and after every boot."""
    names = ("metadata rules", "metadata unit", "metadata drop", "metadata rules in force")
    if work.is_right(*names):
        return False
    install_files(work, "metadata rules", "metadata unit")
    work.connection().run(commands.daemon_reload())
    work.connection().run(commands.enable_unit(files.METADATA_UNIT))
    work.connection().run(commands.reload_unit(files.METADATA_UNIT))
    return True


def ensure_fenced(work: Work) -> bool:
    """The kernel of a throw-away's host says that nothing of its gateway's user gets out. Raises HostError.

    The rules are loaded by the unit without which no gateway starts; here they are proven before anything is there
    that may want to get out.
    """
    if not work.declared().is_throwaway:
        return False
    in_force = "metadata rules in force"
    if not same(work.look().managed.get(in_force), work.wanted()[in_force]):
        raise HostError(
            f"what may leave {work.name} is not limited, so no backup is put there",
            "its kernel does not work by the rules that were loaded: look at its image, or name another one",
        )
    return True


def ensure_account(work: Work) -> bool:
    """The system account `openclaw`: no login, no sudo, its home and nothing else."""
    if work.is_right("account"):
        return False
    work.connection().run(commands.make_system_user(files.SERVICE_USER, files.HOME))
    return True


def ensure_directories(work: Work) -> bool:
    """Our directories, and nothing of others in those that are ours alone."""
    wrong = [entry for entry in MANAGED if entry.directory is not None and not work.is_right(entry.name)]
    for entry in wrong:
        assert entry.directory is not None
        path, only = entry.directory.path, entry.directory.only
        work.connection().run(commands.make_directory(path, entry.directory.owner, entry.directory.mode))
        if only is not None:
            work.connection().run(commands.clear_strays(path, "*", only))
    return bool(wrong)


def stop_gateway(work: Work) -> None:
    """It does not run, and the steps to come know it; the step `start` starts it again."""
    assert work.facts is not None
    work.connection().run(commands.stop_unit(files.UNIT))
    work.facts = replace(work.facts, gateway=replace(work.facts.gateway, active="inactive", ready=None))


def install_files(work: Work, *names: str) -> bool:
    """Write those of the named managed files that differ; whether there were any."""
    acted = False
    for name in names:
        if work.is_right(name):
            continue
        file = entry_named(name).file
        assert file is not None, f"{name} is not a file"
        content = file.content(work.materials())
        if content is None:
            work.connection().run(commands.remove_file(file.path))
        else:
            work.connection().run(commands.install_file(file.path, content, file.owner, file.mode))
        acted = True
    return acted
