"""Commands that no other story runs against a real machine, each once in success."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from reconciler.managed import files
from reconciler.sandbox.client import SandboxClient
from tests.e2e.minds import NEWER, Story, told

pytestmark = pytest.mark.e2e

FILE: Final = "ada.openclaw.json"
SCOPE: Final = "messages.ackReactionScope"
EDITOR: Final = """sed -i s/"direct"/"all"/"""


@pytest.fixture(scope="module")
def story(sandbox: SandboxClient, tmp_path_factory: pytest.TempPathFactory, operator_home: Path) -> Iterator[Story]:
    with told(sandbox, tmp_path_factory.mktemp("once"), operator_home, EDITOR=EDITOR) as made:
        made.declare(NEWER)
        made.operator.fleet("apply", "--yes", timeout=900)
        made.tell("my dog is called Bello")
        yield made


def test_a_configuration_is_fetched_given_edited_put_back_and_taken_over(story: Story) -> None:
    fleet, file = story.operator.fleet, story.operator.directory / FILE
    assert "gateway.port" in fleet("config", "show", "ada", "--owner", "fleet")
    fleet("config", "diff", "ada")
    fleet("config", "pull", "ada")
    content = json.loads(file.read_text())
    content.setdefault("messages", {})["ackReactionScope"] = "direct"
    file.write_text(json.dumps(content, indent=2))
    assert "ada runs with it, and is healthy." in fleet("config", "push", "ada", FILE, "--yes")
    assert scope(story) == ("agent", "direct")
    assert "ada runs with it, and is healthy." in fleet("config", "edit", "ada", "--yes")
    assert scope(story) == ("agent", "all")
    assert "ada runs with it, and is healthy." in fleet("config", "restore", "ada", "--yes")
    assert scope(story) == ("agent", "direct")
    fleet("adopt", "ada", "config", "--key", SCOPE)
    assert scope(story) == ("file", "direct")
    fleet("config", "diff", "ada")
    fleet("apply", "--yes")
    assert "Bello" in story.tell("what is my dog called?")


def test_a_host_says_when_its_file_was_written(story: Story) -> None:
    story.root(f'systemctl stop {files.UNIT}; sed -i \'s/"port": [0-9]*/"port": 1/\' {files.CONFIG_PATH}')
    said = json.loads(story.operator.fleet("config", "diff", "ada", "--json", code=2))["ada"]
    assert said["written_at"] >= said["applied_at"] > ""
    story.operator.fleet("apply", "--yes", timeout=300)


@pytest.mark.parametrize(
    "words",
    [
        ("quarantine", "list"),
        ("backup", "create", "ada"),
        ("backup", "due"),
        ("backup", "fetch", "ada", "--out", "memory.tar.gz"),
        ("backup", "prune", "ada"),
        ("cost",),
        ("pairing", "watch", "ada", "--timeout", "5"),
        ("ssh-config",),
        ("key", "show"),
        ("sandbox", "logs"),
        ("adopt", "ada", "users"),
        ("remove", "ada"),
    ],
    ids=" ".join,
)
def test_each_of_the_others_once(story: Story, words: tuple[str, ...]) -> None:
    story.operator.fleet(*words)


def scope(story: Story) -> tuple[str, str]:
    keys = json.loads(story.operator.fleet("config", "show", "ada", "--json"))["ada"]["keys"]
    [(owner, value)] = [(it["owner"], it["value"]) for it in keys if ".".join(it["path"]) == SCOPE]
    return owner, value
