"""Another type, name or backup setting for a server that stays the same: its disk, address and keys are kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from reconciler import keys
from reconciler.errors import ActionFailed, CloudError, NameTaken, OutOfStock
from reconciler.model import LABEL_PREFIX, Server, ServerStatus
from reconciler.offers import resize_targets
from reconciler.steps.comparison import BACKUPS_PATH
from reconciler.steps.guards import present, when_unlocked
from reconciler.steps.power import POWER_TIMEOUT, ensure_powered, power_down
from reconciler.steps.server import SUCCESSOR, not_to_be_had, server_name
from reconciler.steps.work import Work

# 160 s on average and near two hours at worst, as users tell (facts on the API, "Durations").
RESIZE_TIMEOUT: Final = 1800.0


def ensure_resized(work: Work) -> bool:
    """The server is of a listed type, and off if it had to be changed: ensure_powered comes next.

    Nothing is stopped before the catalogue says that one of them can be had. A change that is refused after all powers
    the server on again. Raises OutOfStock.
    """
    server = work.server = present(work)
    if server.server_type in work.declared().server_types:
        return False
    targets = _targets(work, server)
    work.note("resize-intended", durable=True, server=server.id, before=server.server_type, after=targets[0])
    if server.status is not ServerStatus.OFF:
        power_down(work, server)
    try:
        _change_type(work, targets)
    except CloudError as error:
        if not error.temporary:  # after a temporary one the engine comes here again, or the next apply does
            ensure_powered(work)
        raise
    return True


def ensure_renamed(work: Work) -> bool:
    """The server's name and its label child are this child's: for one that `moved:` names, from another name.

    Both change in one request, for a server whose name and labels disagree is nobody's. It is nobody's successor then.
    """
    planned, name = work.existing(), server_name(work.fleet, work.name)
    if (planned.name, planned.child) == (name, work.name) or work.replacing.retired or work.replacing.old is not None:
        return False  # a successor gets its name when that is free
    server = present(work, (name, planned.label("fleet-id"), work.name, planned.uid))
    if server.name != name:
        work.note("rename-intended", durable=True, server=server.id, before=server.name, after=name)
        server = _renamed(work, server, name)
    work.server = server
    if planned.child not in (None, work.name):
        assert planned.child is not None
        work.ports.store.forget(planned.child)
    return True


def ensure_backups(work: Work) -> bool:
    """The cloud's own backups are as the file says, or left to a person. Switching them off deletes those there are."""
    server, wanted = work.existing(), work.declared().backups
    if server.backups == wanted or BACKUPS_PATH in work.left_alone:
        return False
    cloud = work.ports.cloud
    work.note("backups-intended", durable=True, server=server.id, on=wanted)
    cloud.wait(when_unlocked(work, lambda: cloud.set_backups(server.id, wanted)), POWER_TIMEOUT)
    work.server = replace(server, backups=wanted)
    return True


def _targets(work: Work, server: Server) -> list[str]:
    spec, catalog = work.declared(), work.ports.cloud.catalog()
    fitting = resize_targets(server, spec, catalog)
    targets = [name for name in fitting if catalog.types[name].regions.get(server.region)]
    if not targets:
        raise OutOfStock(
            f"server {server.name} cannot become {' or '.join(spec.server_types)} in {server.region} now",
            "nothing was stopped; choose another server_type, or try again later",
        )
    return targets


def _change_type(work: Work, targets: list[str]) -> None:
    """The first target that the cloud has after all."""
    cloud, server = work.ports.cloud, work.existing()
    for name in targets:
        try:
            actions = when_unlocked(work, lambda name=name: cloud.change_type(server.id, name))  # type: ignore[misc]
            cloud.wait(actions, RESIZE_TIMEOUT)
        except (OutOfStock, ActionFailed) as refusal:
            work.note("candidate-refused", server_type=name, region=server.region, error=refusal.summary)
            if name == targets[-1]:
                raise
        else:
            work.server = replace(server, server_type=name)
            return


def _renamed(work: Work, server: Server, name: str) -> Server:
    labels = {**server.labels, LABEL_PREFIX + "child": work.name}
    labels.pop(SUCCESSOR, None)
    try:
        return work.ports.cloud.rename(server.id, name, labels)
    except NameTaken as taken:
        found = work.ports.cloud.server_named(name)
        fleet_id = keys.fleet_id(work.ports.fleet_key)
        raise (not_to_be_had(name, found, fleet_id) if found else taken) from taken
