"""A real S3 server on loopback that checks signatures, for whoever keeps backups in a bucket."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

# scripts/test installs it from the lock in tests/contract/s3.
PROGRAM: Final = Path(__file__).parents[1] / ".venv/s3/node_modules/s3rver/bin/s3rver.js"
USER: Final = "S3RVER"  # its one account: the access key and the secret key
SECONDS: Final = 30


@contextmanager
def s3_server(directory: Path) -> Iterator[str]:
    """Its URL; it has a bucket `backups`, which lies in this directory."""
    assert PROGRAM.exists(), "run scripts/test once: it installs the S3 server of this test"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["--directory", str(directory), "--address", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(
        ["node", str(PROGRAM), *words, "--silent", "--configure-bucket", "backups"],
        env={"PATH": os.environ["PATH"], "NODE_NO_WARNINGS": "1"},
        stdin=subprocess.DEVNULL,
    )
    try:
        _await(port, server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(SECONDS)


def _await(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise AssertionError("the S3 server did not start")
