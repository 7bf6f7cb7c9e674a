"""What the sandbox tells everybody who uses it: sandbox.json, readable by all, without any secret."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from ipaddress import IPv4Network
from pathlib import Path

from reconciler.errors import SandboxError
from reconciler.model import NodeDistribution


@dataclass(frozen=True, slots=True)
class SandboxInfo:
    """Addresses of one sandbox, from `up` to `down`. The API token lies in `token_file` (0600) and nowhere else.

    `gateway` is the operator's own address in `subnet`, `service` the one where stand-ins and mirror listen; `endpoint`
    is for programs on this machine, the other addresses are for the sandbox's machines.
    """

    endpoint: str
    token_file: str
    subnet: str
    gateway: str
    service: str
    telegram_api_root: str
    model_base_url: str
    npm_registry: str
    node: NodeDistribution
    simulated: bool = False  # its machines are

    @classmethod
    def from_file(cls, file: Path) -> SandboxInfo:
        """SandboxError when no sandbox is up, or when its file is another version's."""
        try:
            fields = json.loads(file.read_text())
            return cls(**{**fields, "node": NodeDistribution(**fields["node"])})
        except FileNotFoundError as error:
            raise SandboxError("no sandbox is up on this machine", "Start one: `fleet sandbox up`.") from error
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise SandboxError(
                f"{file} cannot be read as this version's sandbox", "Run `fleet sandbox down`, then `fleet sandbox up`."
            ) from error

    def to_file(self, file: Path) -> None:
        """Whole or not at all."""
        new = file.with_suffix(".new")
        new.write_text(json.dumps(asdict(self), indent=2) + "\n")
        new.chmod(0o644)
        new.replace(file)

    @property
    def network(self) -> IPv4Network:
        return IPv4Network(self.subnet)
