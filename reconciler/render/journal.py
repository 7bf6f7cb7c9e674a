"""The journal as people read it: a line per event, with when, which run, which child and what."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from reconciler.model import Event, Json
from reconciler.render.text import harmless, value_text

# `{field}` of the event; what an event has beside the fields named here is added behind.
WORDS: Final[Mapping[str, str]] = {
    "apply-started": "apply of {fleet} started",
    "apply-ended": "apply ended, {failed} failed",
    "action-started": "{kind} started: {reason}",
    "action-done": "{kind} done",
    "action-failed": "{kind} failed at {step}: {error}",
    "create-intended": "about to make server {name}: {server_type} in {region}",
    "created": "server {name} made",
    "rung-intended": "about to try {rung}, to bring it back",
    "waits-for-breaker": "{rung} waits: the gateway was ended without warning twice in five minutes",
    "config-intended": "about to write its configuration, as a person has given it",
    "config-put-back": "what it refused is set aside, and its own copy put back: {copy}",
    "space-cleared": "{freed_mb} MB of its disk were cleared, {free_mb} MB are free",
    "process-ended": "{name}, pid {pid}, was told to end, for it was in the gateway's way",
    "checkpoint-taken": "checkpoint {checkpoint} of {version} taken",
    "doctor-called": "OpenClaw's doctor has ended with exit code {exit_code}",
    "reboot-intended": "about to boot the server anew",
    "reset-intended": "about to boot the server anew, as by pulling the plug",
    "candidate-refused": "{server_type} in {region} cannot be had: {error}",
    "delete-intended": "about to delete server {name}",
    "rename-intended": "about to rename server {before} to {after}",
    "resize-intended": "about to resize the server from {before} to {after}",
    "stop-of-gateway-intended": "about to stop the gateway",
    "command-intended": "about to run {program} on its host",
    "messages-intended": "about to write to {users} user(s)",
    "stop-intended": "about to stop server {name}",
    "hand-over-intended": "about to stop the gateway of server {server}, and to give what it remembers to {successor}",
    "hand-back-intended": "server {successor} was not to succeed {server}: about to go back to that",
    "fork-kept": "what server {server} was told is kept: backup {backup}, a fork",
    "power-off-intended": "about to switch the server off",
    "firewall-change-intended": "about to change the firewall {firewall}",
    "ssh-from-revert-intended": "nobody gets in since its access.ssh_from was changed: about to take that back",
    "firewall-revert-intended": "the change of the firewall {firewall} locked us out: about to take it back",
    "firewall-delete-intended": "about to delete the firewall {firewall}",
    "firewalls-left": "firewalls that nobody needs are left: {error}",
    "tree-known": "{version} on {architecture} is the tree {tree}",
    "tree-not-noted": "which tree it is could not be noted at the cloud: {error}",
    "drill-started": "drill started: backup {backup} goes to {throwaway}",
    "drill-proven": "drill proven: backup {backup} of {age} s ago ran after {seconds} s",
    "drill-failed": "drill failed: {error}",
    "import-started": "import of server {name} started",
    "import-step": "import: {step}",
    "import-failed": "import failed at {step}: {error}",
    "import-done": "import done: it is server {name}",
    "backup-made": "backup {backup} made",
    "backup-not-made": "no backup could be made: {error}",
    "backup-removed": "backup {backup} removed",
    "backup-sent": "about to give its host backup {backup}",
    "backups-intended": "about to switch Hetzner's backups of server {server}: {on}",
    "backups-not-pruned": "backups that are too old could not be removed: {error}",
    "memory-given-up": "what server {server} remembers is given up, as a person has said",
    "sleep-given-up": "what it went to sleep with is given up",
    "switch-intended": "about to go from {from_version} to {to_version}, with checkpoint {checkpoint}",
    "switched": "gone from {from_version} to {to_version}",
    "switch-undone": "a change from {from_version} to {to_version} that was cut off is undone",
    "go-back-intended": "about to go back from {to_version} to {from_version}",
    "hold-not-forgotten": "that {version} is held could not be taken back",
    "notice-sent": "{arrived} of {users} user(s) were told that it falls silent for a while",
    "quarantine-intended": "about to quarantine {version}: {reason}",
    "quarantine-not-noted": "whether {version} is quarantined could not be noted at the cloud: {error}",
    "quarantine-cleared": "{version} is quarantined no more",
    "version-written": "version {version} was written into the fleet file for {children}",
    "gateway-stopped": "its gateway was stopped",
    "gateway-not-stopped": "its gateway could not be stopped",
    "ssh-from-intended": "about to change who may reach SSH of server {server}",
    "bot-profile-unknown": "nobody could tell what its bot shows: {problem}",
    "bot-token-kept": "the token of another bot was put where the fleet file says",
    "pairing-approved": "{user} was let in",
    "pairing-denied": "{user} was not let in",
    "pairing-not-answered": "{user} could not be answered ({answer}): {problem}",
    "silenced": "nothing is told of {children} until {until}",
    "silence-ended": "all is told again of {children}",
    "command-run": "{program} was run on its host and ended with exit code {exit_code}",
    "message-sent": "a message was sent",
    "message-not-sent": "a message was not sent",
    "message-unclear": "nobody can tell whether a message was sent",
    "tunnel-opened": "a tunnel to its control UI was opened",
    "pairing-intended": "about to answer {user}: {answer}",
    "welcome-intended": "about to write the first message to {user}",
    "onboarded": "the first message to {user} was sent",
    "not-welcomed": "the first message to {user} was not sent",
    "child-added": "{children} was written into the fleet file",
    "children-removed": "{children} was taken out of the fleet file",
    "users-adopted": "users of {children} were taken over into the fleet file",
    "config-adopted": "configuration of {children} was taken over into the fleet file",
    "unreadable": "line {line} of the journal cannot be read",
}
_SILENT: Final = {"child", "actions", "uid", "rules"}
_RUN: Final = 6  # last digits of a run's id: enough to tell it from its neighbours
_WIDTH: Final = 12


def event_line(event: Event) -> tuple[str, str | None]:
    """One line and its colour."""
    child = harmless(str(event.fields.get("child", "")))
    when = f"{at:%Y-%m-%d %H:%M:%S}" if (at := moment(event)) else "-" * 19
    color = "red" if event.event.endswith("failed") or event.fields.get("failed") else None
    return f"{when}  {event.run[-_RUN:]:<{_RUN}}  {child:<{_WIDTH}}  {_words(event)}".rstrip(), color


def event_json(event: Event) -> dict[str, Json]:
    return {"event": event.event, "at": event.at, "run": event.run, "fields": dict(event.fields)}


def is_about(event: Event, child: str | None) -> bool:
    """Also an apply as a whole, when this child had an action in it."""
    if child is None or event.fields.get("child") == child:
        return True
    actions = event.fields.get("actions")
    return isinstance(actions, list) and any(str(action).partition(" ")[2] == child for action in actions)


def is_since(event: Event, start: datetime | None) -> bool:
    """What has no readable time is as old as can be."""
    return start is None or ((at := moment(event)) is not None and at >= start)


def moment(event: Event) -> datetime | None:
    """When it was, UTC; None where the event does not say."""
    try:
        at = datetime.fromisoformat(event.at)
    except ValueError:
        return None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def _words(event: Event) -> str:
    words = WORDS.get(event.event, event.event)
    said = {name for name in event.fields if f"{{{name}}}" in words}
    for name in said:
        words = words.replace(f"{{{name}}}", str(event.fields[name]))
    rest = {
        name: value for name, value in event.fields.items() if name not in said | _SILENT and value not in (None, "")
    }
    more = ", ".join(f"{name} {value_text(value)}" for name, value in sorted(rest.items()))
    return harmless(f"{words} ({more})" if more else words)
