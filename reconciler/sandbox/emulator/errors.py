"""What the emulated API answers when it says no: one exception and the texts of the real API.

Statuses and codes are those of the official OpenAPI document's error table, texts are captures of the real API.
"""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.model import Json


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


def out_of_stock() -> ApiError:
    return ApiError(412, "resource_unavailable", "error during placement")


def not_offered() -> ApiError:
    """How a retired or never offered type is refused; also seen for sold-out ones in 2026."""
    return ApiError(422, "invalid_input", "unsupported location for server type")


def limit_exceeded() -> ApiError:
    return ApiError(403, "resource_limit_exceeded", "server limit exceeded", {"limits": [{"name": "servers"}]})


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
