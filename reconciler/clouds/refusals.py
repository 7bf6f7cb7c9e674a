"""What the Hetzner Cloud API's refusals mean in our words, each with advice (pure).

Codes: the error table of the official OpenAPI document; texts that decide: seen in the wild, see the tests' captures.
"""

from __future__ import annotations

from reconciler.errors import (
    CloudError,
    CloudUnavailable,
    InvalidRequest,
    LimitExceeded,
    NameTaken,
    NotFound,
    OutOfStock,
    RateLimited,
    ResourceLocked,
    Unauthorized,
)

_LATER = "Try again later; https://status.hetzner.com tells about outages."
_STOCK = "Choose another server_type or region, or try again later."

_MEANINGS: dict[str, tuple[type[CloudError], str]] = {
    "unauthorized": (
        Unauthorized,
        "Check the token that cloud.token names: it is for one project and may be revoked.",
    ),
    "token_readonly": (Unauthorized, "Use an API token with read and write permission."),
    "forbidden": (Unauthorized, "This token may not do that; check its permissions in the Hetzner Console."),
    "not_found": (NotFound, "It may have been deleted meanwhile: see `fleet plan`."),
    "uniqueness_error": (
        NameTaken,
        "Something else in this project has that name: rename it, delete it, or rename ours.",
    ),
    "resource_unavailable": (OutOfStock, _STOCK),
    "placement_error": (OutOfStock, _STOCK),
    "no_space_left_in_location": (OutOfStock, _STOCK),
    "resource_limit_exceeded": (LimitExceeded, "Delete what is not needed, or ask Hetzner for a higher limit."),
    "locked": (ResourceLocked, "Another action is running on it; try again when that is done."),
    "resource_locked": (ResourceLocked, "Another action is running on it; try again when that is done."),
    "protected": (InvalidRequest, "It is protected in the Hetzner Console; remove the protection there first."),
    "rate_limit_exceeded": (RateLimited, "The project's requests of this hour are used up; try again in some minutes."),
    "deprecated_api_endpoint": (InvalidRequest, "Hetzner has removed this operation; update openclaw-deploy."),
    "maintenance": (CloudUnavailable, _LATER),
    "unavailable": (CloudUnavailable, _LATER),
    "service_error": (CloudUnavailable, _LATER),
    "server_error": (CloudUnavailable, _LATER),
    "bad_gateway": (CloudUnavailable, _LATER),
    "timeout": (CloudUnavailable, _LATER),
    "conflict": (CloudUnavailable, "It was changed by somebody else at the same time; try again."),
}
_SOLD_OUT = "unsupported location for server type"
_STATUSES: dict[int, str] = {401: "unauthorized", 403: "forbidden", 404: "not_found", 429: "rate_limit_exceeded"}


def translate(doing: str, code: int | str, message: str, correlation_id: str | None) -> CloudError:
    """The error for a refusal. `code` is the API's, or the HTTP status of an answer that was not the API's JSON."""
    kind, advice = _meaning(code, message)
    reference = f", correlation id {correlation_id}" if correlation_id else ""
    return kind(f"Hetzner Cloud cannot {doing}: {message} ({code}{reference})", advice, correlation_id)


def _meaning(code: int | str, message: str) -> tuple[type[CloudError], str]:
    if isinstance(code, int):
        code = _STATUSES.get(code, "unavailable" if code >= 500 else "")
    if code == "invalid_input" and _SOLD_OUT in message:
        return OutOfStock, _STOCK
    return _MEANINGS.get(code, (InvalidRequest, "Check the fields it names in fleet.yaml."))
