"""The other end of the control socket, for the command line and for tests."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from reconciler.errors import SandboxError
from reconciler.model import Json
from reconciler.sandbox.anthropic import ModelFault, ModelRequest
from reconciler.sandbox.emulator.faults import Fault as CloudFault
from reconciler.sandbox.telegram import Fault

_TIMEOUT = 10.0  # seconds; every call answers from memory


class SandboxClient:
    """Speaks to one sandbox. Every method raises SandboxError when it is not there or refuses."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        transport = httpx.HTTPTransport(uds=str(socket))
        self._http = httpx.Client(transport=transport, base_url="http://sandbox", timeout=_TIMEOUT)

    def __enter__(self) -> SandboxClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def say(self, bot: str | int, user: int, text: str, first_name: str = "Test") -> dict[str, Json]:
        """A user writes to a bot, named by token or id; the update that the bot gets."""
        body = {"bot": str(bot), "user": user, "text": text, "first_name": first_name}
        return dict(self._call("POST", "/telegram/message", json=body))

    def messages(self, bot: str | int, chat: int | None = None) -> list[dict[str, Json]]:
        """Both directions, oldest first, as Bot API messages."""
        query = {"bot": str(bot).partition(":")[0]} | ({} if chat is None else {"chat": str(chat)})
        return list(self._call("GET", "/telegram/messages", params=query))

    def replies(self, bot: str | int, chat: int) -> list[str]:
        """The texts that the bot wrote into the chat."""
        messages: list[Any] = self.messages(bot, chat)
        return [message["text"] for message in messages if message["from"]["is_bot"]]

    def break_telegram(self, bot: str | int, fault: Fault | None) -> None:
        """None heals it."""
        self._call("POST", "/telegram/fault", json={"bot": str(bot), "fault": fault})

    def model_requests(self) -> list[ModelRequest]:
        return [ModelRequest(**request) for request in self._call("GET", "/model/requests")]

    def break_model(self, fault: ModelFault | None) -> None:
        """None heals it."""
        self._call("POST", "/model/fault", json={"fault": fault})

    def cloud_log(self) -> list[dict[str, Json]]:
        return list(self._call("GET", "/cloud/log"))

    def set_fault(self, kind: str, on: str, value: str = "", times: int | None = None) -> CloudFault:
        """What RULES of emulator/faults.py says of the kind; None times: as often as is usual for it."""
        body = {"kind": kind, "on": on, "value": value, "times": times}
        return CloudFault(**self._call("POST", "/cloud/faults", json=body))

    def faults(self) -> list[CloudFault]:
        """What is set, oldest first."""
        return [CloudFault(**fault) for fault in self._call("GET", "/cloud/faults")]

    def clear_faults(self, kind: str | None = None, on: str | None = None) -> int:
        """All, those of a kind, or those on one thing; how many there were."""
        query = {name: value for name, value in (("kind", kind), ("on", on)) if value}
        return int(self._call("DELETE", "/cloud/faults", params=query)["cleared"])

    def make_trouble(self, machine_id: int, **trouble: Json) -> None:
        """For a simulated machine: `answer`, `slow`, `interruption`, as in simulated/control.py; nothing ends it."""
        self._call("POST", "/machines/trouble", json={"id": machine_id, **trouble})

    def objections(self) -> dict[str, list[str]]:
        """What simulated machines were asked and should not have been, by machine id."""
        return dict(self._call("GET", "/machines/objections"))

    def status(self) -> dict[str, Json]:
        return dict(self._call("GET", "/status"))

    def _call(self, method: str, path: str, **arguments: Any) -> Any:
        try:
            self._socket.stat()  # httpcore leaks the socket of a connection to nowhere
            response = self._http.request(method, path, **arguments)
        except (OSError, httpx.HTTPError) as error:
            raise SandboxError(
                f"the sandbox does not answer on {self._socket}", "is it running? `fleet sandbox up` starts it"
            ) from error
        if response.status_code != 200:
            raise SandboxError(
                f"the sandbox refused {method} {path}: {response.text.strip()[:300]}", "See `fleet sandbox logs`."
            )
        return response.json()
