"""What the schema promises to its readers, and what no input may do to the loader."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from reconciler.errors import ConfigError
from reconciler.fleet import load_fleet
from reconciler.model import Fleet
from reconciler.render.diagnostics import error_text
from reconciler.schema import find, inlined

ROOT = Path(__file__).parent.parent.parent
TOKEN = "7123456789:" + "AAF-x" * 7
EXAMPLE = (ROOT / "fleet.yaml").read_text(encoding="utf-8")


def properties(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    parts = dict(schema.get("properties", {}))
    if isinstance(schema.get("additionalProperties"), dict):
        parts["*"] = schema["additionalProperties"]
    for name, part in parts.items():
        yield f"{path}.{name}", part
        yield from properties(part, f"{path}.{name}")


PROPERTIES = dict(properties(inlined(find("fleet"))))


def test_the_schema_is_valid_json_schema() -> None:
    Draft202012Validator.check_schema(find("fleet"))


@pytest.mark.parametrize("name", PROPERTIES)
def test_a_property_has_a_description_a_default_and_an_example_that_is_valid(name: str) -> None:
    part = PROPERTIES[name]
    validator = Draft202012Validator(part)
    assert part["description"].endswith(".")
    assert all(validator.is_valid(example) for example in part["examples"])
    assert part["default"] is None or validator.is_valid(part["default"])


def test_the_example_fleet_is_valid() -> None:
    assert list(load_fleet(ROOT / "fleet.yaml").children) == ["alice", "bob", "carol"]


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_fleet(tmp_path / "fleet.yaml")
    assert error_text(caught.value).startswith(f"{tmp_path}/fleet.yaml: there is no such file\n  Run `fleet init`")


def test_a_directory_is_no_fleet_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_fleet(tmp_path)
    assert "cannot be read: Is a directory" in error_text(caught.value)


@pytest.mark.parametrize("level", ["[", "{a: ", "- ", "? "])
def test_a_hundred_thousand_levels_are_an_error_and_not_the_end_of_the_process(level: str) -> None:
    assert "nested deeper than 20 levels" in str(said_of(f"a:\n  {level * 100_000}".encode()))


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_fleet_or_a_readable_error(raw: bytes) -> None:
    said_of(raw)


@settings(deadline=None)
@given(st.integers(0, len(EXAMPLE)), st.integers(0, 12), st.text(max_size=6))
def test_any_edit_of_the_example_is_a_fleet_or_a_readable_error(start: int, length: int, put: str) -> None:
    said_of((EXAMPLE[:start] + put + EXAMPLE[start + length :]).encode())


@settings(deadline=None)
@given(st.sampled_from(sorted(set(EXAMPLE.split()))))
def test_a_token_pasted_anywhere_is_never_repeated(word: str) -> None:
    for text in (TOKEN, f'"{TOKEN}"', f"{TOKEN}: x"):
        assert TOKEN not in str(said_of(EXAMPLE.replace(word, text).encode()))


@pytest.mark.parametrize(("has_schemas", "code"), [(True, 0), (False, 1)], ids=["whole", "without schemas"])
def test_an_installed_package_finds_its_own_schemas_or_says_what_to_do(
    tmp_path: Path, has_schemas: bool, code: int
) -> None:
    """A wheel has them in reconciler/_schemas (pyproject.toml) and no checkout beside it."""
    package = shutil.copytree(ROOT / "reconciler", tmp_path / "reconciler", ignore=shutil.ignore_patterns("*.pyc"))
    if has_schemas:
        shutil.copytree(ROOT / "schemas", package / "_schemas")
    done = subprocess.run(
        [sys.executable, "-m", "reconciler", "validate", "--file", str(ROOT / "fleet.yaml")],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == code
    assert has_schemas or "fleet.schema.json is neither in the installed package nor in" in done.stderr
    assert "Traceback" not in done.stderr


def said_of(raw: bytes) -> Fleet | str:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "fleet.yaml")
        file.write_bytes(raw)
        try:
            return load_fleet(file)
        except ConfigError as error:
            return _readable(error)


def _readable(error: ConfigError) -> str:
    said = error_text(error)
    assert all(found.summary and found.detail for found in error.diagnostics)
    assert all(line.isprintable() for line in said.splitlines())
    return said
