"""The whole life of a fleet with planted secrets and hostile hosts: each secret is where it belongs and nowhere else.

The real command, the real adapters of Hetzner Cloud and SSH; the emulator answers under the cloud's name, the machines
are simulated. ALLOWED says where which kind of secret may be, and why; a place that is not in it may hold none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch

import pytest

from tests.contract.secrets import hostile
from tests.contract.secrets.life import live, secrets_of
from tests.contract.secrets.scene import Said, Scene, scene
from tests.planted import Planted, finds

# Paths below the operator's home; kinds as patterns.
ALLOWED_FILES: Mapping[str, tuple[str, ...]] = {
    # The operator's own: what references point at. fleet reads them and writes none of them.
    "keys/demo.key": ("fleet key",),
    "cli.toml": ("cloud token",),
    "identity": ("identity",),
    "bob.token": ("bot token of bob",),
    "demo/secrets.json": ("model key",),
    "demo/carol.token": ("bot token of carol",),
    # `fleet ssh-config` writes login keys, because that is what it is asked for; and by way of a new file.
    ".ssh/openclaw-deploy/demo/*": ("login key of *",),
    # What the program of bob's `cmd:` reference was given: nothing. The environment that the operator made is passed
    # on without FLEET_*, and this one has its secrets there alone.
    "given.environ": (),
    "given.argv": (),
}
# On a machine: what its gateway works with, readable by it alone, and its own host key. Its login key, the fleet key,
# the cloud's token and the digest key are on none.
ALLOWED_ON_HOSTS: Mapping[str, tuple[str, ...]] = {
    "/etc/openclaw/gateway.token": ("gateway token of {child}",),
    "/etc/openclaw/telegram.token": ("bot token of {child}",),
    "/etc/openclaw/model.key": ("model key",),
    "/etc/ssh/ssh_host_ed25519_key": ("host key of {child}", "first host key of {child}"),
    "/var/lib/openclaw/.openclaw/openclaw.json": ("agent's",),  # where the agent put it
}
MODES = {"/etc/openclaw/*": "0400", "/etc/ssh/*": "0600", "/var/lib/openclaw/*": "0600"}
CI_COMMAND = re.compile(r"^\s*::[a-z]|##(\[|vso\[)", re.IGNORECASE)
CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)")


@dataclass(frozen=True)
class Lived:
    scene: Scene
    secrets: list[Planted]

    def kinds_in(self, *haystacks: bytes) -> set[str]:
        return {find.kind for haystack in haystacks for find in finds(haystack, self.secrets)}

    def said(self, *beginnings: str) -> list[Said]:
        found = [said for said in self.scene.said if said.line.startswith(beginnings)]
        assert found
        return found


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    with scene(tmp_path_factory.mktemp("home")) as made:
        live(made)
        yield Lived(made, secrets_of(made))


def test_nothing_that_is_printed_holds_one(lived: Lived) -> None:
    leaks = {said.line: kinds for said in lived.scene.said if (kinds := lived.kinds_in(said.text.encode()))}
    assert leaks == {}


def test_files_hold_only_their_own_and_are_private(lived: Lived) -> None:
    """Also those that were there for a moment; state/, plan file and log among them."""
    for (path, mode), contents in lived.scene.seen.files.items():
        name = str(path.relative_to(lived.scene.home))
        kinds = lived.kinds_in(*contents)
        assert_allowed(name, kinds, ALLOWED_FILES)
        assert not kinds or mode == 0o600, f"{name} has the mode {mode:04o}"
    assert {"demo/state/journal.jsonl", "demo/plan.file", "fleet.log"} <= names(lived.scene)


def test_no_command_line_holds_one(lived: Lived) -> None:
    argv = lived.scene.seen.argv
    assert any(b"reconciler" in words for words in argv)
    assert lived.kinds_in(*argv) == set()


def test_a_program_that_gives_a_secret_is_told_none(lived: Lived) -> None:
    given = lived.scene.home / "given.environ"
    assert b"HCLOUD_CONFIG=" in given.read_bytes()
    assert b"FLEET_" not in given.read_bytes()


def test_the_cloud_is_sent_its_token_and_first_host_keys(lived: Lived) -> None:
    cloud = lived.scene.cloud
    assert len(cloud.requests) > 50
    assert lived.kinds_in(*cloud.requests) == set()
    assert lived.kinds_in(*cloud.authorizations) == {"cloud token"}
    first = {"first host key of alice", "first host key of bob"}
    assert lived.kinds_in(*cloud.user_data) == {*first, "foreign host key"}  # the last was made by hand


def test_no_line_that_runs_on_a_machine_holds_one(lived: Lived) -> None:
    assert len(lived.scene.lines) > 100
    assert lived.kinds_in(*(line.encode() for line in lived.scene.lines)) == set()


def test_machines_hold_only_their_own(lived: Lived) -> None:
    for hostname, files in lived.scene.disks.items():
        child = "carol" if hostname == "by-hand" else hostname.removeprefix("demo-")
        allowed = {path: tuple(it.format(child=child) for it in kinds) for path, kinds in ALLOWED_ON_HOSTS.items()}
        for path, file in files.items():
            kinds = lived.kinds_in(file.content)
            assert_allowed(path, kinds, allowed)
            assert not kinds or [file.mode] == [mode for place, mode in MODES.items() if fnmatch(path, place)]


def test_every_secret_was_in_play(lived: Lived) -> None:
    """Else its absence says nothing. The digest key and the plan key are written nowhere at all."""
    seen, cloud = lived.scene.seen, lived.scene.cloud
    places = [content for contents in seen.files.values() for content in contents]
    places += [file.content for files in lived.scene.disks.values() for file in files.values()]
    found = lived.kinds_in(*places, *cloud.authorizations, *cloud.user_data)
    # An imported server was never given a first host key; its identity opened it.
    never = {"plan key", "first host key of carol", *(f"digest key of {child}" for child in lived.scene.uids)}
    assert {secret.kind for secret in lived.secrets} - found <= never | {"login key of carol"}


def test_what_hosts_say_drives_no_terminal_and_no_ci_system(lived: Lived) -> None:
    lines = [(said.line, line) for said in lived.scene.said for line in said.text.split("\n")]
    assert [it for it in lines if not it[1].isprintable() or CI_COMMAND.search(it[1])] == []
    assert any(r"\x1b[31m" in line for _, line in lines), "it was shown, as an escape"


def test_what_hosts_say_is_no_markdown(lived: Lived) -> None:
    """Outside of code spans nothing is left of it."""
    texts = [said.stdout for said in lived.said("plan --format markdown")]
    assert any("vso" in text for text in texts)
    outside = "".join(CODE.sub("", text) for text in texts)
    assert not [word for word in ("<script", "vso", "@all", "](javascript", "\x1b") if word in outside]


def test_keys_that_the_agent_wrote_are_named_by_path_alone(lived: Lived) -> None:
    text = "".join(said.stdout for said in lived.said("plan"))
    assert "config.models.providers.evil" in text
    assert "config.gateway.auth.password" in text
    assert "evil.example" not in text
    assert hostile.AGENTS_SECRET not in text


def test_failures_are_told_with_the_hosts_words_but_without_its_secrets(lived: Lived) -> None:
    errors = "".join(said.stdout for said in lived.said("apply"))
    for words in ("does not accept the configuration", "refused config.patch", "Bad configuration option", "exit 78)"):
        assert re.search(rf"{re.escape(words)}.*\*\*\*", errors), words


def assert_allowed(place: str, kinds: Iterable[str], allowed: Mapping[str, tuple[str, ...]]) -> None:
    patterns = [kind for pattern, its in allowed.items() if fnmatch(place, pattern) for kind in its]
    stray = [kind for kind in kinds if not any(fnmatch(kind, pattern) for pattern in patterns)]
    assert not stray, f"{place} holds {', '.join(stray)}"


def names(made: Scene) -> set[str]:
    return {str(path.relative_to(made.home)) for path, _ in made.seen.files}
