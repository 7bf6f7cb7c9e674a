"""Labels of a server whose host is not looked at, because it is off or about to be."""

from __future__ import annotations

from reconciler.steps.comparison import keeping_networks, wanted_labels
from reconciler.steps.guards import present, when_unlocked
from reconciler.steps.work import Work


def ensure_labels(work: Work) -> bool:
    """The labels that follow from the file, over what else is there. Whether its first apply ended stays as it was.

    So does what its firewall is selected by: whether somebody still gets in is told by a host that runs.
    """
    server = work.server = present(work)
    labels = keeping_networks(wanted_labels(work.declared(), server), server)
    if labels == dict(server.labels):
        return False
    work.server = when_unlocked(work, lambda: work.ports.cloud.set_labels(server.id, labels))
    return True
