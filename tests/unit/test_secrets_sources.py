"""Each source of secrets: what it reads, and the exact words when it cannot. No word is ever the secret's."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reconciler.errors import SecretError
from reconciler.model import Secret, SecretRef, file_and_pointer
from reconciler.secrets import cmd, hcloud
from reconciler.secrets.allowed import allowed_sources
from reconciler.secrets.references import ReferenceSecrets

VALUE = "7123456789:not-a-real-token-but-a-secret"
PATH = "/usr/bin:/bin"
PROGRAMS = ("sh", "cat", "printf", "false", "yes", "/nowhere/program")
BOTS = {"bots": [{"token": VALUE}], "a/b": {"m~n": VALUE}, "": VALUE, "many": ["x", {"y": VALUE}], "number": 5}
# The form that hcloud-cli 1.30 writes; `token_command` is from newer ones.
CONFIG = f"""
active_context = "work"

[[contexts]]
  name = "work"
  token = "{VALUE}"

[[contexts]]
  name = "home"
  token = "another"

[[contexts]]
  name = "home"
  token = "second of that name"

[[contexts]]
  name = "keyring"
  token_command = "print-it"
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with a file of each sort."""
    files = {
        "bots.json": json.dumps(BOTS),
        "odd#name": VALUE,
        "broken.json": f'{{"token": "{VALUE}"',
        "deep.json": "[" * 100_000,
        "big.json": json.dumps({"token": VALUE + "x" * 1024 * 1024}),
        "big": VALUE + "x" * 65536,
        "open.json": json.dumps(BOTS),
        "cli.toml": CONFIG,
        "empty.toml": "",
        "inactive.toml": CONFIG.replace("active_context", "other"),
        "broken.toml": f'token = "{VALUE}',
        "tables.toml": f'[contexts.work]\ntoken = "{VALUE}"',
        "open.toml": CONFIG,
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o644 if name.startswith("open") else 0o600)
    (tmp_path / "latin1.json").write_bytes(json.dumps({"token": VALUE}).encode() + b"\xe9")
    (tmp_path / "latin1.json").chmod(0o600)
    return tmp_path


def secrets_at(place: Path, more: Mapping[str, str] | None = None) -> ReferenceSecrets:
    environ = {"PATH": PATH, "PLANTED": VALUE, "HCLOUD_CONFIG": f"{place}/cli.toml", **(more or {})}
    return ReferenceSecrets(place, {}, allowed_sources(environ, None, PROGRAMS), environ)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("env:PLANTED", VALUE),
        ("file:odd#name", VALUE),
        ("file:bots.json#/bots/0/token", VALUE),
        ("file:./bots.json#/bots/0/token", VALUE),
        ("file:bots.json#/many/1/y", VALUE),
        ("file:bots.json#/a~1b/m~0n", VALUE),
        ("file:bots.json#/", VALUE),
        ("cmd:cat odd#name", VALUE),
        ("cmd:sh -c 'printf \"%s\\r\\nuser: alice\\n\" $PLANTED'", VALUE),
        ("cmd:printf '%s' 'no shell; $PLANTED'", "no shell; $PLANTED"),
        ("cmd:sh -c 'cat; echo \"${FLEET_KEY-not passed on}\"'", "not passed on"),
        ("hcloud:", VALUE),
        ("hcloud:work", VALUE),
        ("hcloud:home", "another"),
    ],
)
def test_each_form_of_reference_is_resolved(place: Path, text: str, expected: str) -> None:
    assert secrets_at(place, {"FLEET_KEY": VALUE}).resolve(SecretRef(*text.split(":", 1))) == Secret(expected)


def test_the_variable_of_the_hcloud_cli_names_the_active_context_before_its_file_does(place: Path) -> None:
    secrets = secrets_at(place, {"HCLOUD_CONTEXT": "home"})
    assert secrets.resolve(SecretRef("hcloud", "")) == Secret("another")
    assert secrets.resolve(SecretRef("hcloud", "work")) == Secret(VALUE)


def test_the_file_of_the_hcloud_cli_is_where_the_cli_has_it() -> None:
    assert hcloud.config_path({"HCLOUD_CONFIG": "/a/cli.toml"}) == Path("/a/cli.toml")
    assert hcloud.config_path({}) == Path.home() / ".config/hcloud/cli.toml"


def test_only_the_first_hash_before_a_slash_starts_a_pointer() -> None:
    assert file_and_pointer("./a/../b#c#/d//e/../#/f") == ("./a/../b#c", "/d//e/../#/f")
    assert file_and_pointer("b#") == ("b#", None)


BY_HAND = "Run it by hand to see why: what it prints is not shown here, because it may hold the secret."
CHOICE = "There are: home, keyring, work. Write hcloud:NAME with one of them."
INSTALL = "Install it, or write its absolute path."
MEND_JSON = "Mend it, or leave the JSON pointer away."
STRING = "Point at a text between double quotes."


@pytest.mark.parametrize(
    ("text", "summary", "advice"),
    [
        (
            "file:bots.json#/bots/1/token",
            'the file {place}/bots.json has no "1" below "/bots"',
            'Mend the JSON pointer "/bots/1/token", or the file.',
        ),
        (
            "file:bots.json#/bots/-",
            'the file {place}/bots.json has no "-" below "/bots"',
            'Mend the JSON pointer "/bots/-", or the file.',
        ),
        (
            "file:bots.json#/bots/00",
            'the file {place}/bots.json has no "00" below "/bots"',
            'Mend the JSON pointer "/bots/00", or the file.',
        ),
        (
            "file:bots.json#/nobody",
            'the file {place}/bots.json has no "nobody" at the top',
            'Mend the JSON pointer "/nobody", or the file.',
        ),
        (
            "file:bots.json#/bots/0/token/x",
            'the file {place}/bots.json has no "x" below "/bots/0/token"',
            'Mend the JSON pointer "/bots/0/token/x", or the file.',
        ),
        (
            "file:bots.json#/a~2b",
            'the JSON pointer "/a~2b" has a "~" that is neither "~0" nor "~1"',
            'Write "~0" for "~" and "~1" for "/" inside of a key.',
        ),
        ("file:bots.json#/bots", 'what stands at "/bots" in the file {place}/bots.json is no string', STRING),
        ("file:bots.json#/number", 'what stands at "/number" in the file {place}/bots.json is no string', STRING),
        ("file:broken.json#/token", "the file {place}/broken.json is not JSON", MEND_JSON),
        ("file:latin1.json#/token", "the file {place}/latin1.json is not JSON", MEND_JSON),
        ("file:deep.json#/0", "the file {place}/deep.json is not JSON", MEND_JSON),
        (
            "file:big.json#/token",
            "the file {place}/big.json is too big for a secret",
            "It may have 1048576 bytes at most.",
        ),
        ("file:big", "the file {place}/big is too big for a secret", "It may have 65536 bytes at most."),
        (
            "file:open.json#/",
            "every user of this machine can read the file {place}/open.json",
            "Run: chmod 600 {place}/open.json",
        ),
        (
            "file:none.json#/",
            "the file {place}/none.json cannot be read: No such file or directory",
            "Make the file, or mend the path in the fleet file.",
        ),
        ("cmd:cat 'odd", "a quote in the command is not closed", "Close it, or write \\ before it."),
        ("cmd:  ", "the command names no program", "Write cmd:PROGRAM ARGUMENT..."),
        ("cmd:''", 'there is no program "" on PATH', INSTALL),
        ("cmd:no-such-program", 'there is no program "no-such-program" on PATH', INSTALL),
        (
            "cmd:bin/pass",
            'the program "bin/pass" is a relative path',
            "Write its absolute path, or a name that is found on PATH.",
        ),
        (
            "cmd:/nowhere/program",
            "/nowhere/program cannot be run: No such file or directory",
            "Install it, or mend the path.",
        ),
        ("cmd:false", "/usr/bin/false ended with exit code 1", BY_HAND),
        ("cmd:cat odd#name nothing", "/usr/bin/cat ended with exit code 1", BY_HAND),
        ("cmd:sh -c 'echo $PLANTED >&2; kill -9 $$'", "/usr/bin/sh was ended by signal 9", BY_HAND),
        ("cmd:yes", "/usr/bin/yes prints more than 65536 bytes", "A secret is one line."),
        ("cmd:printf ''", "the first line that /usr/bin/printf prints is empty", "Put the secret there."),
        (
            "cmd:sh -c 'printf \"$PLANTED\\033[0m\"'",
            "the first line that /usr/bin/sh prints holds more than one line, or a character that is not printable",
            "Put the secret there as one line and nothing else.",
        ),
        (
            "cmd:sh -c 'printf \"$PLANTED\\351\"'",
            "what /usr/bin/sh prints is not text in UTF-8",
            "Put the secret there as one line of text.",
        ),
    ],
)
def test_each_failure_says_what_and_what_next_and_never_the_secret(
    place: Path, text: str, summary: str, advice: str
) -> None:
    assert_refused(secrets_at(place), text, summary.replace("{place}", str(place)), advice, place)


@pytest.mark.parametrize(
    ("text", "config", "summary", "advice"),
    [
        ("hcloud:nope", "cli.toml", 'the hcloud CLI has no context "nope" in {file}', CHOICE),
        (
            "hcloud:keyring",
            "cli.toml",
            'the context "keyring" keeps no token in {file}',
            "Write cmd:PROGRAM with what gives it its token.",
        ),
        ("hcloud:", "inactive.toml", "the hcloud CLI has no active context in {file}", CHOICE),
        (
            "hcloud:work",
            "empty.toml",
            'the hcloud CLI has no context "work" in {file}',
            "There is none yet. Run: hcloud context create NAME",
        ),
        ("hcloud:work", "broken.toml", "the file {file} is not TOML", "Mend it: `hcloud context list` reads it too."),
        (
            "hcloud:work",
            "tables.toml",
            "the contexts in {file} are not in the form that the hcloud CLI writes",
            "Run `hcloud context list` to see whether it can read them.",
        ),
        (
            "hcloud:work",
            "open.toml",
            "every user of this machine can read the file {file}",
            "Run: chmod 600 {place}/open.toml",
        ),
        (
            "hcloud:work",
            "none.toml",
            "the file {file} cannot be read: No such file or directory",
            "Run: hcloud context create NAME. Or set HCLOUD_CONFIG to the file of the hcloud CLI.",
        ),
    ],
)
def test_each_failure_with_the_file_of_the_hcloud_cli_may_name_contexts_and_never_a_token(
    place: Path, text: str, config: str, summary: str, advice: str
) -> None:
    secrets = secrets_at(place, {"HCLOUD_CONFIG": f"{place}/{config}"})
    assert_refused(secrets, text, summary.replace("{file}", f"{place}/{config}"), advice, place)


@pytest.mark.parametrize(
    "script",
    [
        "sleep 60 & echo $$ >group; sleep 60",
        "sleep 60 & echo $$ >group",  # a helper keeps the output open
        "echo $$ >group; exec >&-; sleep 60",  # the output is closed, and it goes on
    ],
)
def test_a_command_that_hangs_is_killed_in_time_with_what_it_started(place: Path, script: str) -> None:
    before = time.monotonic()
    with pytest.raises(SecretError) as caught:
        cmd.resolve(f"sh -c '{script}'", place, {"PATH": PATH}, timeout=0.3)
    assert time.monotonic() - before < 5
    assert caught.value.summary == "/usr/bin/sh did not end within 0.3 seconds"
    assert is_gone(int((place / "group").read_text()))


def test_a_command_that_prints_too_much_is_killed(place: Path) -> None:
    with pytest.raises(SecretError, match="prints more than"):
        cmd.resolve("sh -c 'echo $$ >group; exec yes'", place, {"PATH": PATH})
    assert is_gone(int((place / "group").read_text()))


@pytest.mark.parametrize(("ending", "answer"), [("echo $PLANTED", VALUE), ("exit 7", "exit code 7")])
def test_many_threads_that_ask_for_one_command_share_one_run_and_its_answer(
    place: Path, ending: str, answer: str
) -> None:
    secrets = secrets_at(place)

    def ask(_: int) -> str:
        try:
            return secrets.bot_token(SecretRef("cmd", f"sh -c 'echo run >>runs; sleep 0.2; {ending}'")).reveal()
        except SecretError as error:
            return error.summary[-len("exit code 7") :]

    with ThreadPoolExecutor(32) as pool:
        assert list(pool.map(ask, range(32))) == [answer] * 32
    assert (place / "runs").read_text() == "run\n"


def assert_refused(secrets: ReferenceSecrets, text: str, summary: str, advice: str, place: Path) -> None:
    with pytest.raises(SecretError) as caught:
        secrets.resolve(SecretRef(*text.split(":", 1)))
    error = caught.value
    assert error.summary == f"{text} (the fleet): {summary}"
    assert error.advice == advice.replace("{place}", str(place))
    assert VALUE not in "".join([*traceback.format_exception(error), repr(error), repr(secrets)])


def is_gone(group: int) -> bool:
    """No process of the group runs any more; it is given two seconds to die."""
    for _ in range(100):
        if not any(running_group(stat) == group for stat in Path("/proc").glob("[0-9]*/stat")):
            return True
        time.sleep(0.02)
    return False


def running_group(stat: Path) -> int | None:
    """The process group of a process that is not a zombie (proc_pid_stat(5))."""
    try:
        state, _, group = stat.read_text().rpartition(")")[2].split()[:3]
    except OSError:
        return None
    return None if state == "Z" else int(group)
