"""The emulated cloud under the real one's name, so that the real adapters run unchanged; every request is kept.

Only inside a namespace: its /etc/hosts leads that name to loopback, and a certificate of our own is shown there.
"""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reconciler.clouds.hetzner import ENDPOINT
from tests.contract.errors.namespace import Namespace

NAME = str(urlsplit(ENDPOINT).hostname)


@dataclass
class Overheard:
    """ASGI middleware. `requests` is all that was sent but for the two things that are secrets by their nature."""

    app: ASGIApp
    requests: list[bytes] = field(default_factory=list)
    authorizations: list[bytes] = field(default_factory=list)
    user_data: list[bytes] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = bytearray()

        async def keep() -> Message:
            message = await receive()
            body.extend(message.get("body", b""))
            return message

        await self.app(scope, keep, send)
        self._note(scope, bytes(body))

    def _note(self, scope: Scope, body: bytes) -> None:
        headers = dict(scope["headers"])
        self.authorizations.append(headers.pop(b"authorization", b""))
        fields = json.loads(body or b"{}")
        self.user_data.append(fields.pop("user_data", "").encode())
        line = f"{scope['method']} {scope['path']}?".encode() + scope["query_string"]
        rest = b"\n".join(name + b": " + value for name, value in headers.items())
        # As it went over the wire, too: what JSON reads away is not gone.
        wire = b"" if self.user_data[-1] else body
        self.requests.append(b"\n".join((line, rest, json.dumps(fields).encode(), wire)))


@contextmanager
def under_its_name(namespace: Namespace, app: ASGIApp, directory: Path) -> Iterator[Path]:
    """The file with the certificate that a client in the namespace has to trust, while `app` is served there."""
    certificate, key = _certificate(directory)
    hosts = directory / "hosts"
    hosts.write_text(f"127.0.0.1 localhost {NAME}\n", encoding="ascii")
    enter = ["nsenter", f"--target={namespace.holder}", "--mount", "--"]
    subprocess.run([*enter, "mount", "--bind", str(hosts), "/etc/hosts"], check=True)
    with namespace.inside():
        listener = socket.create_server(("127.0.0.1", 443))
    config = uvicorn.Config(
        app, log_level="critical", ws="none", lifespan="on", ssl_certfile=certificate, ssl_keyfile=key
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    with listener:
        thread.start()
        try:
            deadline = time.monotonic() + 10
            while not server.started:
                assert time.monotonic() < deadline, "the cloud does not start"
                time.sleep(0.005)
            yield certificate
        finally:
            server.should_exit = True
            thread.join(10)


def _certificate(directory: Path) -> tuple[Path, Path]:
    """Its own authority, for an hour."""
    key, now = generate_private_key(SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(NAME), x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    shown, kept = directory / "cloud.pem", directory / "cloud.key"
    shown.write_bytes(certificate.public_bytes(Encoding.PEM))
    kept.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return shown, kept
