"""Every command that a simulated host knows: an example of it, as reconciler.commands makes it, and what it does.

A command is known by its example's constant script. A new command is one function and one line here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from reconciler import commands
from reconciler.commands import importing
from reconciler.model import Command, Completed, Secret
from reconciler.sandbox.simulated import (
    access,
    arrival,
    backups,
    examined,
    logs,
    mended,
    pairing,
    probe,
    releases,
    storage,
    switching,
    system,
)
from reconciler.sandbox.simulated.calls import Call, Fails, read_call
from reconciler.sandbox.simulated.halves import HALVES
from reconciler.sandbox.simulated.host import SimulatedHost

Action = Callable[[SimulatedHost, Call], bytes | None]

ID: Final = "20260101T000000Z"

COMMANDS: Final[tuple[tuple[Command, Action], ...]] = (
    (commands.wait_for_cloud_init(1), system.wait_for_first_boot),
    (commands.rotate_host_key(Secret(""), ""), access.rotate_host_key),
    (commands.set_authorized_keys("user", "line"), access.set_authorized_keys),
    (commands.reload_sshd(), access.reload_sshd),
    (commands.arm_access(), access.arm_access),
    (commands.confirm_access(), access.confirm_access),
    (commands.grant_sudo("user", "file", "rule"), access.grant_sudo),
    (commands.set_aside_drop_ins("ours"), access.set_aside_drop_ins),
    (commands.install_file("/path", b"", "root:root", "0644"), storage.install_file),
    (commands.make_way("/var/lib/openclaw/any", ()), storage.make_way),
    (commands.read_file("/path"), storage.read_file),
    (commands.read_time("/path"), storage.read_time),
    (commands.remove_file("/path"), storage.remove_file),
    (commands.clear_strays("/path", "*", ()), storage.clear_strays),
    (commands.make_directory("/path", "root:root", "0755"), storage.make_directory),
    (commands.make_symlink("/target", "/link"), storage.make_link),
    (commands.forget_config_backups("/path"), storage.forget_config_backups),
    (commands.repair_packages(), system.repair_packages),
    (commands.refresh_packages(), system.refresh_packages),
    (commands.install_packages(("name",)), system.install_packages),
    (commands.make_system_user("user", "/home"), system.make_account),
    (commands.apply_firewall((22,)), system.apply_firewall),
    (commands.confirm_firewall(), system.confirm_firewall),
    (commands.plain_units(()), system.plain_units),
    (commands.daemon_reload(), system.reload_units),
    (commands.reset_failed("unit"), system.reset_failed),
    (commands.restart_unit("unit"), system.systemctl),  # one script for every verb
    (commands.fetch_archive("https://host/archive", "0" * 64, "/path"), releases.fetch_archive),
    (commands.install_release("2026.1.1", "/path", None, 60), releases.install_release),
    (commands.newest_release("/path", None), releases.newest_release),
    (commands.check_room(1), switching.check_room),
    (commands.begin_switch(ID, "2026.1.1", "2026.1.2"), switching.begin),
    (commands.postpone_return(), switching.postpone),
    (commands.take_checkpoint(), switching.take),
    (commands.make_switch(), switching.make),
    (commands.go_back("2026.1.1"), switching.go_back),
    (commands.stay(ID, "2026.1.2"), switching.stay),
    (commands.make_archive("2026.1.1", "/path"), backups.make),
    (commands.copy_stopped(), backups.copy),
    (commands.pack_earlier(ID, "2026.1.1"), backups.pack_earlier),
    (commands.find_state(), backups.find),
    (commands.summarize_state(), backups.summarize),
    (commands.read_archive(0), backups.read),
    (commands.drop_archive(), backups.drop),
    (commands.receive_archive(0, b""), backups.receive),
    (commands.unpack_archive(ID, "2026.1.1", "2026-01-01T00:00:00+00:00", "0" * 64), backups.unpack),
    (commands.place_state(ID, "0" * 64), backups.place),
    (commands.count_entries(ID), backups.count),
    (commands.validate_config("2026.1.1", "24.0.0", b""), releases.validate_config),
    (commands.check_config("/path", "/link", "24.0.0", 1, 1), releases.check_config),
    (commands.gateway_rpc("method", {}), releases.call_gateway),
    (commands.await_ready(1), releases.await_ready),
    (commands.find_reboot_reason(), system.find_reboot_reason),
    (commands.examine(1, "unit", "user", "/state", "/node", (), "/token", "/config"), examined.examine),
    (
        commands.watch({}, commands.examine(1, "unit", "user", "/state", "/node", (), "/token", "/config")),
        examined.watch,
    ),
    (commands.set_aside_config("/path", ID, ()), mended.set_aside_config),
    (commands.clear_space(), mended.clear_space),
    (commands.free_port(1, "unit"), mended.free_port),
    (commands.run_doctor("24.0.0"), mended.run_doctor),
    (commands.read_pairings(), pairing.read_pairings),
    (commands.read_logs(1, None), logs.read_logs),
    (commands.read_messages(1), logs.read_messages),
    (commands.call_by_cli("method", {}, "/path"), pairing.call_by_cli),
    (commands.send_messages(()), releases.send_messages),
    (commands.send_message("http://host", (), ""), releases.send_message),
    (commands.ask_for_bot("http://host"), releases.ask_for_bot),
    (commands.count_updates(), system.count_updates),
    (commands.ask_for_models("http://host", "anthropic"), releases.ask_for_models),
    (commands.run_probe({}), probe.probe),
    (importing.survey("user"), arrival.survey),
    (importing.make_login_account("user", "/path", "rule"), arrival.make_login_account),
    (importing.prove_root(), arrival.prove_root),
)


def execute(host: SimulatedHost, line: str, stdin: bytes) -> Completed:
    """Run one shell line as root. What nobody knows ends with 127 and is kept among the host's objections."""
    host.tick()
    call = read_call(line, stdin)
    action = ACTIONS.get(call.script) if call else None
    if call is None or action is None:
        text = f"this simulated machine does not know the command: {_summary(call.script if call else line)}"
        host.objections.append(text)
        return Completed(127, b"", f"{text}\n".encode())
    try:
        return Completed(0, action(host, call) or b"", b"")
    except Fails as failure:
        return Completed(failure.exit_code, failure.stdout, failure.stderr)


def execute_half(host: SimulatedHost, line: str, stdin: bytes) -> None:
    """As much of it as was done when the power went."""
    call = read_call(line, stdin)
    action = ACTIONS.get(call.script) if call else None
    if call is not None and action in HALVES:
        HALVES[action](host, call)


def _script_of(example: Command) -> str:
    call = read_call(example.line, b"")
    assert call is not None, f"{example.name} was not made by reconciler.commands"
    return call.script


def _summary(script: str) -> str:
    return " ".join(script.split())[:120]


ACTIONS: Final = {_script_of(example): action for example, action in COMMANDS}
