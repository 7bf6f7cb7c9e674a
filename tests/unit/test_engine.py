"""The engine and the steps that make and delete servers, on a fleet in memory."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from reconciler import keys, stepping
from reconciler.api import FleetClient
from reconciler.diff import apply_patch
from reconciler.errors import (
    ActionFailed,
    CloudUnavailable,
    HostError,
    HostTimedOut,
    LimitExceeded,
    NameTaken,
    OutOfStock,
    StateError,
    Unauthorized,
)
from reconciler.managed import files
from reconciler.model import LABEL_PREFIX, Event, Json, OutcomeCode, Server, ServerStatus
from reconciler.render.outcome import outcome_lines
from reconciler.steps.repairs import REPAIRS
from reconciler.steps.work import gather_materials
from reconciler.store import DirectoryStore
from tests.fakes.fleets import FakeFleet
from tests.fakes.worlds import FLEET_KEY, make_server, make_spec

ONE = ("alice",)
PAUSES = [stepping.PAUSE * 2**attempt for attempt in range(stepping.TRIES - 1)]


@pytest.fixture
def world(state: Path) -> FakeFleet:
    return FakeFleet(state)


@pytest.fixture
def one(state: Path) -> FakeFleet:
    return FakeFleet(state, ONE)


def words(events: list[Event]) -> list[str]:
    return [event.event for event in events]


# --- retries -------------------------------------------------------------------------------------------------


def test_a_temporary_error_is_tried_again_with_growing_pauses(one: FakeFleet) -> None:
    one.applied()
    one.clock.slept.clear()
    one.host("alice").gateway.stop()
    one.host("alice").fails = [("restart", HostTimedOut("no answer"))] * len(PAUSES)
    one.dialer.met.clear()
    assert [outcome.code for outcome in one.apply()] == [OutcomeCode.DONE]
    assert one.clock.slept[: len(PAUSES)] == PAUSES
    assert len(one.dialer.met) == 2 + len(PAUSES)  # the look, the first connection, and one for each further try
    assert one.host("alice").gateway.active == "active"


def test_a_temporary_error_that_stays_ends_the_action(one: FakeFleet) -> None:
    one.applied()
    one.clock.slept.clear()
    one.host("alice").gateway.stop()
    one.host("alice").fails = [("restart", HostTimedOut("no answer"))] * 9
    [outcome] = one.apply()
    assert (outcome.code, outcome.error) == (OutcomeCode.FAILED, "start: no answer")
    assert one.clock.slept == PAUSES


def test_any_other_error_is_not_tried_again(one: FakeFleet) -> None:
    one.cloud.fail_next("create_server", Unauthorized("the token may only read", "use another token"))
    [outcome] = one.apply()
    assert (outcome.code, outcome.error, outcome.advice) == (
        OutcomeCode.FAILED,
        "server: the token may only read",
        "use another token",
    )
    assert one.clock.slept == []
    assert words(one.events())[-2:] == ["action-failed", "apply-ended"]


# --- many children -------------------------------------------------------------------------------------------


def test_one_childs_failure_leaves_the_others_alone(world: FakeFleet) -> None:
    world.cloud.fail_next("create_server", OutOfStock("sold out"))
    outcomes = world.apply(workers=1)
    assert {o.action.child: o.code for o in outcomes} == {"alice": OutcomeCode.FAILED, "bob": OutcomeCode.DONE}
    assert set(world.store.records()) == {"bob"}
    assert world.planned() == ["create alice: declared"]
    assert world.events()[-1].fields == {"failed": 1}


def test_waves_come_one_after_the_other(world: FakeFleet) -> None:
    world.applied()
    before = len(world.events())
    del world.specs["alice"]
    world.specs["carol"] = make_spec("carol", server_type="cpx22")
    world.host("bob").gateway.stop()
    assert {outcome.code for outcome in world.apply()} == {OutcomeCode.DONE}
    order = [f"{event.event} {event.fields.get('child')}" for event in world.events()[before:]]
    assert [line for line in order if line.startswith(("action-started", "action-done"))] == [
        "action-started carol",
        "action-done carol",
        "action-started bob",
        "action-done bob",
        "action-started alice",
        "action-done alice",
    ]
    assert sorted(server.name for server in world.cloud.by_id.values()) == ["demo-bob", "demo-carol"]


def test_the_fleets_own_resources_come_first_and_their_failure_ends_all(world: FakeFleet) -> None:
    world.cloud.fail_next("ensure_firewall", Unauthorized("the token may only read"))
    with pytest.raises(Unauthorized):
        world.apply()
    assert world.cloud.requests == []


def test_stops_come_before_creates(world: FakeFleet) -> None:
    """A disabled child frees its bot for another."""
    world.applied()
    before = len(world.events())
    world.change("bob", enabled=False)
    world.specs["alan"] = replace(world.specs["alice"], name="alan", bot_token=world.specs["bob"].bot_token)
    world.apply()
    order = [str(event.fields["child"]) for event in world.events()[before:] if event.event == "action-started"]
    assert order == ["bob", "alan"]
    assert world.server("bob").status is ServerStatus.OFF
    del world.specs["alan"]
    world.apply()
    world.change("bob", enabled=True)
    world.apply()
    assert world.server("bob").status is ServerStatus.RUNNING


def test_a_child_that_is_off_still_follows_the_file_at_the_cloud(one: FakeFleet) -> None:
    one.applied()
    one.change("alice", enabled=False)
    one.apply()
    one.move("alice", "carol")
    one.change("carol", protect=True, labels={"team": "blue"}, backups=True)
    one.apply()
    server = one.server("carol")
    assert (server.status, server.child, server.backups) == (ServerStatus.OFF, "carol", True)
    assert (server.label("protect"), server.is_unfinished, server.labels["team"]) == ("true", False, "blue")
    assert one.planned() == []


def test_firewalls_are_mended_when_no_child_needs_anything(world: FakeFleet) -> None:
    world.applied()
    wanted = dict(world.cloud.walls)
    world.cloud.change_wall("demo", "in tcp 80 from anywhere")
    assert world.client().plan().plan.shared != ()
    assert world.apply() == []
    assert world.cloud.walls == wanted
    assert world.client().plan().plan.is_empty


def test_once_the_project_is_full_no_other_server_is_asked_for(state: Path) -> None:
    world = FakeFleet(state, ("alice", "bob", "carol"))
    world.cloud.fail_next("create_server", LimitExceeded("server limit exceeded", "ask for more"))
    outcomes = world.apply(workers=1)
    assert [outcome.code for outcome in outcomes] == [OutcomeCode.FAILED] * 3
    assert [outcome.error.partition(",")[0] for outcome in outcomes][1:] == ["not tried"] * 2
    assert world.cloud.requests == []


def test_what_is_left_alone_stays_and_other_drift_is_mended(one: FakeFleet) -> None:
    one.applied()
    theirs: Json = {"channels": {"telegram": {"dmPolicy": "open"}}}
    for _ in range(REPAIRS):
        one.host("alice").write_config(apply_patch(one.host("alice").config(), theirs))
        assert one.planned() == ["update alice: drifted"]
        one.apply()
    one.host("alice").write_config(apply_patch(one.host("alice").config(), theirs))
    assert one.planned() == []
    one.host("alice").files[files.SSHD_PATH].content += b"# theirs\n"
    assert one.planned() == ["update alice: drifted"]
    one.apply()
    assert one.host("alice").config()["channels"]["telegram"]["dmPolicy"] == "open"
    assert b"theirs" not in one.host("alice").files[files.SSHD_PATH].content
    assert one.planned() == []


# --- the journal ---------------------------------------------------------------------------------------------


def test_an_intent_that_cannot_be_written_has_no_effect(one: FakeFleet) -> None:
    """Whatever is to be made or deleted is in the journal first."""
    client = one.client()
    planned = client.plan()
    (one.state / "journal.jsonl").mkdir(parents=True)  # no line can be appended to a directory
    with pytest.raises(StateError):
        client.apply(planned)
    assert one.cloud.requests == []


def test_the_journal_names_the_intent_before_the_effect(one: FakeFleet) -> None:
    one.cloud.fail_next("create_server", OutOfStock("sold out"))
    one.apply()
    intent = next(event for event in one.events() if event.event == "create-intended")
    assert intent.fields["name"] == "demo-alice"
    assert "created" not in words(one.events())
    one.apply()
    created = next(event for event in one.events() if event.event == "created")
    assert created.fields["server"] == one.server("alice").id


def test_no_secret_is_written_or_said(world: FakeFleet) -> None:
    world.applied()
    world.change("alice", version="2026.9.7")
    world.host("alice").fails = [("install OpenClaw", HostError("it broke", "mend it"))]
    outcomes = world.apply()
    shown = [line for line, _ in outcome_lines(outcomes)] + world.progress + [repr(asdict(o)) for o in outcomes]
    written = [path.read_text() for path in world.state.rglob("*") if path.is_file()]
    text = "\n".join(shown + written)
    assert "it broke" in text
    for name in world.names:
        materials = gather_materials(world.fleet(), world.specs[name], world.server(name).uid or "", world.ports())
        for secret in (*materials.secrets, FLEET_KEY):
            assert secret.reveal() not in text
    assert "PRIVATE KEY" not in text


# --- making a server -----------------------------------------------------------------------------------------


def test_a_lost_answer_of_create_is_found_by_our_nonce(one: FakeFleet) -> None:
    one.cloud.fail_next("create_server", CloudUnavailable("the connection broke off"), committed=True)
    one.applied()
    assert one.planned() == []
    assert len(one.cloud.requests) == 1


def test_a_server_whose_answer_was_lost_and_whose_creation_fails_gives_way_to_the_next_candidate(
    one: FakeFleet,
) -> None:
    one.change("alice", regions=("nbg1", "fsn1"))
    one.cloud.broken = {("cpx22", "nbg1")}
    one.cloud.fail_next("create_server", CloudUnavailable("the connection broke off"), committed=True)
    one.applied()
    assert (one.server("alice").region, len(one.cloud.by_id)) == ("fsn1", 1)


def test_an_answer_that_says_taken_after_our_own_create_is_ours(one: FakeFleet) -> None:
    """The first request was lost on its way back, and the client's second try met the name."""
    one.cloud.fail_next("create_server", NameTaken("a server of that name exists"), committed=True)
    client = one.client()
    client.apply(client.plan())
    assert one.server("alice").label("fleet-id") == keys.fleet_id(FLEET_KEY)
    assert len(one.cloud.requests) == 1


def test_a_server_that_takes_the_name_meanwhile_is_an_error_and_stays(one: FakeFleet) -> None:
    client = one.client()
    planned = client.plan()
    foreign = one.cloud.add(replace(make_server("alice", id=77), labels={}))
    [outcome] = client.apply(planned)
    assert outcome.code is OutcomeCode.FAILED
    assert "a server named demo-alice exists already and is not ours" in outcome.error
    assert one.cloud.by_id == {77: foreign}


def test_of_two_runs_that_make_a_child_the_later_says_so_and_deletes_nothing(one: FakeFleet, tmp_path: Path) -> None:
    """Two state directories, as on a laptop and in CI, do not see each other's lock."""
    late = one.client()
    planned = late.plan()
    in_ci = FleetClient(one.fleet(), replace(one.ports(), store=DirectoryStore(tmp_path / "ci", one.clock)))
    in_ci.apply(in_ci.plan())
    made = one.server("alice")
    [outcome] = late.apply(planned)
    assert outcome.code is OutcomeCode.FAILED
    assert f"server demo-alice ({made.id}) was made meanwhile by another run of this fleet" in outcome.error
    assert "plan and apply again" in outcome.advice
    assert "delete" not in outcome.advice
    assert one.server("alice") == made
    assert one.planned() == []


def test_a_server_whose_creation_failed_is_deleted(one: FakeFleet) -> None:
    one.cloud.failing_actions = 1
    [outcome] = one.apply()
    assert outcome.code is OutcomeCode.FAILED
    deleted = next(event for event in one.events() if event.event == "delete-intended")
    assert isinstance(deleted.fields["server"], int)
    assert all(server.status == "deleting" for server in one.cloud.by_id.values())


# --- deleting a server ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", ["uid", "child"])
def test_a_server_whose_labels_changed_since_the_plan_is_not_deleted(world: FakeFleet, label: str) -> None:
    world.applied()
    client = world.client()
    planned = client.plan_destruction(["alice"])
    server = world.server("alice")
    changed = world.cloud.set_labels(server.id, {**server.labels, LABEL_PREFIX + label: "another"})
    [outcome] = client.apply(planned)
    assert outcome.code is OutcomeCode.FAILED
    assert "is no longer what the plan saw" in outcome.error
    assert world.server("alice") == changed
    assert "delete-intended" not in words(world.events())


@pytest.mark.parametrize("value", ["true", ""])
def test_a_server_that_was_protected_since_the_plan_is_not_deleted(world: FakeFleet, value: str) -> None:
    world.applied()
    client = world.client()
    planned = client.plan_destruction(["alice"])
    server = world.server("alice")
    protected = world.cloud.set_labels(server.id, {**server.labels, LABEL_PREFIX + "protect": value})
    [outcome] = client.apply(planned)
    assert outcome.code is OutcomeCode.FAILED
    assert "was protected after the plan was made" in outcome.error
    assert world.server("alice") == protected
    assert "delete-intended" not in words(world.events())


def test_a_server_that_is_gone_already_is_deleted(world: FakeFleet) -> None:
    world.applied()
    client = world.client()
    planned = client.plan_destruction(["alice"])
    del world.cloud.by_id[world.server("alice").id]
    assert [outcome.code for outcome in client.apply(planned)] == [OutcomeCode.DONE]
    assert set(world.store.records()) == {"bob"}


def test_a_failed_deletion_keeps_the_record(world: FakeFleet) -> None:
    world.applied()
    client = world.client()
    planned = client.plan_destruction(["alice"])
    world.cloud.fail_next("delete_server", ActionFailed("it did not work"))
    assert [outcome.code for outcome in client.apply(planned)] == [OutcomeCode.FAILED]
    assert set(world.store.records()) == {"alice", "bob"}


def test_labels_that_are_not_ours_survive(one: FakeFleet) -> None:
    one.applied()
    server: Server = one.server("alice")
    one.cloud.set_labels(server.id, {**server.labels, "team": "blue"})
    one.change("alice", version="2026.9.7")
    one.apply()
    assert one.server("alice").labels["team"] == "blue"
    assert one.planned() == []
