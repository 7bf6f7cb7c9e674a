"""Labels of a server outside of its record: of one that is off or about to be, and before its first start."""

from __future__ import annotations

from reconciler.model import LABEL_PREFIX
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


def ensure_known_to_start(work: Work) -> bool:
    """From here on its gateway may start, at a boot too, so what lies on this server may be a memory."""
    work.may_have_started = True
    if work.server is None or not work.server.is_untouched:
        return False
    server = present(work)
    labels = {**server.labels, LABEL_PREFIX + "unfinished": "true"}
    work.server = when_unlocked(work, lambda: work.ports.cloud.set_labels(server.id, labels))
    return True
