"""Tries mutants: a copy of the project in which one rule is missing, and the laws on it.

A mutant that no law notices is a missing law. `uncovered` names the functions that decide and have no mutant,
`strangers` the modules that may.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.properties.mutant import Mutant
from tests.properties.mutants import ASKED, MODULES, MUTANTS, PACKAGES, SPEAKING

ROOT: Final = Path(__file__).resolve().parents[2]
COPIED: Final = ("reconciler", "tests/fakes", "tests/properties", "tests/extent.py", "tests/__init__.py", "schemas")
EXAMPLES: Final = 1_000
WITNESSES: Final = ROOT / "tests/properties/witnesses.json"  # by mutant; one that is out of date only costs time
PATIENCE: Final = 600  # seconds, beside whatever else runs


def copy_tree(place: Path) -> None:
    """What a mutant needs of the project, compiled, so that a trial compiles one module."""
    for name in COPIED:
        source, target = ROOT / name, place / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(place)], check=True)


def law_against(mutant: Mutant, place: Path, witness: str = "") -> tuple[str, str]:
    """The law that notices this mutant and its witness, both empty where none does."""
    file = place / mutant.path
    source = file.read_text()
    try:
        file.write_text(mutated(mutant, source))
        _forget_compiled(file)
        return _trial(place, mutant.module, witness)
    finally:
        file.write_text(source)
        _forget_compiled(file)


def witnesses() -> dict[str, str]:
    """Where a law has noticed each mutant, as the last run of all of them has found."""
    found: dict[str, str] = json.loads(WITNESSES.read_text()) if WITNESSES.exists() else {}
    return found


def keep_witnesses(found: dict[str, str]) -> None:
    WITNESSES.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


def mutated(mutant: Mutant, source: str) -> str:
    assert source.count(mutant.rule) == 1, f"{mutant}: the rule stands there {source.count(mutant.rule)} times"
    return source.replace(mutant.rule, mutant.instead)


def uncovered() -> list[str]:
    """Functions and methods of the modules that decide which have no mutant and are not among SPEAKING."""
    found = []
    for module in deciding():
        source = _source(module)
        places = [_line(source, mutant.rule) for mutant in MUTANTS if mutant.module == module]
        for name, node in _functions(ast.parse(source)):
            assert node.end_lineno is not None
            if not any(node.lineno <= place <= node.end_lineno for place in places):
                found.append(f"{module}.{name}")
    return [name for name in found if name not in SPEAKING]


def deciding() -> list[str]:
    """Every module of the packages that decide, a new one too, and the single ones."""
    files = (file for package in PACKAGES for file in sorted((ROOT / "reconciler" / package).glob("*.py")))
    return [*(f"{file.parent.name}/{file.stem}" for file in files), *MODULES]


def strangers() -> list[str]:
    """Modules of ours that these ask and nobody has said of whether they decide."""
    decide = deciding()
    asked = {name for module in decide for name in _imported(ast.parse(_source(module)))}
    return sorted(asked - {*decide, *ASKED})


def _source(module: str) -> str:
    return (ROOT / f"reconciler/{module}.py").read_text()


def _line(source: str, rule: str) -> int:
    return source[: source.index(rule)].count("\n") + 1


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Top-level functions and methods; those of a protocol have no body."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        if isinstance(node, ast.ClassDef):
            methods = (it for it in node.body if isinstance(it, ast.FunctionDef) and ast.unparse(it.body[-1]) != "...")
            yield from ((f"{node.name}.{method.name}", method) for method in methods)


def _imported(tree: ast.Module) -> Iterator[str]:
    """Modules of ours, as MODULES names them: `from package import module` is that module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "reconciler":
            place = node.module.split(".")[1:]
            for imported in node.names:
                readings = "/".join((*place, imported.name)), "/".join(place), "/".join((*place, "__init__"))
                yield next(reading for reading in readings if _is_module(reading))


def _is_module(name: str) -> bool:
    return (ROOT / f"reconciler/{name}.py").is_file()


def _trial(place: Path, module: str, witness: str) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-B", "-m", "tests.properties.trial", str(EXAMPLES), module, witness],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(place)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr  # laws that cannot be tried say nothing
    law, _, found = done.stdout.strip().partition("\t")
    return law, found


def _forget_compiled(file: Path) -> None:
    for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*.pyc"):
        compiled.unlink()
