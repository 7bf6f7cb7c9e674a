"""`fleet config show` and `diff`: each key with its owner, no secret, and which side has changed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from reconciler.errors import HostTimedOut
from reconciler.managed import files
from tests.fakes.command_line import CommandLine
from tests.fakes.fleets import FakeFleet

KEY: Final = "sk-ant-api03-" + "q" * 40


@pytest.fixture
def fleet(state: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(FakeFleet(state, ("alice", "bob")).applied(), capsys)


def write(fleet: CommandLine, change: Callable[[dict[str, Any]], object], name: str = "alice") -> None:
    """Somebody changes openclaw.json on the host."""
    file = fleet.world.host(name).files[files.CONFIG_PATH]
    content = json.loads(file.content)
    change(content)
    file.content = json.dumps(content).encode()


def shown(fleet: CommandLine, *options: str) -> dict[str, tuple[str, Any]]:
    said = fleet("config", "show", "alice", "--json", *options)
    assert said.code == 0, said
    return {".".join(key["path"]): (key["owner"], key["value"]) for key in json.loads(said.out)["alice"]["keys"]}


def test_each_key_has_its_owner(fleet: CommandLine) -> None:
    fleet.world.change("alice", config={"tools": {"profile": "minimal"}})
    fleet.world.apply()
    write(fleet, lambda it: it.setdefault("ui", {}).update(theme="dark"))
    keys = shown(fleet)
    assert keys["gateway.port"] == ("fleet", files.PORT)
    assert keys["tools.profile"] == ("file", "minimal")
    assert keys["ui.theme"] == ("agent", "dark")


def test_a_table_for_people_and_one_owner_alone(fleet: CommandLine) -> None:
    write(fleet, lambda it: it.update(ui={"theme": "dark"}))
    said = fleet("config", "show", "alice", "--owner", "agent")
    assert said.out.splitlines()[0].split() == ["KEY", "OWNER", "VALUE"]
    assert [line.split()[:2] for line in said.out.splitlines() if "theme" in line] == [["ui.theme", "agent"]]
    assert "gateway.port" not in said.out


HUSH: Final = "hush-hush-1"
BODY: Final = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7"
NAMES_OF_SECRETS: Final = (
    *("secretKey", "signingKey", "encryptionKey", "X-Auth-Key", "sessionKey", "accessKeyId", "pat", "jwt", "bearer"),
    *("dsn", "pin", "webhookUrl", "password", "private_key"),
)
SECRETS: Final[list[dict[str, Any]]] = [
    {"auth": {"token": HUSH}},
    {"auth": {"apiKeys": [HUSH]}},
    {"apiKey": {"value": HUSH}},
    {"apiKey": {"source": "file", "value": HUSH}},
    {"secrets": {"github": HUSH}},
    {"notes": f"use {KEY} for this"},
    {"notes": ["a", {"deep": f"Bearer {KEY}"}]},
    {"headers": {"X-Api-Key": HUSH}},
    {"headers": {"X-Mine": HUSH}},
    {"env": {"vars": {"GH": HUSH}}},
    {"env": {"GH_PAT": HUSH}},
    {"args": ["--api-key", HUSH]},
    {"args": [f"--token={HUSH}"]},
    {"pem": ["-----BEGIN PRIVATE KEY-----", BODY, "-----END PRIVATE KEY-----"]},
    {KEY: "a name is one"},
    {"deep": {KEY: ["a"]}},
    *({name: HUSH} for name in NAMES_OF_SECRETS),
]


@pytest.mark.parametrize("secret", SECRETS, ids=json.dumps)
def test_no_secret_is_shown(fleet: CommandLine, secret: dict[str, Any]) -> None:
    write(fleet, lambda it: it.update(mine=secret))
    for options in ((), ("--json",)):
        said = fleet("config", "show", "alice", *options)
        assert [it for it in (HUSH, KEY, BODY) if it in said.out] == []
        assert (said.code, "***" in said.out) == (0, True), said


@pytest.mark.parametrize("secret", SECRETS, ids=json.dumps)
def test_no_secret_is_in_what_differs(fleet: CommandLine, secret: dict[str, Any]) -> None:
    """On the host something stands where the file says nothing, or something else."""
    write(fleet, lambda it: it["models"]["providers"].update(mine=secret))
    for options in ((), ("--json",)):
        said = fleet("config", "diff", "alice", *options)
        assert [it for it in (HUSH, KEY, BODY) if it in said.out] == []
        assert said.code == 2, said


def test_what_says_where_a_secret_lies_is_shown(fleet: CommandLine) -> None:
    keys = shown(fleet)
    assert keys["gateway.auth.token.provider"] == ("fleet", "gateway")
    assert keys["secrets.providers.model.path"] == ("fleet", files.MODEL_KEY_PATH)
    assert keys["gateway.auth.mode"] == ("fleet", "token")


@pytest.mark.parametrize("nested", ['{"a":' * 900 + "1" + "}" * 900, '{"a":' + "[" * 900 + "]" * 900 + "}"])
def test_what_is_nested_very_deeply_is_said_of_that_child_alone(fleet: CommandLine, nested: str) -> None:
    fleet.world.host("bob").files[files.CONFIG_PATH].content = nested.encode()
    said = fleet("config", "show", "--all")
    assert (said.code, "gateway.port" in said.out, "bob: " in said.err) == (3, True, True), said
    assert "nested too deeply" in said.err


def test_names_with_dots_stay_apart(fleet: CommandLine) -> None:
    write(fleet, lambda it: it.update({"a.b": {"c": 1}, "": 2}))
    said = fleet("config", "show", "alice", "--owner", "agent").out
    assert '"a.b".c' in said
    assert '""' in said


def test_what_differs_says_which_side_has_changed(fleet: CommandLine) -> None:
    said = fleet("config", "diff", "alice")
    assert (said.code, said.out) == (0, "openclaw.json is as the fleet file says.\n")
    write(fleet, lambda it: it["gateway"].update(port=1))
    fleet.world.host("alice").times[files.CONFIG_PATH] = 1795350000.0
    said = fleet("config", "diff", "alice")
    assert said.code == 2
    told = r"on the host, since 2026-11-22 12:00, written 2026-11-22 12:20"
    assert re.search(rf"gateway\.port +18789 +1 +{told}", said.out), said.out
    [found] = json.loads(fleet("config", "diff", "alice", "--json").out)["alice"]["differences"]
    assert found == {"path": "gateway.port", "file": 18789, "host": 1, "changed": "on the host"}


def sides(fleet: CommandLine) -> dict[str, str]:
    differences = json.loads(fleet("config", "diff", "alice", "--json").out)["alice"]["differences"]
    return {it["path"]: it["changed"] for it in differences}


def test_each_key_says_by_itself_which_side_has_changed(fleet: CommandLine) -> None:
    fleet.world.change(
        "alice", config={"tools": {"profile": "minimal"}, "ui": {"seamColor": "#112233"}, "cron": {"enabled": True}}
    )
    fleet.world.apply()
    write(fleet, lambda it: (it["tools"].update(profile="full"), it["gateway"].update(port=1), it.pop("cron")))
    changed = {
        "tools": {"profile": "coding"},
        "ui": {"seamColor": "#445566"},
        "logging": {"level": "debug"},
        "cron": {"enabled": True},
    }
    fleet.world.change("alice", config=changed)
    assert sides(fleet) == {
        "tools.profile": "in both",
        "ui.seamColor": "in the file",
        "logging.level": "in the file",
        "gateway.port": "on the host",
        "cron": "on the host",
    }
    said = fleet("config", "diff", "alice")
    assert re.search(r'tools\.profile +"coding" +"full" +in both, since [-0-9: ]+, written', said.out), said.out
    drifted = {it["path"] for it in planned(fleet) if it["drift"]}
    assert drifted == {"config.gateway.port", "config.cron"}


def planned(fleet: CommandLine) -> list[dict[str, Any]]:
    [action] = json.loads(fleet("plan", "--json").out)["actions"]
    found: list[dict[str, Any]] = action["reason"]["changes"]
    return found


def test_an_apply_that_has_noted_nothing_of_single_keys_leaves_that_open(fleet: CommandLine) -> None:
    note = fleet.world.host("alice").files[files.APPLIED_PATH]
    note.content = json.dumps({**json.loads(note.content), "config_digests": {}}).encode()
    fleet.world.change("alice", config={"tools": {"profile": "minimal"}})
    assert sides(fleet) == {"tools": "in the file, or in both"}


def test_keys_of_the_agent_never_differ(fleet: CommandLine) -> None:
    write(fleet, lambda it: it.update(ui={"theme": "dark"}))
    assert fleet("config", "diff", "--all").code == 0


def test_who_is_silent_is_named_and_the_others_are_shown(fleet: CommandLine) -> None:
    fleet.world.dialer.silent[fleet.world.server("bob").id] = HostTimedOut("no answer within 10 s")
    said = fleet("config", "show", "--all")
    assert (said.code, "gateway.port" in said.out, "bob: no answer within 10 s" in said.err) == (3, True, True)
    assert fleet("config", "show", "bob").code == 1
    said = fleet("config", "diff", "--all")
    assert (said.code, "fleet diagnose bob" in said.err) == (3, True)


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b"[" * 100_000, b"{} " * 400_000, b""])
def test_a_file_that_is_none_is_told(fleet: CommandLine, content: bytes) -> None:
    fleet.world.host("alice").files[files.CONFIG_PATH].content = content
    said = fleet("config", "show", "alice")
    assert (said.code, "openclaw.json" in said.err, "Traceback" in said.err) == (1, True, False), said


def test_json5_is_read_as_the_gateway_does(fleet: CommandLine) -> None:
    fleet.world.host("alice").files[files.CONFIG_PATH].content = b"{ // mine\n ui: {theme: 'dark',}, }"
    assert shown(fleet) == {"ui.theme": ("agent", "dark")}


def test_nobody_is_shown_without_a_name(fleet: CommandLine) -> None:
    assert (fleet("config", "show").code, fleet("config", "diff", "zora").code) == (64, 64)
