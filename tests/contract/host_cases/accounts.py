"""Cases on accounts, and on what is done as the gateway's user."""

from __future__ import annotations

from typing import Final

from reconciler.commands import (
    forget_config_backups,
    install_file,
    make_directory,
    make_system_user,
    make_way,
    set_authorized_keys,
)
from tests.contract.host_cases.case import Case, account, directory, file, holding, rights

OURS: Final = "openclaw:openclaw"
HOME: Final = "/var/lib/openclaw"
NOLOGIN: Final = "/usr/sbin/nologin"
GATEWAY_USER: Final = (make_system_user("openclaw", HOME), make_directory(HOME, OURS, "0700"))
LINE: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"


def system_account(home: str) -> dict[str, object]:
    return {"home": home, "shell": NOLOGIN, "locked": True}


CASES: Final = (
    Case("no account but the login's is on a fresh machine", [], [
        (account("openclaw"), None),
        (account("openclaw-build"), None),
        (account("fleet"), {"home": "/home/fleet", "shell": "/bin/sh", "locked": True}),
        (directory("/home/fleet/.ssh"), rights("0700", "fleet:fleet")),
    ], is_fresh=True),
    Case(
        "an account has a home that is not made, no shell and no password",
        [make_system_user("contract-a", "/srv/home-a")],
        [(account("contract-a"), system_account("/srv/home-a")), (directory("/srv/home-a"), None)],
    ),
    Case(
        "an account that is there becomes what is asked for",
        [make_system_user("contract-b", "/srv/one"), make_system_user("contract-b", "/srv/two")],
        [(account("contract-b"), system_account("/srv/two"))],
    ),
    Case("an account that nobody made is not there", [], [(account("nobody-here"), None)]),
    Case(
        "the gateway's files are made by the gateway's user",
        [*GATEWAY_USER, install_file(f"{HOME}/.contract/deep/file", b"{}", OURS, "0600", "0700")],
        [
            (file(f"{HOME}/.contract/deep/file"), holding(b"{}", OURS, "0600")),
            (directory(f"{HOME}/.contract/deep"), rights("0700", OURS)),
            (directory(f"{HOME}/.contract"), rights("0755", OURS)),
        ],
    ),
    Case(
        "the gateway's directories are made by the gateway's user",
        [*GATEWAY_USER, make_directory(f"{HOME}/.own", OURS, "0710")],
        [(directory(f"{HOME}/.own"), rights("0710", OURS))],
    ),
    Case(
        "where root says no the gateway's user cannot write",
        [*GATEWAY_USER, make_directory("/var/log/openclaw", "root:root", "0755"),
         install_file("/var/log/openclaw/file", b"x", OURS, "0600")],
        [(file("/var/log/openclaw/file"), None)],
        codes=[0, 0, 0, 2],
    ),
    Case(
        "the gateway's backups are forgotten and its configuration stays",
        [*GATEWAY_USER,
         *(install_file(f"{HOME}/c.json{end}", b"{}", OURS, "0600") for end in ("", ".bak", ".bak.1", ".last-good")),
         forget_config_backups(f"{HOME}/c.json")],
        [(file(f"{HOME}/c.json"), holding(b"{}", OURS, "0600")), (file(f"{HOME}/c.json.bak"), None),
         (file(f"{HOME}/c.json.bak.1"), None), (file(f"{HOME}/c.json.last-good"), None)],
    ),
    Case(
        "whatever is called as the gateway's configuration with more behind it is forgotten",
        [*GATEWAY_USER,
         *(install_file(f"{HOME}/d.json{end}", b"{}", OURS, "0600") for end in ("", ".bak.1", ".clobbered.1", ".x/y")),
         install_file(f"{HOME}/d.jsonl", b"{}", OURS, "0600"),
         forget_config_backups(f"{HOME}/d.json", whatever_its_name=True)],
        [(file(f"{HOME}/d.json"), holding(b"{}", OURS, "0600")), (file(f"{HOME}/d.json.bak.1"), None),
         (file(f"{HOME}/d.json.clobbered.1"), None), (directory(f"{HOME}/d.json.x"), None),
         (file(f"{HOME}/d.jsonl"), holding(b"{}", OURS, "0600"))],
    ),
    Case(
        "what stands in the way of the gateway's files is moved aside by the gateway's user",
        [*GATEWAY_USER,
         *(install_file(f"{HOME}/way/{name}", b"theirs", OURS, "0600")
           for name in ("skills", "SOUL.md/diary", "kept/x")),
         make_way(f"{HOME}/way", ["skills/a/b.md", "SOUL.md", "kept/y"]),
         install_file(f"{HOME}/way/skills/a/b.md", b"ours", OURS, "0600"),
         install_file(f"{HOME}/way/SOUL.md", b"ours", OURS, "0600")],
        [
            (file(f"{HOME}/way/skills/a/b.md"), holding(b"ours", OURS, "0600")),
            (file(f"{HOME}/way/SOUL.md"), holding(b"ours", OURS, "0600")),
            (file(f"{HOME}/way/skills.aside"), holding(b"theirs", OURS, "0600")),
            (file(f"{HOME}/way/SOUL.md.aside/diary"), holding(b"theirs", OURS, "0600")),
            (file(f"{HOME}/way/kept/x"), holding(b"theirs", OURS, "0600")),
        ],
    ),
    Case(
        "what was moved aside before stays, and gets a number",
        [*GATEWAY_USER,
         *(step for text in (b"one", b"two", b"three") for step in (
             install_file(f"{HOME}/again/x", text, OURS, "0600"), make_way(f"{HOME}/again", ["x/y"]))),
         make_way(f"{HOME}/again", ["x/y"])],
        [
            (file(f"{HOME}/again/x.aside.~1~"), holding(b"one", OURS, "0600")),
            (file(f"{HOME}/again/x.aside.~2~"), holding(b"two", OURS, "0600")),
            (file(f"{HOME}/again/x.aside"), holding(b"three", OURS, "0600")),
            (file(f"{HOME}/again/x"), None),
        ],
    ),
    Case(
        "way is made in a place that is a file itself, and not in one that is not there",
        [*GATEWAY_USER, install_file(f"{HOME}/place", b"theirs", OURS, "0600"), make_way(f"{HOME}/place", ["x/y"]),
         make_way(f"{HOME}/no-place", ["x/y"])],
        [(file(f"{HOME}/place.aside"), holding(b"theirs", OURS, "0600")), (file(f"{HOME}/place"), None),
         (directory(f"{HOME}/no-place"), None)],
    ),
    Case(
        "login keys lie where only their owner reads them",
        [make_system_user("contract-c", "/srv/home-c"), make_directory("/srv/home-c", "root:root", "0755"),
         set_authorized_keys("contract-c", LINE)],
        [
            (file("/srv/home-c/.ssh/authorized_keys"), holding(LINE.encode(), "contract-c:contract-c", "0600")),
            (directory("/srv/home-c/.ssh"), rights("0700", "contract-c:contract-c")),
        ],
    ),
    Case("nobody has no login keys", [set_authorized_keys("nobody-here", LINE)], codes=[1]),
)  # fmt: skip
