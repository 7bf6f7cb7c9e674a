"""Cases on Node, on an OpenClaw release and on a gateway that runs. A real machine installs one release for all."""

from __future__ import annotations

import json
import re
from typing import Final

from reconciler.commands import (
    ask_for_bot,
    ask_for_models,
    await_ready,
    check_config,
    daemon_reload,
    fetch_archive,
    gateway_rpc,
    install_file,
    install_release,
    make_directory,
    make_symlink,
    make_system_user,
    newest_release,
    read_lockfile,
    restart_unit,
    run_doctor,
    stop_unit,
    validate_config,
)
from reconciler.managed import files
from reconciler.managed.config import wanted_config
from reconciler.model import Command, Endpoints, Json
from tests.contract.host_cases.case import (
    INSTALL_SECONDS,
    OURS,
    Case,
    GiveBot,
    InstallAgain,
    Ready,
    Reboot,
    Some,
    Step,
    directory,
    release,
    rights,
)
from tests.fakes.worlds import make_spec

NODE: Final = f"/opt/openclaw/node-{files.NODE_VERSION}"
VERSION: Final = "2026.9.6"
NOWHERE: Final = "http://127.0.0.1:9/node.tar.gz"
SECRETS: Final = {
    files.GATEWAY_TOKEN_PATH: b"token-of-the-contract",
    files.MODEL_KEY_PATH: b"key-of-the-contract",
}
INTACT: Final[Json] = {**rights("0755"), "program": True, "intact": True}
RELEASE: Final = {
    **rights("0755"),
    "version": VERSION,
    "complete": True,
    "link": f"{files.RELEASES}/{VERSION}",
    "intact": True,
    "tree": Some("[0-9a-f]{40}"),
}
HEALTHY: Final[dict[str, Json]] = {
    "active": "active",
    "sub": "running",
    "starts": 1,
    "loopback_only": True,
    "version": VERSION,
    "ready": True,
    "failing": [],
    "suppressed": [],
    "token_accepted": True,
    "anonymous_refused": True,
    "channel_connected": True,
    "channel_error": None,
}


def fetch(endpoints: Endpoints) -> Command:
    node = endpoints.node["x86_64"]
    return fetch_archive(node.url, node.sha256, NODE)


def fetch_again(endpoints: Endpoints) -> Command:
    return fetch_archive(NOWHERE, endpoints.node["x86_64"].sha256, NODE)


def ask_newest(endpoints: Endpoints) -> Command:
    return newest_release(NODE, endpoints.npm_registry)


def install(endpoints: Endpoints) -> Command:
    return install_release(VERSION, NODE, endpoints.npm_registry, INSTALL_SECONDS)


def install_as_nobody_can(endpoints: Endpoints) -> Command:
    """No release has this digest."""
    return install_release(VERSION, NODE, endpoints.npm_registry, INSTALL_SECONDS, tree="0" * 40)


def install_from_nothing(endpoints: Endpoints) -> Command:
    """The lock file of something else."""
    lockfile = b'{"lockfileVersion": 3, "requires": true, "packages": {"": {"dependencies": {}}}}'
    return install_release(VERSION, NODE, endpoints.npm_registry, INSTALL_SECONDS, lockfile, "0" * 40)


def config(endpoints: Endpoints) -> bytes:
    return json.dumps(wanted_config(make_spec("contract"), endpoints)).encode()


def configure(endpoints: Endpoints) -> Command:
    return install_file(files.CONFIG_PATH, config(endpoints), OURS, "0600", "0700")


def ask_models(endpoints: Endpoints) -> Command:
    return ask_for_models(endpoints.model_base_url or "http://127.0.0.1", "anthropic")


def ask_bot(endpoints: Endpoints) -> Command:
    return ask_for_bot(endpoints.telegram_api_root or "http://127.0.0.1")


def judge(endpoints: Endpoints) -> Command:
    return validate_config(VERSION, files.NODE_VERSION, config(endpoints))


ACCOUNT: Final = make_system_user(files.SERVICE_USER, files.HOME)
INSTALLED: Final[tuple[Step, ...]] = (
    *(ACCOUNT, fetch, install),
    make_symlink(f"{files.RELEASES}/{VERSION}", files.CURRENT),
)
STARTED: Final[tuple[Step, ...]] = (
    Reboot(),  # what other cases have started is not counted
    *INSTALLED,
    make_directory(files.HOME, OURS, "0700"),
    make_directory(files.SECRETS_DIRECTORY, f"root:{files.SERVICE_USER}", "0750"),
    *(install_file(path, secret, OURS, "0400") for path, secret in SECRETS.items()),
    GiveBot(),
    configure,
    install_file(files.STAMP_PATH, files.STAMP.encode(), "root:root", "0755"),
    install_file(files.UNIT_PATH, files.GATEWAY_UNIT.encode(), "root:root", "0644"),
    *(daemon_reload(), restart_unit(files.UNIT), Ready()),
)
CASES: Final = (
    Case("what an archive holds is root's and intact", [fetch], [(directory(NODE, "bin/node"), INTACT)]),
    Case(
        "an archive that is there is not fetched again", [fetch, fetch_again], [(directory(NODE, "bin/node"), INTACT)]
    ),
    Case("the registry names its newest release", [fetch, ask_newest], says=re.compile(rb"\d{4}\.\d+\.\d+\n")),
    Case("a release is complete, root's and intact", INSTALLED, [(release(files.CURRENT), RELEASE)]),
    Case(
        "a release that is there stays as it is",
        [*INSTALLED, install],
        [(release(files.CURRENT), RELEASE)],
        says=re.compile(rb"[0-9a-f]{40} kept\n"),
    ),
    Case(
        "a release leaves the lock file that it was made by",
        [*INSTALLED, read_lockfile(VERSION)],
        says=re.compile(rb'(?s).*"packages".*"openclaw": ?"' + VERSION.encode() + rb'".*'),
    ),
    Case(
        "a release made again from its lock file is the same tree",
        [*INSTALLED, InstallAgain(VERSION, NODE)],
        [(release(files.CURRENT), RELEASE)],
        says=re.compile(rb"[0-9a-f]{40} made\n"),
    ),
    Case(
        "a release that would be another tree than the wanted one does not take the place of what is there",
        [*INSTALLED, install_as_nobody_can],
        [(release(files.CURRENT), RELEASE)],
        says=re.compile(rb"[0-9a-f]{40} other\n"),
    ),
    Case(
        "a lock file that is not of this version installs nothing",
        [*INSTALLED, install_from_nothing],
        [(release(files.CURRENT), RELEASE)],
        codes=[0, 0, 0, 0, 1],
    ),
    Case("a release judges a configuration", [*INSTALLED, judge], says=re.compile(rb'(?s).*"valid": ?true.*')),
    Case(
        "a release judges the configuration that lies there",
        [
            *INSTALLED,
            make_directory(files.HOME, OURS, "0700"),
            configure,
            check_config(files.CONFIG_PATH, files.CURRENT, files.NODE_VERSION, 1, 1_000_000),
        ],
        says=re.compile(rb'(?s).*"valid": ?true.*'),
    ),
    Case(
        "what is no configuration there is refused, one too large is not judged, and none is said to be none",
        [
            *INSTALLED,
            install_file("/srv/config/openclaw.json", b"{", OURS, "0600", "0755"),
            check_config("/srv/config/openclaw.json", files.CURRENT, files.NODE_VERSION, 1, 1_000_000),
            check_config("/srv/config/openclaw.json", files.CURRENT, files.NODE_VERSION, 1, 1),
            check_config("/srv/config/none.json", files.CURRENT, files.NODE_VERSION, 1, 1_000_000),
        ],
        codes=[0, 0, 0, 0, 0, 1, 75, 66],
    ),
    Case(
        "a configuration that is no JSON is refused",
        [*INSTALLED, validate_config(VERSION, files.NODE_VERSION, b"{")],
        codes=[0, 0, 0, 0, 1],
    ),
    Case(
        "Telegram takes the token that lies there, and no webhook is set",
        [ACCOUNT, make_directory(files.SECRETS_DIRECTORY, "root:root", "0750"), GiveBot(), ask_bot],
        says=b'{"code": "200", "webhook": ""}\n',
    ),
    Case(
        "a gateway that runs is well, and answers to the token that lies on its host",
        [*STARTED, gateway_rpc("config.get", {})],
        says=re.compile(rb'(?s).*"ok": ?true.*"hash".*'),
        started=files.STARTED_PATH,
        token=files.GATEWAY_TOKEN_PATH,
        gateway=HEALTHY,
    ),
    Case(
        "a gateway that runs says that it is ready",
        [*STARTED, await_ready(5)],
        says=b"ready\n",
        started=files.STARTED_PATH,
        token=files.GATEWAY_TOKEN_PATH,
        gateway=HEALTHY,
    ),
    Case(
        "a doctor does not come while the gateway runs",
        [*STARTED, run_doctor(files.NODE_VERSION)],
        codes=[0] * len(STARTED) + [1],
        started=files.STARTED_PATH,
        token=files.GATEWAY_TOKEN_PATH,
        gateway=HEALTHY,
    ),
    Case(
        "a gateway is as well after its doctor as before",
        [*STARTED, stop_unit(files.UNIT), run_doctor(files.NODE_VERSION), restart_unit(files.UNIT), Ready()],
        started=files.STARTED_PATH,
        token=files.GATEWAY_TOKEN_PATH,
        gateway={**HEALTHY, "starts": 2},
    ),
    Case(
        "the model's provider takes the key that lies on the host",
        [*STARTED, ask_models],
        says=b"200\n",
        started=files.STARTED_PATH,
        token=files.GATEWAY_TOKEN_PATH,
        gateway=HEALTHY,
    ),
)
