"""The VM itself: made once, from the first candidate to be had; deleted only after an exact match of its owner."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
from typing import Final

from reconciler import keys
from reconciler.errors import ActionFailed, CloudError, CloudUnavailable, NameTaken, OutOfStock
from reconciler.fleet import former_names
from reconciler.managed import files
from reconciler.model import LABEL_PREFIX, Catalog, ChildSpec, Fleet, Server, ServerRequest, ServerStatus
from reconciler.offers import alternatives, architecture_of, candidates
from reconciler.steps.firewalls import sources_digest
from reconciler.steps.guards import deletable, reread, when_unlocked
from reconciler.steps.rungs import labels_of_tries
from reconciler.steps.sleeping import note_by_own_name
from reconciler.steps.work import Work, bot_of

# Hetzner's own module waits 30 minutes for a create; users see 10-35 s (facts on the API, "Durations").
CREATE_TIMEOUT: Final = 600.0
SERVER_LABELS: Final = tuple(LABEL_PREFIX + name for name in ("protect", "ssh-from", "ssh-from-before", "retired"))
SUCCESSOR: Final = LABEL_PREFIX + "successor"
LONGEST_NAME: Final = 63  # of a server (facts on POST /servers)


def server_name(fleet: Fleet, child: str) -> str:
    return f"{fleet.name}-{child}"


def successor_name(fleet: Fleet, uid: str) -> str:
    """That of a server that is to take the place of another, which has the child's name until it goes."""
    return server_name(fleet, uid)[:LONGEST_NAME]


def server_labels(spec: ChildSpec) -> dict[str, str]:
    """The labels that follow from the file alone; those of SERVER_LABELS that are not among them are taken away."""
    ours = {
        "protect": "true" if spec.protect else "",
        "throwaway": "true" if spec.is_throwaway else "",
        "ssh-from": sources_digest(spec.ssh_from),
    }
    return {**spec.labels, **{LABEL_PREFIX + name: value for name, value in ours.items() if value}}


def bot_label(bot: str | None) -> dict[str, str]:
    """Its bot's number, so that everybody who lists servers sees who has which bot."""
    return {} if bot is None else {LABEL_PREFIX + "bot": bot}


def ensure_server(work: Work) -> bool:
    """A server of this child exists. Its labels are posted with it, so a crash right after leaves no orphan.

    Candidates are tried in the file's order: the first type in every region, then the next type. One that the cloud
    does not have, or that fails after it was accepted, gives way to the next. LimitExceeded and all else ends it at
    once. Raises OutOfStock when none is left.
    """
    if work.server is not None and not _made_in_vain(work):
        return False
    note_by_own_name(work)  # what wakes by the note of a former name would not know a server of its new one
    refused: dict[tuple[str, str], CloudError] = {}
    for server_type, region in candidates(work.declared(), None):
        try:
            work.server, work.is_first = _created(work, server_type, region), True
            return True
        except (OutOfStock, ActionFailed) as refusal:
            refused[server_type, region] = refusal
            work.note("candidate-refused", server_type=server_type, region=region, error=refusal.summary)
            work.ports.progress(work.name, f"no {server_type} in {region}", 0.0)
    raise _none_left(work, refused)


def ensure_deleted(work: Work) -> bool:
    """The server is gone. Refused when it is not, now, exactly the one that the plan meant, or protected since."""
    delete(work)
    for name in (work.name, *former_names(work.fleet, work.name)):  # a moved child's record may be under an old name
        work.ports.store.forget(name)
    return True


def adopt(work: Work, server: Server) -> bool:
    """A server that an apply has made and left before it was its child's is up; it is gone where it cannot be."""
    cloud = work.ports.cloud
    try:
        cloud.wait(cloud.open_actions(server.id), CREATE_TIMEOUT)
    except ActionFailed:
        _delete_failed(work, server)
        return False
    work.server, work.is_first = cloud.server(server.id), True
    return work.server is not None


def check_stock(work: Work) -> None:
    """Raises OutOfStock where no other server than the present one can be had now."""
    catalog, spec = work.ports.cloud.catalog(), work.declared()
    if next(candidates(spec, catalog), None) is None:
        advice = _instead(spec, catalog, set(candidates(spec, None)))
        raise OutOfStock(f"no new server for {work.name} can be had now; the old one was kept", advice)


def not_to_be_had(name: str, found: Server, fleet_id: str) -> NameTaken:
    """Why a child cannot have this name: somebody else has, or another run of ours that has no lock in common."""
    owner = found.label("fleet-id")
    if owner == fleet_id:
        return NameTaken(
            f"server {name} ({found.id}) was made meanwhile by another run of this fleet",
            "wait until that run has ended, then plan and apply again: a plan knows it then",
        )
    whose = f"it belongs to the fleet with id {owner}" if owner else "it has no labels of this tool"
    return NameTaken(
        f"a server named {name} exists already and is not ours: {whose}",
        "rename the child, delete that server by hand, or use the fleet key it was made with",
    )


def delete(work: Work) -> None:
    """The same, and the record stays."""
    now = deletable(work)
    if now is None:
        return
    work.note("delete-intended", durable=True, server=now.id, name=now.name)
    cloud = work.ports.cloud
    cloud.wait(when_unlocked(work, lambda: cloud.delete_server(now.id)), CREATE_TIMEOUT)


def _made_in_vain(work: Work) -> bool:
    """An apply died before it heard that the cloud could not make the server: it is deleted, as that apply would have.

    The planner lets one through that is not up only after CREATE_TIMEOUT, and nothing was ever on it.
    """
    if work.existing().status is not ServerStatus.INITIALIZING:
        return False
    now = work.server = reread(work)
    if now is None:
        return True
    if now.status is not ServerStatus.INITIALIZING:
        return False
    _delete_failed(work, now)
    work.server = None
    return True


def _created(work: Work, server_type: str, region: str) -> Server:
    """No look before: names are unique, so a server of this name that exists makes the request fail."""
    uid = work.new_uid = work.new_uid or work.ports.clock.token()  # one name, so one server, whatever answer is lost
    request = _request(work, uid, server_type, region)
    work.note("create-intended", durable=True, name=request.name, uid=uid, server_type=server_type, region=region)
    try:
        with work.making:
            server, actions = work.ports.cloud.create_server(request)
    except (CloudUnavailable, NameTaken):
        # The answer may be lost and the server made: the look-up tells, by our nonce.
        taken = _taken_over(work, request.name)
        if taken is None:
            raise
        server, actions = taken, work.ports.cloud.open_actions(taken.id)
    work.note("created", durable=True, name=request.name, server=server.id)
    try:
        work.ports.cloud.wait(actions, CREATE_TIMEOUT)
    except ActionFailed:
        _delete_failed(work, server)
        raise
    return replace(server, status=ServerStatus.RUNNING)  # as its start action says; all else was in the answer


def _taken_over(work: Work, name: str) -> Server | None:
    """Our own server of this run, if an answer was lost; anybody else's of that name is an error."""
    found = work.ports.cloud.server_named(name)
    if found is None:
        return None
    fleet_id = keys.fleet_id(work.ports.fleet_key)
    if found.label("nonce") != work.run or found.label("fleet-id") != fleet_id:
        raise not_to_be_had(name, found, fleet_id)
    return found


def _delete_failed(work: Work, server: Server) -> None:
    """Gone, before anything else takes its name. An error here is no refused candidate, nor one to try again:

    the next try would find a server of its name with our nonce, and take it for a good one.
    """
    work.note("delete-intended", durable=True, server=server.id, name=server.name)
    cloud = work.ports.cloud
    try:
        cloud.wait(when_unlocked(work, lambda: cloud.delete_server(server.id)), CREATE_TIMEOUT)
    except CloudError as failure:
        raise CloudError(
            f"server {server.name} ({server.id}) could not be made, and not be deleted either: {failure.summary}",
            "delete it in the cloud's console, then apply again",
        ) from failure


def _none_left(work: Work, refused: dict[tuple[str, str], CloudError]) -> CloudError:
    last = list(refused.values())[-1]
    if all(isinstance(refusal, ActionFailed) for refusal in refused.values()):
        return last
    tried = ", ".join(f"{server_type} in {region}" for server_type, region in refused)
    try:
        advice = _instead(work.declared(), work.ports.cloud.catalog(), set(refused))
    except CloudError:
        advice = "choose another server_type or region, or try again later"
    return OutOfStock(f"no server can be had for {work.name}; tried {tried}: {last.summary}", advice)


def _instead(spec: ChildSpec, catalog: Catalog, refused: Set[tuple[str, str]]) -> str:
    """What else there is of the child's architecture: in its regions, else in others, else what is left to do."""
    architecture = architecture_of(spec, catalog)
    if architecture is not None and architecture not in catalog.images.get(spec.image, ()):
        return f"there is no image {spec.image} for {architecture} servers: choose another image"
    had = alternatives(catalog, architecture, refused)
    if any(region in had for region in spec.regions):
        here = (f"in {region}: {', '.join(had.get(region, ['nothing else']))}" for region in spec.regions)
        return f"list more server_types or regions; to be had now {'; '.join(here)}"
    kind = f"{architecture} server" if architecture else "server"
    if had:
        elsewhere = ", ".join(f"{region} (from {types[0]})" for region, types in had.items())
        return f"list more regions; no other {kind} can be had now in {', '.join(spec.regions)}, but in {elsewhere}"
    return (
        f"no other {kind} can be had now in any region: apply again later, or list server_types of another architecture"
    )


def _request(work: Work, uid: str, server_type: str, region: str) -> ServerRequest:
    spec, fleet_key = work.declared(), work.ports.fleet_key
    first_host_key = keys.host_key(fleet_key, uid, 0)
    succeeds = work.replacing.old is not None  # then it gets its bot when it is the child's
    name = successor_name(work.fleet, uid) if succeeds else server_name(work.fleet, work.name)
    return ServerRequest(
        name=name,
        server_type=server_type,
        image=spec.image,
        region=region,
        user_data=files.user_data(
            keys.public_key(keys.login_key(fleet_key, uid, work.fleet.ssh_generation)),
            first_host_key,
            keys.public_key(first_host_key),
        ),
        labels={
            **server_labels(spec),
            LABEL_PREFIX + "fleet": work.fleet.name,
            LABEL_PREFIX + "fleet-id": keys.fleet_id(fleet_key),
            LABEL_PREFIX + "child": work.name,
            LABEL_PREFIX + "uid": uid,
            LABEL_PREFIX + "nonce": work.run,
            **labels_of_tries(work.replacing.old.server if work.replacing.old else None),
            **({SUCCESSOR: "true"} if succeeds else bot_label(bot_of(spec, work.ports))),
        },
        ssh_key_ids=() if work.ssh_key_id is None else (work.ssh_key_id,),
        ipv4=spec.ipv4,
    )
