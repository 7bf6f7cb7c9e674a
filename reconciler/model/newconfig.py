"""A configuration that a person wants a gateway to have."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.secret import Secret


@dataclass(frozen=True, slots=True)
class NewConfig:
    """The whole text of openclaw.json, and the SHA-256 of the one that it was made from. There may be secrets in it."""

    content: Secret
    base: str
