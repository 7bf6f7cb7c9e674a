"""Every error the tool raises on purpose, as one tree.

    FleetError                 exit 1
    ├─ ConfigError             fleet.yaml or an argument is wrong: carries every diagnostic found
    ├─ SecretError             a reference cannot be resolved (never carries a value)
    ├─ StateError              state/ cannot be read or written
    │  └─ LockHeld             exit 5: somebody else is applying
    ├─ Refused                 exit 4: policy, protection, a stale plan, no terminal to ask on
    ├─ UsageProblem            exit 64: what the command line names is not there
    ├─ CloudError
    │  ├─ CloudUnavailable     temporary: no answer, 5xx, maintenance
    │  ├─ RateLimited          temporary
    │  ├─ ResourceLocked       temporary: another action runs on this server
    │  ├─ Unauthorized         the API token is missing, wrong or read-only
    │  ├─ NameTaken            a resource of that name exists
    │  ├─ NotFound
    │  ├─ OutOfStock           no capacity for this type in this region
    │  ├─ LimitExceeded        the project's quota
    │  ├─ InvalidRequest       the API calls our request wrong
    │  └─ ActionFailed         the API accepted it and failed later
    ├─ HostError
    │  ├─ HostRefused          temporary: nothing listens
    │  ├─ HostTimedOut         temporary: no answer in time
    │  ├─ WrongHostKey         never retried, never trusted
    │  ├─ LoginRefused         our key is not accepted
    │  ├─ CommandFailed        a command on the host ended with another code than 0
    │  └─ ProofFailed          the gateway runs, or should, and is not healthy
    ├─ ChannelError            the messenger does not do what was asked
    │  ├─ ChannelUnavailable   temporary: no answer, 5xx, "later"
    │  └─ TokenRefused         no bot has this token (any more)
    ├─ VaultError              where backups are kept cannot be reached, or written
    │  └─ BackupDamaged        a backup is not what was kept
    └─ SandboxError            the local sandbox cannot do what was asked

`temporary` is the retry policy: the engine tries a temporary error again and no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from reconciler.model import Diagnostic


class FleetError(Exception):
    """What went wrong (`summary`), and what the reader should do next (`advice`)."""

    temporary: ClassVar[bool] = False
    exit_code: ClassVar[int] = 1

    def __init__(self, summary: str, advice: str = "") -> None:
        super().__init__(summary)
        self.summary = summary
        self.advice = advice


class ConfigError(FleetError):
    """fleet.yaml is wrong. All problems are reported at once, each with its line."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        super().__init__(f"{len(diagnostics)} problem(s) in the fleet file")
        self.diagnostics = tuple(diagnostics)


class SecretError(FleetError):
    """A secret reference could not be resolved."""


class StateError(FleetError):
    """The state directory cannot be read or written."""


class LockHeld(StateError):
    """Another process holds the lock of this state directory."""

    exit_code = 5


class Refused(FleetError):
    """The tool could do it and will not: protection, policy, or nobody there to say yes."""

    exit_code = 4


class UsageProblem(FleetError):
    """The command line asks for something that does not exist or does not go together."""

    exit_code = 64


class CloudError(FleetError):
    """The cloud's API did not do what was asked. `correlation_id` is what its support wants to hear."""

    def __init__(self, summary: str, advice: str = "", correlation_id: str | None = None) -> None:
        super().__init__(summary, advice)
        self.correlation_id = correlation_id


class CloudUnavailable(CloudError):
    """No answer, or one that says "later"."""

    temporary = True


class RateLimited(CloudError):
    """The project's request budget is used up."""

    temporary = True


class ResourceLocked(CloudError):
    """Another action is running on this resource."""

    temporary = True


class Unauthorized(CloudError):
    """The token is missing, wrong or may only read."""


class NameTaken(CloudError):
    """A resource of that name exists already."""


class NotFound(CloudError):
    """No such resource."""


class OutOfStock(CloudError):
    """This server type cannot be had in this region now."""


class LimitExceeded(CloudError):
    """The project's quota is used up."""


class InvalidRequest(CloudError):
    """The API rejects the request as wrong."""


class ActionFailed(CloudError):
    """An accepted action ended in an error."""


class HostError(FleetError):
    """A host cannot be reached or used."""


class HostRefused(HostError):
    """The address answers, but nothing listens there."""

    temporary = True


class HostTimedOut(HostError):
    """No answer in time, or the connection broke off."""

    temporary = True


class WrongHostKey(HostError):
    """The host shows a key that we did not give it."""


class LoginRefused(HostError):
    """The host does not accept our key."""


class CommandFailed(HostError):
    """A command on the host failed. The text carries the end of its output, never its input."""

    def __init__(self, summary: str, advice: str = "", exit_code_on_host: int = 1) -> None:
        super().__init__(summary, advice)
        self.exit_code_on_host = exit_code_on_host


class ProofFailed(HostError):
    """Everything was done, and the gateway is not healthy: what it runs may be to blame."""


class ChannelError(FleetError):
    """The messenger does not do what was asked of a bot."""


class ChannelUnavailable(ChannelError):
    """No answer, or one that says "later"."""

    temporary = True


class TokenRefused(ChannelError):
    """No bot has this token, or not any more."""


class VaultError(FleetError):
    """The place where backups are kept cannot be reached, read or written."""


class BackupDamaged(VaultError):
    """A backup is not what was kept: nothing of it is used."""


class SandboxError(FleetError):
    """The sandbox on this machine cannot do what was asked."""


def place_of(error: Exception) -> str:
    """The type of an unforeseen error, and where it came from: its text may carry anything, also a secret."""
    import traceback  # nobody pays for it who meets none

    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {place.filename.rpartition('/')[2]}, line {place.lineno}"
