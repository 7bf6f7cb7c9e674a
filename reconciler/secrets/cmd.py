"""Secrets that a program prints: `cmd:PROGRAM ARGUMENT...`, as the first line of its standard output.

Never a shell. What the program prints is in no error, also not what it says on standard error: both may hold the
secret.
"""

from __future__ import annotations

import os
import selectors
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from reconciler.errors import SecretError
from reconciler.model import Secret
from reconciler.secrets.value import decoded, secret_from

SOURCE = "cmd"
TIMEOUT: Final = 10.0  # seconds
MAX_BYTES: Final = 64 * 1024

_BY_HAND: Final = "Run it by hand to see why: what it prints is not shown here, because it may hold the secret."


def resolve(locator: str, base_dir: Path, environ: Mapping[str, str], timeout: float = TIMEOUT) -> Secret:
    """The first line that the command prints. It runs beside the fleet file, with nothing on its standard input.

    Raises SecretError when it cannot be run, fails, prints too much or nothing, or has not ended in `timeout` seconds;
    then its whole process group is killed.
    """
    argv = arguments(locator, environ)
    output = decoded(_output(argv, base_dir, _passed_on(environ), timeout), f"what {argv[0]} prints")
    return secret_from(output.partition("\n")[0], f"the first line that {argv[0]} prints")


def arguments(locator: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The words of the command, quoted as in a shell, the first as an absolute path. Raises SecretError."""
    try:
        words = shlex.split(locator)
    except ValueError:
        raise SecretError("a quote in the command is not closed", "Close it, or write \\ before it.") from None
    if not words:
        raise SecretError("the command names no program", "Write cmd:PROGRAM ARGUMENT...")
    return (program(words[0], environ), *words[1:])


def program(name: str, environ: Mapping[str, str]) -> str:
    """An absolute path as it is, a bare name as PATH finds it. Raises SecretError."""
    if name.startswith("/"):
        return name
    if "/" in name:
        raise SecretError(
            f'the program "{name}" is a relative path', "Write its absolute path, or a name that is found on PATH."
        )
    found = shutil.which(name, path=environ.get("PATH", os.defpath))
    if found is None or not found.startswith("/"):
        raise SecretError(f'there is no program "{name}" on PATH', "Install it, or write its absolute path.")
    return found


def _passed_on(environ: Mapping[str, str]) -> dict[str, str]:
    """Without our own variables: the fleet key is no business of the program's."""
    return {name: value for name, value in environ.items() if not name.startswith("FLEET_")}


def _output(argv: tuple[str, ...], base_dir: Path, environ: Mapping[str, str], timeout: float) -> bytes:
    deadline = time.monotonic() + timeout
    try:
        process = _started(argv, base_dir, environ)
    except OSError as error:
        raise SecretError(f"{argv[0]} cannot be run: {error.strerror}", "Install it, or mend the path.") from error
    with process:
        try:
            output = _read(process, deadline)
            if len(output) > MAX_BYTES:
                raise SecretError(f"{argv[0]} prints more than {MAX_BYTES} bytes", "A secret is one line.")
            code = process.wait(max(0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise SecretError(
                f"{argv[0]} did not end within {timeout:g} seconds",
                "Run it by hand: it may wait for a password, which it cannot ask for here. Unlock its store first.",
            ) from None
        finally:
            # Until it has been waited for, its process group is sure to be its own.
            if process.returncode is None:
                with suppress(PermissionError):  # what macOS says where all of it is dead
                    os.killpg(process.pid, signal.SIGKILL)
    if code != 0:
        ending = f"ended with exit code {code}" if code > 0 else f"was ended by signal {-code}"
        raise SecretError(f"{argv[0]} {ending}", _BY_HAND)
    return output


def _started(argv: tuple[str, ...], base_dir: Path, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        argv,
        cwd=base_dir,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # A group of its own, that can be killed, and no terminal: it would wait for a person that does not see it.
        start_new_session=True,
    )


def _read(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    """Everything until the program closes its output, or more than MAX_BYTES. Raises TimeoutExpired."""
    assert process.stdout is not None
    output = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while selector.select(max(0, deadline - time.monotonic())):
            chunk = os.read(process.stdout.fileno(), MAX_BYTES)
            output += chunk
            if not chunk or len(output) > MAX_BYTES:
                return bytes(output)
    raise subprocess.TimeoutExpired(process.args, 0)
