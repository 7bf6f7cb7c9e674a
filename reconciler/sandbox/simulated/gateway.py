"""A simulated OpenClaw gateway: what it starts with, what it says when probed, and its RPC.

It reads its unit, its configuration and its secrets from the host's disk as the real one does, and talks to nobody:
Telegram is always there unless a test says otherwise.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from reconciler.model import Json
from reconciler.sandbox.simulated.calls import Fails
from reconciler.sandbox.simulated.disk import File, make_directories
from reconciler.sandbox.simulated.patching import apply_patch, list_paths
from reconciler.sandbox.simulated.units import Unit, read_unit

if TYPE_CHECKING:
    from reconciler.sandbox.simulated.host import SimulatedHost

LOOKS_UNTIL_READY: Final = 1  # a started gateway is not ready when it is first asked
OWNER: Final = "openclaw:openclaw"
CONFIGURATION_REFUSED: Final = 78  # its exit code (facts on real gateways, section 5)


class SimulatedGateway:
    """Tests set `suppressed`, `channel_error`, `wrong` (a fact to report instead) or `refusal`, and read the rest.

    `knows_not` are keys at the top of openclaw.json that the release does not know: it takes no patch beside them.
    """

    def __init__(self, host: SimulatedHost) -> None:
        self.suppress_at_start: list[str] = []
        self.channel_error: str | None = None
        self.heard: dict[str, Json] = {"connected": True}  # of Telegram
        self.spent: Json = 0.0  # US dollars on models, this month
        self.wrong: dict[str, Json] = {}
        self.until_start: dict[str, Json] = {}  # the same until it is started anew, or its channel is
        self.until_channel: dict[str, Json] = {}
        self.knows_not: tuple[str, ...] = ()
        self.refuses: tuple[str, ...] = ()  # keys there with which no file is valid, nor can it start
        self.flawed: dict[str, str] = {}  # version -> exits, second start, never ready
        self.starts_of: dict[str, int] = {}
        self.errors_of: dict[str, int] = {}  # version -> errors in its log since its start
        self.refusal = ""  # what it answers to every call that would change something
        self.unit: bytes | None = None  # the text that systemd started it by
        self.unit_name = ""
        self._host = host
        self.forget()

    def forget(self) -> None:
        """The machine has lost its power."""
        self.starts = 0  # since boot
        self.version: str | None = None
        self.suppressed: list[str] = []
        self.token = b""
        self.config_path = ""
        self._starting = 0

    @property
    def active(self) -> str:
        return self._host.systemd.state(self.unit_name).active

    def start(self, text: bytes | None = None) -> None:
        """Again, by this text of its unit or else by the loaded one."""
        systemd = self._host.systemd
        systemd.launch(self.unit_name, read_unit(text) if text else systemd.loaded[self.unit_name])

    def stop(self) -> None:
        self._host.systemd.end(self.unit_name)

    def begin(self, name: str, unit: Unit) -> tuple[str, int, int, str] | None:
        """systemd starts it. What it fails with, as systemd tells it (result, PID, exit status, journal), or None."""
        self.starts += 1
        self.until_start, self.until_channel = {}, {}
        self.unit, self.unit_name = unit.text, name
        self.config_path = f"{unit.environment().get('HOME', '/')}/.openclaw/openclaw.json"
        self.version = self._version(unit)
        self.token = self._host.content(self._secret_path("gateway"))
        self.suppressed, self._starting = list(self.suppress_at_start), LOOKS_UNTIL_READY
        missing = ", ".join(self._what_is_missing(unit)) or self._what_is_unknown() or self._newer_state()
        if missing:
            return ("exit-code", 0, CONFIGURATION_REFUSED, missing)
        return self._flaw() or self._no_port()

    def remember(self, words: str) -> None:
        """Somebody has told it something."""
        state = self._state()
        self.write_state({**state, "said": [*state.get("said", []), words]})

    def is_asked(self, user: int, code: str, name: str = "") -> None:
        """A stranger has written to the bot, and was told a code."""
        asked = {"user": str(user), "code": code, "at": self._host.now(), "name": name, "username": name.lower()}
        state = self._state()
        self.write_state({**state, "asking": [*state.get("asking", []), asked]})

    @property
    def lets_in(self) -> list[str]:
        """Whom somebody has let in by their code."""
        return list(self._state().get("let_in", []))

    @property
    def memory(self) -> list[str]:
        """What it has been told, as far as its state knows."""
        return list(self._state().get("said", []))

    def _newer_state(self) -> str:
        """Why it does not start on this state; else the state is of its own schema from now on."""
        ours, found = schema_of(self.version or ""), self._state().get("schema", 0)
        if found > ours:
            return f"refused startup because 1 OpenClaw database schema(s) are newer than this build: {found}, {ours}"
        self.write_state({**self._state(), "schema": ours})
        return ""

    def _flaw(self) -> tuple[str, int, int, str] | None:
        """How this release ends right after its start, if it does."""
        flaw = self.flawed.get(self.version or "")
        self.starts_of[self.version or ""] = self.starts_of.get(self.version or "", 0) + 1
        if flaw == "exits" or (flaw == "second start" and self.starts_of[self.version or ""] > 1):
            return ("exit-code", 0, 1, "the release exits")
        return None

    def _what_is_unknown(self) -> str:
        """In its configuration: it starts with no such one."""
        unknown = [key for key in self._config() if key in self.refuses]
        return f"Gateway failed to start: Invalid config: <root>: Unrecognized key: {unknown[0]}" if unknown else ""

    def _no_port(self) -> tuple[str, int, int, str] | None:
        """Where somebody else listens on it."""
        others = [it for it in self._host.closer.get("listeners", []) if not it["is_ours"]]
        return ("exit-code", 0, 1, "another gateway instance is already listening: EADDRINUSE") if others else None

    @property
    def _state_path(self) -> str:
        return f"{self.config_path.rpartition('/')[0]}/state/openclaw.sqlite"

    def _state(self) -> dict[str, Any]:
        state = self._host.read_json(self._state_path)
        return state if isinstance(state, dict) else {}

    def write_state(self, state: dict[str, Any]) -> None:
        make_directories(self._host, self._state_path.rpartition("/")[0], "0700", OWNER)
        self._host.files[self._state_path] = File(json.dumps(state).encode(), OWNER, "0600")

    def facts(self, asked: Any) -> dict[str, Any]:
        """The probe's words about the unit and the gateway; `asked` is its request's "gateway"."""
        host, run = self._host, self._host.systemd.state(asked["unit"])
        started = host.read_json(asked["started_path"])
        started = started if isinstance(started, dict) else {}
        answers = run.active == "active" and asked["unit"] == self.unit_name
        answer: dict[str, Any] = {
            "active": run.active,
            "sub": run.sub,
            "result": run.result,
            "main_pid": run.main_pid,
            "restarts": 0,
            "exit_status": run.exit_status,
            "starts": started.get("starts", 0),
            "stale": sorted(path for path, was in started.get("digests", {}).items() if host.stamp(path) != was),
            "loopback_only": self._config_at("gateway", "bind") == "loopback" if answers else None,
        }
        if run.active != "active":
            return {**answer, "journal": [run.journal] if run.journal else []}
        ill = self.wrong | self.until_start | self.until_channel
        if answers and asked.get("spent"):
            answer |= {"spent": self.spent, "spent_complete": True}
        return answer | self._says(asked["token_path"]) | ill if answers else answer

    @property
    def was_ready(self) -> bool:
        """When it was last looked at, in this run of it: a simulated gateway gets ready by looks, not by time."""
        return self.active == "active" and self._starting < 0 and not self._is_never_ready

    @property
    def _is_never_ready(self) -> bool:
        return self.flawed.get(self.version or "") == "never ready"

    def _says(self, token_path: str) -> dict[str, Any]:
        """What a running gateway answers over loopback."""
        is_ready, self._starting = self._starting <= 0, self._starting - 1
        is_ready = is_ready and not self._is_never_ready
        return {
            "version": self.version,
            "errors": self.errors_of.get(self.version or "", 0),
            "ready": is_ready,
            "failing": [] if is_ready else ["channels"],
            "suppressed": self.suppressed,
            "token_accepted": self.token == self._host.content(token_path),
            "anonymous_refused": self._config_at("gateway", "auth", "mode") == "token",
            **(self._channel(is_ready) if self.polls is not None else {}),
        }

    def _channel(self, is_ready: bool) -> dict[str, Any]:
        return {
            "channel_connected": is_ready and not self.suppressed and self.channel_error is None,
            "channel_error": self.channel_error,
            "channel_activity": self._host.now() - 2,
        }

    @property
    def polls(self) -> bytes | None:
        """The token with which it asks Telegram for messages; None where its configuration has no such channel."""
        if self._config_at("channels", "telegram", "enabled") is not True:
            return None
        path = self._config_at("channels", "telegram", "tokenFile")
        return self._host.content(path) if isinstance(path, str) else None

    def rpc(self, method: str, parameters: Any) -> Json:
        """The answer over loopback HTTP. Raises Fails where nobody answers."""
        if self.active != "active":
            raise Fails("the gateway does not answer on loopback: [Errno 111] Connection refused")
        if method not in METHODS:
            self._host.objections.append(f"the gateway knows no method {method}")
            return refused(f"unknown method: {method}")
        if self.refusal and method in CHANGING:
            return refused(self.refusal)
        return METHODS[method](self, parameters)

    def _channels_status(self, parameters: Any) -> Json:
        path = self._config_at("channels", "telegram", "tokenFile")
        number = self._host.content(str(path)).decode("utf-8", "replace").partition(":")[0]
        account: Json = {"probe": {"bot": {"username": f"bot{number}"}}, **self.heard}
        return granted({"channelAccounts": {"telegram": [account]}})

    def _usage_cost(self, parameters: Any) -> Json:
        return granted({"totals": {"totalCost": self.spent}, "cacheStatus": {"status": "fresh"}})

    def _start_channel(self, parameters: Any) -> Json:
        self.suppressed = [it for it in self.suppressed if it != parameters["channel"]]
        self.until_channel = {}
        return granted({})

    def _get_config(self, parameters: Any) -> Json:
        return granted({"hash": self._hash()})

    def _patch_config(self, parameters: Any) -> Json:
        patch = json.loads(parameters["raw"])
        if "gateway" in patch:
            self._host.objections.append("a change of gateway.* restarts the process behind systemd's back")
        if parameters["baseHash"] != self._hash():
            return refused("config changed since last load; re-run config.get and retry")
        if not set(list_paths(patch)) <= set(parameters["replacePaths"]):
            return refused("a list is replaced only where replacePaths says so")
        if unknown := [key for key in self._config() if key in self.knows_not]:
            return refused(f"invalid config: {unknown[0]}: Unrecognized key; fix (openclaw doctor) before patching")
        after = apply_patch(self._config(), patch)
        file = self._host.files[self.config_path]
        file.content = json.dumps({**after, "meta": {"touched": True}}).encode()
        return granted({})

    def _hash(self) -> str:
        return hashlib.sha256(self._host.content(self.config_path)).hexdigest()

    def _config(self) -> dict[str, Any]:
        config = self._host.read_json(self.config_path)
        return config if isinstance(config, dict) else {}

    def _config_at(self, *path: str) -> Any:
        value: Any = self._config()
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    def _secret_path(self, provider: str) -> str:
        return str(self._config_at("secrets", "providers", provider, "path"))

    def _version(self, unit: Unit) -> str | None:
        release = self._release(unit)
        return release.rpartition("/")[2] if release else None

    def _release(self, unit: Unit) -> str | None:
        """The release below which ExecStart's program lies, its link followed."""
        program = unit.main[-3]
        link = next((link for link in self._host.links if program.startswith(f"{link}/")), None)
        return self._host.links[link] if link else None

    def _what_is_missing(self, unit: Unit) -> Iterator[str]:
        host, user = self._host, unit.last("User", "root")
        if self._release(unit) not in host.releases:
            yield "the release"
        if unit.main[0] not in host.files:
            yield "node"
        if user not in host.accounts:
            yield f"the account {user}"
        if unit.last("WorkingDirectory", "/") not in host.directories:
            yield "its home"
        providers = self._config_at("secrets", "providers") or {}
        secrets = [provider.get("path") for provider in providers.values()]
        for path in (self.config_path, *secrets, self._config_at("channels", "telegram", "tokenFile")):
            if path and (path not in host.files or host.files[path].owner != f"{user}:{user}"):
                yield path


def schema_of(version: str) -> int:
    """The number of the database's form, which went up with 2026.9.6 (facts on real gateways, section 4)."""
    numbers = [int(part) for part in version.partition("-")[0].split(".") if part.isdecimal()]
    return 17 if numbers < [2026, 9, 6] else 18 if numbers < [2026, 9, 7] else 19


METHODS: Final = {
    "channels.status": SimulatedGateway._channels_status,
    "channels.start": SimulatedGateway._start_channel,
    "usage.cost": SimulatedGateway._usage_cost,
    "config.get": SimulatedGateway._get_config,
    "config.patch": SimulatedGateway._patch_config,
}
CHANGING: Final = ("channels.start", "config.patch")


def granted(payload: Json) -> Json:
    return {"ok": True, "payload": payload}


def refused(message: str) -> Json:
    return {"ok": False, "error": {"message": message}}
