"""What a host does that is not ours any more: it says what drives terminals, pages and CI systems, and tells secrets.

Each trouble is a function of one simulated host.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from reconciler.managed import files
from reconciler.model import Json
from reconciler.sandbox.simulated.disk import File
from reconciler.sandbox.simulated.host import SSHD_DROP_INS, SimulatedHost
from tests.contract.errors.namespace import Namespace

AGENTS_SECRET = "agents-own-planted-0123456789-nobody-may-see"
# One word: where a host's text is read word by word, it comes through whole.
WORD = "\x1b[31m\x1b]0;t\x07\x9b2J\u202e\u2066##vso[task.setvariable]x##[command]<script>`@all[a](javascript:b)|"
TEXT = f"{WORD}\r\n::set-output name=a::b\n::error::c ::stop-commands::d"


def writes_own_keys(host: SimulatedHost) -> None:
    """Keys of its own, some below ours, with a secret in each; and one of ours says something else."""
    file = host.files[files.CONFIG_PATH]
    config = json.loads(file.content)
    config["tools"] = {"web": {"search": {"apiKey": AGENTS_SECRET, "note": AGENTS_SECRET}}}
    config["models"]["providers"]["evil"] = {
        "baseUrl": f"https://agent:{AGENTS_SECRET}@evil.example",
        "apiKey": AGENTS_SECRET,
        "headers": {"X-Goog-Api-Key": AGENTS_SECRET, "Cookie": f"id={AGENTS_SECRET}", WORD: TEXT},
    }
    config["models"]["providers"][WORD] = {"api": TEXT}
    config["models"]["providers"]["anthropic"]["headers"] = {"X-Mine": AGENTS_SECRET}
    config["channels"]["telegram"]["proxy"] = f"http://agent:{AGENTS_SECRET}@evil.example"
    config["channels"]["telegram"]["dmPolicy"] = TEXT
    config["gateway"]["auth"]["password"] = AGENTS_SECRET
    file.content = json.dumps(config).encode()


def cannot_reach_telegram(secrets: str) -> Any:
    """It says so with the whole URL, as HTTP clients do."""

    def trouble(host: SimulatedHost) -> None:
        error = f"Call to https://telegram.example/bot{secrets}/getMe failed: {TEXT}"
        host.gateway.wrong = {"channel_connected": False, "channel_error": error}

    return trouble


def tells(secrets: str) -> Any:
    """The gateway's answers, its bot's name and names of files carry the text, and what it was trusted with."""

    def trouble(host: SimulatedHost) -> None:
        host.gateway.wrong = {
            "version": TEXT,
            "ready": False,
            "failing": [TEXT, secrets],
        }
        rename_bot(host, TEXT)
        host.files[f"/etc/sudoers.d/{WORD.replace('.', '')}"] = File(b"other ALL=(ALL) NOPASSWD: ALL\n")

    return trouble


def rename_bot(host: SimulatedHost, name: str) -> None:
    applied = host.files[files.APPLIED_PATH]
    applied.content = json.dumps({**json.loads(applied.content), "bot": name}).encode()


def refuses_configuration(host: SimulatedHost) -> None:
    """The release's verdict quotes what stands in the file."""
    config = host.content(files.CONFIG_PATH).decode()
    issue = {"path": "tools.web.search.apiKey", "message": f'"{AGENTS_SECRET}" {TEXT}', "in": config}
    host.invalid_config = json.dumps({"valid": False, "issues": [issue]})


def refuses_calls(secrets: str) -> Any:
    def trouble(host: SimulatedHost) -> None:
        host.invalid_config = ""
        file = host.files[files.CONFIG_PATH]
        config = json.loads(file.content)
        del config["gateway"]["auth"]["password"]  # what is left can be changed while it runs
        file.content = json.dumps(config).encode()
        host.gateway.refusal = f"no: {AGENTS_SECRET} {secrets} {TEXT}"

    return trouble


def breaks_sshd(secrets: str) -> Any:
    """`sshd -t` repeats the word that it does not know."""

    def trouble(host: SimulatedHost) -> None:
        host.files[f"{SSHD_DROP_INS}zz.conf"] = File(f"{WORD.replace(' ', '')}{secrets} yes\n".encode())

    return trouble


def fails_to_start(secrets: str) -> Any:
    """The gateway's last words."""

    def trouble(host: SimulatedHost) -> None:
        del host.files[f"{SSHD_DROP_INS}zz.conf"]
        journal: list[Json] = [f"token {secrets} {TEXT}"]
        host.gateway.wrong = {"active": "failed", "result": TEXT, "exit_status": 78, "journal": journal}

    return trouble


def says_nonsense(host: SimulatedHost) -> None:
    host.architecture = WORD


def behaves(host: SimulatedHost) -> None:
    host.gateway.wrong, host.gateway.refusal, host.architecture = {}, "", "x86_64"


@contextmanager
def rude_doors(namespace: Namespace, addresses: list[str]) -> Iterator[None]:
    """Something that says the text where an SSH server would greet."""
    with ExitStack() as opened:
        for address in addresses:
            with namespace.inside():
                listener = opened.enter_context(socket.create_server((address, 22)))
            threading.Thread(target=_greet, args=(listener,), daemon=True).start()
            opened.callback(listener.shutdown, socket.SHUT_RDWR)
        yield


def _greet(listener: socket.socket) -> None:
    with suppress(OSError):  # it was closed
        while True:
            visitor, _ = listener.accept()
            with visitor, suppress(OSError):
                visitor.sendall(f"{WORD} ::set-output name=a::b\r\n".encode() * 200)
                visitor.shutdown(socket.SHUT_WR)
                while visitor.recv(4096):
                    pass
