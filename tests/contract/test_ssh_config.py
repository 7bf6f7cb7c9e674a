"""What `fleet ssh-config` writes, read by the real ssh client and answered by Debian's own sshd on loopback."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from reconciler import keys
from reconciler.cli.ssh_config import write_child
from reconciler.errors import SecretError
from reconciler.model import HostAddress, Secret
from reconciler.render.ssh_config import can_be_written, include
from reconciler.secrets import identity
from reconciler.ssh import FabricDialer

FLEET_KEY = keys.make_key(bytes(range(32)))
SSHD = "/usr/sbin/sshd"


@dataclass(frozen=True)
class Server:
    """sshd that knows the child's derived keys, and an RSA key of a person with a passphrase."""

    address: HostAddress
    person: Path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("sshd")
    login, host = (derive(FLEET_KEY, "uid", 1) for derive in (keys.login_key, keys.host_key))
    person = directory / "id_rsa"
    keygen = ["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "a passphrase", "-f", str(person)]
    subprocess.run(keygen, check=True)
    (directory / "host").write_text(host.reveal())
    (directory / "host").chmod(0o600)
    (directory / "authorized").write_text(f"{keys.public_key(login)}\n{Path(f'{person}.pub').read_text()}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    (directory / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {directory}/host\nAuthorizedKeysFile {directory}/authorized\n"
        "PermitRootLogin prohibit-password\nStrictModes no\nUsePAM no\nPidFile none\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    with subprocess.Popen([SSHD, "-D", "-e", "-f", str(directory / "sshd_config")], stderr=subprocess.DEVNULL) as sshd:
        try:
            _wait(port)
            yield Server(HostAddress("127.0.0.1", port, "root", (login,), (keys.public_key(host),)), person)
        finally:
            sshd.terminate()


def _wait(port: int) -> None:
    deadline = time.monotonic() + 5
    while True:
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < deadline, "sshd does not start"
        time.sleep(0.02)


def ssh(directory: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """With nothing but a configuration that includes ours."""
    config = directory / "config"
    config.write_text(include(str(directory)) + "\n")
    argv = ["ssh", "-F", str(config), "-o", "BatchMode=yes", "demo-alice", *command]
    return subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False, env={"PATH": "/usr/bin:/bin"})


@pytest.mark.parametrize("name", ["plain", "with a space", "100%", "Ann's", "Ann's own", "$HOME", "a {b,c} #d = ü"])
def test_ssh_gets_in_by_the_childs_name(server: Server, tmp_path: Path, name: str) -> None:
    directory = tmp_path / name
    directory.mkdir()
    write_child(directory, "demo-alice", server.address)
    done = ssh(directory, "echo", "in")
    assert (done.stdout, done.returncode) == ("in\n", 0), done.stderr
    assert can_be_written(str(directory))


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a[b]", "a\nb", "${HOME}", "*"])
def test_ssh_does_not_find_what_its_configuration_cannot_say(server: Server, tmp_path: Path, name: str) -> None:
    """Nor the files of that directory alone: a star finds those of its neighbour too."""
    directory = tmp_path / name
    for place in (tmp_path / "neighbour", directory):
        place.mkdir()
    write_child(directory, "demo-alice", server.address)
    (tmp_path / "neighbour" / "demo-alice.conf").write_text("Match all\n  ProxyCommand false\n")
    assert ssh(directory, "echo", "in").returncode == 255
    assert not can_be_written(str(directory))


def test_a_key_of_the_generation_before_gets_in_too(server: Server, tmp_path: Path) -> None:
    newer = tuple(derive(FLEET_KEY, "uid", 2) for derive in (keys.login_key, keys.host_key))
    address = replace(
        server.address,
        login_keys=(newer[0], *server.address.login_keys),
        host_keys=(keys.public_key(newer[1]), *server.address.host_keys),
    )
    write_child(tmp_path, "demo-alice", address)
    assert ssh(tmp_path, "echo", "in").stdout == "in\n"


def test_ssh_refuses_a_host_with_another_key(server: Server, tmp_path: Path) -> None:
    other = keys.public_key(keys.host_key(FLEET_KEY, "somebody else", 1))
    write_child(tmp_path, "demo-alice", replace(server.address, host_keys=(other,)))
    done = ssh(tmp_path, "echo", "in")
    assert (done.stdout, done.returncode) == ("", 255)
    assert "Host key verification failed" in done.stderr


def test_a_person_gets_in_with_an_rsa_key_and_its_passphrase(server: Server) -> None:
    own = identity.read(server.person, lambda: "a passphrase")
    host = FabricDialer().connect(replace(server.address, login_keys=(own,)), 5)
    host.close()


def test_a_wrong_passphrase_is_told(server: Server) -> None:
    with pytest.raises(SecretError, match="that passphrase does not open"):
        identity.read(server.person, lambda: "another")


def test_keys_of_every_usual_kind_are_read(tmp_path: Path) -> None:
    for kind, form in (("ed25519", "RFC4716"), ("ecdsa", "RFC4716"), ("ecdsa", "PEM"), ("rsa", "RFC4716")):
        path = tmp_path / f"{kind}-{form}"
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-m", form, "-N", "", "-f", str(path)], check=True)
        assert isinstance(identity.read(path, lambda: pytest.fail("nobody asked")), Secret)
