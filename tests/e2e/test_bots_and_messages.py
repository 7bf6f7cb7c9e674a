"""Bots and what they say, through a real gateway: a token is given, a name is kept, a message arrives."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml

from reconciler.managed import files
from reconciler.sandbox.anthropic import ModelRequest
from reconciler.sandbox.client import SandboxClient
from reconciler.sandbox.info import SandboxInfo
from reconciler.sandbox.paths import Paths
from tests.e2e.machinery import FLEET, wait_until
from tests.e2e.minds import NEWER, USER, Story, told
from tests.extent import FULL

pytestmark = pytest.mark.e2e

CONFIG: Final = files.CONFIG_PATH
NEW: Final = "7000000001:planted-token-of-a-new-bot-of-ada"
NAME: Final = "Ada's assistant"
STRANGER, ANOTHER, NEWCOMER = 7007, 7008, 7009
CODE: Final = re.compile(r"\b[A-HJ-NP-Z2-9]{8}\b")
MENU: Final = [{"command": "report", "description": "What happened today"}]


@pytest.fixture(scope="module")
def story(sandbox: SandboxClient, tmp_path_factory: pytest.TempPathFactory, operator_home: Path) -> Iterator[Story]:
    with told(sandbox, tmp_path_factory.mktemp("bots"), operator_home) as made:
        declare(made)
        made.operator.fleet("apply", "--yes", timeout=900)
        yield made


def declare(story: Story) -> None:
    story.declare(NEWER, bot={"token": "file:secrets/ada.token", "name": NAME, "commands": MENU})


def causes(story: Story, times: int = 1) -> list[str | None]:
    """What `fleet diagnose` says, each of so many times."""
    said = (story.operator.fleet("diagnose", "ada", "--json", code=None, timeout=180) for _ in range(times))
    return [json.loads(it)["ada"]["cause"] for it in said]


def ask_telegram(token: str, method: str, **body: Any) -> Any:
    root = SandboxInfo.from_file(Paths.default().info).telegram_api_root
    return httpx.post(f"{root}/bot{token}/{method}", json=body, timeout=30).json().get("result")


def give(story: Story, token: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*FLEET, "bot", "token", "ada", *options],
        cwd=story.operator.directory,
        env=story.operator.environment,
        input=token,
        capture_output=True,
        text=True,
        timeout=120,
    )


@contextlib.contextmanager
def polled(token: str) -> Iterator[None]:
    """Another program has this bot, and asks again whenever it was driven out."""
    stop = threading.Event()

    def poll() -> None:
        while not stop.is_set():
            ask_telegram(token, "getUpdates", timeout=5)

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)


def asks(story: Story, user: int) -> dict[str, Any]:
    """A stranger writes to the bot; what `fleet` says of that."""
    story.sandbox.say(story.token, user, "it is me")
    found: list[dict[str, Any]] = []

    def is_there() -> bool:
        told = json.loads(story.operator.fleet("pairing", "list", "--json"))["ada"]["requests"]
        found.extend(it for it in told if it["user"] == str(user))
        return bool(found)

    wait_until(is_there, "the request", 60)
    return found[0]


def heard(story: Story, words: str) -> list[ModelRequest]:
    """What the model was asked after somebody had said that."""
    return [it for it in story.sandbox.model_requests() if words in it.text]


def test_a_bot_is_called_as_the_file_says_and_has_its_menu(story: Story) -> None:
    assert ask_telegram(story.token, "getMyName") == {"name": NAME}
    wait_until(lambda: MENU[0] in ask_telegram(story.token, "getMyCommands"), "its menu", 60)
    checked = json.loads(story.operator.fleet("bot", "check", "--json"))["ada"]
    assert (checked["bot"]["name"], checked["findings"]) == (NAME, [])
    assert "report" in checked["commands"]


def test_another_name_is_drift_and_is_put_back_without_a_restart(story: Story) -> None:
    before = story.operator.status()["ada"]["gateway"]["starts"]
    ask_telegram(story.token, "setMyName", name="Mallory")
    story.operator.fleet("bot", "check", code=2)
    assert "Mallory" in story.operator.fleet("plan", "--detailed-exitcode", code=2)
    story.operator.fleet("apply", "--yes", timeout=300)
    assert ask_telegram(story.token, "getMyName") == {"name": NAME}
    assert story.operator.status()["ada"]["gateway"]["starts"] == before


def test_who_has_never_written_cannot_be_written_to(story: Story) -> None:
    said = story.operator.fleet("send", "ada", "--owner", "Hello", code=1)
    assert "not sent: tool execution failed (has the user ever written to the bot?)" in said


def test_a_message_arrives_and_has_a_number(story: Story) -> None:
    story.tell("good morning")
    text = "Dear {{ users.owner }}, I am {{ name }}: $(reboot) `id` 'x' \u2728"
    [sent] = json.loads(story.operator.fleet("send", "ada", "--owner", "--json", text))
    assert (sent["user"], sent["sent"], sent["problem"]) == (USER, True, None)
    [message] = [it for it in story.sandbox.messages(story.token, USER) if str(it["message_id"]) == sent["message"]]
    # Markdown, which the gateway makes Telegram's HTML of.
    assert message["text"] == "Dear 4242, I am ada: $(reboot) <code>id</code> 'x' \u2728"


def test_that_messages_come_and_go_is_seen(story: Story) -> None:
    story.tell("good afternoon")
    told = json.loads(story.operator.fleet("events", "ada", "-n", "50", "--json"))
    assert (told["channel"]["connected"], told["silence"], told["problem"]) == (True, None, None)
    assert told["channel"]["inbound"] is not None
    assert {it["role"] for it in told["messages"]} == {"user", "assistant"}
    assert all(it["session"] for it in told["messages"])
    assert all(it["text"] is None for it in told["messages"])
    assert "good afternoon" in story.operator.fleet("events", "ada", "--texts")


def test_its_log_says_what_came_each_line_once_and_no_secret(story: Story) -> None:
    story.tell("good evening")
    said = story.operator.fleet("logs", "ada", "--since", "1h", "--grep", "Inbound message|Started ")
    lines = said.splitlines()
    assert [line for line in lines if "systemd: Started" in line]
    inbound = [line for line in lines if f"telegram:{USER}" in line]
    assert len(inbound) == len({line[:19] for line in inbound})  # the journal has them, too
    everything = story.operator.fleet("logs", "ada", "-n", "2000", "--json")
    found = [json.loads(line) for line in everything.splitlines()]
    assert {it["source"] for it in found} == {"gateway", "journal"}
    assert [it["at"] for it in found] == sorted(it["at"] for it in found)
    assert story.token not in everything


def test_a_stranger_is_let_in_by_the_code_and_becomes_no_owner(story: Story) -> None:
    request = asks(story, STRANGER)
    [told] = story.sandbox.replies(story.token, STRANGER)  # once by itself, and once in the command of OpenClaw's own
    assert CODE.findall(told) == [request["code"]] * 2
    before = story.root(f"cat {files.CONFIG_PATH}")
    began = time.monotonic()
    story.operator.fleet("pairing", "approve", "ada", request["code"], "--notify", "--yes", timeout=120)
    assert time.monotonic() - began < 60
    assert any("approved" in reply for reply in story.sandbox.replies(story.token, STRANGER))
    assert story.root(f"cat {files.CONFIG_PATH}") == before
    hidden = f"the treasure is under stone {secrets.token_hex(6)}"
    story.tell(hidden)
    story.sandbox.say(story.token, STRANGER, "here I am, at last: where is the treasure?")
    wait_until(lambda: bool(heard(story, "at last")), "it is heard", 60)
    assert not any(hidden in it.text + it.earlier for it in heard(story, "at last"))
    assert "at last" not in story.tell("what did anybody else say?")
    told = json.loads(story.operator.fleet("pairing", "list", "--json"))["ada"]
    assert told == {"requests": [], "not_in_the_file": [str(STRANGER)], "odd": 0, "problem": None}


def test_a_stranger_who_is_turned_away_is_not_heard(story: Story) -> None:
    request = asks(story, ANOTHER)
    story.operator.fleet("pairing", "deny", str(ANOTHER), "--yes", timeout=120)
    again = asks(story, ANOTHER)
    assert again["code"] != request["code"]
    assert heard(story, "it is me") == []


def test_a_user_is_brought_to_the_bot(story: Story) -> None:
    token = story.token
    waiting = story.beside.submit(
        story.operator.fleet, "onboard", "ada", "--yes", "--user", str(NEWCOMER), "--timeout", "300", timeout=400
    )
    time.sleep(5)
    story.sandbox.say(token, NEWCOMER, "/start")
    said = waiting.result(400)
    [number] = re.findall(rf"{NEWCOMER} is welcomed: Telegram took it as message (\d+)", said)
    [message] = [it for it in story.sandbox.messages(token, NEWCOMER) if str(it["message_id"]) == number]
    assert message["text"] == "Hello, I am ada, your assistant. Write to me whenever you like."
    assert "was welcomed on" in story.operator.fleet("onboard", "ada", "--yes", "--user", str(NEWCOMER))


def test_a_gateway_that_is_down_is_said_at_once(story: Story) -> None:
    story.root("systemctl stop openclaw-gateway")
    began = time.monotonic()
    said = story.operator.fleet("send", "ada", "--owner", "Hello", code=1)
    assert ("does not answer on loopback" in said, time.monotonic() - began < 20) == (True, True)
    story.operator.fleet("apply", "--yes", timeout=300)


def test_a_gateway_is_restarted_stopped_and_started(story: Story) -> None:
    before = story.operator.status()["ada"]["gateway"]["starts"]
    story.operator.fleet("restart", "ada", "--yes", timeout=300)
    found = story.operator.status()["ada"]
    assert (found["health"], found["gateway"]["starts"]) == ("HEALTHY", before + 1)
    story.operator.fleet("stop", "ada", "--yes", timeout=300)
    assert story.root("systemctl is-active openclaw-gateway", 3) == "inactive"
    assert causes(story) == ["stopped"]
    assert watched(story, 2) == ["stopped"]
    story.operator.fleet("start", "ada", "--yes", timeout=300)
    assert story.operator.status()["ada"]["health"] == "HEALTHY"


def test_a_watch_finds_a_real_machine_well_and_then_what_is_wrong(story: Story) -> None:
    """In one trip; what it says of a machine that is well must be nothing."""
    for _ in range(5):
        assert watched(story, 0) == []
    story.root("systemd-run --quiet --collect --unit=stranger python3 -m http.server 8099; sleep 2")
    story.root("touch /run/reboot-required")
    try:
        assert watched(story, 2) == ["port-open", "reboot-due"]
    finally:
        story.root("systemctl stop stranger; rm /run/reboot-required")
    assert watched(story, 0) == []
    assert "HEALTHY" in story.operator.fleet("history", "ada")
    story.operator.fleet("monitor", "--prometheus", "fleet.prom")
    metrics = (story.operator.directory / "fleet.prom").read_text()
    for name in ("child_answers", "host_disk_free_bytes", "gateway_up_seconds", "channel_activity_timestamp_seconds"):
        [value] = re.findall(rf'^openclaw_deploy_{name}{{child="ada",fleet="[a-z0-9]+"}} (\S+)$', metrics, re.MULTILINE)
        assert float(value) > 0
    story.operator.fleet("report", "--html", "fleet.html")
    assert "all is well" in (story.operator.directory / "fleet.html").read_text()


def test_who_hangs_is_brought_back_by_a_watch_where_the_file_lets_it(story: Story) -> None:
    file = story.operator.directory / "fleet.yaml"
    before = file.read_text()
    declared = yaml.safe_load(before)
    declared["children"]["ada"]["monitoring"] = {"resuscitate": {"up_to": "restart"}}
    file.write_text(yaml.safe_dump(declared, sort_keys=False))
    wait_until(lambda: not excuse(story), "it has been up for two minutes", 180)
    story.root("systemctl kill --signal=STOP openclaw-gateway")
    try:
        assert watched(story, 2) == ["gateway-silent"]
        done = story.operator.run("monitor", timeout=300)
        assert "ada: gateway-silent: well again; tried: restart" in done.stderr, done
        assert watched(story, 0) == []
    finally:
        file.write_text(before)
    story.tell("are you back?")


def excuse(story: Story) -> str:
    said = json.loads(story.operator.fleet("monitor", "--json", code=None))["children"]["ada"]
    return str(said.get("excuse") or "")


def watched(story: Story, code: int) -> list[str]:
    said = json.loads(story.operator.fleet("monitor", "--json", code=code))["children"]["ada"]
    return [trouble["cause"] for trouble in said["troubles"]]


def test_its_server_boots_anew_where_it_needs_that(story: Story) -> None:
    assert "No host says that it needs it." in story.operator.fleet("reboot", "ada", "--if-required", "--yes")
    before = story.root("cat /proc/sys/kernel/random/boot_id")
    story.root("touch /run/reboot-required")
    said = story.operator.fleet("reboot", "ada", "--if-required", "--yes", timeout=600)
    assert "ada needs it: an update asks for it" in said
    assert story.root("cat /proc/sys/kernel/random/boot_id") != before
    assert story.root("ls /run/reboot-required 2>/dev/null; true") == ""
    assert story.operator.status()["ada"]["health"] == "HEALTHY"


def test_the_control_ui_is_reached_through_a_tunnel(story: Story) -> None:
    with subprocess.Popen(
        [*FLEET, "tunnel", "ada"],
        cwd=story.operator.directory,
        env=story.operator.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as tunnel:
        assert tunnel.stdout is not None
        said = "".join(tunnel.stdout.readline() for _ in range(3))
        address, link = re.findall(r"http://\S+", said)
        assert httpx.get(f"{address}readyz", timeout=30).json()["ready"] is True
        sent_on = httpx.get(link, timeout=30)
        assert (sent_on.status_code, sent_on.headers["location"].startswith(f"{address}#token=")) == (302, True)
        token = sent_on.headers["location"].partition("#token=")[2]
        rpc = {"method": "channels.status", "params": {}}
        allowed = httpx.post(
            f"{address}api/v1/admin/rpc", json=rpc, headers={"Authorization": f"Bearer {token}"}, timeout=30
        )
        assert (allowed.json()["ok"], httpx.get(link, timeout=30).status_code) == (True, 404)
        tunnel.send_signal(signal.SIGINT)
        assert (tunnel.wait(30), token in said) == (130, False)


def test_a_command_runs_where_it_shall(story: Story) -> None:
    said = story.operator.fleet("exec", "--all", "--", "sh", "-c", "id -un; echo oops >&2; exit 7", code=1)
    assert said == "ada: exit code 7\n  fleet\n  oops\n"
    assert "root" in story.operator.fleet("exec", "ada", "--", "sudo", "-n", "id", "-un")


def test_a_bot_that_another_program_has_is_refused(story: Story) -> None:
    with polled(NEW):
        done = give(story, NEW, "--yes")
    assert (done.returncode, "another program asks for its messages" in done.stderr) == (4, True), done


def test_a_new_token_makes_a_new_bot_answer(story: Story) -> None:
    before = story.token
    done = give(story, NEW, "--yes")
    assert (done.returncode, "To do that: fleet apply ada" in done.stdout) == (0, True), done
    assert NEW not in done.stdout + done.stderr
    story.operator.fleet("apply", "--yes", timeout=300)
    assert (story.token, before != NEW) == (NEW, True)
    assert ask_telegram(NEW, "getMyName") == {"name": NAME}
    story.tell("do you hear me?")
    again = give(story, NEW)
    assert (again.returncode, "fleet apply" in again.stdout) == (0, False), again


def test_nothing_is_wrong_with_who_is_healthy(story: Story) -> None:
    said = story.operator.fleet("diagnose", "ada", timeout=180)
    assert "Nothing is wrong that can be seen." in said
    assert re.findall(r"(?:skipped|FAILED) .*", said) == []
    times = 50 if FULL else 3
    assert causes(story, times) == [None] * times


@pytest.mark.parametrize(
    ("cause", "fault", "undo"),
    [
        ("secret-missing", "mv /etc/openclaw/model.key /root/", "mv /root/model.key /etc/openclaw/"),
        (
            "config-refused",
            f"cp -p {CONFIG} /root/; sed -i '0,/{{/s//{{ bogus: 1,/' {CONFIG}",
            f"cp -p /root/openclaw.json {CONFIG}",
        ),
        (
            "port-taken",
            "systemctl stop openclaw-gateway; "
            "systemd-run -q --unit=thief python3 -m http.server 18789 -b 127.0.0.1; sleep 2",
            "systemctl stop thief; systemctl start openclaw-gateway",
        ),
    ],
)
def test_what_is_wrong_has_its_cause(story: Story, cause: str, fault: str, undo: str) -> None:
    story.root(fault)
    try:
        assert causes(story) == [cause]
    finally:
        story.root(undo)
