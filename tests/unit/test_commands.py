"""Commands as values: built for anything, run by a real shell, judged by what is there afterwards."""

from __future__ import annotations

import hashlib
import http.server
import io
import os
import re
import shlex
import stat
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from reconciler import commands
from reconciler.commands.release import CONTENT
from reconciler.model import Command, Secret

SECRET = "hunter2-hunter2"
HOSTILE_NAMES = ["plain", "with space", "it's", "$(touch x)", "`touch x`", "a;touch x", "-rf", "new\nline", "*", "ü"]


def run(command: Command) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["sh", "-c", command.line], input=command.stdin, capture_output=True, timeout=30, check=False)


def done(command: Command) -> bytes:
    result = run(command)
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


EVERY_COMMAND = [
    commands.apply_firewall((22, 443)),
    commands.apply_firewall((22,), ["192.0.2.0/24", "2001:db8::/32"]),
    commands.arm_access(),
    commands.clear_strays("/etc/openclaw", "*", ["*.token", "model.key"]),
    commands.confirm_access(),
    commands.confirm_firewall(),
    commands.daemon_reload(),
    commands.enable_unit("a.service"),
    commands.fetch_archive("http://127.0.0.1/x.tar", "0" * 64, "/opt/openclaw/node"),
    commands.grant_sudo("fleet", "zz", SECRET),
    commands.gateway_rpc("config.patch", {"raw": SECRET}),
    commands.install_file("/etc/openclaw/token", SECRET.encode(), "root:openclaw", "0640"),
    commands.install_file("/var/lib/openclaw/a", SECRET.encode(), "openclaw:openclaw", "0600"),
    commands.install_packages(["ufw", "g++"]),
    commands.install_release("2026.9.6", "/opt/openclaw/node", None, 300),
    commands.install_release("2026.9.6", "/opt/openclaw/node", "http://127.0.0.1", 300, b"{}", "5a" * 20),
    commands.make_directory("/etc/openclaw", "root:openclaw", "0750"),
    commands.make_symlink("/opt/openclaw/releases/1", "/opt/openclaw/current"),
    commands.make_way("/var/lib/openclaw/workspace", ["skills/x/SKILL.md"]),
    commands.make_system_user("openclaw", "/var/lib/openclaw"),
    commands.newest_release("/opt/openclaw/node", "http://127.0.0.1"),
    commands.plain_units(("a.service", "b.service")),
    commands.read_file("/var/lib/openclaw/a"),
    commands.read_lockfile("2026.9.6"),
    commands.refresh_packages(),
    commands.reload_sshd(),
    commands.remove_file("/var/lib/openclaw/a"),
    commands.repair_packages(),
    commands.reload_unit("a.service"),
    commands.reset_failed("a.service"),
    commands.restart_unit("a.service"),
    commands.rotate_host_key(Secret(SECRET), "ssh-ed25519 AAAA"),
    commands.run_probe({"digest_key": SECRET}),
    commands.ask_for_bot("http://127.0.0.1"),
    commands.check_config("/var/lib/openclaw/openclaw.json", "/opt/openclaw/current", "24.21.0", 400, 1000),
    commands.count_updates(),
    commands.set_aside_drop_ins("10-ours.conf"),
    commands.set_authorized_keys("fleet", "ssh-ed25519 AAAA"),
    commands.stop_unit("a.service"),
    commands.validate_config("2026.9.6", "24.21.0", SECRET.encode()),
    commands.wait_for_cloud_init(300),
]


@pytest.mark.parametrize("command", EVERY_COMMAND, ids=lambda command: command.name)
def test_every_command_is_a_shell_script_without_a_secret(command: Command) -> None:
    syntax = subprocess.run(["sh", "-n", "-c", command.line], capture_output=True, check=False)
    assert (syntax.returncode, syntax.stderr) == (0, b"")
    assert SECRET not in command.line + command.name + repr(command)


REFUSED: dict[str, Callable[[], Command]] = {
    "a relative path": partial(commands.install_file, "etc/x", b"", "root:root", "0644"),
    "a path with ..": partial(commands.install_file, "/etc/../root/x", b"", "root:root", "0644"),
    "a mode in words": partial(commands.install_file, "/etc/x", b"", "root:root", "u+s"),
    "an owner without a group": partial(commands.install_file, "/etc/x", b"", "root", "0644"),
    "a root's file in the gateway's home": partial(
        commands.install_file, "/var/lib/openclaw/x", b"", "root:root", "0644"
    ),
    "way in a place of root's": partial(commands.make_way, "/etc", ["x"]),
    "way for two lines": partial(commands.make_way, "/var/lib/openclaw/workspace", ["x\ny"]),
    "way out of the workspace": partial(commands.make_way, "/var/lib/openclaw/workspace", ["../x"]),
    "a link in the gateway's home": partial(commands.make_symlink, "/etc", "/var/lib/openclaw/x"),
    "an option as a package": partial(commands.install_packages, ["--allow-downgrades"]),
    "a range as a version": partial(commands.install_release, "latest", "/n", None, 1.0),
    "a version that is a path": partial(commands.install_release, "2026.9.6/../..", "/n", None, 1.0),
    "half a digest of a tree": partial(commands.install_release, "2026.9.6", "/n", None, 1.0, b"", "5a"),
    "the lock file of a version that is a path": partial(commands.read_lockfile, "../2026.9.6"),
    "no login key at all": partial(commands.set_authorized_keys, "fleet", "\n"),
    "clearing the gateway's home": partial(commands.clear_strays, "/var/lib/openclaw", "*", ()),
    "a source that is no network": partial(commands.apply_firewall, (22,), ["192.0.2.1/24"]),
    "half a digest": partial(commands.fetch_archive, "http://x", "abc", "/opt/openclaw/node"),
}


@pytest.mark.parametrize("build", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_meant_is_refused(build: Callable[[], Command]) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        build()


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_file_arrives_whole_under_any_name(tmp_path: Path, name: str) -> None:
    content = bytes(range(256)) * 100
    done(commands.install_file(f"{tmp_path}/{name}", content, "root:root", "0640"))
    assert names(tmp_path) == [name]
    written = (tmp_path / name).stat()
    assert ((tmp_path / name).read_bytes(), stat.S_IMODE(written.st_mode)) == (content, 0o640)
    assert done(commands.read_file(f"{tmp_path}/{name}")) == content


def test_a_file_replaces_a_link_and_never_writes_through_it(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("untouched")
    (tmp_path / "link").symlink_to(precious)
    (tmp_path / ".link.part").symlink_to(precious)
    done(commands.install_file(f"{tmp_path}/link", b"new", "root:root", "0600"))
    assert precious.read_text() == "untouched"
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "link").read_text() == "new"


def test_a_secret_is_never_readable_while_it_is_written(tmp_path: Path) -> None:
    command = commands.install_file(f"{tmp_path}/secret", b"", "root:root", "0600")
    with subprocess.Popen(["sh", "-c", command.line], stdin=subprocess.PIPE) as writing:
        part = tmp_path / ".secret.part"
        while not part.exists():
            assert writing.poll() is None
        assert stat.S_IMODE(part.stat().st_mode) == 0o600
        assert writing.stdin is not None
        writing.stdin.close()
    assert writing.returncode == 0


def test_a_file_whose_content_breaks_off_is_not_installed(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("old")
    command = commands.install_file(f"{tmp_path}/keys", b"the whole content", "root:root", "0600")
    assert run(replace(command, stdin=b"the whole")).returncode == 1
    assert (names(tmp_path), (tmp_path / "keys").read_text()) == (["keys"], "old")


def test_a_missing_parent_is_made_with_the_mode_asked_for(tmp_path: Path) -> None:
    done(commands.install_file(f"{tmp_path}/a/b/file", b"", "root:root", "0600", directory_mode="0700"))
    assert stat.S_IMODE((tmp_path / "a/b").stat().st_mode) == 0o700


def test_directories_and_links_end_as_wanted_whatever_was_there(tmp_path: Path) -> None:
    for mode in ("0700", "0750"):
        done(commands.make_directory(f"{tmp_path}/d", "root:root", mode))
        assert stat.S_IMODE((tmp_path / "d").stat().st_mode) == int(mode, 8)
    for target in ("/opt/one", "/opt/two"):
        done(commands.make_symlink(target, f"{tmp_path}/current"))
        assert str((tmp_path / "current").readlink()) == target
    assert names(tmp_path) == ["current", "d"]


def test_only_what_is_known_is_left_in_a_directory(tmp_path: Path) -> None:
    for name in [*HOSTILE_NAMES, "known one", "a.key", ".hidden"]:
        (tmp_path / name).mkdir()
    (tmp_path / "-rf/precious").touch()
    done(commands.clear_strays(str(tmp_path), "*", ["known one", "*.key", "plain"]))
    assert names(tmp_path) == ["a.key", "known one", "plain"]
    done(commands.clear_strays(str(tmp_path), "p*", []))
    assert names(tmp_path) == ["a.key", "known one"]
    done(commands.clear_strays(f"{tmp_path}/none", "*", []))


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_what_is_removed_is_gone_and_a_link_is_not_followed(tmp_path: Path, name: str) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / name).symlink_to(tmp_path / "precious")
    done(commands.remove_file(f"{tmp_path}/{name}"))
    done(commands.remove_file(f"{tmp_path}/{name}"))
    assert names(tmp_path) == ["precious"]


def test_inside_the_gateways_directories_nothing_is_done_as_root() -> None:
    inside = [
        commands.install_file("/var/lib/openclaw/.openclaw/openclaw.json", b"{}", "openclaw:openclaw", "0600"),
        commands.make_directory("/var/lib/openclaw/.openclaw", "openclaw:openclaw", "0700"),
        commands.read_file("/var/lib/openclaw/.openclaw/openclaw.json"),
        commands.remove_file("/var/lib/openclaw/workspace/SOUL.md"),
        commands.make_way("/var/lib/openclaw/workspace", ["SOUL.md"]),
    ]
    assert all("exec runuser -u openclaw -- sh -c" in command.line for command in inside)
    assert "runuser" not in commands.make_directory("/var/lib/openclaw", "openclaw:openclaw", "0700").line


@pytest.mark.parametrize("command", [commands.arm_access(), commands.apply_firewall((22,))], ids=["access", "firewall"])
def test_what_systemd_is_to_run_later_is_one_line(command: Command) -> None:
    """It reads its note of it again at every daemon-reload, and of several lines only the first would be left."""
    call = next(line for line in command.line.replace("\\\n", "").splitlines() if line.startswith("systemd-run"))
    assert shlex.split(call)[-2] == "sh"
    assert shlex.split(call)[-1].endswith("-before/revert")


@pytest.fixture
def archive(tmp_path: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        info = tarfile.TarInfo("node-v1/bin/node")
        info.size, info.mode, info.uid = 5, 0o777, 12345
        tar.addfile(info, io.BytesIO(b"hello"))
    return buffer.getvalue()


@pytest.fixture
def served(archive: bytes) -> Iterator[tuple[str, list[str]]]:
    """An address that gives the archive, and what was asked of it."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(archive)

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/node.tar.gz", asked
        server.shutdown()
        thread.join()


def test_an_archive_is_fetched_once_and_belongs_to_root(
    tmp_path: Path, archive: bytes, served: tuple[str, list[str]]
) -> None:
    url, asked = served
    command = commands.fetch_archive(url, hashlib.sha256(archive).hexdigest(), f"{tmp_path}/node")
    (tmp_path / "node.part").mkdir()  # what a run that was killed left behind
    (tmp_path / "node").mkdir()
    (tmp_path / "node/stale").touch()
    done(command)
    done(command)
    node = (tmp_path / "node/bin/node").stat()
    assert (node.st_uid, stat.S_IMODE(node.st_mode) & 0o022) == (0, 0)
    assert names(tmp_path) == ["node"]
    assert not (tmp_path / "node/stale").exists()
    assert len(asked) == 1


def test_an_archive_with_another_digest_leaves_nothing(tmp_path: Path, served: tuple[str, list[str]]) -> None:
    result = run(commands.fetch_archive(served[0], "0" * 64, f"{tmp_path}/node"))
    assert result.returncode == 1
    assert b"another SHA-256" in result.stderr
    assert names(tmp_path) == []


# --- what a tree holds --------------------------------------------------------------------------------------------


def digest_of(tree: Path) -> str:
    """As the installation of a release makes it."""
    with TemporaryDirectory() as scratch:
        script = f'set -eu; scratch=$1\n{CONTENT}\ncontent "$2"'
        result = subprocess.run(["sh", "-c", script, "sh", scratch, tree], capture_output=True, check=True)
    return result.stdout.decode().strip()


def grow(tree: Path, backwards: bool = False) -> Path:
    """The same tree, whatever is made first."""
    made: list[Callable[[], object]] = [
        lambda: (tree / "lib" / "new\nline x").write_text("a"),
        lambda: (tree / "lib" / "a.js").write_text("a"),
        lambda: (tree / "lib" / "link").symlink_to("a.js"),
        lambda: (tree / "lib" / "empty").mkdir(),
    ]
    (tree / "lib").mkdir(parents=True)
    for make in reversed(made) if backwards else made:
        make()
    return tree


def exchange(tree: Path) -> None:
    """Two files change their contents."""
    (tree / "lib" / "a.js").write_text("b")
    (tree / "lib" / "b.js").write_text("a")


def put_in_place_of_link(tree: Path, make: Callable[[Path], object]) -> None:
    (tree / "lib" / "link").unlink()
    make(tree / "lib" / "link")


ANOTHER_TREE: dict[str, Callable[[Path], object]] = {
    "another byte": lambda tree: (tree / "lib/a.js").write_text("b"),
    "another mode": lambda tree: (tree / "lib/a.js").chmod(0o755),
    "another mode of a directory": lambda tree: (tree / "lib/empty").chmod(0o700),
    "one file more": lambda tree: (tree / "lib/c.js").touch(),
    "one directory less": lambda tree: (tree / "lib/empty").rmdir(),
    "another name": lambda tree: (tree / "lib/a.js").rename(tree / "lib/c.js"),
    "a link to elsewhere": partial(put_in_place_of_link, make=lambda link: link.symlink_to("b.js")),
    "a file in the place of a link": partial(put_in_place_of_link, make=lambda link: link.write_text("a")),
    "two contents exchanged": exchange,
}


@pytest.mark.parametrize("change", ANOTHER_TREE.values(), ids=ANOTHER_TREE)
def test_a_tree_with_anything_else_in_it_has_another_digest(tmp_path: Path, change: Callable[[Path], object]) -> None:
    tree = grow(tmp_path / "tree")
    (tree / "lib/b.js").write_text("b")
    before = digest_of(tree)
    assert re.fullmatch("[0-9a-f]{40}", before)
    change(tree)
    assert digest_of(tree) != before


def test_the_same_tree_has_the_same_digest_wherever_and_whenever_it_was_made(tmp_path: Path) -> None:
    one, other = grow(tmp_path / "one"), grow(tmp_path / "elsewhere" / "other", backwards=True)
    os.utime(other / "lib/a.js", (1, 1))
    for name in (".openclaw-deploy-tree", ".openclaw-deploy-content", "package.json"):
        (other / name).write_text("of this host, or of this tool")
    assert digest_of(one) == digest_of(other)


def test_a_tree_that_is_not_there_has_no_digest(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        digest_of(tmp_path / "tree")
