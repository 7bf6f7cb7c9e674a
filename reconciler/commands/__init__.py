"""Shell commands as values: what is run on a host, quoted and with its secrets on stdin. Pure: nothing runs here.

Every builder returns a `Command` that is safe to run twice and right after a crash anywhere.
"""

from __future__ import annotations

from reconciler.commands.access import (
    arm_access,
    confirm_access,
    grant_sudo,
    reload_sshd,
    rotate_host_key,
    set_aside_drop_ins,
    set_authorized_keys,
)
from reconciler.commands.backups import (
    copy_stopped,
    count_entries,
    drop_archive,
    find_state,
    make_archive,
    pack_earlier,
    place_state,
    read_archive,
    receive_archive,
    summarize_state,
    unpack_archive,
)
from reconciler.commands.events import read_messages
from reconciler.commands.examine import examine, watch
from reconciler.commands.files import (
    clear_strays,
    install_file,
    make_directory,
    make_symlink,
    make_way,
    read_file,
    read_time,
    remove_file,
)
from reconciler.commands.firewall import apply_firewall, confirm_firewall
from reconciler.commands.gateway import (
    ask_for_models,
    await_ready,
    check_config,
    forget_config_backups,
    gateway_rpc,
    send_messages,
    validate_config,
)
from reconciler.commands.logs import read_logs
from reconciler.commands.mending import clear_space, free_port, run_doctor, set_aside_config
from reconciler.commands.packages import (
    count_updates,
    find_reboot_reason,
    install_packages,
    refresh_packages,
    repair_packages,
    wait_for_cloud_init,
)
from reconciler.commands.pairing import call_by_cli, read_pairings
from reconciler.commands.probe import run_probe
from reconciler.commands.release import fetch_archive, install_release, is_exact, newest_release, read_lockfile
from reconciler.commands.switching import (
    begin_switch,
    check_room,
    go_back,
    make_switch,
    postpone_return,
    stay,
    take_checkpoint,
)
from reconciler.commands.telegram import ask_for_bot, send_message
from reconciler.commands.units import (
    daemon_reload,
    disable_unit,
    enable_unit,
    make_system_user,
    plain_units,
    reload_unit,
    reset_failed,
    restart_unit,
    stop_unit,
)

__all__ = [
    "apply_firewall",
    "arm_access",
    "ask_for_bot",
    "ask_for_models",
    "await_ready",
    "begin_switch",
    "call_by_cli",
    "check_config",
    "check_room",
    "clear_space",
    "clear_strays",
    "confirm_access",
    "confirm_firewall",
    "copy_stopped",
    "count_entries",
    "count_updates",
    "daemon_reload",
    "disable_unit",
    "drop_archive",
    "enable_unit",
    "examine",
    "fetch_archive",
    "find_reboot_reason",
    "find_state",
    "forget_config_backups",
    "free_port",
    "gateway_rpc",
    "go_back",
    "grant_sudo",
    "install_file",
    "install_packages",
    "install_release",
    "is_exact",
    "make_archive",
    "make_directory",
    "make_switch",
    "make_symlink",
    "make_system_user",
    "make_way",
    "newest_release",
    "pack_earlier",
    "place_state",
    "plain_units",
    "postpone_return",
    "read_archive",
    "read_file",
    "read_lockfile",
    "read_logs",
    "read_messages",
    "read_pairings",
    "read_time",
    "receive_archive",
    "refresh_packages",
    "reload_sshd",
    "reload_unit",
    "remove_file",
    "repair_packages",
    "reset_failed",
    "restart_unit",
    "rotate_host_key",
    "run_doctor",
    "run_probe",
    "send_message",
    "send_messages",
    "set_aside_config",
    "set_aside_drop_ins",
    "set_authorized_keys",
    "stay",
    "stop_unit",
    "summarize_state",
    "take_checkpoint",
    "unpack_archive",
    "validate_config",
    "wait_for_cloud_init",
    "watch",
]
