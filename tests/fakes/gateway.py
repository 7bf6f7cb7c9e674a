"""An OpenClaw gateway in memory: what it starts with, what it says when probed, and its RPC."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from reconciler.diff import apply_patch, list_paths
from reconciler.managed import files
from reconciler.model import Json

if TYPE_CHECKING:
    from tests.fakes.host import FakeHost

LOOKS_UNTIL_READY = 1  # a started gateway is not ready when it is first asked


class FakeGateway:
    """Tests set `suppressed`, `channel_error` or `wrong` (a fact to report instead), and read the rest."""

    def __init__(self, host: FakeHost) -> None:
        self.active = "inactive"
        self.starts = 0
        self.failure = ""
        self.version: str | None = None
        self.unit: bytes | None = None  # the unit file that systemd started it by
        self.started_with: dict[str, str | None] = {}
        self.suppressed: list[str] = []
        self.suppress_at_start: list[str] = []
        self.channel_error: str | None = None
        self.wrong: dict[str, Json] = {}
        self.token = b""
        self._host = host
        self._starting = 0

    @property
    def main_pid(self) -> int:
        return 1000 + self.starts if self.active == "active" else 0

    def start(self, unit: bytes | None) -> None:
        host = self._host
        self.starts += 1
        self.started_with = {path: host.stamp(path) for path in files.STAMPED}
        self.failure = self._what_is_missing()
        self.active = "failed" if self.failure else "active"
        self.unit, self.version = unit, host.links.get(files.CURRENT, "").rpartition("/")[2]
        self.token = host.content(files.GATEWAY_TOKEN_PATH)
        self.suppressed, self._starting = list(self.suppress_at_start), LOOKS_UNTIL_READY

    def stop(self) -> None:
        self.active = "inactive"

    def facts(self) -> dict[str, Any]:
        """The probe's words about the gateway."""
        host = self._host
        answer: dict[str, Any] = {
            "active": self.active,
            "sub": "running" if self.active == "active" else "dead",
            "result": "exit-code" if self.failure else "success",
            "exit_status": 78 if self.failure else 0,
            "main_pid": self.main_pid,
            "starts": self.starts,
            "stale": sorted(path for path, was in self.started_with.items() if host.stamp(path) != was),
        }
        if self.active != "active":
            return {**answer, "journal": [self.failure]}
        is_ready, self._starting = self._starting <= 0, self._starting - 1
        config = host.config()
        says = {
            "version": self.version,
            "ready": is_ready,
            "failing": [] if is_ready else ["channels"],
            "suppressed": self.suppressed,
            "token_accepted": self.token == host.content(files.GATEWAY_TOKEN_PATH),
            "anonymous_refused": config["gateway"]["auth"]["mode"] == "token",
            "loopback_only": config["gateway"]["bind"] == "loopback",
            "channel_connected": is_ready and not self.suppressed and self.channel_error is None,
            "channel_error": self.channel_error,
            "channel_activity": host.clock.now().timestamp() - 2,
        }
        return answer | says | self.wrong

    def rpc(self, method: str, parameters: Any) -> Json:
        """The answer over loopback HTTP."""
        assert self.active == "active", f"{method} asked of a gateway that does not run"
        match method:
            case "channels.status":
                number = self._host.content(files.TELEGRAM_TOKEN_PATH).decode().partition(":")[0]
                account: Json = {"probe": {"bot": {"username": f"bot{number}"}}}
                return _yes({"channelAccounts": {"telegram": [account]}})
            case "channels.start":
                self.suppressed.remove(parameters["channel"])
                return _yes({})
            case "config.get":
                return _yes({"hash": self._hash()})
            case "config.patch":
                return self._patched(parameters)
        raise AssertionError(f"the gateway knows no method {method}")

    def _patched(self, parameters: Any) -> Json:
        patch = json.loads(parameters["raw"])
        assert "gateway" not in patch, "a change of gateway.* restarts the process behind systemd's back"
        if parameters["baseHash"] != self._hash():
            return _no("config changed since last load; re-run config.get and retry")
        if not set(list_paths(patch)) <= set(parameters["replacePaths"]):
            return _no("a list is replaced only where replacePaths says so")
        after = apply_patch(self._host.config(), patch)
        self._host.write_config({**after, "meta": {"touched": True}})  # type: ignore[dict-item]
        return _yes({})

    def _hash(self) -> str:
        return hashlib.sha256(self._host.content(files.CONFIG_PATH)).hexdigest()

    def _what_is_missing(self) -> str:
        host = self._host
        paths = (files.GATEWAY_TOKEN_PATH, files.TELEGRAM_TOKEN_PATH, files.MODEL_KEY_PATH, files.CONFIG_PATH)
        needed = {
            "the release": host.links.get(files.CURRENT) in host.releases,
            "node": f"/opt/openclaw/node-{files.NODE_VERSION}" in host.directories,
            "the closed metadata address": host.metadata_rules == files.METADATA_RULES.encode(),
            "its home": files.HOME in host.directories,
            **{path: path in host.files and host.files[path].owner == "openclaw:openclaw" for path in paths},
        }
        return ", ".join(name for name, is_there in needed.items() if not is_there)


def _yes(payload: Json) -> Json:
    return {"ok": True, "payload": payload}


def _no(message: str) -> Json:
    return {"ok": False, "error": {"message": message}}
