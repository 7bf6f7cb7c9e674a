"""A directory under `files`: whatever is in it arrives, links too, or the file says what does not and why."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reconciler.errors import ConfigError
from reconciler.fleet import load_fleet

FLEET = """\
fleet: demo
cloud: {provider: hetzner, token: env:HCLOUD_TOKEN}
defaults:
  region: nbg1
  version: 2026.9.6
  model: {name: claude-sonnet-4-6, key: env:ANTHROPIC_API_KEY}
children:
  alice:
    bot: {token: env:ALICE_BOT_TOKEN}
    files:
      skills/: {from: skills}
"""


@pytest.fixture
def skills(tmp_path: Path) -> Path:
    """Beside a fleet file, in a directory outside of which nothing may be read."""
    here = tmp_path / "here"
    (here / "skills" / "own").mkdir(parents=True)
    (here / "skills" / "own" / "SKILL.md").write_text("own", encoding="utf-8")
    (here / "shared" / "weather").mkdir(parents=True)
    (here / "shared" / "weather" / "SKILL.md").write_text("weather", encoding="utf-8")
    (here / "fleet.yaml").write_text(FLEET, encoding="utf-8")
    return here / "skills"


def contents(skills: Path) -> dict[str, str]:
    files = load_fleet(skills.parent / "fleet.yaml").children["alice"].files
    return {path.removeprefix("skills/"): file.content for path, file in files.items()}


def said(skills: Path) -> tuple[int, str]:
    with pytest.raises(ConfigError) as raised:
        load_fleet(skills.parent / "fleet.yaml")
    (found,) = raised.value.diagnostics
    return found.line, found.summary


def test_links_are_followed_to_files_and_directories_beside_the_fleet_file(skills: Path) -> None:
    (skills / "NOTES.md").symlink_to("../shared/weather/SKILL.md")
    (skills / "weather").symlink_to("../shared/weather")
    (skills / "also").symlink_to("weather")
    assert contents(skills) == {
        "own/SKILL.md": "own",
        "NOTES.md": "weather",
        "weather/SKILL.md": "weather",
        "also/SKILL.md": "weather",
    }


def test_the_digest_of_the_fleet_counts_what_a_link_leads_to(skills: Path) -> None:
    (skills / "weather").symlink_to("../shared/weather")
    before = load_fleet(skills.parent / "fleet.yaml").digest
    (skills.parent / "shared" / "weather" / "SKILL.md").write_text("changed", encoding="utf-8")
    assert load_fleet(skills.parent / "fleet.yaml").digest != before


def test_names_that_begin_with_a_dot_are_left_out_links_too(skills: Path) -> None:
    (skills / ".#lock").symlink_to("nobody@nowhere")
    (skills / ".git").mkdir()
    (skills / ".git" / "config").write_text("mine", encoding="utf-8")
    assert contents(skills) == {"own/SKILL.md": "own"}


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("../../elsewhere", "is outside the directory of the fleet file"),
        ("/etc", "is outside the directory of the fleet file"),
        ("gone.md", "is not there"),
        ("one", "is a link that leads back to itself"),
        (".", "is a link that leads back to itself"),
        ("../..", "is outside the directory of the fleet file"),
        ("..", "is a link that leads back to itself"),
    ],
)
def test_a_link_that_is_not_followed_is_said(skills: Path, target: str, why: str) -> None:
    (skills.parent.parent / "elsewhere").write_text("not for the agent", encoding="utf-8")
    (skills / "one").symlink_to(target)
    line, summary = said(skills)
    assert line == 11
    assert summary.startswith('"skills" holds "one')
    assert summary.endswith(f'", which {why}')


def test_links_that_lead_to_each_other_end_in_one_error(skills: Path) -> None:
    (skills / "own" / "weather").symlink_to("../../shared/weather")
    (skills.parent / "shared" / "weather" / "own").symlink_to("../../skills/own")
    assert said(skills) == (11, '"skills" holds "own/weather/own", which is a link that leads back to itself')


def test_links_that_multiply_directories_without_end_are_bounded(skills: Path) -> None:
    shared = skills.parent / "shared"
    for level in range(30):
        (shared / str(level)).mkdir()
        for name in ("a", "b"):
            (shared / str(level) / name).symlink_to(f"../{level + 1}")
    (shared / "30").mkdir()
    (skills / "many").symlink_to("../shared/0")
    assert said(skills) == (11, '"skills" holds more than 1000 directories')


def test_a_pipe_in_it_is_said_and_not_waited_for(skills: Path) -> None:
    os.mkfifo(skills / "pipe")
    assert said(skills) == (11, '"skills" holds "pipe", which is no regular file')


def test_more_files_than_anyone_needs_are_refused(skills: Path) -> None:
    for number in range(1000):
        (skills / f"{number}.md").write_text("", encoding="utf-8")
    assert said(skills) == (11, '"skills" holds more than 1000 files')
