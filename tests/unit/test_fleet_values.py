"""What the values of a fleet promise beyond what the cases show."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.errors import ConfigError
from reconciler.fleet import former_names, load_fleet
from reconciler.model import Percent

FLEET = """\
fleet: demo
cloud: {provider: sandbox}
defaults: {region: nbg1, version: 2026.9.6, model: {name: m, key: env:KEY}}
include: more.yaml
moved: [{from: a, to: b}, {from: b, to: alice}]
children:
  alice: {bot: {token: env:A}, files: {SOUL.md: {from: soul.md}, skills/: {from: skills}}}
"""
FILES = {
    "fleet.yaml": FLEET,
    "more.yaml": "children: {bob: {bot: {token: env:B}}}\n",
    "soul.md": "kind\n",
    "skills/a.md": "one\n",
}
LOAD = """\
import sys
from pathlib import Path
from reconciler.fleet import load_fleet
load_fleet(Path("fleet.yaml"))
sys.exit("jinja2" in sys.modules)
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("name", FILES)
def test_a_change_in_any_file_that_was_read_changes_the_digest(directory: Path, name: str) -> None:
    before = load_fleet(directory / "fleet.yaml").digest
    with (directory / name).open("a", encoding="utf-8") as file:
        file.write("# one more line\n")
    assert load_fleet(directory / "fleet.yaml").digest != before


def test_a_renamed_file_changes_the_digest(directory: Path) -> None:
    before = load_fleet(directory / "fleet.yaml").digest
    (directory / "skills" / "a.md").rename(directory / "skills" / "b.md")
    assert load_fleet(directory / "fleet.yaml").digest != before


def test_the_digest_does_not_depend_on_where_the_files_are(directory: Path, tmp_path: Path) -> None:
    before = load_fleet(directory / "fleet.yaml").digest
    elsewhere = directory.rename(tmp_path.parent / f"{tmp_path.name}-elsewhere")
    assert load_fleet(elsewhere / "fleet.yaml").digest == before


def test_a_file_that_no_one_names_is_not_read(directory: Path) -> None:
    before = load_fleet(directory / "fleet.yaml").digest
    (directory / "notes.md").write_text("mine", encoding="utf-8")
    assert load_fleet(directory / "fleet.yaml").digest == before


def test_moves_are_followed_back_to_every_former_name(directory: Path) -> None:
    fleet = load_fleet(directory / "fleet.yaml")
    assert former_names(fleet, "alice") == ("b", "a")
    assert former_names(fleet, "bob") == ()


@pytest.mark.parametrize(
    ("percent", "total", "share"), [(10, 100, 10), (10, 19, 1), (10, 3, 1), (0, 100, 0), (100, 7, 7)]
)
def test_a_share_is_rounded_down_but_never_to_nothing(percent: int, total: int, share: int) -> None:
    assert Percent(percent).of(total) == share


def test_loading_a_fleet_without_templates_does_not_import_jinja(directory: Path) -> None:
    subprocess.run([sys.executable, "-c", LOAD], cwd=directory, check=True, timeout=60)


def test_a_link_that_leads_back_to_itself_is_said_where_it_is_named(directory: Path) -> None:
    (directory / "loop.yaml").symlink_to("loop.yaml")
    (directory / "soul.md").unlink()
    (directory / "soul.md").symlink_to("soul.md")
    text = FLEET.replace("include: more.yaml", 'include: [loop.yaml, "l*.yaml", loop.yaml/../more.yaml]')
    (directory / "fleet.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        load_fleet(directory / "fleet.yaml")
    assert [(found.line, found.summary) for found in raised.value.diagnostics] == [
        (4, 'include: "loop.yaml" is a link that leads back to itself'),
        (4, 'include: "l*.yaml" is a link that leads back to itself'),
        (4, 'include: "loop.yaml/../more.yaml" finds no file'),
        (7, '"soul.md" is a link that leads back to itself'),
    ]
