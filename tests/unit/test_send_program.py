"""The program that lets a gateway send messages, as a host runs it, against a server that answers as OpenClaw does."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from reconciler.commands.gateway import _INVOKE


class Gateway(BaseHTTPRequestHandler):
    """Answers with the message that was asked for, to the chat that `chats` names for its target."""

    chats: dict[str, str] = {}  # noqa: RUF012  # replaced by a fixture

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        target = asked["args"]["target"]
        details = {"ok": True, "messageId": "10", "chatId": self.chats.get(target, target)}
        content = json.dumps({"ok": True, "result": {"details": details}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name upstream
        """Nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Gateway) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()
        Gateway.chats = {}


def sent(port: int, tmp_path: Path, *targets: str) -> list[Any]:
    (tmp_path / "token").write_text("planted")
    calls = [{"tool": "message", "args": {"target": target}} for target in targets]
    request = {"port": port, "token_path": str(tmp_path / "token"), "calls": calls, "seconds": 5, "pause": 0}
    done = subprocess.run(
        [sys.executable, "-I", "-c", _INVOKE], input=json.dumps(request).encode(), capture_output=True, check=True
    )
    answers: list[Any] = json.loads(done.stdout)
    return answers


def test_a_message_is_known_by_the_id_that_the_gateway_gives_it(port: int, tmp_path: Path) -> None:
    assert sent(port, tmp_path, "4242", "77") == [{"message": "10", "problem": ""}] * 2


def test_an_answer_for_another_chat_proves_nothing(port: int, tmp_path: Path) -> None:
    Gateway.chats = {"4242": "999"}
    [answer, other] = sent(port, tmp_path, "4242", "77")
    assert (answer["message"], answer["unclear"], other["message"]) == ("", True, "10")
