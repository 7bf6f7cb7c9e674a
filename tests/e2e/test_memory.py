"""What a bot was told goes with no server: it sleeps, moves and comes back on real machines, through a real bucket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.sandbox.client import SandboxClient
from tests.e2e.minds import NEWER, RecordProperty, Story, in_words, step_seconds, timed, told
from tests.storage import USER as ACCOUNT
from tests.storage import s3_server

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with s3_server(tmp_path_factory.mktemp("s3")) as url:
        yield url


@pytest.fixture(scope="module")
def story(
    sandbox: SandboxClient, endpoint: str, tmp_path_factory: pytest.TempPathFactory, operator_home: Path
) -> Iterator[Story]:
    with told(sandbox, tmp_path_factory.mktemp("memory"), operator_home, S3_KEY=ACCOUNT) as made:
        yield made


def declare(story: Story, endpoint: str, **changes: object) -> None:
    keys = {"access_key": "env:S3_KEY", "secret_key": "env:S3_KEY"}
    story.declare(NEWER, backup={"to": "s3://backups/minds", "endpoint": endpoint, **keys}, **changes)


def backups(story: Story) -> list[str]:
    found = json.loads(story.operator.fleet("backup", "list", "ada", "--json"))["ada"]["backups"]
    return [backup["id"] for backup in found]


def test_who_sleeps_has_no_server_and_wakes_with_its_memory(
    story: Story, endpoint: str, record_property: RecordProperty
) -> None:
    declare(story, endpoint)
    story.operator.fleet("apply", "--yes", timeout=900)
    story.tell("remember that my dog is called Bello")
    with timed(record_property, "Hibernate: last copy, verified, server gone"):
        story.operator.fleet("hibernate", "ada", "--yes", timeout=300)
    assert story.servers() == []
    assert len(backups(story)) == 1
    assert "ada is asleep: its memory is in the backup" in story.operator.fleet("plan", "--detailed-exitcode")
    with timed(record_property, "Wake: a new server, healthy with its memory"):
        story.operator.fleet("wake", "ada", "--yes", timeout=900)
    assert "Bello" in story.tell("what is my dog called?")
    assert story.operator.status()["ada"]["gateway"]["starts"] == 1  # the first one was with its memory
    assert "No changes" in story.operator.fleet("plan", "--detailed-exitcode")


def test_another_region_means_another_server_and_the_same_mind(
    story: Story, endpoint: str, record_property: RecordProperty
) -> None:
    before = story.servers()
    declare(story, endpoint, region="fsn1")
    with timed(record_property, "Replacement in another region, in all"):
        said = story.operator.fleet("apply", "--yes", "--allow-replace", "ada", timeout=900)
    steps = list(step_seconds(said).items())
    names = [name for name, _ in steps]
    silent = dict(steps[names.index("hand over") : names.index("prove healthy") + 1])
    record_property(
        "Replacement: silent from the stop to the proof", f"{sum(silent.values()):.1f} s ({in_words(silent)})"
    )
    (after,) = story.servers()
    assert after not in before
    assert "Bello" in story.tell("what is my dog called?")
    assert "No changes" in story.operator.fleet("plan", "--detailed-exitcode")


def test_who_was_destroyed_comes_back_from_a_bucket(story: Story) -> None:
    story.tell("remember that my fish is called Wanda")
    story.operator.fleet("destroy", "ada", "--yes", timeout=300)
    assert story.servers() == []
    story.operator.fleet("restore", "ada", "--yes", timeout=900)
    earlier = story.tell("what do you remember?")
    assert "Bello" in earlier
    assert "Wanda" in earlier


def test_an_older_backup_is_put_back_into_a_running_gateway(story: Story) -> None:
    story.operator.fleet("restore", "ada", "--from", backups(story)[-1], "--yes", timeout=900)
    earlier = story.tell("what do you remember now?")
    assert "Bello" in earlier
    assert "Wanda" not in earlier


def test_what_cannot_be_copied_is_not_deleted_unless_a_person_says_so(story: Story) -> None:
    (machine,) = story.servers()
    story.root("systemctl stop openclaw-gateway; mv /var/lib/openclaw /var/lib/openclaw.away")
    said = story.operator.run("destroy", "ada", "--yes", timeout=300)
    assert (said.returncode, "there is no state" in said.stdout) == (1, True), said
    assert story.servers() == [machine]
    story.operator.fleet("destroy", "ada", "--yes", "--no-backup", "ada", timeout=300)
    assert story.servers() == []
