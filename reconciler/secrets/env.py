"""Secrets from environment variables: `env:NAME`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reconciler.errors import SecretError
from reconciler.model import Secret
from reconciler.secrets.value import secret_from

SOURCE = "env"


def resolve(locator: str, base_dir: Path, environ: Mapping[str, str]) -> Secret:
    """The variable's value. Raises SecretError when it is unset, empty or not one line."""
    value = environ.get(locator)
    if value is None:
        raise SecretError(
            f"the environment variable {locator} is not set",
            f"Set it for this run, for example: read -rs {locator}; export {locator}",
        )
    return secret_from(value, f"the environment variable {locator}")
