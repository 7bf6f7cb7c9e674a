"""The looks at managed things, and what the answer says besides."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.answers import parse_answer
from reconciler.errors import HostError
from reconciler.model import Applied, GatewayFacts, Json
from reconciler.probe_program.reading import output
from tests.unit.probe_program.conftest import KEY, Disk


def test_an_empty_host_has_facts_and_nothing_of_ours(disk: Disk) -> None:
    facts = disk.probe()
    assert (facts.boot_id, facts.memory_free_mb, facts.architecture) == ("boot-1", 2048, os.uname().machine)
    assert abs(facts.clock - time.time()) < 30
    assert facts.disk_free_mb > 0
    assert (facts.managed, facts.applied, facts.gateway) == ({}, None, GatewayFacts())


ROOTS: dict[str, Json] = {"mode": "0755", "owner": "root:root"}


def test_a_file_is_told_by_digest_mode_and_owner(disk: Disk) -> None:
    disk.write("/etc/x", b"\xff\0", 0o640)
    answer = {"sha256": hashlib.sha256(b"\xff\0").hexdigest(), "mode": "0640", "owner": "root:root"}
    assert disk.look(kind="file", path="/etc/x", secret=False) == answer
    assert disk.look(kind="file", path="/etc/y", secret=False) is None


def test_a_secret_is_told_by_a_keyed_digest_only(disk: Disk) -> None:
    disk.write("/etc/x", "1234", 0o600)
    keyed = hmac.new(bytes.fromhex(KEY), b"1234", hashlib.sha256).hexdigest()
    assert disk.look(kind="file", path="/etc/x", secret=True) == {"hmac": keyed, "mode": "0600", "owner": "root:root"}


@pytest.mark.parametrize(
    ("token", "number"),
    [("123456:secret-part", "123456"), ("secret-part", None), ("x1:y", None), ("", None), ("1" * 30 + ":x", None)],
)
def test_of_a_bots_token_the_number_is_told_and_nothing_else(disk: Disk, token: str, number: str | None) -> None:
    disk.write("/etc/openclaw/telegram.token", token, 0o400)
    facts = disk.probe()
    assert facts.bot == number
    assert "secret-part" not in repr(facts)


PLANTED: dict[str, Callable[[Path], object]] = {
    "a link to somewhere": lambda path: path.symlink_to("/etc/shadow"),
    "a pipe that nobody writes": os.mkfifo,
    "a directory": Path.mkdir,
    "a device without end": lambda path: os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5)),
}


@pytest.mark.parametrize("plant", PLANTED.values(), ids=PLANTED)
def test_what_is_no_file_is_neither_followed_nor_waited_for(disk: Disk, plant: Callable[[Path], object]) -> None:
    plant(disk.root / "x")
    assert disk.look(kind="file", path="/x", secret=False) == {"error": "not a regular file"}
    assert disk.look(kind="json_keys", path="/x", keys=[["a"]]) is None


def test_a_link_is_no_directory(disk: Disk) -> None:
    (disk.root / "d").mkdir(mode=0o750)
    (disk.root / "l").symlink_to("/opt/d")
    assert disk.look(kind="directory", path="/d") == {"mode": "0750", "owner": "root:root"}
    assert disk.look(kind="directory", path="/l") == {"error": "not a directory"}
    assert disk.look(kind="directory", path="/n") is None


def test_an_account_and_every_group_it_was_put_into(disk: Disk) -> None:
    disk.write("/etc/passwd", "root:x:0:0::/root:/bin/sh\nopenclaw:x:9:9::/var/lib/openclaw:/usr/sbin/nologin\n")
    disk.write("/etc/shadow", "root:$y$j:1::::::\nopenclaw:!:1::::::\n")
    disk.write("/etc/group", "root:x:0:\nopenclaw:x:9:\n")
    answer = {"home": "/var/lib/openclaw", "shell": "/usr/sbin/nologin", "locked": True}
    assert disk.look(kind="account", name="openclaw") == answer
    disk.write("/etc/group", "sudo:x:27:ann,openclaw\n")
    assert disk.look(kind="account", name="openclaw") == {**answer, "groups": ["sudo"]}
    disk.write("/etc/shadow", "openclaw:$y$j:1::::::\n")
    assert disk.look(kind="account", name="openclaw") == {**answer, "groups": ["sudo"], "locked": False}
    assert disk.look(kind="account", name="claw") is None


def test_a_package_counts_only_when_wholly_installed(disk: Disk) -> None:
    disk.prints("dpkg-query", "ufw ii \ncurl iU \n")
    assert disk.look(kind="packages", names=["ufw", "curl", "git"]) == {"ufw": True, "curl": False, "git": False}


def test_rules_of_a_table_are_told_as_they_are_in_force(disk: Disk) -> None:
    disk.prints("nft", "table inet t {\n\tchain c {\n\t\treject with icmp port-unreachable\n\t}\n}\n")
    assert disk.look(kind="rules", table=["inet", "t"]) == ["table inet t {", "chain c {", "reject", "}", "}"]
    disk.prints("nft", "table inet t {\n\treject with icmpx port-unreachable\n}\n")
    assert disk.look(kind="rules", table=["inet", "t"], names=True) == ["table inet t {", "reject", "}"]
    disk.prints("nft", "")
    assert disk.look(kind="rules", table=["inet", "t"]) is None


def test_rules_about_accounts_are_told_by_number_or_by_name(disk: Disk) -> None:
    disk.write("/bin/nft", '#!/bin/sh\necho "$*"\n', 0o755)
    assert disk.look(kind="rules", table=["inet", "t"]) == ["list table inet t"]
    assert disk.look(kind="rules", table=["inet", "t"], names=True) == ["--guid list table inet t"]


def test_a_host_without_a_package_of_ours_can_be_looked_at(disk: Disk) -> None:
    """Or nobody could see that it is missing, and no apply would install it again."""
    (disk.root / "bin/nft").unlink()
    disk.prints("dpkg-query", "ufw ii \n")
    facts = disk.probe(
        {
            "packages": {"kind": "packages", "names": ["nftables", "ufw"]},
            "rules": {"kind": "rules", "table": ["inet", "t"]},
            "firewall": {"kind": "firewall"},
        }
    )
    assert facts.managed["packages"] == {"nftables": False, "ufw": True}
    assert facts.managed["rules"] is None


KEYS: Json = [["gateway", "bind"], ["gateway", "auth"], ["channels", "telegram", "allowFrom"], ["gone"]]
DOCUMENTS: dict[str, tuple[str, Json]] = {
    "managed keys only": (
        '{"gateway": {"bind": "lan", "theirs": 1}, "theirs": {}, "channels": {"telegram": {"allowFrom": ["1"]}}}',
        {"gateway": {"bind": "lan"}, "channels": {"telegram": {"allowFrom": ["1"]}}},
    ),
    "an inline secret": (
        '{"gateway": {"auth": {"mode": "token", "token": "oops"}}}',
        {"gateway": {"auth": {"mode": "token", "token": "(inline secret)"}}},
    ),
    "inline secrets of other kinds": (
        '{"gateway": {"auth": {"password": 12345678, "Access_Tokens": ["oops"], "maxTokens": 4, "needsToken": true}}}',
        {
            "gateway": {
                "auth": {
                    "password": "(inline secret)",
                    "Access_Tokens": ["(inline secret)"],
                    "maxTokens": 4,
                    "needsToken": True,
                }
            }
        },
    ),
    "a value where a map should be": ('{"gateway": "off", "gone": null}', {"gone": None}),
    "no JSON": ("{not json", {"error": "not JSON"}),
    "no object": ("[1]", {"error": "not JSON"}),
    "nested without end": ("[" * 100_000, {"error": "not JSON"}),
    "hostile text": ('{"gone": "\\u001b]0;x\\u0007 \\ud800 \\u2028"}', {"gone": "\x1b]0;x\x07 \ud800 \u2028"}),
}


@pytest.mark.parametrize(("document", "answer"), DOCUMENTS.values(), ids=DOCUMENTS)
def test_of_a_json_file_exactly_the_managed_keys_are_told(disk: Disk, document: str, answer: Json) -> None:
    disk.write("/c.json", document)
    assert disk.look(kind="json_keys", path="/c.json", keys=KEYS) == answer


def test_a_unit_and_one_that_is_not_there(disk: Disk) -> None:
    disk.prints("systemctl", "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\n")
    assert disk.look(kind="unit", name="a.service") == {"enabled": "enabled", "active": "active"}
    disk.prints("systemctl", "LoadState=not-found\nActiveState=inactive\nUnitFileState=\n")
    assert disk.look(kind="unit", name="a.service") is None


def test_a_release_is_complete_only_without_a_lifecycle_marker(disk: Disk) -> None:
    package = "/opt/openclaw/releases/2026.9.6/node_modules/openclaw"
    assert disk.look(kind="release", path="/opt/openclaw/current") is None
    disk.write(f"{package}/package.json", '{"version": "2026.9.6"}')
    link = "/opt/openclaw/releases/2026.9.6"
    (disk.root / "opt/openclaw/current").symlink_to(link)
    disk.seal(link)
    answer: Json = {"version": "2026.9.6", "complete": True, "link": link, "intact": True, "tree": None, **ROOTS}
    assert disk.look(kind="release", path="/opt/openclaw/current") == answer
    disk.write(f"{package}/.openclaw-lifecycle-pending", "")
    assert disk.look(kind="release", path="/opt/openclaw/current") == {
        "version": "2026.9.6",
        "complete": False,
        "link": link,
        "intact": False,
        "tree": None,
    }


@pytest.mark.parametrize(
    ("noted", "told"), [("5a" * 20 + "\n", "5a" * 20), ("5a" * 19, None), ("<script>" * 5, None), ("", None)]
)
def test_a_release_tells_the_digest_that_was_noted_of_its_content(disk: Disk, noted: str, told: str | None) -> None:
    link = "/opt/openclaw/releases/2026.9.6"
    disk.write(f"{link}/.openclaw-deploy-content", noted)
    (disk.root / "opt/openclaw/current").symlink_to(link)
    found = disk.look(kind="release", path="/opt/openclaw/current")
    assert isinstance(found, dict)
    assert found["tree"] == told


def disguise(path: Path) -> None:
    before = path.stat()
    path.write_text("b")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


TAMPERED: dict[str, Callable[[Path], object]] = {
    "another byte": lambda tree: (tree / "lib/a.js").write_text("b"),
    "another byte, and the old time": lambda tree: disguise(tree / "lib/a.js"),
    "another mode": lambda tree: (tree / "lib/a.js").chmod(0o666),
    "one more": lambda tree: (tree / "lib/b.js").touch(),
    "one less": lambda tree: (tree / "lib/a.js").unlink(),
    "no mark": lambda tree: (tree / ".openclaw-deploy-tree").unlink(),
}


@pytest.mark.parametrize("tamper", TAMPERED.values(), ids=TAMPERED)
def test_an_installed_tree_is_intact_until_somebody_touches_it(disk: Disk, tamper: Callable[[Path], object]) -> None:
    disk.write("/node/bin/node", "", 0o755)
    disk.write("/node/lib/a.js", "a")
    os.utime(disk.root / "node/lib/a.js", (1, 1))
    disk.seal("/node")
    look: dict[str, Json] = {"kind": "directory", "path": "/node", "program": "bin/node"}
    assert disk.look(**look) == {**ROOTS, "program": True, "intact": True}
    tamper(disk.root / "node")
    assert disk.look(**look) == {**ROOTS, "program": True, "intact": False}


def test_what_does_not_belong_into_a_directory_is_named(disk: Disk) -> None:
    for name in ("known", "model.key", ".hidden", "stray"):
        disk.write(f"/d/{name}", "")
    answer = {**ROOTS, "strays": [".hidden", "stray"]}
    assert disk.look(kind="directory", path="/d", only=["known", "*.key"]) == answer
    assert disk.look(kind="directory", path="/d", only=["*"]) == ROOTS
    assert disk.look(kind="names", path="/d", pattern="s*", only=["known"]) == ["stray"]
    assert disk.look(kind="names", path="/none", pattern="*", only=[]) == []
    assert disk.look(kind="paths", paths=["/d/stray", "/d/none"]) == ["/d/stray"]


def test_nothing_is_below_a_file(disk: Disk) -> None:
    """Whoever puts a file in the place of a directory of ours must not keep us from looking."""
    disk.write("/flat", "hi")
    assert disk.look(kind="directory", path="/flat/below", only=["*"]) is None
    assert disk.look(kind="directory", path="/flat/far/below", program="node") is None
    assert disk.look(kind="file", path="/flat/below") is None
    assert disk.look(kind="release", path="/flat/current") is None
    assert disk.look(kind="names", path="/flat", pattern="*", only=[]) == []
    assert disk.look(kind="workspace", path="/flat", files={"below": "managed", "far/below": "seed"}) == {}


def test_a_private_key_is_told_by_its_public_half(disk: Disk) -> None:
    assert disk.look(kind="private_key", path="/key") is None
    disk.write("/key", "not a key", 0o600)
    assert disk.look(kind="private_key", path="/key") == {"public": "", "mode": "0600", "owner": "root:root"}
    (disk.root / "key").unlink()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "me", "-f", disk.root / "key"], check=True)
    public = " ".join((disk.root / "key.pub").read_text().split()[:2])
    assert disk.look(kind="private_key", path="/key") == {"public": public, "mode": "0600", "owner": "root:root"}


# --- workspace files and keys that only the fleet file names ------------------------------------------------------


def note(disk: Disk, **more: Json) -> None:
    text = json.dumps({"tool": "1", "spec_digest": "2", "digests": {}, "at": "4", **more})
    disk.write("/var/lib/openclaw-deploy/applied.json", text)


def test_workspace_files_by_digest_and_seeds_by_having_been_sown(disk: Disk) -> None:
    files: Json = {"A.md": "managed", "B.md": "managed", "S.md": "seed", "T.md": "seed"}
    look: dict[str, Json] = {"kind": "workspace", "path": "/w", "files": files}
    assert disk.look(**look) == {}
    disk.write("/w/A.md", "a")
    disk.write("/w/S.md", "whatever")
    sha = hashlib.sha256(b"a").hexdigest()
    assert disk.look(**look) == {"A.md": sha, "S.md": "seeded"}
    disk.write("/w/old.md", "a")
    note(disk, managed_files=["old.md", "gone.md"], seeded_files=["T.md", "other.md"])
    assert disk.look(**look) == {"A.md": sha, "S.md": "seeded", "T.md": "seeded", "old.md": sha}


def test_a_workspace_that_leads_elsewhere_is_not_followed(disk: Disk) -> None:
    disk.write("/etc/shadow", "secret")
    (disk.root / "w").mkdir()
    (disk.root / "w/skills").symlink_to(disk.root / "etc")
    answer = {"skills/shadow": {"error": "a link on the way to it"}}
    assert disk.look(kind="workspace", path="/w", files={"skills/shadow": "managed"}) == answer


@pytest.mark.parametrize("keys", [[["tools", "profile"]], "nonsense", None])
def test_keys_of_the_last_apply_are_looked_at_too(disk: Disk, keys: Json) -> None:
    disk.write("/c.json", '{"tools": {"profile": "x", "theirs": 1}}')
    note(disk, config_keys=keys)
    wanted = {"tools": {"profile": "x"}} if isinstance(keys, list) else {}
    assert disk.look(kind="json_keys", path="/c.json", keys=[]) == wanted


def test_what_was_applied_is_read_and_nonsense_is_nothing(disk: Disk) -> None:
    note = {"tool": "1", "spec_digest": "2", "digests": {"unit": "3"}, "at": "4"}
    disk.write("/var/lib/openclaw-deploy/applied.json", json.dumps(note))
    applied = disk.probe().applied
    assert applied is not None
    assert applied == Applied("1", "2", {"unit": "3"}, "4")
    more: dict[str, Json] = {
        "version": "2026.9.6",
        "repairs": {"unit": ["2026-11-22T12:00:00+00:00", "today", 5, "2026-11-22T12:00:00"], "sshd": None},
        "config_keys": [["a", "b.c"], "d", []],
        "managed_files": ["A.md", 1],
    }
    disk.write("/var/lib/openclaw-deploy/applied.json", json.dumps(note | more))
    applied = disk.probe().applied
    assert applied is not None
    assert applied.version == "2026.9.6"
    assert applied.repairs == {"unit": ("2026-11-22T12:00:00+00:00",), "sshd": ()}
    assert (applied.config_keys, applied.managed_files) == ((("a", "b.c"),), ("A.md",))
    disk.write("/var/lib/openclaw-deploy/applied.json", '{"tool": 1}')
    assert disk.probe().applied is None


def test_a_program_that_takes_too_long_is_said_without_its_text() -> None:
    with pytest.raises(TimeoutError, match=r"^sleep took more than 0\.1 s: the host is very busy$"):
        output("sleep", "5", seconds=0.1)


def test_half_a_look_is_no_look(disk: Disk) -> None:
    result = disk.run({"fine": {"kind": "file", "path": "/x"}, "odd": {"kind": "horoscope"}})
    assert result.returncode == 1
    assert result.stdout == b""
    assert result.stderr.decode().strip() == "RuntimeError: cannot look at odd: KeyError: 'horoscope'"


@pytest.mark.parametrize("printed", [b"", b"{}", b"[1]", b"\xff", b'{"boot_id": ', b"null"])
def test_an_answer_that_is_none_is_an_error(printed: bytes) -> None:
    with pytest.raises(HostError, match="the probe's answer cannot be read"):
        parse_answer(printed)
