"""Cases on systemd: units of a test's own, with programs that every machine has."""

from __future__ import annotations

from typing import Final

from reconciler.commands import (
    daemon_reload,
    enable_unit,
    install_file,
    make_system_user,
    plain_units,
    reload_unit,
    reset_failed,
    restart_unit,
    stop_unit,
)
from reconciler.managed import files
from reconciler.model import Command, Json
from tests.contract.host_cases.case import Case, Reboot, file, holding, rules, unit

WANTED: Final = "[Install]\nWantedBy=multi-user.target\n"
ENABLED: Final = {"enabled": "enabled", "active": "active"}
STALE: Final = "/etc/contract-greeting"
RELOAD: Final = "ExecReload=/usr/sbin/nft -f /etc/contract-u.nft\n"
SLEEP: Final = "ExecStart=/usr/bin/sleep infinity\n"


def oneshot(command: str) -> str:
    return f"Type=oneshot\nRemainAfterExit=yes\nExecStart={command}\n"


def write_unit(
    name: str, service: str, head: str = "", install: str = "[Install]\nWantedBy=multi-user.target\n"
) -> Command:
    text = f"[Unit]\nDescription=Contract\n{head}[Service]\n{service}{install}"
    return install_file(f"/etc/systemd/system/{name}", text.encode(), "root:root", "0644")


def table(name: str) -> str:
    return (
        f"table inet {name} {{\n  chain out {{\n    type filter hook output priority filter; policy accept;\n  }}\n}}\n"
    )


def shown(name: str) -> list[str]:
    return [line.strip() for line in table(name).splitlines()]


def fence(account: str) -> str:
    """The rules of a throw-away in a table of this account's name, and about it: a machine's own stay as they are."""
    return of_contract(files.FENCED_RULES, account)


def of_contract(text: str, account: str) -> str:
    return text.replace("openclaw_deploy", account).replace(files.SERVICE_USER, account)


def stamped(name: str) -> tuple[Command, ...]:
    """A unit that stamps as the gateway's does."""
    return (
        install_file(files.STAMP_PATH, files.STAMP.encode(), "root:root", "0755"),
        install_file(STALE, b"hello\n", "root:root", "0644"),
        write_unit(name, f"ExecStartPre=+{files.STAMP_PATH} {STALE}\n{SLEEP}"),
    )


def drop_in(name: str) -> str:
    return f"/etc/systemd/system/{name}.d/more.conf"


def add_to(name: str) -> Command:
    return install_file(drop_in(name), b"[Service]\nEnvironment=A=b\n", "root:root", "0644")


def loaded(*names: str) -> Json:
    return {"kind": "loaded", "units": list(names)}


def as_loaded(name: str, *drop_ins: str, outdated: bool = False) -> Json:
    return {"from": f"/etc/systemd/system/{name}", "drop_ins": list(drop_ins), "outdated": outdated}


CASES: Final = (
    Case("a unit that nobody wrote is not there", [], [(unit("contract-none.service"), None)]),
    Case(
        "a new unit is neither enabled nor active",
        [write_unit("contract-a.service", oneshot("/usr/bin/true")), daemon_reload()],
        [(unit("contract-a.service"), {"enabled": "disabled", "active": "inactive"})],
    ),
    Case(
        "a unit that nothing wants is static",
        [write_unit("contract-b.service", oneshot("/usr/bin/true"), install=""), daemon_reload()],
        [(unit("contract-b.service"), {"enabled": "static", "active": "inactive"})],
    ),
    Case(
        "an enabled unit is not started by that",
        [write_unit("contract-c.service", oneshot("/usr/bin/true")), enable_unit("contract-c.service")],
        [(unit("contract-c.service"), {"enabled": "enabled", "active": "inactive"})],
    ),
    Case(
        "a oneshot that remains is active, and its facts say that it has exited",
        [write_unit("contract-d.service", oneshot("/usr/bin/true")), restart_unit("contract-d.service")],
        [(unit("contract-d.service"), {"enabled": "disabled", "active": "active"})],
        unit="contract-d.service",
        gateway={"active": "active", "sub": "exited"},
    ),
    Case(
        "a oneshot that does not remain is inactive again",
        [write_unit("contract-e.service", "Type=oneshot\nExecStart=/usr/bin/true\n"),
         restart_unit("contract-e.service")],
        [(unit("contract-e.service"), {"enabled": "disabled", "active": "inactive"})],
        unit="contract-e.service",
    ),
    Case(
        "a service runs until it is stopped",
        [write_unit("contract-f.service", SLEEP), restart_unit("contract-f.service"), stop_unit("contract-f.service")],
        [(unit("contract-f.service"), {"enabled": "disabled", "active": "inactive"})],
        unit="contract-f.service",
    ),
    Case(
        "a running service is told as running",
        [write_unit("contract-g.service", SLEEP), restart_unit("contract-g.service")],
        [(unit("contract-g.service"), {"enabled": "disabled", "active": "active"})],
        unit="contract-g.service",
        gateway={"active": "active", "sub": "running"},
    ),
    Case(
        "a unit whose program fails has failed",
        [write_unit("contract-h.service", oneshot("/usr/bin/false")), restart_unit("contract-h.service")],
        [(unit("contract-h.service"), {"enabled": "disabled", "active": "failed"})],
        codes=[0, 1],
        unit="contract-h.service",
        gateway={"active": "failed", "sub": "failed", "result": "exit-code", "exit_status": 1},
    ),
    Case(
        "a unit whose program is missing has failed",
        [write_unit("contract-i.service", oneshot("/usr/local/bin/missing")), restart_unit("contract-i.service")],
        [(unit("contract-i.service"), {"enabled": "disabled", "active": "failed"})],
        codes=[0, 1],
        unit="contract-i.service",
        gateway={"active": "failed", "sub": "failed", "result": "exit-code", "exit_status": 203},
    ),
    Case(
        "a failure can be forgotten, also where there was none",
        [write_unit("contract-j.service", oneshot("/usr/bin/false")), restart_unit("contract-j.service"),
         reset_failed("contract-j.service"), reset_failed("contract-none.service")],
        [(unit("contract-j.service"), {"enabled": "disabled", "active": "inactive"})],
        codes=[0, 1, 0, 0],
    ),
    Case("a unit that is not there cannot be started", [restart_unit("contract-none.service")], codes=[5]),
    Case("a unit that is not there cannot be stopped", [stop_unit("contract-none.service")], codes=[5]),
    Case("a unit that is not there cannot be enabled", [enable_unit("contract-none.service")], codes=[1]),
    Case(
        "what is enabled runs after a reboot, what is not does not",
        [write_unit("contract-k.service", oneshot("/usr/bin/true")), enable_unit("contract-k.service"),
         write_unit("contract-l.service", oneshot("/usr/bin/true")), restart_unit("contract-l.service"), Reboot()],
        [(unit("contract-k.service"), ENABLED),
         (unit("contract-l.service"), {"enabled": "disabled", "active": "inactive"})],
    ),
    Case(
        "a running unit keeps the text by which it was started until it is started again",
        [write_unit("contract-m.service", oneshot("/usr/bin/true")), restart_unit("contract-m.service"),
         write_unit("contract-m.service", oneshot("/usr/bin/false")), daemon_reload()],
        [(unit("contract-m.service"), {"enabled": "disabled", "active": "active"})],
    ),
    Case(
        "what a unit requires is started with it",
        [write_unit("contract-n.service", oneshot("/usr/bin/true")),
         write_unit("contract-o.service", SLEEP, "Requires=contract-n.service\nAfter=contract-n.service\n"),
         daemon_reload(), restart_unit("contract-o.service")],
        [(unit("contract-n.service"), {"enabled": "disabled", "active": "active"})],
        unit="contract-o.service",
        gateway={"active": "active", "sub": "running"},
    ),
    Case(
        "a unit stops with what it requires",
        [write_unit("contract-p.service", oneshot("/usr/bin/true")),
         write_unit("contract-q.service", SLEEP, "Requires=contract-p.service\nAfter=contract-p.service\n"),
         daemon_reload(), restart_unit("contract-q.service"), stop_unit("contract-p.service")],
        [(unit("contract-q.service"), {"enabled": "disabled", "active": "inactive"})],
    ),
    Case(
        "a unit does not start when what it requires fails",
        [write_unit("contract-r.service", oneshot("/usr/bin/false")),
         write_unit("contract-s.service", SLEEP, "Requires=contract-r.service\nAfter=contract-r.service\n"),
         daemon_reload(), restart_unit("contract-s.service")],
        [(unit("contract-r.service"), {"enabled": "disabled", "active": "failed"}),
         (unit("contract-s.service"), {"enabled": "disabled", "active": "inactive"})],
        codes=[0, 0, 0, 1],
    ),
    Case(
        "rules are in force when their unit has loaded them",
        [install_file("/etc/contract.nft", table("contract_a").encode(), "root:root", "0644"),
         write_unit("contract-t.service", oneshot("/usr/sbin/nft -f /etc/contract.nft")),
         restart_unit("contract-t.service")],
        [(rules("contract_a"), shown("contract_a")), (rules("contract_none"), None)],
    ),
    Case(
        "changed rules are in force when their unit was reloaded",
        [install_file("/etc/contract-u.nft", table("contract_u").encode(), "root:root", "0644"),
         write_unit("contract-u.service", oneshot("/usr/bin/true") + RELOAD),
         restart_unit("contract-u.service"), reload_unit("contract-u.service")],
        [(rules("contract_u"), shown("contract_u"))],
    ),
    Case(
        "rules about an account are told by its name",
        [make_system_user("contractx", "/srv/home-x"),
         install_file("/etc/contract-x.nft", fence("contractx").encode(), "root:root", "0644"),
         write_unit("contract-x.service", oneshot("/usr/sbin/nft -f /etc/contract-x.nft")),
         restart_unit("contract-x.service")],
        [(rules("contractx", names=True), [of_contract(line, "contractx") for line in files.FENCED_RULES_IN_FORCE])],
    ),
    Case(
        "rules about an account that is not there are not loaded",
        [install_file("/etc/contract-y.nft", fence("contracty").encode(), "root:root", "0644"),
         write_unit("contract-y.service", oneshot("/usr/sbin/nft -f /etc/contract-y.nft")),
         restart_unit("contract-y.service")],
        [(unit("contract-y.service"), {"enabled": "disabled", "active": "failed"})],
        codes=[0, 0, 1],
    ),
    Case(
        "a file of rules that makes no sense changes nothing",
        [install_file("/etc/contract-v.nft", b"nonsense\n", "root:root", "0644"),
         write_unit("contract-v.service", oneshot("/usr/sbin/nft -f /etc/contract-v.nft")),
         restart_unit("contract-v.service")],
        [(rules("contract_none"), None), (unit("contract-v.service"), {"enabled": "disabled", "active": "failed"})],
        codes=[0, 0, 1],
    ),
    Case(
        "each start is stamped, and what it read is not stale",
        [*stamped("contract-w.service"), restart_unit("contract-w.service"), restart_unit("contract-w.service"),
         Reboot(), restart_unit("contract-w.service")],
        [(file(STALE), holding(b"hello\n"))],
        unit="contract-w.service",
        started=files.STARTED_PATH,
        gateway={"active": "active", "sub": "running", "starts": 1},
    ),
    Case(
        "what changed since the start is stale",
        [Reboot(), *stamped("contract-x.service"), restart_unit("contract-x.service"),
         install_file(STALE, b"bye\n", "root:root", "0644"), stop_unit("contract-x.service")],
        [(file(STALE), holding(b"bye\n"))],
        unit="contract-x.service",
        started=files.STARTED_PATH,
        gateway={"starts": 1, "stale": [STALE]},
    ),
    Case(
        "a unit that changed on the disk is outdated until systemd has read it",
        [write_unit("contract-y.service", oneshot("/usr/bin/true")), enable_unit("contract-y.service"),
         restart_unit("contract-y.service"),
         write_unit("contract-y.service", SLEEP)],
        [(loaded("contract-y.service"), {"contract-y.service": as_loaded("contract-y.service", outdated=True)})],
    ),
    Case(
        "what was added to a unit is seen, and taken away",
        [write_unit("contract-z.service", oneshot("/usr/bin/true")), add_to("contract-z.service"),
         write_unit("contract-zz.service", oneshot("/usr/bin/true")), add_to("contract-zz.service"),
         enable_unit("contract-z.service"), plain_units(["contract-z.service"])],
        [(loaded("contract-z.service", "contract-zz.service"), {
            "contract-z.service": as_loaded("contract-z.service"),
            "contract-zz.service": as_loaded("contract-zz.service", drop_in("contract-zz.service")),
        })],
    ),
)  # fmt: skip
