"""Another server for a child: what happens to the old one, when, and what a plan says of a replacement that failed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from reconciler import commands
from reconciler.diff import value_at
from reconciler.errors import HostError, HostTimedOut, InvalidRequest
from reconciler.managed import files
from reconciler.model import (
    Action,
    Backup,
    Json,
    Kind,
    Outcome,
    OutcomeCode,
    PlanOptions,
    Purpose,
    Server,
    ServerStatus,
)
from reconciler.render.backups import backup_table
from tests.crash.dying import Died, Effect, Fate, How, apply_until, doomed, go_on
from tests.fakes.fleets import FakeFleet
from tests.fakes.host import FakeHost

DOG: Final = "my dog is called Bello"
VERSION: Final = "2026.9.6"
ALLOWED: Final = PlanOptions(allow_replace=frozenset({"alice"}))
GIVEN_UP: Final = PlanOptions(allow_replace=frozenset({"alice"}), without_copy=frozenset({"alice"}))


class Witness(Fate):
    """Counts who polls after every effect; and dies after the first one of the name `last` that follows the commit."""

    def __init__(self, world: FakeFleet, last: str | None = None, *, from_begin: bool = False) -> None:
        super().__init__(how=How.AFTER)
        self.world, self.last, self.most, self.is_committed = world, last, 0, from_begin

    def carry_out(self, effect: Effect) -> object:
        self.is_committed |= any(server.is_retired for server in servers(self.world))
        if self.is_committed and self.last is not None and effect.name.startswith(self.last):
            self.moment = len(self.effects)
        try:
            return super().carry_out(effect)
        finally:
            self.most = max(self.most, len(polling(self.world)))


@pytest.fixture
def world(state: Path) -> FakeFleet:
    made = FakeFleet(state, ("alice", "bob")).applied()
    made.host("alice").gateway.remember(DOG)
    made.change("alice", regions=("hel1",))
    return made


def replaced(world: FakeFleet, options: PlanOptions = ALLOWED) -> Outcome:
    [outcome] = world.apply(options=options)
    return outcome


def servers(world: FakeFleet) -> list[Server]:
    return [server for server in world.cloud.by_id.values() if server.child == "alice"]


def polling(world: FakeFleet) -> list[FakeHost]:
    """Who asks Telegram for alice's messages."""
    up = [server for server in servers(world) if server.status is ServerStatus.RUNNING]
    hosts = [world.dialer.hosts[server.id] for server in up if server.id in world.dialer.hosts]
    return [host for host in hosts if host.gateway.active == "active"]


def planned(world: FakeFleet, options: PlanOptions = PlanOptions()) -> Action:  # noqa: B008
    [action] = world.client().plan(options=options).plan.actions
    return action


def is_as_before(world: FakeFleet, number: int) -> bool:
    """It has the one server that it had, and answers there with its memory."""
    [host] = polling(world)
    is_same = [server.id for server in servers(world) if not server.is_successor] == [number]
    return is_same and host is world.dialer.hosts[number] and host.gateway.memory == [DOG]


def test_the_new_server_has_memory_name_bot_and_one_start_more(world: FakeFleet) -> None:
    old = world.server("alice")
    assert replaced(world).code is OutcomeCode.DONE
    [new] = servers(world)
    assert (new.name, new.region, new.bot) == ("demo-alice", "hel1", old.bot)
    assert not new.is_successor
    assert world.host("alice").gateway.memory == [DOG]
    assert world.host("alice").gateway.starts == 2  # the second one is part of the proof
    assert world.planned() == []
    assert world.store.records()["alice"].server_id == new.id


@pytest.mark.parametrize("refusal", ["stock", "quota"])
def test_what_cannot_be_had_leaves_the_old_server_alone(world: FakeFleet, refusal: str) -> None:
    before, starts = world.server("alice"), world.host("alice").gateway.starts
    agreed = world.client().plan(options=ALLOWED)
    if refusal == "stock":
        world.cloud.sold_out.add(("cpx22", "hel1"))
    else:
        world.cloud.server_limit = len(world.cloud.by_id)
    [outcome] = world.client().apply(agreed)
    assert outcome.code is OutcomeCode.FAILED
    assert world.cloud.by_id[before.id] == before
    assert world.host("alice").gateway.starts == starts
    assert is_as_before(world, before.id)


def test_who_is_protected_since_the_plan_is_not_touched(world: FakeFleet) -> None:
    agreed, old = world.client().plan(options=ALLOWED), world.server("alice")
    world.cloud.set_labels(old.id, {**old.labels, "openclaw-deploy/protect": "true"})
    [outcome] = world.client().apply(agreed)
    assert "was protected after the plan was made" in outcome.error
    assert len(servers(world)) == 1
    assert is_as_before(world, old.id)


def test_a_copy_that_fails_lets_the_old_gateway_go_on_at_once(world: FakeFleet) -> None:
    old = world.server("alice")
    world.host("alice").fails = [("copy the state", HostTimedOut("gone", "again"))] * 3
    outcome = replaced(world)
    assert outcome.code is OutcomeCode.FAILED
    assert "alice answers on its old server" in outcome.advice
    assert is_as_before(world, old.id)
    assert "openclaw-gateway.service" in world.host("alice").systemd.enabled


def test_what_was_begun_is_gone_on_with_and_no_third_server_made(world: FakeFleet) -> None:
    world.host("alice").fails = [("copy the state", HostTimedOut("gone", "again"))] * 3
    replaced(world)
    made = len(world.cloud.requests)
    action = planned(world, ALLOWED)
    assert any("is left of a replacement that did not end" in note for note in action.notes)
    assert replaced(world).code is OutcomeCode.DONE
    assert len(world.cloud.requests) == made
    assert len(servers(world)) == 1


def test_what_does_not_fit_any_more_goes_before_another_one_is_made(world: FakeFleet) -> None:
    world.host("alice").fails = [("copy the state", HostTimedOut("gone", "again"))] * 3
    replaced(world)
    [spare] = [server for server in servers(world) if server.is_successor]
    world.change("alice", regions=("fsn1",))
    assert replaced(world).code is OutcomeCode.DONE
    [new] = servers(world)
    assert (new.region, spare.id in world.cloud.by_id) == ("fsn1", False)


def test_where_it_is_not_allowed_any_more_its_new_server_goes_and_saves_its_price(world: FakeFleet) -> None:
    old = world.server("alice")
    world.host("alice").fails = [("copy the state", HostTimedOut("gone", "again"))] * 3
    replaced(world)
    world.change("alice", regions=("nbg1",))
    action = planned(world)
    assert (str(action.kind), str(action.reason.code)) == ("update", "unfinished")
    assert action.monthly is not None
    assert action.monthly.startswith("-")
    world.apply()
    assert len(servers(world)) == 1
    assert is_as_before(world, old.id)


def test_a_proof_that_fails_goes_back_and_keeps_what_the_new_one_was_told(world: FakeFleet) -> None:
    old = world.server("alice")
    world.dialer.flawed = {VERSION: "second start"}
    outcome = replaced(world)
    assert outcome.code is OutcomeCode.FAILED
    assert "alice answers on its old server, and the new one, demo-" in outcome.advice
    assert is_as_before(world, old.id)
    [spare] = [server for server in servers(world) if server.is_successor]
    world.dialer.hosts[spare.id].gateway.remember("I was told this on the new server")
    world.change("alice", regions=("nbg1",))
    world.apply()
    keeper = world.client().keeper()
    fork, *others = keeper.kept("alice").backups
    assert fork.holds["databases"] == {".openclaw/state/openclaw.sqlite": {"transcript_events": 2}}
    assert [backup.purpose for backup in (fork, *others)] == [Purpose.FORK, Purpose.COPY]
    assert [server.id for server in servers(world)] == [old.id]
    assert world.planned() == []


def given_up(world: FakeFleet) -> Server:
    """The new server of a replacement that went back: it was told what the child does not know."""
    world.dialer.flawed = {VERSION: "second start"}
    assert replaced(world).code is OutcomeCode.FAILED
    [spare] = [server for server in servers(world) if server.is_successor]
    world.dialer.hosts[spare.id].gateway.remember("I was told this on the new server")
    world.dialer.flawed = {}
    return spare


def test_a_fork_is_taken_for_the_newest_by_nobody_who_does_not_name_it(world: FakeFleet) -> None:
    given_up(world)
    world.change("alice", regions=("nbg1",))
    world.apply()
    keeper = world.client().keeper()
    fork, own = keeper.kept("alice").backups
    assert (keeper.find("alice"), keeper.newest(["alice"])[0]["alice"].id) == (own, own.id)
    assert (keeper.find("alice", fork.id), keeper.names()) == (fork, ("alice",))
    assert "a fork" in str(backup_table({"alice": keeper.kept("alice")}).rows[0])


def test_who_sleeps_after_a_replacement_that_went_back_wakes_with_its_own_memory(world: FakeFleet) -> None:
    given_up(world)
    [outcome] = world.apply(options=PlanOptions(hibernate=frozenset({"alice"})))
    assert (outcome.code, servers(world)) == (OutcomeCode.DONE, [])
    keeper = world.client().keeper()
    assert [backup.is_beside for backup in keeper.kept("alice").backups] == [True, False, False]
    own = keeper.find("alice")
    assert world.client().asleep()["alice"].backup == own.id
    assert own.holds["databases"] == {".openclaw/state/openclaw.sqlite": {"transcript_events": 1}}


def test_a_new_gateway_that_nobody_can_stop_is_switched_off_before_the_old_one_starts(world: FakeFleet) -> None:
    old = world.server("alice")
    lost: HostError = HostTimedOut("no answer")
    world.dialer.failing = [("restart openclaw-gateway", lost)] * 3 + [("disable openclaw-gateway", lost)] * 3
    assert replaced(world).code is OutcomeCode.FAILED
    [new] = [server for server in servers(world) if server.is_successor]
    assert (new.status, new.is_told) == (ServerStatus.OFF, True)
    assert is_as_before(world, old.id)
    world.change("alice", regions=("nbg1",))
    [outcome] = world.apply()
    assert "what it was told cannot be copied" in outcome.error
    assert is_as_before(world, old.id)
    world.apply(options=PlanOptions(without_copy=frozenset({"alice"})))
    assert [server.id for server in servers(world)] == [old.id]


def dies_after(world: FakeFleet, last: str) -> None:
    """A replacement, after its commit point."""
    fate = Witness(world, last)
    apply_until(world, fate, ALLOWED)
    assert fate.dead


def unretired_by_hand(world: FakeFleet) -> tuple[Server, Server]:
    """The new server answers, and the old one is not labelled any more as what it is."""
    dies_after(world, "save")
    old, new = sorted(servers(world), key=lambda server: server.is_successor)
    labels = {name: value for name, value in old.labels.items() if not name.endswith("/retired")}
    world.dialer.hosts[new.id].gateway.remember("I was told this on the new server")
    assert polling(world) == [world.dialer.hosts[new.id]]
    return world.cloud.set_labels(old.id, labels), new


@pytest.mark.parametrize("options", [PlanOptions(), ALLOWED], ids=["not allowed", "allowed"])
def test_a_label_taken_away_by_hand_starts_no_second_gateway_and_loses_nothing(
    world: FakeFleet, options: PlanOptions
) -> None:
    _, new = unretired_by_hand(world)
    watch = Witness(world)
    apply_until(world, watch, options)
    assert watch.most == 1
    assert new.id not in world.cloud.by_id
    assert len(polling(world)) == 1
    assert DOG in polling(world)[0].gateway.memory
    assert [backup.is_beside for backup in world.client().keeper().kept("alice").backups].count(True) == 1


def test_who_is_switched_off_then_leaves_no_gateway_behind(world: FakeFleet) -> None:
    _, new = unretired_by_hand(world)
    world.change("alice", enabled=False)
    world.apply()
    assert polling(world) == []
    assert world.cloud.by_id[new.id].label("successor") == "told"


class Meddler(Witness):
    """Somebody else does something after the first effect of this name."""

    def __init__(self, world: FakeFleet, after: str, meddle: Callable[[], object]) -> None:
        super().__init__(world)
        self.after, self.meddle = after, meddle

    def carry_out(self, effect: Effect) -> object:
        found = super().carry_out(effect)
        if effect.name.startswith(self.after):
            self.after = "\0"
            self.meddle()
            self.most = max(self.most, len(polling(self.world)))
        return found


@pytest.mark.parametrize("moment", ["note create-intended", "put json", "place the state"])
def test_two_who_replace_one_child_at_once_make_no_second_gateway_and_lose_nothing(
    world: FakeFleet, moment: str
) -> None:
    """Their runs share no lock. The other one dies when it has handed over and started the new gateway."""
    other = Witness(world, "restart")

    def replace_as_well() -> None:
        with suppress(Died):
            client = doomed(world, other)
            client.apply(client.plan(options=ALLOWED), 1)
        polling(world)[0].gateway.remember("I was told this on the new server")

    watch = Meddler(world, moment, replace_as_well)
    [outcome] = apply_until(world, watch, ALLOWED)
    if moment == "note create-intended":
        assert outcome.code is OutcomeCode.FAILED
        assert "handed over to another one meanwhile" in outcome.error
    go_on(world, ALLOWED)
    assert (watch.most, other.most) == (1, 1)
    [host] = polling(world)
    assert host.gateway.memory == [DOG, "I was told this on the new server"]
    assert [server.name for server in servers(world)] == ["demo-alice"]


def starts_it(world: FakeFleet) -> Callable[[], object]:
    host = world.host("alice")

    def start() -> None:
        host.run(commands.restart_unit(files.UNIT))
        host.gateway.remember("are you there?")

    return start


@pytest.mark.parametrize("after", ["put json", "place the state"])
def test_who_is_started_again_before_it_is_handed_over_loses_nothing_of_what_it_was_told(
    world: FakeFleet, after: str
) -> None:
    apply_until(world, Meddler(world, after, starts_it(world)), ALLOWED)
    go_on(world, ALLOWED)
    [host] = polling(world)
    assert host.gateway.memory == [DOG, "are you there?"]


def entries_of(backup: Backup) -> Json:
    """How much was said, by what it holds."""
    return value_at(dict(backup.holds), ("databases", ".openclaw/state/openclaw.sqlite", "transcript_events"))


def test_a_copy_of_what_an_old_server_was_told_that_fails_is_owed_still(world: FakeFleet) -> None:
    """It is silenced by then, so nobody could see that it was started."""
    starts = starts_it(world)

    def start_and_fail() -> None:
        starts()
        world.host("alice")
        old = next(host for host in world.dialer.hosts.values() if "are you there?" in host.gateway.memory)
        old.fails = [("copy the state", HostTimedOut("gone", "again"))] * 3

    watch = Meddler(world, "write /var/lib/openclaw-deploy/applied.json", start_and_fail)
    [outcome] = apply_until(world, watch, ALLOWED)
    assert outcome.code is OutcomeCode.FAILED
    off = next(server for server in servers(world) if server.knows_more)
    world.cloud.add(replace(off, status=ServerStatus.OFF))
    assert "that cannot be copied" in world.apply(options=ALLOWED)[0].error
    world.cloud.add(replace(off, status=ServerStatus.RUNNING))
    go_on(world, ALLOWED)
    forks = [it for it in world.client().keeper().kept("alice").backups if it.purpose is Purpose.FORK]
    assert [entries_of(it) for it in forks] == [2]
    assert (len(servers(world)), len(polling(world))) == (1, 1)


def test_who_is_started_again_after_it_was_handed_over_is_copied_once_more(world: FakeFleet) -> None:
    [outcome] = apply_until(
        world, Meddler(world, "write /var/lib/openclaw-deploy/applied.json", starts_it(world)), ALLOWED
    )
    assert outcome.code is OutcomeCode.DONE
    [fork] = [it for it in world.client().keeper().kept("alice").backups if it.purpose is Purpose.FORK]
    assert entries_of(fork) == 2
    assert len(polling(world)) == 1


@pytest.mark.parametrize("way", ["destroyed", "put to sleep"])
def test_who_is_started_again_before_its_server_goes_keeps_that(world: FakeFleet, way: str) -> None:
    world.change("alice", regions=("fsn1",))
    watch = Meddler(world, "put json", starts_it(world))
    if way == "destroyed":
        del world.specs["alice"]
        [outcome] = apply_until(world, watch)
    else:
        client = doomed(world, watch)
        [outcome] = client.apply(client.plan_hibernation(["alice"]), 1)
    assert (outcome.code, "somebody has started the gateway" in outcome.error) == (OutcomeCode.FAILED, True), outcome
    [host] = polling(world)
    assert host.gateway.memory == [DOG, "are you there?"]
    world.apply(1)
    assert servers(world) == []


def test_whose_last_copy_fails_starts_no_second_gateway(world: FakeFleet) -> None:
    old, _ = unretired_by_hand(world)
    world.dialer.hosts[old.id].fails = [("copy the state", HostTimedOut("gone", "again"))] * 3
    watch = Witness(world)
    apply_until(world, watch, PlanOptions(hibernate=frozenset({"alice"})))
    assert watch.most == 1
    assert polling(world) == [world.dialer.hosts[old.id]]


def test_what_waits_for_its_name_can_be_replaced_by_one_more(world: FakeFleet) -> None:
    dies_after(world, "note rename-intended")
    [waiting] = servers(world)
    assert waiting.is_successor
    world.change("alice", regions=("fsn1",))
    assert replaced(world).code is OutcomeCode.DONE
    [new] = servers(world)
    assert (new.region, new.name, world.host("alice").gateway.memory) == ("fsn1", "demo-alice", [DOG])
    assert world.planned() == []


def test_one_more_that_cannot_be_had_leaves_a_server_of_that_name(world: FakeFleet) -> None:
    dies_after(world, "note rename-intended")
    world.change("alice", regions=("fsn1",))
    world.host("alice").fails = [("copy the state", HostTimedOut("gone", "again"))] * 3
    replaced(world)
    assert "more than one" not in str(world.client().plan().plan.diagnostics)
    assert replaced(world).code is OutcomeCode.DONE
    assert [server.name for server in servers(world)] == ["demo-alice"]


def test_whose_memory_is_given_up_does_not_poll_when_somebody_switches_it_on(world: FakeFleet) -> None:
    [old] = servers(world)
    world.cloud.fail_next("delete_server", InvalidRequest("no"))
    replaced(world, GIVEN_UP)
    assert world.cloud.by_id[old.id].status is ServerStatus.OFF
    world.cloud.wait(world.cloud.power_on(old.id), 60)
    world.dialer.hosts[old.id].boot()
    [new] = [server for server in servers(world) if server.id != old.id]
    assert polling(world) == [world.dialer.hosts[new.id]]


def test_a_host_that_does_not_answer_is_asked_once_and_not_waited_for(world: FakeFleet) -> None:
    [old] = servers(world)
    world.host("alice").fails = [("disable openclaw-gateway", HostTimedOut("gone", "again"))]
    assert replaced(world, GIVEN_UP).code is OutcomeCode.DONE
    assert old.id not in world.cloud.by_id


NEWER: Final = "2026.9.7"


@pytest.fixture
def kept_back(world: FakeFleet) -> FakeFleet:
    """A person has brought it back to VERSION by hand, so NEWER is held on its host."""
    world.change("alice", version=NEWER, regions=("nbg1",))
    world.apply()
    client = world.client()
    with client.lock("fleet rollback"):
        client.apply(client.plan_rollback(["alice"], None))
    world.change("alice", regions=("hel1",))
    return world


def runs(world: FakeFleet) -> tuple[str | None, list[str]]:
    [host] = polling(world)
    return host.gateway.version, host.gateway.memory


def test_the_hold_of_a_person_goes_with_the_child(kept_back: FakeFleet) -> None:
    assert replaced(kept_back).code is OutcomeCode.DONE
    assert kept_back.server("alice").region == "hel1"
    assert runs(kept_back) == (VERSION, [DOG])
    planned = kept_back.client().plan().plan
    assert planned.actions == ()
    assert "rolled back by hand" in planned.diagnostics[0].detail


@pytest.mark.parametrize("last", ["note hand-over-intended", "set_labels", "restart openclaw-gateway", "save"])
def test_a_hold_outlives_an_apply_that_dies(kept_back: FakeFleet, last: str) -> None:
    apply_until(kept_back, Witness(kept_back, last, from_begin=last.startswith("note")), ALLOWED)
    kept_back.apply(options=ALLOWED)
    assert runs(kept_back) == (VERSION, [DOG])
    assert "rolled back by hand" in kept_back.client().plan().plan.diagnostics[0].detail


def test_a_hold_that_a_person_ends_is_not_carried(kept_back: FakeFleet) -> None:
    options = PlanOptions(allow_replace=frozenset({"alice"}), retry=frozenset({"alice"}))
    assert replaced(kept_back, options).code is OutcomeCode.DONE
    assert runs(kept_back) == (VERSION, [DOG])
    assert kept_back.apply()[0].code is OutcomeCode.DONE
    assert runs(kept_back) == (NEWER, [DOG])
    assert kept_back.planned() == []


def test_what_has_no_way_down_has_none_on_another_server(world: FakeFleet) -> None:
    world.change("alice", version="2026.9.5")
    assert replaced(world).code is OutcomeCode.DONE
    assert runs(world) == (VERSION, [DOG])
    assert "no way down to 2026.9.5" in world.client().plan().plan.diagnostics[0].summary


def test_without_a_memory_there_is_nothing_that_bars_the_way_down(world: FakeFleet) -> None:
    world.change("alice", version="2026.9.5")
    assert replaced(world, GIVEN_UP).code is OutcomeCode.DONE
    assert runs(world) == ("2026.9.5", [])
    assert world.planned() == []


def test_what_goes_down_does_so_on_its_old_server_first(world: FakeFleet) -> None:
    """The checkpoint is there, and not in what is handed over."""
    world.change("alice", version=NEWER, regions=("nbg1",))
    world.apply()
    world.change("alice", version=VERSION, regions=("hel1",))
    assert [str(world.apply(options=ALLOWED)[0].action.kind) for _ in range(2)] == ["update", "replace"]
    assert world.server("alice").region == "hel1"
    assert runs(world) == (VERSION, [DOG])
    assert world.planned() == []


def test_whose_memory_is_given_up_is_made_at_the_lower_version(world: FakeFleet) -> None:
    world.change("alice", version=NEWER, regions=("nbg1",))
    world.apply()
    world.change("alice", version=VERSION, regions=("hel1",))
    assert replaced(world, GIVEN_UP).action.kind == "replace"
    assert runs(world) == (VERSION, [])


def test_whose_host_is_silent_is_replaced_only_where_its_memory_is_given_up(world: FakeFleet) -> None:
    world.dialer.silent[world.server("alice").id] = HostTimedOut("no answer")
    plan = world.client().plan(options=ALLOWED).plan
    assert plan.actions == ()
    assert any("--no-backup alice" in found.detail for found in plan.diagnostics)
    assert replaced(world, GIVEN_UP).code is OutcomeCode.DONE
    assert world.host("alice").gateway.memory == []
    assert "memory-given-up" in [event.event for event in world.events()]
    assert len(servers(world)) == 1


def test_a_silent_host_is_switched_off_before_anybody_takes_its_place(world: FakeFleet) -> None:
    old = world.server("alice")
    world.dialer.silent[old.id] = HostTimedOut("no answer")
    world.cloud.fail_next("set_labels", InvalidRequest("no"))  # the one that would retire it
    assert replaced(world, GIVEN_UP).code is OutcomeCode.FAILED
    assert not world.server("alice").is_retired
    assert world.cloud.power_ons[old.id] == 1  # so it was off


def test_who_was_never_finished_and_was_told_something_keeps_it_on_another_server(world: FakeFleet) -> None:
    old = world.server("alice")
    world.cloud.set_labels(old.id, {**old.labels, "openclaw-deploy/unfinished": "true"})
    assert replaced(world).code is OutcomeCode.DONE
    assert world.host("alice").gateway.memory == [DOG]


@pytest.mark.parametrize("value", ["true", "untouched"])
def test_where_no_gateway_has_ever_started_there_is_no_memory_to_move(world: FakeFleet, value: str) -> None:
    old, host = world.server("alice"), world.host("alice")
    world.cloud.set_labels(old.id, {**old.labels, "openclaw-deploy/unfinished": value})
    for path in [path for path in host.files if "/.openclaw/state/" in path]:
        del host.files[path]
    assert replaced(world).code is OutcomeCode.DONE
    assert world.host("alice").gateway.memory == []
    assert world.client().keeper().kept("alice").backups == ()


def test_who_was_never_finished_and_cannot_be_asked_is_not_replaced(world: FakeFleet) -> None:
    old = world.server("alice")
    world.cloud.set_labels(old.id, {**old.labels, "openclaw-deploy/unfinished": "true"})
    world.dialer.silent[old.id] = HostTimedOut("no answer")
    assert "no last copy can be taken of what alice may have been told" in replaced(world).error
    assert [server.id for server in servers(world)] == [old.id]


def test_a_server_that_was_to_succeed_one_that_is_gone_may_be_empty(world: FakeFleet) -> None:
    world.client().keeper().create(["alice"])
    before = world.server("alice").id
    world.host("alice").fails = [("copy the state", HostTimedOut("gone", "again"))] * 3
    assert replaced(world).code is OutcomeCode.FAILED
    del world.cloud.by_id[before]
    [told] = world.client().plan(["alice"]).plan.diagnostics
    assert "alice goes on with the server that was to succeed its own, maybe without a memory" in told.summary
    assert told.detail == "to give it that one afterwards: fleet restore alice"


def test_a_successor_that_somebody_deletes_leaves_the_old_server_to_go_on(world: FakeFleet) -> None:
    old = world.server("alice")
    world.cloud.set_labels(old.id, {**old.labels, "openclaw-deploy/retired": "true"})
    world.host("alice").gateway.stop()
    world.host("alice").systemd.disable("openclaw-gateway.service")
    world.change("alice", regions=("nbg1",))
    world.apply()
    assert is_as_before(world, old.id)
    assert not world.server("alice").is_retired
    assert world.planned() == []


@pytest.mark.parametrize("what", ["model", "errors"])
def test_who_goes_on_past_the_commit_knows_how_the_old_one_was(world: FakeFleet, what: str) -> None:
    """An apply that has died knew it, and the next one is proven by the same."""
    world.host("alice").gateway.errors_of[VERSION] = 3
    dies_after(world, "enable openclaw-gateway")
    [old] = [server for server in servers(world) if server.is_retired]
    assert old.label("before") == "errors-3.model-taken"
    [new] = [server for server in servers(world) if not server.is_retired]
    if what == "model":
        world.dialer.hosts[new.id].models = "403"
    else:
        world.dialer.hosts[new.id].gateway.errors_of[VERSION] = 30
    [outcome] = world.apply()
    assert ("took the key before, and answers 403 now" if what == "model" else "writes errors: 30") in outcome.error
    assert old.id in world.cloud.by_id


def test_what_the_old_one_was_like_is_no_label_of_a_server_that_is_the_childs_again(world: FakeFleet) -> None:
    world.dialer.flawed = {VERSION: "second start"}
    assert replaced(world).code is OutcomeCode.FAILED
    assert {"retired", "before"}.isdisjoint(name.rpartition("/")[2] for name in world.server("alice").labels)


def test_who_is_off_starts_before_it_is_replaced(world: FakeFleet) -> None:
    """What it knows cannot be copied from a server that is off."""
    world.change("alice", enabled=False)
    world.apply()
    world.change("alice", enabled=True)
    assert planned(world, ALLOWED).kind is Kind.START
    assert planned(world, GIVEN_UP).kind is Kind.REPLACE
    world.apply(options=ALLOWED)
    assert planned(world, ALLOWED).kind is Kind.REPLACE
