"""FabricDialer against Debian's own sshd on loopback."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.commands.forced import OPTIONS, PROGRAM_PATH, ask, forced_program
from reconciler.errors import CommandFailed, HostRefused, HostTimedOut, LoginRefused, WrongHostKey
from reconciler.model import Command, HostAddress, Secret
from reconciler.ssh import FabricDialer, FabricHost
from reconciler.wire import OUTPUT_LIMIT

SSHD = "/usr/sbin/sshd"  # sshd insists on an absolute path
SECRET = "a-secret-that-nobody-may-see"


@dataclass(frozen=True)
class Key:
    private: Secret
    public: str


@dataclass(frozen=True)
class Server:
    port: int
    host_key: Key
    login_key: Key
    login_file: Path

    def address(self, *, login: tuple[Key, ...] = (), pins: tuple[Key, ...] = ()) -> HostAddress:
        logins, hosts = login or (self.login_key,), pins or (self.host_key,)
        return HostAddress(
            "127.0.0.1", self.port, "root", tuple(k.private for k in logins), tuple(k.public for k in hosts)
        )


def make_key(path: Path) -> Key:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True)
    return Key(Secret(path.read_text()), Path(f"{path}.pub").read_text().strip())


@pytest.fixture(scope="module")
def other_key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    return make_key(tmp_path_factory.mktemp("other") / "key")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("sshd")
    host_key, login_key = make_key(directory / "host"), make_key(directory / "login")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    (directory / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {directory}/host\nAuthorizedKeysFile {directory}/login.pub\n"
        "PermitRootLogin prohibit-password\nStrictModes no\nUsePAM no\nPidFile none\nSubsystem sftp internal-sftp\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    with subprocess.Popen([SSHD, "-D", "-e", "-f", str(directory / "sshd_config")], stderr=subprocess.DEVNULL) as sshd:
        try:
            wait_until(lambda: answers(port))
            yield Server(port, host_key, login_key, directory / "login.pub")
        finally:
            sshd.terminate()


def answers(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


def wait_until(holds: Callable[[], bool], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def host(server: Server) -> Iterator[FabricHost]:
    host = FabricDialer().connect(server.address(), 5)
    yield host
    host.close()


def command(line: str, *, stdin: bytes = b"", timeout: float = 20, check: bool = True) -> Command:
    return Command("try something", line, stdin=stdin, timeout=timeout, check=check)


def test_the_pinned_key_is_accepted_and_told(server: Server, host: FabricHost) -> None:
    assert host.run(command("id -u")).stdout == b"0\n"
    assert host.host_key == server.host_key.public


def test_a_second_pin_is_accepted_and_told(server: Server, other_key: Key) -> None:
    host = FabricDialer().connect(server.address(pins=(other_key, server.host_key)), 5)
    assert host.host_key == server.host_key.public
    host.close()


def test_another_host_key_than_the_pinned_is_refused(server: Server, other_key: Key) -> None:
    with pytest.raises(WrongHostKey, match=f"127.0.0.1:{server.port} shows the host key SHA256:") as caught:
        FabricDialer().connect(server.address(pins=(other_key,)), 5)
    assert "only the wanted generation and the one before are tried" in caught.value.advice


def test_without_any_pin_no_key_is_trusted(server: Server) -> None:
    address = HostAddress("127.0.0.1", server.port, "root", (server.login_key.private,), ())
    with pytest.raises(WrongHostKey):
        FabricDialer().connect(address, 5)


def test_a_host_without_a_key_of_the_pinned_kind_is_a_wrong_host(server: Server) -> None:
    address = HostAddress("127.0.0.1", server.port, "root", (server.login_key.private,), ("ecdsa-sha2-nistp256 AAAA",))
    with pytest.raises(WrongHostKey):
        FabricDialer().connect(address, 5)


def test_another_login_key_is_refused(server: Server, other_key: Key) -> None:
    with pytest.raises(LoginRefused, match="does not accept our key for the user root"):
        FabricDialer().connect(server.address(login=(other_key,)), 5)


def test_a_second_login_key_is_tried(server: Server, other_key: Key) -> None:
    host = FabricDialer().connect(server.address(login=(other_key, server.login_key)), 5)
    assert host.run(command("true")).exit_code == 0
    host.close()


def test_a_closed_port_is_told_from_a_silent_one(server: Server) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        address = HostAddress(
            "127.0.0.1", silent.getsockname()[1], "root", (server.login_key.private,), (server.host_key.public,)
        )
        with pytest.raises(HostRefused):
            FabricDialer().connect(address, 5)
        silent.listen()
        started = time.monotonic()
        with pytest.raises(HostTimedOut):
            FabricDialer().connect(address, 1)
        assert time.monotonic() - started < 4


@pytest.mark.parametrize("stream", ["", " >&2"])
def test_a_flood_of_output_is_cut_and_costs_little(host: FabricHost, stream: str) -> None:
    started = time.monotonic()
    completed = host.run(command(f"head -c 20000000 /dev/zero{stream}"))
    assert len(completed.stdout) + len(completed.stderr) == OUTPUT_LIMIT
    assert time.monotonic() - started < 8


def test_a_command_that_hangs_is_gone_from_the_host(host: FabricHost) -> None:
    with pytest.raises(HostTimedOut, match="try something did not end within"):
        host.run(command("sleep 986.25 & sleep 986.25", timeout=0.5))
    wait_until(lambda: processes("sleep\0986.25") == [])
    assert host.run(command("echo still there")).stdout == b"still there\n"


def test_a_command_that_ignores_the_end_of_its_time_is_killed(host: FabricHost) -> None:
    with pytest.raises(HostTimedOut):
        host.run(command("trap '' TERM; while :; do sleep 986.5; done", timeout=0.5))
    wait_until(lambda: processes("sleep\0986.5") == [])


def processes(start: str) -> list[str]:
    found = []
    for command_line in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has just ended
            if command_line.read_text(errors="replace").startswith(start):
                found.append(command_line.parent.name)
    return found


@pytest.mark.parametrize("size", [0, 1, 70_000, 5_000_000])
def test_input_arrives_exactly(host: FabricHost, size: int) -> None:
    content = os.urandom(size)
    completed = host.run(command("sha256sum; wc -c </dev/null", stdin=content))
    expected = subprocess.run(["sha256sum"], input=content, capture_output=True, check=True).stdout
    assert completed.stdout.splitlines()[0] == expected.strip()


def test_a_command_may_leave_its_input_unread(host: FabricHost) -> None:
    assert host.run(command("exit 3", stdin=bytes(5_000_000), check=False)).exit_code == 3


def test_output_need_not_be_text(host: FabricHost) -> None:
    assert host.run(command(r"printf '\377\000\300'")).stdout == b"\xff\x00\xc0"


def test_a_failure_names_the_command_and_shows_the_end_of_its_words(host: FabricHost) -> None:
    line = r"seq 1 5000 >&2; printf '\033[31mred\007 \377 end\n' >&2; exit 9"
    with pytest.raises(CommandFailed) as failure:
        host.run(command(line))
    assert failure.value.exit_code_on_host == 9
    assert "try something failed with exit code 9: " in failure.value.summary
    assert failure.value.summary.endswith("end")
    assert len(failure.value.summary) < 1000
    assert failure.value.summary.isprintable()


def test_a_killed_command_failed_and_the_connection_did_not(host: FabricHost) -> None:
    with pytest.raises(CommandFailed, match="exit code 137"):
        host.run(command("kill -9 $$"))
    assert host.run(command("true")).exit_code == 0


def test_input_is_seen_neither_in_the_process_list_nor_in_an_error(host: FabricHost) -> None:
    listing = "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '"
    completed = host.run(command(f"read -r line; {listing}; cat >/dev/null", stdin=f"{SECRET}\n".encode()))
    assert b"read -r line" in completed.stdout
    assert SECRET.encode() not in completed.stdout
    with pytest.raises(CommandFailed) as failure:
        host.run(command("cat >&2; exit 1", stdin=f"{SECRET}\n".encode()))
    assert SECRET not in str(failure.value)


def test_a_connection_that_breaks_off_is_no_failure_of_the_command(server: Server) -> None:
    host = FabricDialer().connect(server.address(), 5)
    with pytest.raises(HostTimedOut, match="broke off during try something"):
        host.run(command("kill -9 $(ps -o ppid= -p $PPID)"))
    host.close()


SESSION = """
import json, sys
from reconciler.model import HostAddress, Secret
from reconciler.ssh import FabricDialer
port, login, pin = json.load(open(sys.argv[1]))
host = FabricDialer().connect(HostAddress("127.0.0.1", port, "root", (Secret(login),), (pin,)), 5)
code = host.interact()
host.close()
sys.exit(code)
"""


def test_a_port_here_leads_to_one_there_as_long_as_it_shall(host: FabricHost) -> None:
    """To several at once, and nowhere once it is closed."""
    with socket.create_server(("127.0.0.1", 0)) as there, socket.create_server(("127.0.0.1", 0)) as free:
        here: int = free.getsockname()[1]
        free.close()
        with host.forwarding(here, there.getsockname()[1]):
            wait_until(lambda: answers(here))
            there.accept()[0].close()
            with (
                socket.create_connection(("127.0.0.1", here)) as one,
                socket.create_connection(("127.0.0.1", here)) as two,
            ):
                for end, words in ((one, b"one"), (two, b"two")):
                    end.sendall(words)
                ends = [there.accept()[0] for _ in range(2)]
                assert sorted(end.recv(3) for end in ends) == [b"one", b"two"]
                ends[0].sendall(b"back")
                ends[1].sendall(b"back")
                assert (one.recv(4), two.recv(4)) == (b"back", b"back")
                for end in ends:
                    end.close()
        assert host.is_open
        assert not answers(here)


def test_a_connection_that_is_gone_is_not_open(server: Server) -> None:
    host = FabricDialer().connect(server.address(), timeout=10)
    assert host.is_open
    host.close()
    assert not host.is_open


def test_an_interactive_session_has_a_terminal_and_gives_ours_back(server: Server, tmp_path: Path) -> None:
    facts = tmp_path / "facts.json"
    facts.write_text(json.dumps([server.port, server.login_key.private.reveal(), server.host_key.public]))
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (33, 111))
    before = termios.tcgetattr(theirs)
    argv = [sys.executable, "-W", "error::DeprecationWarning", "-c", SESSION, str(facts)]
    with subprocess.Popen(argv, stdin=theirs, stdout=theirs, stderr=theirs) as session:
        try:
            os.write(ours, b"stty size; tty -s && echo tty-$((6 * 7)); exit 7\n")
            assert session.wait(20) == 7
        finally:
            session.kill()
    assert termios.tcgetattr(theirs) == before
    seen = os.read(ours, 65536).decode()
    assert "33 111" in seen
    assert "tty-42" in seen
    os.close(ours)
    os.close(theirs)


def test_an_interactive_session_reads_a_pipe_to_its_end(server: Server, tmp_path: Path) -> None:
    facts = tmp_path / "facts.json"
    facts.write_text(json.dumps([server.port, server.login_key.private.reveal(), server.host_key.public]))
    argv = [sys.executable, "-c", SESSION, str(facts)]
    session = subprocess.run(argv, input=b"echo $((6 * 7)); exit 3\n", capture_output=True, timeout=20, check=False)
    assert session.returncode == 3
    assert session.stdout.splitlines()[-1] == b"42"


# --- a login that may only ask ---------------------------------------------------------------------------------------


@pytest.fixture
def asking(server: Server, other_key: Key, tmp_path: Path) -> Iterator[Key]:
    """A key for which sshd runs our program, as on a host, where another stands in its place."""
    program = tmp_path / "probe"
    questions = {"hello": Command("hello", "cat", stdin=b"hi\n"), "config": Command("config", "exit 66")}
    program.write_text(forced_program(questions).replace("/run/openclaw-deploy.probe", str(tmp_path / "lock")))
    program.chmod(0o700)
    before = server.login_file.read_text()
    options = OPTIONS.replace(f"sudo -n -- {PROGRAM_PATH}", str(program))
    server.login_file.write_text(f"{before.rstrip()}\n{options} {other_key.public}\n")
    yield other_key
    server.login_file.write_text(before)


def test_who_may_only_ask_is_answered(server: Server, asking: Key) -> None:
    host = FabricDialer().connect(server.address(login=(asking,)), 5)
    assert host.run(ask("hello")).stdout == b"hi\n"
    assert host.run(ask("config", check=False)).exit_code == 66
    for line in ("id", "hello; id", "cat /etc/passwd", ""):
        with pytest.raises(CommandFailed, match="this key may only ask: hello, config"):
            host.run(Command("something", line))
    host.close()


def test_who_may_only_ask_gets_no_terminal_no_forwarding_and_no_files(
    server: Server, asking: Key, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_text(asking.private.reveal())
    key.chmod(0o600)
    settings = ("IdentitiesOnly", "BatchMode", "ExitOnForwardFailure")
    common = ["-i", str(key), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    common += [word for name in settings for word in ("-o", f"{name}=yes")]
    port, there = str(server.port), "root@127.0.0.1"

    def said(*words: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=20)

    shell = said("ssh", *common, "-p", port, "-tt", there)
    assert (shell.stdout, b"PTY allocation request failed" in shell.stderr) == (b"", True), shell
    assert said("ssh", *common, "-p", port, "-s", there, "sftp").returncode == 1
    assert said("scp", *common, "-P", port, f"{there}:/etc/passwd", str(tmp_path / "taken")).returncode != 0
    assert not (tmp_path / "taken").exists()
    backwards = said("ssh", *common, "-p", port, "-R", "0:127.0.0.1:22", there, "hello")
    assert (backwards.returncode, backwards.stdout) == (255, b""), backwards
    onwards = said("ssh", *common, "-p", port, "-W", f"127.0.0.1:{port}", there)
    assert (onwards.returncode, onwards.stdout, b"prohibited" in onwards.stderr) == (255, b"", True), onwards
