"""Where secrets come from, and that no error repeats one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler import keys
from reconciler.errors import SecretError
from reconciler.model import Fleet, Provider, Secret, SecretRef
from reconciler.secrets import fleet_key
from reconciler.secrets.allowed import allowed_sources
from reconciler.secrets.for_children import SecretsForChildren, cloud_token
from reconciler.secrets.references import ReferenceSecrets
from reconciler.secrets.sandbox import SandboxSecrets

ROOT = Path(__file__).parent.parent.parent
VALUE = "7123456789:not-a-real-token-but-a-secret"
KEY = keys.make_key(bytes(range(32)))
OTHER_KEY = keys.make_key(bytes(range(1, 33)))
FLEET = Fleet("demo", Provider.SANDBOX, None, None, 1, {}, "fleet.yaml")


def references(
    base_dir: Path, environ: Mapping[str, str] | None = None, wanted_for: Mapping[SecretRef, str] | None = None
) -> ReferenceSecrets:
    return ReferenceSecrets(base_dir, wanted_for or {}, allowed_sources({}), environ or {})


def secret_file(directory: Path, text: str, mode: int = 0o600) -> SecretRef:
    path = directory / "secret"
    path.write_text(text)
    path.chmod(mode)
    return SecretRef("file", "secret")


def test_a_variable_is_resolved(tmp_path: Path) -> None:
    assert references(tmp_path, {"ALICE_BOT_TOKEN": VALUE}).bot_token(SecretRef("env", "ALICE_BOT_TOKEN")) == Secret(
        VALUE
    )


def test_a_file_beside_the_fleet_file_is_resolved_without_its_last_newline(tmp_path: Path) -> None:
    assert references(tmp_path).model_key(secret_file(tmp_path, VALUE + "\n")) == Secret(VALUE)


def test_the_home_of_somebody_who_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="~nobody-here is nobody's home directory here"):
        references(tmp_path).bot_token(SecretRef("file", "~nobody-here/token"))


def test_a_missing_variable_is_named_with_who_needs_it(tmp_path: Path) -> None:
    reference = SecretRef("env", "ALICE_BOT_TOKEN")
    with pytest.raises(SecretError) as caught:
        references(tmp_path, {}, {reference: 'the bot token of child "alice"'}).bot_token(reference)
    assert caught.value.summary == (
        'env:ALICE_BOT_TOKEN (the bot token of child "alice"): the environment variable ALICE_BOT_TOKEN is not set'
    )
    assert caught.value.advice == "Set it for this run, for example: read -rs ALICE_BOT_TOKEN; export ALICE_BOT_TOKEN"


@pytest.mark.parametrize("text", ["", "\n", "  \n", f"{VALUE}\nsecond line\n", f"{VALUE}\0", f"{VALUE}\x1b[0m"])
def test_what_is_not_one_line_of_text_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    with pytest.raises(SecretError) as caught:
        references(tmp_path).resolve(secret_file(tmp_path, text))
    assert VALUE not in caught.value.summary + caught.value.advice


def test_a_file_of_other_bytes_is_refused_and_its_bytes_are_in_no_traceback(tmp_path: Path) -> None:
    secret_file(tmp_path, "")
    (tmp_path / "secret").write_bytes(b"\xff" + VALUE.encode())
    with pytest.raises(SecretError) as caught:
        references(tmp_path).resolve(SecretRef("file", "secret"))
    cause = caught.value.__cause__
    assert isinstance(cause, SecretError)
    assert cause.__suppress_context__


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o602, 0o601])
def test_a_file_open_to_everybody_is_refused_with_the_command_that_mends_it(tmp_path: Path, mode: int) -> None:
    reference = secret_file(tmp_path, VALUE, mode)
    with pytest.raises(SecretError) as caught:
        references(tmp_path).resolve(reference)
    assert caught.value.advice == f"Run: chmod 600 {tmp_path}/secret"


def test_a_fifo_or_a_directory_or_nothing_is_an_answer_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    (tmp_path / "directory").mkdir()
    for name in ("fifo", "directory", "nothing"):
        with pytest.raises(SecretError, match=name):
            references(tmp_path).resolve(SecretRef("file", name))


def test_the_sandbox_makes_secrets_up_and_looks_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALICE_BOT_TOKEN", VALUE)
    reference, elsewhere = SecretRef("env", "ALICE_BOT_TOKEN"), SecretRef("file", "/nowhere")
    sandbox = SandboxSecrets(KEY)
    made = [sandbox.bot_token(reference), sandbox.bot_token(elsewhere), sandbox.model_key(reference)]
    assert Secret(VALUE) not in made
    assert len(set(made)) == 3
    assert sandbox.bot_token(reference) == SandboxSecrets(KEY).bot_token(reference)


def test_the_fleet_key_is_looked_for_in_the_variable_then_the_reference_then_the_key_file(tmp_path: Path) -> None:
    secret_file(tmp_path, OTHER_KEY.reveal() + "\n")
    home = {"FLEET_CONFIG_HOME": str(tmp_path / "keys")}
    fleet_key.write(fleet_key.default_path("demo", home), KEY)
    referring = replace(FLEET, key=SecretRef("file", "secret"))
    secrets = references(tmp_path)
    assert fleet_key.find(FLEET, secrets, home) == KEY
    assert fleet_key.find(referring, secrets, home) == OTHER_KEY
    assert fleet_key.find(referring, secrets, {**home, "FLEET_KEY": KEY.reveal() + "\n"}) == KEY


def test_a_reference_to_the_variable_itself_leaves_the_key_file_as_the_last_place(tmp_path: Path) -> None:
    home = {"FLEET_CONFIG_HOME": str(tmp_path)}
    fleet_key.write(fleet_key.default_path("demo", home), KEY)
    referring = replace(FLEET, key=SecretRef("env", "FLEET_KEY"))
    assert fleet_key.find(referring, references(tmp_path), home) == KEY


def test_a_missing_fleet_key_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match=f"FLEET_KEY is not set and there is no file {tmp_path}/demo.key"):
        fleet_key.find(FLEET, references(tmp_path), {"FLEET_CONFIG_HOME": str(tmp_path)})


def test_a_wrong_fleet_key_says_where_it_stands_and_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="what stands in FLEET_KEY is not a fleet key") as caught:
        fleet_key.find(FLEET, references(tmp_path), {"FLEET_KEY": VALUE})
    assert VALUE not in caught.value.summary + caught.value.advice


def test_the_key_file_lies_where_the_environment_says() -> None:
    assert fleet_key.default_path("demo", {"FLEET_CONFIG_HOME": "/a", "XDG_CONFIG_HOME": "/b"}) == Path("/a/demo.key")
    assert fleet_key.default_path("demo", {"XDG_CONFIG_HOME": "/b"}) == Path("/b/openclaw-deploy/demo.key")
    assert fleet_key.default_path("demo", {}) == Path.home() / ".config/openclaw-deploy/demo.key"


# No file of the process may grow: what a full disk is, without one.
LIMITED = """
import resource, sys
from pathlib import Path
from reconciler.errors import SecretError
from reconciler.secrets import fleet_key
from tests.unit.test_secrets import KEY
resource.setrlimit(resource.RLIMIT_FSIZE, (10, -1))
try:
    fleet_key.write(Path(sys.argv[1]), KEY)
except SecretError as error:
    sys.exit(error.summary)
"""


def test_a_key_file_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "demo.key"
    argv = [sys.executable, "-c", LIMITED, str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (1, f"the fleet key cannot be written to {path}: File too large\n")
    assert list(tmp_path.iterdir()) == []


def test_a_key_file_is_private_whatever_the_umask_and_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "made" / "demo.key"
    before = os.umask(0)
    try:
        fleet_key.write(path, KEY)
    finally:
        os.umask(before)
    with pytest.raises(SecretError, match="already"):
        fleet_key.write(path, OTHER_KEY)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.read_text() == KEY.reveal() + "\n"


@pytest.mark.parametrize("name", ["the fleet key", "the cloud's API token"])
def test_no_reference_of_a_child_leads_to_a_secret_of_the_fleet(tmp_path: Path, name: str) -> None:
    own = {"the fleet key": KEY, "the cloud's API token": Secret(VALUE)}
    for_children = SecretsForChildren(references(tmp_path, {"A": own[name].reveal() + " ", "B": "another"}), own)
    for resolve in (for_children.bot_token, for_children.model_key):
        with pytest.raises(SecretError, match=f"^env:A: what is there is {name}, which does not go to a server"):
            resolve(SecretRef("env", "A"))
        assert resolve(SecretRef("env", "B")) == Secret("another")


def test_the_fleet_key_is_not_sent_to_the_cloud(tmp_path: Path) -> None:
    found = references(tmp_path, {"A": KEY.reveal(), "B": VALUE})
    with pytest.raises(SecretError, match=r"^env:A: what is there is the fleet key, which does not go to the cloud"):
        cloud_token(found, SecretRef("env", "A"), KEY)
    assert cloud_token(found, SecretRef("env", "B"), KEY) == Secret(VALUE)
