"""The VM itself: made once, powered on, deleted only after an exact match of its owner."""

from __future__ import annotations

from typing import Final

from reconciler import keys
from reconciler.errors import ActionFailed, CloudUnavailable, NameTaken, Refused
from reconciler.managed import files
from reconciler.model import LABEL_PREFIX, FirewallSpec, Fleet, Server, ServerRequest, ServerStatus
from reconciler.ports import Ports
from reconciler.steps.work import Work

# Hetzner's own module waits 30 minutes for a create; users see 10-35 s (facts on the API, "Durations").
CREATE_TIMEOUT: Final = 600.0
POWER_TIMEOUT: Final = 120.0


def ensure_fleet_resources(fleet: Fleet, ports: Ports) -> int:
    """The fleet's cloud firewall and its key without a private half; the key's id. Raises CloudError."""
    fleet_id = keys.fleet_id(ports.fleet_key)
    labels = {LABEL_PREFIX + "fleet": fleet.name, LABEL_PREFIX + "fleet-id": fleet_id}
    ports.cloud.ensure_firewall(FirewallSpec(fleet.name, f"{LABEL_PREFIX}fleet-id={fleet_id}", labels))
    return ports.cloud.ensure_ssh_key(fleet.name, keys.cloud_key(ports.fleet_key), labels)


def ensure_server(work: Work) -> bool:
    """A server of this child exists. Its labels are posted with it, so a crash right after leaves no orphan."""
    if work.server is not None:
        return False
    work.server = _taken_over(work) or _created(work)
    return True


def ensure_powered(work: Work) -> bool:
    """The server runs."""
    server = work.existing()
    if server.status is not ServerStatus.OFF:
        return False
    work.ports.cloud.wait(work.ports.cloud.power_on(server.id), POWER_TIMEOUT)
    return True


def ensure_deleted(work: Work) -> bool:
    """The server is gone. Refused when it is not, now, exactly the one that the plan meant."""
    planned = work.existing()
    now = work.ports.cloud.server(planned.id)
    if now is not None:
        if _identity(now) != _identity(planned):
            raise Refused(
                f"server {planned.id} is no longer what the plan saw ({now.name}, child {now.child})",
                "run `fleet plan` again and look at it in the cloud's console",
            )
        work.note("delete-intended", durable=True, server=now.id, name=now.name)
        work.ports.cloud.wait(work.ports.cloud.delete_server(now.id), CREATE_TIMEOUT)
    work.ports.store.forget(work.name)
    return True


def server_name(fleet: Fleet, child: str) -> str:
    return f"{fleet.name}-{child}"


def _identity(server: Server) -> tuple[str | None, ...]:
    return (server.name, server.label("fleet-id"), server.child, server.uid)


def _taken_over(work: Work) -> Server | None:
    """Our own server of this run, if an answer was lost; anybody else's of that name is an error."""
    name = server_name(work.fleet, work.name)
    found = work.ports.cloud.server_named(name)
    if found is None:
        return None
    if found.label("nonce") != work.run or found.label("fleet-id") != keys.fleet_id(work.ports.fleet_key):
        raise foreign_server(name, found)
    return found


def foreign_server(name: str, found: Server) -> NameTaken:
    owner = found.label("fleet-id")
    whose = f"it belongs to the fleet with id {owner}" if owner else "it has no labels of this tool"
    return NameTaken(
        f"a server named {name} exists already and is not ours: {whose}",
        "rename the child, delete that server by hand, or use the fleet key it was made with",
    )


def _created(work: Work) -> Server:
    uid = work.ports.clock.token()
    request = _request(work, uid)
    work.note("create-intended", durable=True, name=request.name, uid=uid)
    try:
        server, actions = work.ports.cloud.create_server(request)
    except (CloudUnavailable, NameTaken):
        # The answer may be lost and the server made: the look-up tells, by our nonce.
        taken = _taken_over(work)
        if taken is None:
            raise
        return taken
    work.note("created", durable=True, name=request.name, server=server.id)
    try:
        work.ports.cloud.wait(actions, CREATE_TIMEOUT)
    except ActionFailed:
        work.note("delete-intended", durable=True, server=server.id, name=server.name)
        work.ports.cloud.delete_server(server.id)
        raise
    return work.ports.cloud.server(server.id) or server


def _request(work: Work, uid: str) -> ServerRequest:
    spec, fleet_key = work.declared(), work.ports.fleet_key
    generation = work.fleet.ssh_generation
    first_host_key = keys.host_key(fleet_key, uid, 0)
    return ServerRequest(
        name=server_name(work.fleet, work.name),
        server_type=spec.server_types[0],
        image=spec.image,
        region=spec.regions[0],
        user_data=files.user_data(
            keys.public_key(keys.login_key(fleet_key, uid, generation)),
            first_host_key,
            keys.public_key(first_host_key),
        ),
        labels={
            **spec.labels,
            LABEL_PREFIX + "fleet": work.fleet.name,
            LABEL_PREFIX + "fleet-id": keys.fleet_id(fleet_key),
            LABEL_PREFIX + "child": work.name,
            LABEL_PREFIX + "uid": uid,
            LABEL_PREFIX + "nonce": work.run,
            **({LABEL_PREFIX + "protect": "true"} if spec.protect else {}),
        },
        ssh_key_ids=() if work.ssh_key_id is None else (work.ssh_key_id,),
    )
