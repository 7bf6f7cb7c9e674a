"""Every error through the real command: each class of errors.py has a case, and what it says is a snapshot.

The cases are in tests/cases/errors; errors/case.py says what can stand in one.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import re
import shlex
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from typing import TypeGuard

import click
import pytest

from reconciler import errors
from reconciler.cli.main import fleet
from reconciler.errors import FleetError
from tests.contract.errors.case import CASES, Case, Said, assert_snapshot
from tests.contract.errors.namespace import Namespace, hold_namespace
from tests.contract.errors.running import PLANTED, PROJECT, play
from tests.contract.errors.world import READ_ONLY_TOKEN, TOKEN
from tests.contract.serving import Host, serve

Playing = Mapping[Path, Future[Said]]

AT_A_TIME = 3
SECRETS = (*PLANTED.values(), TOKEN, READ_ONLY_TOKEN)
BROKEN = {"FleetError"}  # says that the installation is not whole, which no case can bring about
# What was wrong and what comes next are one there.
SAID_IN_ONE = {"'nothing was changed'", "f'name the children to {doing}, or give --all'"}
# In backquotes, or given away by an option: `fleet key` alone may also be a thing.
ADVISED = re.compile(r"`fleet ([^`]+)`|\bfleet ([a-z-]+(?: [a-z]+)? --[a-z][a-z-]*(?: [A-Z]+)?)")


@pytest.fixture(scope="module")
def playing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playing]:
    """All that were asked for, some at a time: they mostly wait."""
    asked = [path for path in CASES if any(path.stem in item.name for item in request.session.items)]
    with ExitStack() as opened, ThreadPoolExecutor(AT_A_TIME) as pool:
        free: SimpleQueue[tuple[Namespace, Host]] = SimpleQueue()
        for _ in range(AT_A_TIME):
            namespace = opened.enter_context(hold_namespace())
            with namespace.inside():
                free.put((namespace, opened.enter_context(serve())))
        yield {path: pool.submit(play_somewhere, free, path, tmp_path_factory.mktemp("case")) for path in asked}
        pool.shutdown(cancel_futures=True)


def play_somewhere(free: SimpleQueue[tuple[Namespace, Host]], path: Path, home: Path) -> Said:
    namespace, host = free.get()
    try:
        return play(Case.from_file(path), namespace, host, home)
    finally:
        free.put((namespace, host))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case(path: Path, playing: Playing) -> None:
    case, said = Case.from_file(path), playing[path].result()
    transcript = said.transcript(case)
    print(transcript, said)
    if case.raises:
        texts = [summary for name, summary in said.raised if name == case.raises]
        assert any(text in said.stdout + said.stderr for text in texts), f"{case.raises} was not what people saw"
    assert "Traceback" not in said.stderr
    assert "this is a bug" not in said.stdout + said.stderr
    assert not [secret for secret in SECRETS if secret in said.stdout + said.stderr]
    assert_snapshot(path, transcript)


def test_every_class_of_error_has_a_case() -> None:
    covered = {Case.from_file(path).raises for path in CASES}
    classes = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, FleetError)]
    leaves = {kind.__name__ for kind in classes if not kind.__subclasses__()}
    assert not leaves - covered


def test_every_class_raised_by_its_name_has_a_case() -> None:
    """Also those that others derive from."""
    covered = {Case.from_file(path).raises for path in CASES}
    raised = {
        node.exc.func.id
        for _, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name)
    }
    assert {name for name in raised if issubclass(getattr(errors, name, Exception), FleetError)} - covered <= BROKEN


def test_every_error_says_what_to_do_next() -> None:
    silent = {
        ast.unparse(call.args[0])
        for _, tree in sources()
        for call in ast.walk(tree)
        if is_error(call) and len(call.args) == 1 and not isinstance(call.args[0], ast.Starred)
    }
    assert silent == SAID_IN_ONE


def test_every_advised_command_is_one_of_ours() -> None:
    """Those of the snapshots, and every `fleet …` that stands in a text of the source."""
    snapshots = ((path.name, path.with_suffix(".out").read_text(encoding="utf-8").partition("\n")[2]) for path in CASES)
    printed = [*snapshots, *((str(path), text) for path, tree in sources() for text in texts(tree))]
    advised = {(place, quoted or bare) for place, text in printed for quoted, bare in ADVISED.findall(text)}
    assert len(advised) >= 10
    wrong = [f"{place}: `fleet {line}`: {problem}" for place, line in sorted(advised) if (problem := misuse(line))]
    assert not wrong, "\n".join(wrong)


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted((PROJECT / "reconciler").rglob("*.py")):
        yield path.relative_to(PROJECT), ast.parse(path.read_text(encoding="utf-8"))


def is_error(node: ast.AST) -> TypeGuard[ast.Call]:
    """Whether an error is made here; one of the fleet file has its advice in its diagnostics."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id == "ConfigError":
        return False
    kind = getattr(errors, node.func.id, None)
    return isinstance(kind, type) and issubclass(kind, FleetError)


def texts(tree: ast.Module) -> Iterator[str]:
    """What can be printed: every string but docstrings and help; a value in an f-string reads as WORD."""
    skipped = {id(part) for node in ast.walk(tree) for part in silent_parts(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "WORD" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield re.sub(r"\{\w*\}", "WORD", node.value)


def silent_parts(node: ast.AST) -> Iterator[ast.AST]:
    """What of this node is not a text by itself."""
    if isinstance(node, ast.JoinedStr):
        yield from ast.walk(node)
    elif isinstance(node, ast.Expr) or (isinstance(node, ast.keyword) and node.arg == "help"):
        yield node.value  # a docstring, or what `--help` says
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "lock":
        yield from node.args


def misuse(line: str) -> str:
    """Why our own command line does not take this one; empty when it does. Nothing is run."""
    command: click.Command = fleet
    words = shlex.split(line)
    try:
        while isinstance(command, click.Group) and words:
            _, found, words = command.resolve_command(click.Context(command), words)
            assert found is not None
            command = found
        with contextlib.redirect_stdout(io.StringIO()):
            command.make_context(command.name, words)
    except click.exceptions.Exit:
        return ""  # --help
    except click.ClickException as error:
        return error.format_message()
    return ""
