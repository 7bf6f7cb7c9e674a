"""What the emulated API answers when it says no: one exception and the texts of the real API.

Statuses and codes are those of the official OpenAPI document's error table, texts are captures of the real API.
"""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.model import Json

# Every code that a request may be refused with, its status and the real API's words (or our own where none were seen).
REFUSALS: dict[str, tuple[int, str]] = {
    "unauthorized": (401, "the token you have provided is invalid"),
    "forbidden": (403, "insufficient permissions for this request"),
    "maintenance": (403, "cannot perform operation due to maintenance"),
    "resource_limit_exceeded": (403, "server limit exceeded"),
    "not_found": (404, "resource not found"),
    "uniqueness_error": (409, "name is already used"),
    "conflict": (409, "the resource has changed during the request, please retry"),
    "resource_unavailable": (412, "error during placement"),
    "invalid_input": (422, "unsupported location for server type"),
    "placement_error": (422, "error during placement"),
    "service_error": (422, "error within a service"),
    "unsupported_error": (422, "the corresponding resource does not support the action"),
    "locked": (423, "cannot perform operation because server is locked"),
    "protected": (423, "server is protected"),
    "rate_limit_exceeded": (429, "limit of 3600 requests per hour reached"),
    "server_error": (500, "error within the API backend"),
    "bad_gateway": (502, "bad gateway"),
    "unavailable": (503, "a service or product is currently not available"),
    "timeout": (504, "the request could not be answered in time, please retry"),
}


class ApiError(Exception):
    """An answer `{"error": {"code", "message", "details"}}` with an HTTP status of 400 or more."""

    def __init__(self, status: int, code: str, message: str, details: Mapping[str, Json] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details

    def body(self) -> dict[str, Json]:
        details: Json = None if self.details is None else dict(self.details)
        return {"error": {"code": self.code, "message": self.message, "details": details}}


def invalid_input(field: str, message: str) -> ApiError:
    """422, naming the field."""
    details: dict[str, Json] = {"fields": [{"name": field, "messages": [message]}]}
    return ApiError(422, "invalid_input", f"invalid input in field '{field}'", details)


def unsupported(message: str) -> ApiError:
    """422 for what the real API can do and this sandbox cannot."""
    return ApiError(422, "invalid_input", message)


def not_found(kind: str, reference: object) -> ApiError:
    return ApiError(404, "not_found", f"{kind} with ID '{reference}' not found")


def uniqueness(field: str, message: str) -> ApiError:
    details: dict[str, Json] = {"fields": [{"name": field, "messages": [message]}]}
    return ApiError(409, "uniqueness_error", message, details)


def locked() -> ApiError:
    return ApiError(423, "locked", "cannot perform operation because server is locked")


def protected(kind: str) -> ApiError:
    return ApiError(423, "protected", f"{kind} is protected")


def refused(code: str, message: str) -> ApiError:
    """422 for an operation that does not fit how things are; the code says why."""
    return ApiError(422, code, message)


def out_of_stock() -> ApiError:
    return ApiError(412, "resource_unavailable", "error during placement")


def not_offered() -> ApiError:
    """How a retired or never offered type is refused; also seen for sold-out ones in 2026."""
    return ApiError(422, "invalid_input", "unsupported location for server type")


def limit_exceeded(name: str) -> ApiError:
    """`name` is the limit's, in the plural: "servers", "primary_ips"."""
    what = "Primary IP" if name == "primary_ips" else name.removesuffix("s").replace("_", " ")
    return ApiError(403, "resource_limit_exceeded", f"{what} limit exceeded", {"limits": [{"name": name}]})


def rate_limited(limit: int) -> ApiError:
    return ApiError(429, "rate_limit_exceeded", f"limit of {limit} requests per hour reached")


def no_route() -> ApiError:
    return ApiError(404, "not_found", "api route not found")


def token_required() -> ApiError:
    return ApiError(401, "unauthorized", "token is required")


def token_invalid() -> ApiError:
    return ApiError(401, "unauthorized", "the token you have provided is invalid")


def token_readonly() -> ApiError:
    return ApiError(401, "token_readonly", "token is only allowed to perform GET requests")
