"""Finds the fleet key, and writes a new one. It never stands under state/."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reconciler import keys
from reconciler.errors import SecretError
from reconciler.model import Fleet, Secret, SecretRef
from reconciler.secrets import file, private_file
from reconciler.secrets.references import ReferenceSecrets
from reconciler.secrets.value import secret_from
from reconciler.wholefile import write_new

VARIABLE = "FLEET_KEY"


def find(
    fleet: Fleet, references: ReferenceSecrets, environ: Mapping[str, str], *, may_be_probe: bool = False
) -> Secret:
    """From the variable FLEET_KEY, then the file's `key:` reference, then the key file of this account.

    The same for a sandbox: the fleet key is the one secret that it has too. `may_be_probe`: for who only looks a probe
    key does. Raises SecretError naming the place.
    """
    if environ.get(VARIABLE):
        given = secret_from(environ[VARIABLE], f"the environment variable {VARIABLE}")
        return _parsed(given, f"in {VARIABLE}", may_be_probe=may_be_probe)
    if (named := reference(fleet)) is not None:
        return _parsed(references.resolve(named), f"at {named}", may_be_probe=may_be_probe)
    path = default_path(fleet.name, environ)
    if not path.exists():
        raise SecretError(
            f'no fleet key for the fleet "{fleet.name}": {VARIABLE} is not set and there is no file {path}',
            f"Set {VARIABLE}, or put your copy of the key there: fleet key recover. A new key would know no server.",
        )
    return _parsed(file.only_line(path), f"in {path}", may_be_probe=may_be_probe)


def place(fleet: Fleet, environ: Mapping[str, str]) -> str:
    """In words, where `find` looks for this fleet's key: the first place that there is."""
    if environ.get(VARIABLE):
        return f"the environment variable {VARIABLE}"
    return str(reference(fleet) or default_path(fleet.name, environ))


def reference(fleet: Fleet) -> SecretRef | None:
    """The place of its own that the fleet file names for the key, instead of the key file of this account."""
    return None if fleet.key == SecretRef("env", VARIABLE) else fleet.key


def default_path(fleet_name: str, environ: Mapping[str, str]) -> Path:
    """`<fleet>.key` in $FLEET_CONFIG_HOME, else in openclaw-deploy/ of $XDG_CONFIG_HOME or ~/.config."""
    if environ.get("FLEET_CONFIG_HOME"):
        return Path(environ["FLEET_CONFIG_HOME"]) / f"{fleet_name}.key"
    configuration = environ.get("XDG_CONFIG_HOME") or private_file.home() / ".config"
    return Path(configuration) / "openclaw-deploy" / f"{fleet_name}.key"


def write(path: Path, key: Secret) -> None:
    """A new file, mode 0600, whole and on disk afterwards. Raises SecretError when it exists or cannot be made."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _not_written(path, error) from error
    try:
        write_new(path, f"{key.reveal()}\n".encode("ascii"), 0o600)
    except FileExistsError as error:
        raise SecretError(
            f"there is a fleet key at {path} already", "It is not overwritten. Choose another name: --name NAME"
        ) from error
    except OSError as error:
        raise _not_written(path, error) from error


def _not_written(path: Path, error: OSError) -> SecretError:
    return SecretError(f"the fleet key cannot be written to {path}: {error.strerror}", "Mend that path.")


def _parsed(key: Secret, place: str, *, may_be_probe: bool) -> Secret:
    is_probe = keys.is_probe_key(Secret(key.reveal().strip()))
    if is_probe and not may_be_probe:
        raise SecretError(
            f"what stands {place} is a probe key, which can only look, and this takes the fleet key",
            "A probe key is for `fleet monitor`, `report`, `dashboard` and `alert`. Do this where the fleet key is.",
        )
    try:
        if is_probe:
            return keys.parse_probe_key(key)
        return keys.parse_key(key)
    except SecretError as error:
        kind = "probe" if is_probe else "fleet"
        raise SecretError(f"what stands {place} is not a {kind} key", error.advice) from error
