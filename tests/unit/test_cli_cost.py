"""`fleet cost`: what every server of the fleet costs in a month."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from reconciler.errors import HostTimedOut, Unauthorized
from reconciler.model import Besides, Json, Policy, SecretRef, ServerStatus
from tests.fakes.command_line import CommandLine
from tests.fakes.fleets import FakeFleet

TERABYTE: Final = 1 << 40


@pytest.fixture
def fleet(state: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    world = FakeFleet(state, ("alice", "bob"))
    world.change("bob", backups=True, group="pets")
    return CommandLine(world.applied(), capsys)


def change_server(fleet: CommandLine, child: str, **changes: Any) -> None:
    fleet.world.cloud.add(replace(fleet.world.server(child), **changes))


def cells(fleet: CommandLine, *arguments: str) -> dict[str, list[str]]:
    said = fleet("cost", *arguments)
    assert said.code == 0, said
    lines = said.out.partition("\n\n")[0].splitlines()
    return {line.split("  ")[0].strip(): line.split() for line in lines}


def test_each_server_is_a_row_and_all_of_them_are_the_last(fleet: CommandLine) -> None:
    found = cells(fleet)
    assert found["CHILD"] == ["CHILD", "TYPE", "MONTH", "IPV4", "BACKUPS", "TRAFFIC", "REGION", "STATE"]
    assert found["alice"] == ["alice", "cpx22", "19.99", "0.50", "0.00", "0.00", "nbg1", "running"]
    assert found["bob"] == ["bob", "cpx22", "23.89", "0.50", "3.90", "0.00", "nbg1", "running"]
    assert found["in all"][2:] == ["-", "43.88", "0.00"]


def test_what_is_off_or_left_or_nobodys_costs_as_well_and_is_named(fleet: CommandLine) -> None:
    change_server(fleet, "alice", status=ServerStatus.OFF)
    del fleet.world.specs["bob"]
    said = fleet("cost").out
    assert "Off, and just as dear: alice. `fleet hibernate` ends that" in said
    assert f"demo-bob ({fleet.world.server('bob').id}), 23.89 a month, is not in the fleet file." in said
    assert "43.88" in said


def test_a_server_counts_once_whoever_it_may_be_of(fleet: CommandLine) -> None:
    label = "openclaw-deploy/child"
    alice = fleet.world.server("alice")
    twin = replace(alice, id=4711, name="demo-bob-2", labels={**alice.labels, label: "bob"})
    fleet.world.cloud.add(twin)
    told = json.loads(fleet("cost", "--json").out)
    assert sorted(it["id"] for it in told["servers"]) == sorted(fleet.world.cloud.by_id)
    assert told["in_all"]["servers"] == 3


def test_traffic_beyond_what_is_included_has_a_price(fleet: CommandLine) -> None:
    change_server(fleet, "alice", outgoing=22 * TERABYTE, included=20 * TERABYTE)
    assert cells(fleet)["alice"][5] == "2.00"
    change_server(fleet, "alice", outgoing=20 * TERABYTE, included=20 * TERABYTE)
    assert cells(fleet)["alice"][5] == "0.00"


def test_a_price_that_nobody_knows_is_no_zero(fleet: CommandLine) -> None:
    change_server(fleet, "alice", server_type="cx99")
    found = cells(fleet)
    assert found["alice"][2:5] == ["?", "?", "?"]
    assert found["in all"][3] == "?"


@pytest.mark.parametrize(
    ("by", "sums"),
    [
        ("child", {"alice": "19.99", "bob": "23.89"}),
        ("group", {"-": "19.99", "pets": "23.89"}),
        ("region", {"nbg1": "43.88"}),
    ],
)
def test_sums_are_by_what_they_share(fleet: CommandLine, by: str, sums: dict[str, str]) -> None:
    found = cells(fleet, "--by", by)
    assert {key: row[2] for key, row in found.items() if key not in (by.upper(), "in all")} == sums
    assert found["in all"][3] == "43.88"


def test_one_ten_and_a_hundred_more_are_priced(fleet: CommandLine) -> None:
    assert fleet("cost").out.splitlines()[-4:] == [
        "Children as most in the fleet file are (cpx22 in nbg1):",
        "    1: 19.99 a month, 239.88 a year",
        "   10: 199.90 a month, 2398.80 a year",
        "  100: 1999.00 a month, 23988.00 a year",
    ]


def test_some_children_are_a_part_of_it(fleet: CommandLine) -> None:
    assert set(cells(fleet, "bob")) == {"CHILD", "bob", "in all"}
    assert fleet("cost", "nobody").code != 0


def test_machines_and_spreadsheets_get_all_of_it(fleet: CommandLine) -> None:
    told = json.loads(fleet("cost", "--json", "--by", "group").out)
    assert (told["currency"], told["in_all"]["monthly"]) == ("EUR", "43.88")
    assert [(it["key"], it["monthly"]) for it in told["sums"]] == [("-", "19.99"), ("pets", "23.89")]
    assert told["servers"][1] == {
        "child": "bob",
        "server": "demo-bob",
        "id": fleet.world.server("bob").id,
        "group": "pets",
        "region": "nbg1",
        "type": "cpx22",
        "status": "running",
        "role": "",
        "machine": "19.49",
        "ipv4": "0.50",
        "backups": "3.90",
        "monthly": "23.89",
        "traffic": "0.00",
        "currency": "EUR",
        "model_usd": None,
        "model_limit_usd": None,
        "sent_tib": "0.000",
        "included_tib": "0.000",
    }
    rows = list(csv.DictReader(io.StringIO(fleet("cost", "--csv").out)))
    found = [(row["child"], row["monthly"], row["model_usd"]) for row in rows]
    assert found == [("alice", "19.99", ""), ("bob", "23.89", "")]


def test_no_cell_is_a_formula(fleet: CommandLine) -> None:
    change_server(fleet, "alice", name="=1+1")
    [row] = [row for row in csv.DictReader(io.StringIO(fleet("cost", "--csv").out)) if row["child"] == "alice"]
    assert row["server"] == "'=1+1"


def test_models_are_counted_by_their_gateways(fleet: CommandLine) -> None:
    fleet.world.host("alice").gateway.spent = 12.346
    spec = fleet.world.specs["alice"]
    fleet.world.change("alice", model=replace(spec.model, spend_limit=Decimal(20)))
    found = cells(fleet, "--models")
    assert found["alice"][6:9] == ["12.35", "of", "20"]
    assert found["bob"][6] == "0.00"
    assert found["in all"][-1] == "12.35"


@pytest.mark.parametrize("spent", ["much", None, float("nan"), {}, "9e999999", -5, True])
def test_who_does_not_say_so_is_named(fleet: CommandLine, spent: Json) -> None:
    fleet.world.host("alice").gateway.spent = spent
    fleet.world.dialer.silent[fleet.world.server("bob").id] = HostTimedOut("no answer")
    said = fleet("cost", "--models")
    assert said.code == 3
    assert said.err.splitlines() == [
        "alice: what its model costs is not known: its gateway does not say what it has spent",
        "bob: what its model costs is not known: no answer",
    ]
    assert "and more" in said.out


def test_two_ways_to_say_the_same_are_one_too_many(fleet: CommandLine) -> None:
    assert fleet("cost", "--json", "--csv").code == 64
    assert fleet("cost", "--by", "group", "--csv").code == 64
    assert fleet("cost", "--by", "group", "--models").code == 64


def test_what_costs_something_besides_servers_is_named(fleet: CommandLine) -> None:
    fleet.world.cloud.found_besides = (
        Besides("volume", 7, "old-data", "nbg1", Decimal(10), Decimal("0.57")),
        Besides("snapshot", 8, "before\x1b[2J", "", Decimal("2.3"), Decimal("0.03")),
        Besides("primary IP", 9, "left", "nbg1", None, None, None),
    )
    said = fleet("cost").out
    assert "In the project besides, whoever it is of, for 0.60 and more a month:" in said
    assert "  volume old-data (7), 10.0 GB, attached to nothing: 0.57" in said
    assert "  primary IP left (9), attached to nothing: ?" in said
    assert "\x1b" not in said
    assert [it["kind"] for it in json.loads(fleet("cost", "--json").out)["besides"]] == [
        "volume", "snapshot", "primary IP",
    ]  # fmt: skip
    assert json.loads(fleet("cost", "alice", "--json").out)["besides"] is None, "of one child nobody asks for that"


def test_a_budget_is_told_and_holds_what_would_go_over_it(fleet: CommandLine) -> None:
    fleet.world.policy = Policy(max_monthly=Decimal(50))
    assert "The fleet file allows 50 a month for its servers (policy: max_monthly)." in fleet("cost").out
    fleet.world.specs["carol"] = replace(fleet.world.specs["alice"], name="carol", bot_token=SecretRef("env", "CAROL"))
    said = fleet("apply", "--yes")
    assert said.code == 4
    assert "the fleet would cost 63.87 EUR a month, and its policy allows 50" in said.err
    assert len(fleet.world.cloud.by_id) == 2
    fleet.world.policy = Policy(max_monthly=Decimal(70))
    assert fleet("apply", "--yes").code == 0


def test_a_list_that_is_refused_keeps_nobody_from_the_rest(fleet: CommandLine) -> None:
    fleet.world.cloud.fail_next("besides", Unauthorized("403 forbidden"))
    said = fleet("cost")
    assert (said.code, "What the project has besides is not known: 403 forbidden" in said.out) == (0, True), said


def test_who_is_over_the_budget_can_come_down(fleet: CommandLine) -> None:
    fleet.world.policy = Policy(max_monthly=Decimal(10))
    assert "It is more than that: nothing that raises it is applied." in fleet("cost").out
    del fleet.world.specs["bob"]
    assert fleet("apply", "--yes").code == 0
    assert fleet("plan").code == 0
