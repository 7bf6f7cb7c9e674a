"""The developers' map and the contracts of imports name every module: a new one is in none of them by itself."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "reconciler"
CONTRACTS = {
    it["name"]: it for it in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
}
LAYERS = [re.split(r"[ |]+", layer) for layer in CONTRACTS["Imports go down only"]["layers"]]
MODULES = {
    path.stem
    for path in PACKAGE.iterdir()
    if (path.suffix == ".py" or (path / "__init__.py").exists()) and not path.stem.startswith("__")
} - {"assets"}  # files that go along
MAP = (PACKAGE / "README.md").read_text()
# The sandbox and the program that runs on hosts stand beside the layers; contracts of their own are about them.
BESIDE = {"sandbox", "probe_program"}
# Who touches clocks, sockets or programs, and says so at its head.
ADAPTERS = {"clock", "cli", "installing", "node_releases", "secrets", "ssh", "vaults", "wire"}


def names(modules: list[str]) -> set[str]:
    return {it.removeprefix("reconciler.") for it in modules}


def test_every_module_stands_in_one_layer() -> None:
    assert sorted(name for layer in LAYERS for name in names(layer)) == sorted(MODULES - BESIDE)


@pytest.mark.parametrize(
    ("contract", "key", "left_out"),
    [
        ("Only wiring and cli import the sandbox", "source_modules", {"wiring", "cli", "sandbox"}),
        (
            "The sandbox knows of the product only errors, model and commands",
            "forbidden_modules",
            {"sandbox", "errors", "model", "commands"},
        ),
        (
            "What decides touches nothing outside: neither clock nor dice, neither sockets nor programs",
            "source_modules",
            ADAPTERS | BESIDE,
        ),
    ],
)
def test_a_contract_is_about_all_modules_but_those_it_leaves_out(contract: str, key: str, left_out: set[str]) -> None:
    assert names(CONTRACTS[contract][key]) == MODULES - left_out


def test_the_map_shows_the_layers_as_they_are() -> None:
    block = MAP.split("```text\n", 1)[1].split("```", 1)[0]
    shown: list[list[str]] = []
    for line in block.splitlines():
        named = line[:27].split()
        if line.startswith(" "):
            shown[-1] += named
        else:
            shown.append(named)
    wanted = [sorted(names(layer)) for layer in LAYERS]
    assert [sorted(layer) for layer in shown] == wanted


def test_the_map_says_what_each_module_is_for() -> None:
    table = "\n".join(line.split("|")[1] for line in MAP.splitlines() if line.startswith("|"))
    named = set(re.findall(r"`([a-z_]+)(?:\.py)?/?(?:`|[a-z_]+\.py`)", table))
    assert MODULES - BESIDE - named == set()
