"""The API token of a context of the hcloud CLI: `hcloud:CONTEXT`, or `hcloud:` for its active context.

It only reads the CLI's file. Contexts that keep a command instead of a token are not followed: which programs run is
said on the command line.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from reconciler.errors import SecretError
from reconciler.model import Secret
from reconciler.secrets import private_file
from reconciler.secrets.value import secret_from

SOURCE = "hcloud"
MAX_BYTES: Final = 1024 * 1024

_NO_CONFIG: Final = "Run: hcloud context create NAME. Or set HCLOUD_CONFIG to the file of the hcloud CLI."


def resolve(locator: str, base_dir: Path, environ: Mapping[str, str]) -> Secret:
    """The token of that context.

    The file's form is that of hcloud-cli (internal/state/config, and as 1.30 writes it): `active_context`, and
    `[[contexts]]` each with `name` and `token`. As for the CLI, HCLOUD_CONTEXT names the active context before the
    file does. Raises SecretError.
    """
    path = config_path(environ)
    config = _config(path)
    contexts = _tokens(config, path)
    name = locator or environ.get("HCLOUD_CONTEXT") or str(config.get("active_context", ""))
    if not name:
        raise SecretError(f"the hcloud CLI has no active context in {path}", _choice(contexts))
    if name not in contexts:
        raise SecretError(f'the hcloud CLI has no context "{name}" in {path}', _choice(contexts))
    if not contexts[name]:
        raise SecretError(
            f'the context "{name}" keeps no token in {path}', "Write cmd:PROGRAM with what gives it its token."
        )
    return secret_from(contexts[name], f'the token of the context "{name}" in {path}')


def config_path(environ: Mapping[str, str]) -> Path:
    """HCLOUD_CONFIG, else where the CLI keeps its file."""
    named = environ.get("HCLOUD_CONFIG")
    return Path(named) if named else private_file.home() / ".config" / "hcloud" / "cli.toml"


def _config(path: Path) -> dict[str, Any]:
    raw = private_file.read(path, MAX_BYTES, _NO_CONFIG)
    try:
        return tomllib.loads(raw.decode())
    except (ValueError, RecursionError):
        # The original may quote the file.
        raise SecretError(f"the file {path} is not TOML", "Mend it: `hcloud context list` reads it too.") from None


def _tokens(config: Mapping[str, Any], path: Path) -> dict[str, str]:
    """Name -> token, "" where the file has none; the first of two contexts with one name, as the CLI takes it."""
    contexts = config.get("contexts", [])
    try:
        return {str(context["name"]): str(context.get("token", "")) for context in reversed(contexts)}
    except (AttributeError, KeyError, TypeError):
        raise SecretError(
            f"the contexts in {path} are not in the form that the hcloud CLI writes",
            "Run `hcloud context list` to see whether it can read them.",
        ) from None


def _choice(contexts: Mapping[str, str]) -> str:
    if not contexts:
        return "There is none yet. Run: hcloud context create NAME"
    return f"There are: {', '.join(sorted(contexts))}. Write hcloud:NAME with one of them."
