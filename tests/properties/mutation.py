"""Tries mutants: a copy of the project in which one rule is missing, and the laws on it.

A mutant that no law notices is a missing law. `uncovered` names the functions that decide and have no mutant.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.properties.mutants import MUTANTS, SPEAKING, Mutant

ROOT: Final = Path(__file__).resolve().parents[2]
COPIED: Final = ("reconciler", "tests/fakes", "tests/properties", "tests/extent.py", "tests/__init__.py", "schemas")
EXAMPLES: Final = 1_000
PATIENCE: Final = 300  # seconds


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


def law_against(mutant: Mutant, place: Path) -> str:
    """The law that notices this mutant, empty where none does."""
    file = place / mutant.path
    source = file.read_text()
    try:
        file.write_text(mutated(mutant, source))
        _forget_compiled(file)
        return _trial(place)
    finally:
        file.write_text(source)
        _forget_compiled(file)


def mutated(mutant: Mutant, source: str) -> str:
    assert source.count(mutant.rule) == 1, f"{mutant}: the rule stands there {source.count(mutant.rule)} times"
    return source.replace(mutant.rule, mutant.instead)


def uncovered() -> list[str]:
    """Functions of the modules with mutants that have none and are not among SPEAKING."""
    found = []
    for module in dict.fromkeys(mutant.module for mutant in MUTANTS):
        source = (ROOT / f"reconciler/{module}.py").read_text()
        places = [source.index(mutant.rule) for mutant in MUTANTS if mutant.module == module]
        for node in ast.parse(source).body:
            if isinstance(node, ast.FunctionDef):
                lines = source.splitlines(keepends=True)
                start, end = (len("".join(lines[:number])) for number in (node.lineno - 1, node.end_lineno))
                if not any(start <= place < end for place in places):
                    found.append(f"{module}.{node.name}")
    return [name for name in found if name not in SPEAKING]


def _trial(place: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-B", "-m", "tests.properties.trial", str(EXAMPLES)],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(place)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr  # laws that cannot be tried say nothing
    return done.stdout.strip()


def _forget_compiled(file: Path) -> None:
    for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*.pyc"):
        compiled.unlink()
