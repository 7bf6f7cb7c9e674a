"""Which memory a gateway is given: by waking, by a restore; and who would be made without one, and has backups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from reconciler.errors import FleetError, Refused
from reconciler.keeper import Keeper
from reconciler.model import Backup, Checkpoint, Child, Diagnostic, Kind, Plan, Rollback, Severity, Sleep
from reconciler.steps.backups import Memory, checkpoint_of


def awaking(
    children: Mapping[str, Child], waking: Mapping[str, Sleep], given: Mapping[str, Memory], keeper: Keeper
) -> tuple[dict[str, Child], dict[str, Memory]]:
    """The same children where some wake, with the versions of their backups; and what these will be given.

    A child whose backup cannot be had is not to be made: that is an obstacle for it alone.
    """
    found, memories = dict(children), dict(given)
    for name, child in children.items():
        asleep = waking.get(name, child.asleep)
        spec = child.spec
        if asleep is None or not asleep.is_waking or spec is None:
            continue
        found[name] = child = replace(child, asleep=asleep)
        if child.server is not None and not child.is_unfinished:
            continue  # it has got it already
        try:
            memory = memories.get(name) or keeper.memory(asleep.source, keeper.find(asleep.source, asleep.backup))
        except FleetError as error:
            found[name] = replace(child, obstacle=_not_awake(child, error))
        else:
            memories[name] = memory
            found[name] = replace(child, spec=replace(spec, version=memory.backup.version))
    return found, memories


def made_empty(
    plan: Plan, children: Mapping[str, Child], given: Mapping[str, Memory], keeper: Keeper
) -> list[Diagnostic]:
    """Who is about to be made without a memory, and has backups; storage that cannot be read stops no plan."""
    created = [children[action.child] for action in plan.actions if action.kind is Kind.CREATE]
    empty = {child.name: child for child in created if child.name not in given and _may_be_empty(child)}
    return [_empty(empty[name], newest) for name, newest in sorted(keeper.newest(empty).items())]


def _may_be_empty(child: Child) -> bool:
    """It has no server; or one that was to succeed another, which is gone, and perhaps its memory with it."""
    server = child.server
    return server is None or (server.is_successor and not server.is_told and not child.retired)


def _empty(child: Child, newest: str) -> Diagnostic:
    there = f"there are backups of it, the newest of {newest[:8]}"
    if child.server is None:
        summary = f"{child.name} will be made without a memory, and {there}"
        return Diagnostic(
            Severity.WARNING, summary, f"to give it that one instead: fleet restore {child.name}", child.name
        )
    summary = f"{child.name} goes on with the server that was to succeed its own, maybe without a memory, and {there}"
    return Diagnostic(
        Severity.WARNING, summary, f"to give it that one afterwards: fleet restore {child.name}", child.name
    )


def _not_awake(child: Child, error: FleetError) -> Diagnostic:
    return Diagnostic(
        Severity.ERROR,
        f"{child.name} is to wake, and its backup cannot be had: {error.summary}",
        f"{error.advice}\nfleet wake {child.name} --from another one, or --identity FILE; --empty gives its memory up",
        address=child.name,
    )


def restore_of(child: Child, backup: Backup) -> Rollback:
    """A backup stands for the checkpoint that it will be on the host. Raises Refused.

    Nothing is held afterwards: the next apply goes on from there to the version in the file.
    """
    if child.spec is None or child.server is None:
        raise Refused(f"{child.name} has no server that the fleet file declares", "declare it, and apply first")
    if child.asleep is not None and not child.asleep.is_waking:
        raise Refused(
            f"{child.name} is asleep, and the server that it had is not deleted yet",
            f"end that first: fleet apply {child.name}; then it gets a new one by: fleet restore {child.name}",
        )
    if child.facts is None:
        raise Refused(f"{child.name} does not answer", child.silence_detail)
    there = checkpoint_of(backup, child.facts.checkpoints)
    checkpoint = Checkpoint(there, backup.version, backup.at, backup.size, backup.digest)
    return Rollback(checkpoint, backup.version, backup.child)
