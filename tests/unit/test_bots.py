"""Two children never have one bot, however it is referred to, and none takes a bot that a live gateway still has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from reconciler import commands
from reconciler.errors import HostError, HostTimedOut, SecretError, Unauthorized
from reconciler.managed import files
from reconciler.model import OutcomeCode, Secret, SecretRef, ServerStatus
from reconciler.steps.work import bot_of
from tests.fakes.fleets import FakeFleet
from tests.fakes.host import FakeFile


@dataclass(frozen=True)
class Kept:
    """Implements Secrets: bot tokens by the locator of their reference."""

    tokens: Mapping[str, str]

    def bot_token(self, reference: SecretRef) -> Secret:
        if reference.locator not in self.tokens:
            raise SecretError(f"{reference} is not set")
        return Secret(self.tokens[reference.locator])

    def model_key(self, reference: SecretRef) -> Secret:
        return Secret("model-key")


@pytest.fixture
def world(state: Path) -> FakeFleet:
    """alice and bob, each with a bot."""
    world = FakeFleet(state)
    world.secrets = Kept({"A": "111:aaa", "B": "222:bbb", "B_AGAIN": "222:renewed", "C": "333:ccc"})  # type: ignore[assignment]
    for name, locator in (("alice", "A"), ("bob", "B")):
        world.change(name, bot_token=SecretRef("env", locator))
    return world.applied()


def said(world: FakeFleet) -> dict[str, str]:
    return {found.address: found.summary for found in world.client().plan().plan.diagnostics}


def token(world: FakeFleet, name: str) -> bytes:
    return world.host(name).content(files.TELEGRAM_TOKEN_PATH)


def put(world: FakeFleet, name: str, content: bytes) -> None:
    """By hand."""
    world.host(name).files[files.TELEGRAM_TOKEN_PATH] = FakeFile(content, "openclaw:openclaw", "0400")


def renamed(world: FakeFleet, old: str, new: str) -> None:
    """In the file, and nobody says that it is the same."""
    world.move(old, new)
    world.moved.clear()


def test_two_references_to_one_bot_are_told_before_anything_is_done(world: FakeFleet) -> None:
    world.change("alice", bot_token=SecretRef("env", "B_AGAIN"))
    assert said(world) == {
        "alice": "alice has the same bot as bob",
        "bob": "bob has the same bot as alice",
    }
    assert (world.planned(), world.apply()) == ([], [])


def test_so_are_those_of_children_that_are_still_to_be_made(state: Path) -> None:
    world = FakeFleet(state, ("alice", "bob", "carol"))
    world.secrets = Kept({"A": "111:aaa", "B": "111:aaa", "C": "333:ccc"})  # type: ignore[assignment]
    for name in world.names:
        world.change(name, bot_token=SecretRef("env", name[0].upper()))
    assert world.planned() == ["create carol: declared"]


def test_one_of_two_that_is_off_has_no_bot(world: FakeFleet) -> None:
    world.change("bob", enabled=False)
    world.apply()
    world.change("alice", bot_token=SecretRef("env", "B"))
    assert world.planned() == ["update alice: changed"]
    assert [outcome.code for outcome in world.apply()] == [OutcomeCode.DONE]


def test_a_bot_is_taken_over_when_its_old_holder_is_gone(world: FakeFleet) -> None:
    renamed(world, "bob", "carl")
    assert world.planned() == ["destroy bob: removed"]
    assert said(world) == {"carl": "carl: its bot is still that of bob, so nothing is planned for it"}
    world.apply()
    assert world.planned() == ["create carl: declared"]


def test_a_bot_is_taken_over_when_its_old_holder_has_another(world: FakeFleet) -> None:
    world.change("alice", bot_token=SecretRef("env", "C"))
    world.change("bob", bot_token=SecretRef("env", "A"))
    assert world.planned() == ["update alice: changed"]
    world.apply()
    assert world.planned() == ["update bob: changed"]
    world.apply()
    assert (world.planned(), said(world)) == ([], {})


def test_a_token_that_somebody_put_on_a_host_is_seen_there(world: FakeFleet) -> None:
    """bob's bot is given to alice by hand, and bob's own host asks for it no more."""
    for name, content in (("alice", b"222:bbb"), ("bob", b"999:other")):
        put(world, name, content)
        world.host(name).run(commands.restart_unit(files.UNIT))
    assert world.planned() == ["update alice: drifted"]
    assert said(world) == {"bob": "bob: its bot is still that of alice, so nothing is planned for it"}
    world.apply()
    assert world.planned() == ["update bob: drifted"]


STILL_ALICES = {"bob": "bob: its bot is still that of alice, so nothing is planned for it"}


def test_a_server_that_is_started_has_the_bot_that_it_boots_with(world: FakeFleet) -> None:
    """Somebody has switched alice off. She gets another bot, and bob gets hers."""
    world.cloud.add(replace(world.server("alice"), status=ServerStatus.OFF))
    world.change("alice", bot_token=SecretRef("env", "C"))
    world.change("bob", bot_token=SecretRef("env", "A"))
    assert (world.planned(), said(world)) == (["start alice: stopped"], STILL_ALICES)
    world.apply()
    assert (token(world, "alice"), world.planned()) == (b"333:ccc", ["update bob: changed"])
    world.apply()
    assert (token(world, "bob"), world.planned()) == (b"111:aaa", [])


def test_a_server_that_is_started_takes_no_bot_that_somebody_still_asks_for(world: FakeFleet) -> None:
    """alice and bob had one, by hand; bob is to give it up, and alice to be switched on with it."""
    put(world, "bob", b"111:aaa")
    world.cloud.add(replace(world.server("alice"), status=ServerStatus.OFF))
    assert world.planned() == ["update bob: drifted"]
    world.apply()
    assert world.planned() == ["start alice: stopped"]


def test_two_swap_their_bots_by_way_of_one_that_is_off(world: FakeFleet) -> None:
    world.change("alice", bot_token=SecretRef("env", "B"), enabled=False)
    world.change("bob", bot_token=SecretRef("env", "A"))
    world.apply()
    world.change("alice", enabled=True)
    assert [outcome.code for outcome in world.apply()] == [OutcomeCode.DONE]
    assert (token(world, "alice"), token(world, "bob"), world.planned()) == (b"222:bbb", b"111:aaa", [])


def test_a_gateway_that_has_not_started_with_its_new_token_has_the_old_bot(world: FakeFleet) -> None:
    """An apply has written it, and died before the restart."""
    world.change("alice", bot_token=SecretRef("env", "C"))
    world.host("alice").fails = [("restart", HostError("cut off"))]
    assert [outcome.code for outcome in world.apply()] == [OutcomeCode.FAILED]
    world.specs["carol"] = replace(world.specs["alice"], name="carol", bot_token=SecretRef("env", "A"))
    assert world.planned() == ["update alice: unfinished"]
    assert said(world) == {"carol": "carol: its bot is still that of alice, so nothing is planned for it"}
    world.apply()
    assert world.planned() == ["create carol: declared"]


def test_nor_is_its_new_bot_free(world: FakeFleet) -> None:
    world.change("alice", bot_token=SecretRef("env", "C"))
    world.host("alice").fails = [("restart", HostError("cut off"))]
    world.apply()
    world.change("alice", bot_token=SecretRef("env", "A"))
    world.change("bob", bot_token=SecretRef("env", "C"))
    assert (world.planned(), said(world)) == (["update alice: drifted"], STILL_ALICES)


STILL_BOBS = "carl: its bot is still that of bob, so nothing is planned for it"


def test_a_bot_is_not_taken_by_whoever_asks_for_some_children_only(world: FakeFleet) -> None:
    renamed(world, "bob", "carl")
    plan = world.client().plan(["carl"]).plan
    assert ([found.summary for found in plan.diagnostics], plan.actions) == ([STILL_BOBS], ())


def test_nor_by_another_reference_to_it(world: FakeFleet) -> None:
    world.specs["carl"] = replace(world.specs["alice"], name="carl", bot_token=SecretRef("env", "B_AGAIN"))
    plan = world.client().plan(["carl"]).plan
    assert ([found.summary for found in plan.diagnostics], plan.actions) == ([STILL_BOBS], ())


def test_nor_from_a_gateway_that_nobody_can_ask(world: FakeFleet) -> None:
    world.dialer.silent[world.server("bob").id] = HostTimedOut("no answer")
    renamed(world, "bob", "carl")
    assert world.planned() == []  # nor can its memory be copied
    assert said(world)["carl"] == STILL_BOBS


def test_nor_from_one_that_cannot_be_stopped_now(world: FakeFleet) -> None:
    server = world.server("bob")
    world.cloud.by_id[server.id] = replace(server, status=ServerStatus.REBUILDING)
    world.change("bob", enabled=False)
    world.specs["carl"] = replace(world.specs["alice"], name="carl", bot_token=SecretRef("env", "B"))
    assert world.planned() == []
    assert said(world)["carl"] == STILL_BOBS


def test_a_server_says_whose_bot_it_has(world: FakeFleet) -> None:
    assert [world.server(name).bot for name in ("alice", "bob")] == ["111", "222"]
    world.change("alice", bot_token=SecretRef("env", "C"))
    world.apply()
    assert world.server("alice").bot == "333"


@pytest.mark.parametrize("token", ["no-token-at-all", "\u0661\u0661\u0661:aaa", "1" * 70 + ":aaa"])
def test_what_is_no_bots_number_is_no_label(world: FakeFleet, token: str) -> None:
    """The cloud would refuse it, and the server with it."""
    world.secrets = Kept({"A": token, "B": "222:bbb"})  # type: ignore[assignment]
    assert bot_of(world.specs["alice"], world.ports()) is None


def test_a_child_that_was_moved_keeps_its_bot(world: FakeFleet) -> None:
    world.move("bob", "carl")
    assert world.planned() == ["update carl: changed"]


def test_a_token_that_cannot_be_had_is_an_error_where_it_is_needed(world: FakeFleet) -> None:
    world.specs["dora"] = replace(world.specs["alice"], name="dora", bot_token=SecretRef("env", "NOT_SET"))
    assert world.planned() == ["create dora: declared"]


def test_nor_from_who_does_not_answer_and_could_not_be_stopped(world: FakeFleet) -> None:
    """The file gives it another bot as well, and only its label says which it has."""
    world.dialer.silent[world.server("bob").id] = HostTimedOut("no answer")
    world.change("bob", enabled=False, bot_token=SecretRef("env", "C"))
    world.specs["carol"] = replace(world.specs["alice"], name="carol", bot_token=SecretRef("env", "B"))
    world.cloud.fail_next("shutdown", Unauthorized("the token may only read"))
    assert {outcome.code for outcome in world.apply()} == {OutcomeCode.FAILED}
    assert "demo-carol" not in {server.name for server in world.cloud.by_id.values()}


@pytest.mark.parametrize("locator", ["B", "B_AGAIN"])
def test_a_bot_is_not_taken_from_who_could_not_be_stopped(world: FakeFleet, locator: str) -> None:
    world.change("bob", enabled=False)
    world.specs["carol"] = replace(world.specs["alice"], name="carol", bot_token=SecretRef("env", locator))
    world.cloud.fail_next("shutdown", Unauthorized("the token may only read"))
    errors = {outcome.action.child: outcome.error for outcome in world.apply()}
    assert errors["carol"] == "not tried, its bot is still that of bob, which could not be stopped"
    assert [outcome.code for outcome in world.apply()] == [OutcomeCode.DONE, OutcomeCode.DONE]
