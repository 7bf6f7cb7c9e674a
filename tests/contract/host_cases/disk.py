"""Cases on files, directories and links."""

from __future__ import annotations

import re
from typing import Final

from reconciler.commands import (
    clear_strays,
    install_file,
    make_directory,
    make_symlink,
    make_system_user,
    read_file,
    read_time,
    remove_file,
)
from reconciler.model import Command
from tests.contract.host_cases.case import BOT_TOKEN, Case, directory, file, holding, keeping, release, rights

NO_RELEASE: Final = {"version": None, "complete": False, "intact": False, "tree": None}
NO_FILE: Final = {"error": "not a regular file"}
NO_DIRECTORY: Final = {"error": "not a directory"}
LARGE: Final = bytes(range(256)) * 800


def write(path: str, content: bytes = b"hi\n", owner: str = "root:root", mode: str = "0644") -> Command:
    return install_file(path, content, owner, mode)


def make(path: str, mode: str = "0755") -> Command:
    return make_directory(path, "root:root", mode)


CASES: Final = (
    Case(
        "a written file is whole", [write("/srv/whole", b"one\ntwo\n")], [(file("/srv/whole"), holding(b"one\ntwo\n"))]
    ),
    Case("an empty file is a file", [write("/srv/empty", b"")], [(file("/srv/empty"), holding(b""))]),
    Case("a large file of any bytes arrives", [write("/srv/large", LARGE)], [(file("/srv/large"), holding(LARGE))]),
    Case(
        "a second write replaces content and rights",
        [write("/srv/twice", b"1", mode="0600"), write("/srv/twice", b"2", mode="0755")],
        [(file("/srv/twice"), holding(b"2", mode="0755")), (file("/srv/.twice.part"), None)],
    ),
    Case("a name may hold anything", [write("/srv/it's a $(name)")], [(file("/srv/it's a $(name)"), holding(b"hi\n"))]),
    Case(
        "only the last missing directory gets the mode asked for",
        [install_file("/srv/up/down/file", b"x", "root:root", "0644", "0700")],
        [(directory("/srv/up"), rights("0755")), (directory("/srv/up/down"), rights("0700"))],
    ),
    Case(
        "a directory that is there keeps its mode",
        [make("/srv/kept", "0750"), write("/srv/kept/file")],
        [(directory("/srv/kept"), rights("0750")), (file("/srv/kept/file"), holding(b"hi\n"))],
    ),
    Case(
        "a secret is told by its keyed digest",
        [write("/srv/secret", b"hush", mode="0600")],
        [(file("/srv/secret", secret=True), keeping(b"hush"))],
    ),
    Case("of a bot's token the number is told", [write(BOT_TOKEN, b"7700000001:hush", mode="0400")], bot="7700000001"),
    Case("what is no bot's token has no number", [write(BOT_TOKEN, b"hush")]),
    Case(
        "a file belongs to whom it was given",
        [make_system_user("contract", "/srv"), write("/srv/given", owner="root:contract", mode="0640")],
        [(file("/srv/given"), holding(b"hi\n", "root:contract", "0640"))],
    ),
    Case(
        "a file for an unknown account is not made",
        [write("/srv/unknown", owner="nobody-here:root")],
        [(file("/srv/unknown"), None)],
        codes=[1],
    ),
    Case(
        "a file for an unknown group is not made",
        [write("/srv/group", owner="root:nobody-here")],
        [(file("/srv/group"), None)],
        codes=[1],
    ),
    Case(
        "a file never replaces a directory",
        [make("/srv/place"), write("/srv/place")],
        [(directory("/srv/place"), rights("0755")), (file("/srv/place"), NO_FILE)],
        codes=[0, 1],
    ),
    Case(
        "a file replaces a link and not what it points to",
        [write("/srv/target", b"kept"), make_symlink("/srv/target", "/srv/linked"), write("/srv/linked", b"new")],
        [(file("/srv/target"), holding(b"kept")), (file("/srv/linked"), holding(b"new"))],
    ),
    Case(
        "a link is not a file to the probe",
        [write("/srv/real"), make_symlink("/srv/real", "/srv/pointer")],
        [(file("/srv/pointer"), NO_FILE), (directory("/srv/pointer"), NO_DIRECTORY)],
    ),
    Case("a file is not a directory to the probe", [write("/srv/plain")], [(directory("/srv/plain"), NO_DIRECTORY)]),
    Case("what is not there is not there", [], [(file("/srv/nothing"), None), (directory("/srv/nothing"), None)]),
    Case("a file is read back", [write("/srv/read", b"as it is\0"), read_file("/srv/read")], says=b"as it is\0"),
    Case("a file that is not there cannot be read", [read_file("/srv/unread")], codes=[1]),
    Case("a file has a time", [write("/srv/timed", b"x"), read_time("/srv/timed")], says=re.compile(rb"1[0-9]{9}\n")),
    Case("what is not there has no time", [read_time("/srv/untimed")], codes=[1]),
    Case(
        "a directory gets its rights also when it was there",
        [make("/srv/rights", "0755"), make("/srv/rights", "0710")],
        [(directory("/srv/rights"), rights("0710"))],
    ),
    Case(
        "missing parents of a directory are made",
        [make("/srv/one/two", "0700")],
        [(directory("/srv/one"), rights("0755")), (directory("/srv/one/two"), rights("0700"))],
    ),
    Case(
        "a directory never replaces a file",
        [write("/srv/busy"), make("/srv/busy")],
        [(file("/srv/busy"), holding(b"hi\n"))],
        codes=[0, 1],
    ),
    Case(
        "a directory for an unknown account keeps its owner",
        [make_directory("/srv/owned", "nobody-here:root", "0700")],
        [(directory("/srv/owned"), rights("0755"))],
        codes=[1],
    ),
    Case(
        "nothing is made below a file",
        [write("/srv/flat"), write("/srv/flat/file"), make("/srv/flat/directory"), write("/srv/flat/far/file")],
        [(file("/srv/flat"), holding(b"hi\n")), (file("/srv/flat/file"), None),
         (directory("/srv/flat/directory"), None)],
        codes=[0, 1, 1, 1],
    ),
    Case(
        "below a file nothing needs to be removed",
        [write("/srv/level"), remove_file("/srv/level/file")],
        [(file("/srv/level"), holding(b"hi\n"))],
    ),
    Case(
        "a link to a directory leads there",
        [make("/srv/there"), make_symlink("/srv/there", "/srv/door"), write("/srv/door/file"),
         make("/srv/door", "0710"), make("/srv/door/inner"), write("/srv/door/lost"), remove_file("/srv/door/lost")],
        [(file("/srv/there/file"), holding(b"hi\n")), (file("/srv/door/file"), holding(b"hi\n")),
         (directory("/srv/there"), rights("0710")), (directory("/srv/there/inner"), rights("0755")),
         (file("/srv/there/lost"), None)],
    ),
    Case(
        "a link to nothing leads nowhere",
        [make_symlink("/srv/none", "/srv/dead"), write("/srv/dead/file"), make("/srv/dead/directory"),
         remove_file("/srv/dead/file"), read_file("/srv/dead")],
        [({"kind": "paths", "paths": ["/srv/none", "/srv/dead/file"]}, [])],
        codes=[0, 1, 1, 1, 1],
    ),
    Case(
        "a program in a directory is seen when it may be run",
        [write("/srv/tools/yes", mode="0755"), write("/srv/tools/no", mode="0644")],
        [
            (directory("/srv/tools", "yes"), {**rights("0755"), "program": True, "intact": False}),
            (directory("/srv/tools", "no"), {**rights("0755"), "program": False, "intact": False}),
            (directory("/srv/tools", "absent"), {**rights("0755"), "program": False, "intact": False}),
        ],
    ),
    Case(
        "a link is switched",
        [make_symlink("/srv/first", "/srv/current"), make_symlink("/srv/second", "/srv/current")],
        [(release("/srv/current"), {**NO_RELEASE, "link": "/srv/second"})],
    ),
    Case(
        "a link replaces a file",
        [write("/srv/replaced"), make_symlink("/srv/anything", "/srv/replaced")],
        [(file("/srv/replaced"), NO_FILE)],
    ),
    Case(
        "a link never replaces a directory",
        [make("/srv/solid"), make_symlink("/srv/anything", "/srv/solid")],
        [(directory("/srv/solid"), rights("0755")), (release("/srv/solid"), None)],
        codes=[0, 1],
    ),
    Case(
        "a link needs its directory",
        [make_symlink("/srv/anything", "/srv/missing/link")],
        [(directory("/srv/missing"), None)],
        codes=[1],
    ),
    Case(
        "what is removed is gone, whatever it was, and may have been gone",
        [write("/srv/gone/file"), write("/srv/lone"), remove_file("/srv/gone"), remove_file("/srv/lone"),
         remove_file("/srv/lone")],
        [({"kind": "paths", "paths": ["/srv/gone", "/srv/lone", "/srv"]}, ["/srv"])],
    ),
    Case(
        "only what is known stays of what matches",
        [write("/srv/clear/our-a"), write("/srv/clear/our-b"), write("/srv/clear/other"), make("/srv/clear/our-c"),
         clear_strays("/srv/clear", "our-*", ["*-b"])],
        [({"kind": "names", "path": "/srv/clear", "pattern": "*", "only": []}, ["other", "our-b"])],
    ),
    Case(
        "what does not belong into a directory is named",
        [write("/srv/mixed/ours"), write("/srv/mixed/theirs")],
        [(directory("/srv/mixed", only=["ou*"]), {**rights("0755"), "strays": ["theirs"]}),
         (directory("/srv/mixed", only=["*"]), rights("0755"))],
    ),
)  # fmt: skip
