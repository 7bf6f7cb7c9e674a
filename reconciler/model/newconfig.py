"""A configuration that a person wants a gateway to have."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.secret import Secret


@dataclass(frozen=True, slots=True)
class NewConfig:
    """The whole text of openclaw.json, and the SHA-256 of the one that it was made from. There may be secrets in it.

    `puts_back`: it is the one of before, and nothing has to be kept for that.
    """

    content: Secret
    base: str
    puts_back: bool = False
