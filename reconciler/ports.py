"""The protocols between what decides and what acts. Adapters implement them; only wiring.py knows which."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from io import BufferedIOBase
from pathlib import Path
from typing import Any, Protocol

from reconciler.errors import FleetError
from reconciler.model import (
    Besides,
    BotIdentity,
    BotProfile,
    Bucket,
    Catalog,
    Command,
    Completed,
    Endpoints,
    Event,
    Firewall,
    FirewallSpec,
    HostAddress,
    Level,
    Record,
    Secret,
    SecretRef,
    Server,
    ServerRequest,
    Webhook,
)


class Cloud(Protocol):
    """A cloud that runs servers. Every method raises CloudError's children and nothing else."""

    def servers(self, fleet_id: str) -> tuple[Server, ...]:
        """All servers labelled with this fleet id, or an error: never a part of them."""

    def server_named(self, name: str) -> Server | None:
        """The server of exactly this name, whoever owns it."""

    def servers_named(self, names: Collection[str]) -> tuple[Server, ...]:
        """The servers that have one of these names, whoever owns them; for many names cheaper than one by one."""

    def server(self, server_id: int) -> Server | None: ...

    def catalog(self) -> Catalog: ...

    def besides(self) -> tuple[Besides, ...]:
        """What costs something in the project and is no server, whoever it is of; with its list price of a month."""

    def ensure_ssh_key(self, name: str, public_key: str, labels: dict[str, str]) -> int:
        """The id of the key with this name and this public key; made or replaced where it differs."""

    def ensure_firewall(self, firewall: FirewallSpec) -> None:
        """A firewall of this name with exactly these rules and this selector; NameTaken when it is not ours."""

    def restore_firewall(self, firewall: Firewall) -> None:
        """Exactly the rules and selectors again that `firewalls` told before; NotFound when it is gone."""

    def firewalls(self, fleet_id: str) -> tuple[Firewall, ...]:
        """All firewalls labelled with this fleet id, or an error."""

    def label_firewall(self, firewall_id: int, labels: dict[str, str]) -> None:
        """Replace the whole label set; NotFound when it is gone."""

    def delete_firewall(self, name: str) -> None:
        """Gone, or it was not there."""

    def create_server(self, request: ServerRequest) -> tuple[Server, tuple[int, ...]]:
        """The new server and the ids of the actions to wait for."""

    def set_labels(self, server_id: int, labels: dict[str, str]) -> Server:
        """Replace the whole label set."""

    def rename(self, server_id: int, name: str, labels: dict[str, str]) -> Server:
        """Another name and another label set in one request; NameTaken when somebody has the name.

        One request, because a server whose name and labels disagree is taken for nobody's.
        """

    def change_type(self, server_id: int, server_type: str) -> tuple[int, ...]:
        """Another type for a server that is off; its disk keeps its size, so there is a way back."""

    def set_backups(self, server_id: int, on: bool) -> tuple[int, ...]:
        """The cloud's own backups of the server; switching them off deletes those there are."""

    def delete_server(self, server_id: int) -> tuple[int, ...]:
        """The ids of the actions to wait for; empty when it was gone already."""

    def power_on(self, server_id: int) -> tuple[int, ...]: ...

    def power_off(self, server_id: int) -> tuple[int, ...]:
        """At once, as pulling the plug."""

    def shutdown(self, server_id: int) -> tuple[int, ...]:
        """The power button: the action's success only says that it was pressed."""

    def reboot(self, server_id: int) -> tuple[int, ...]: ...

    def reset(self, server_id: int) -> tuple[int, ...]:
        """Boot it anew as by pulling the plug."""

    def open_actions(self, server_id: int) -> tuple[int, ...]:
        """The ids of the server's actions that have not succeeded: still running, or failed. NotFound when it is gone.

        For whoever has not got them with an answer.
        """

    def wait(self, action_ids: Sequence[int], timeout: float) -> None:
        """Until all have succeeded; ActionFailed when one fails, CloudUnavailable when time is up."""

    def requests_left(self) -> int | None:
        """What the last answer said is left of the project's request budget, refilled since; None before any answer.

        Asks nobody.
        """


class Host(Protocol):
    """An open connection to one host, as far as steps need it."""

    def run(self, command: Command) -> Completed:
        """Run it; CommandFailed when `command.check` and it failed, HostTimedOut when it did not end."""

    def close(self) -> None: ...


class Session(Host, Protocol):
    """The same for a person at a terminal."""

    def interact(self) -> int:
        """Hand the terminal over; the remote exit code."""

    def forwarding(self, here: int, there: int) -> AbstractContextManager[None]:
        """Inside, the port `here` of this machine's loopback leads to `there` on the host's own."""

    def expect_within(self, seconds: float) -> None:
        """From now on a host that does not take up a command within so many seconds counts as silent."""

    @property
    def is_open(self) -> bool:
        """Whether the connection still stands, as far as anybody knows."""


class Dialer(Protocol):
    """Opens connections. Raises HostRefused, HostTimedOut, WrongHostKey or LoginRefused, each for its cause."""

    def connect(self, address: HostAddress, timeout: float) -> Session: ...


class Store(Protocol):
    """The state directory: a lock, a journal and rebuildable records. Reading never writes."""

    def lock(self, operation: str) -> AbstractContextManager[None]:
        """Held while something is applied; LockHeld says who has it."""

    def append(self, event: Event, durable: bool) -> None:
        """A line in the journal; on disk before it returns when `durable`."""

    def events(self) -> Iterable[Event]: ...

    def records(self) -> dict[str, Record]: ...

    def save(self, record: Record) -> None: ...

    def forget(self, child: str) -> None: ...

    def lockfile(self, version: str) -> bytes | None:
        """What was kept as the lock file of this OpenClaw release; None where nothing is that can be read."""

    def keep_lockfile(self, version: str, content: bytes) -> None:
        """Whole or not at all. ValueError for what is no version: it becomes a file's name."""


class Clock(Protocol):
    """Time and randomness."""

    def now(self) -> datetime:
        """Aware, UTC."""

    def monotonic(self) -> float:
        """Seconds."""

    def sleep(self, seconds: float) -> None: ...

    def token(self) -> str:
        """16 random lower-case hex digits."""


class Secrets(Protocol):
    """Turns references into values. Raises SecretError."""

    def bot_token(self, reference: SecretRef) -> Secret: ...

    def model_key(self, reference: SecretRef) -> Secret: ...

    def bot_token_place(self, reference: SecretRef) -> str:
        """In words, where `keep_bot_token` puts it; SecretError where it cannot."""

    def holds_bot_token(self, reference: SecretRef) -> bool:
        """Whether anything is at that place, whatever it is."""

    def keep_bot_token(self, reference: SecretRef, token: Secret) -> None:
        """The reference leads to this token from now on, in the place of the one before."""


class Channel(Protocol):
    """The messenger, asked about a bot in that bot's own name. Raises ChannelError's children and nothing else.

    Nothing is ever taken from a bot: what people have written to it waits for its gateway.
    """

    def identity(self, token: Secret) -> BotIdentity:
        """Whose token that is; TokenRefused where it is nobody's."""

    def webhook(self, token: Secret) -> Webhook: ...

    def profile(self, token: Secret) -> BotProfile:
        """Without a None."""

    def set_profile(self, token: Secret, changes: Mapping[str, str]) -> None:
        """These fields of BotProfile are so, as far as no error is raised."""

    def commands(self, token: Secret) -> tuple[str, ...]:
        """The names in its menu, without the slash, as everybody sees it who has none of their own."""

    def is_polled(self, token: Secret, seconds: float) -> bool:
        """Whether anybody else asks for this bot's messages within these seconds.

        Whoever does is disturbed once, as by any second one that asks; never ask this of a bot whose gateway runs.
        """


class Teller(Protocol):
    """Tells people. An error is a text: whom it cannot reach ends no pass."""

    def tell(self, place: SecretRef, title: str, body: str, level: Level | None) -> str:
        """Why it could not be delivered; empty where it was. A level of None: something is over."""

    def ping(self, place: SecretRef) -> str:
        """The same of a dead man's switch."""


class Vault(Protocol):
    """Where backups are kept, as files by name (`a/b/c`). Raises VaultError."""

    where: str  # in words for a person, without any secret

    def put(self, name: str, source: Path) -> None:
        """The file is there as a whole when this returns, in the place of one that was; else nothing has changed."""

    def get(self, name: str, target: Path) -> None: ...

    def names(self, prefix: str) -> list[str]:
        """Of all files whose names begin so, in order."""

    def remove(self, name: str) -> None:
        """It is not there, whether it was or not."""


class Sealer(Protocol):
    """Seals files for a recipient and opens them again, in age's format (age-encryption.org/v1)."""

    def seal(self, source: BufferedIOBase, target: Path, recipient: str) -> None:
        """`target` is `source` for the holder of the recipient's identity. Raises UsageProblem: it is no recipient."""

    def open_sealed(self, source: Path, target: BufferedIOBase, identity: Secret) -> None:
        """What was sealed. Raises BackupDamaged where one bit of it differs or it is for somebody else.

        What comes before the place that is damaged has been written by then: whoever gets it must not use it.
        """


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything outside, in one hand. `fleet_key` is 32 bytes as text-safe secret (see keys.py)."""

    cloud: Cloud
    dialer: Dialer
    store: Store
    clock: Clock
    secrets: Secrets
    endpoints: Endpoints
    fleet_key: Secret
    progress: Callable[[str, str, float], None]  # child, step, seconds
    vault: Callable[[str | Bucket], Vault]  # opens the place that the fleet file names for backups
    sealer: Sealer
    channel: Callable[[], AbstractContextManager[Channel]]  # opens the messenger
    teller: Teller
    reaches: Callable[[str, int, float], bool]  # an address, a port, seconds: does anybody answer there?
    node_releases: Callable[[], tuple[str, ...] | None]  # of Node.js, that mend something insecure; None: nobody knows
    operator: str = ""  # who asks for this, as far as the environment tells


# Asks the host of each child, by name; an error of one is the answer of that one.
OnEach = Callable[[Iterable[str], Callable[[str, Host], Any]], Mapping[str, Any | FleetError]]
