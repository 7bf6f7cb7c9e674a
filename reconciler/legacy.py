"""What the original scripts have noted of their instances, and the fleet file that says the same. Opens no network.

Their layout is the original specification's: `instances/NAME/metadata.json` and `ssh_key`, `instances/credentials.json`
with the model key, `instances/config.yaml` with defaults. Nothing of it is changed, and no secret is copied: the fleet
file refers to where it lies.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from reconciler.errors import ConfigError, UsageProblem
from reconciler.model import Diagnostic, Severity

_CHILD: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,59}[a-z0-9])?")
_WORD: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,40}")
_NO_MORE: Final = {"cx22": "cx23", "cx32": "cx33", "cx42": "cx43", "cx52": "cx53"}  # types that are not sold any more
_RELEASE: Final = re.compile(r"20[0-9]{2}\.[0-9]{1,2}\.[0-9]+(-[0-9]+)?")
_LARGEST: Final = 1 << 20  # bytes of one of their files
_TOKENS: Final = ("telegram_bot_token", "bot_token")


@dataclass(frozen=True, slots=True)
class Instance:
    """One of theirs. `token` is where its bot's token lies, if they have kept it."""

    name: str
    server: str  # how the cloud knows it: by its id, or else by its name
    address: str = ""
    region: str = ""
    server_type: str = ""
    version: str = ""
    bot: str = ""  # @username
    token: str = ""
    identity: str = ""  # the file of the key that gets in; nothing where there is none


@dataclass(frozen=True, slots=True)
class Legacy:
    instances: tuple[Instance, ...]
    region: str
    server_type: str
    image: str
    cloud_token: str
    model_key: str
    left_out: tuple[str, ...] = ()  # directories that say nothing


def read_legacy(path: Path, home: Path) -> Legacy:
    """All instances below `path`, or below its `instances`; references count from `home`.

    Raises UsageProblem where there are none, ConfigError with everything that cannot be read.
    """
    place = path / "instances" if (path / "instances").is_dir() else path
    files = sorted(place.glob("*/metadata.json")) if place.is_dir() else []
    if not files:
        raise UsageProblem(
            f"no instances in {path}: there is no NAME/metadata.json", "name the directory that has them: instances"
        )
    problems: list[Diagnostic] = []
    read = [_instance(file, home, problems) for file in files]
    strangers = [it for it in sorted(place.iterdir()) if it.is_dir() and not (it / "metadata.json").exists()]
    settings = _settings(place / "config.yaml", problems)
    model_key = _model_key(place / "credentials.json", home, problems)
    if problems:
        raise ConfigError(problems)
    defaults, credentials = _map(settings.get("defaults")), _map(settings.get("credentials"))
    context = _word(credentials.get("hetzner_context"))
    return Legacy(
        tuple(found for found in read if found is not None),
        region=_word(defaults.get("region")) or "nbg1",
        server_type=_word(defaults.get("server_type")) or "cx22",
        image=_word(defaults.get("image")) or "ubuntu-24.04",
        cloud_token=f"hcloud:{context}" if context else "env:HCLOUD_TOKEN",
        model_key=model_key,
        left_out=tuple(it.name for it in strangers),
    )


def doubts(legacy: Legacy) -> Iterator[str]:
    """What a person should look at before the fleet file is used. Pure."""
    for name in legacy.left_out:
        yield f"{name}: its directory has no metadata.json, so it is left out; is there a server of that name?"
    for what, of in (("server", "server"), ("bot", "bot")):
        shared: dict[str, list[str]] = {}
        for instance in legacy.instances:
            shared.setdefault(getattr(instance, of), []).append(instance.name)
        for value, names in shared.items():
            if value and len(names) > 1:
                yield f"{' and '.join(names)} have noted the same {what}, {value}: one of them is wrong"


def fleet_text(legacy: Legacy, name: str, release: str) -> str:
    """The fleet file. Pure."""
    children = "\n".join(line for instance in legacy.instances for line in _child_lines(instance, legacy))
    return f"""\
# Written by fleet import legacy: the instances of the original scripts, as children of a fleet.

fleet: {_scalar(name)} # servers are called {name}-<child>

cloud:
  provider: hetzner
  token: {_scalar(legacy.cloud_token)}

# What all children have in common. A child overrides what it names.
defaults:
  region: {_scalar(legacy.region)}
  server_type: {_types(legacy.server_type)}
  image: {_scalar(legacy.image)} # as their servers have it: another one takes a new server
  version: {_version(legacy, release)}
  model:
    provider: anthropic
    name: claude-sonnet-4-6
    key: {_scalar(legacy.model_key)}
  users: {{policy: pairing}}

children:
{children}
"""


def _child_lines(instance: Instance, legacy: Legacy) -> Iterator[str]:
    known = ", ".join(part for part in (instance.bot, instance.address) if part)
    yield f"  {_scalar(instance.name)}:{f' # {known}' if known else ''}"
    if instance.region and instance.region != legacy.region:
        yield f"    region: {_scalar(instance.region)}"
    if instance.server_type not in ("", legacy.server_type):
        yield f"    server_type: {_types(instance.server_type)}"
    token = instance.token or f"file:secrets/{instance.name}.token"
    yield f"    bot: {{token: {_scalar(token)}}}"


def _version(legacy: Legacy, release: str) -> str:
    """The one that all have, if it is a release at all."""
    versions = {instance.version for instance in legacy.instances}
    if len(versions) == 1 and _RELEASE.fullmatch(only := next(iter(versions))):
        return only
    return f"{release} # theirs said: {', '.join(sorted(filter(None, versions))) or 'nothing'}"


def _types(server_type: str) -> str:
    """A server keeps a type that is sold no more, and a new one gets what is sold instead."""
    if server_type not in _NO_MORE:
        return _scalar(server_type)
    return f"[{_NO_MORE[server_type]}, {server_type}] # {server_type} is sold no more; who has it keeps it"


def _instance(file: Path, home: Path, problems: list[Diagnostic]) -> Instance | None:
    noted, name = _json(file, problems), file.parent.name
    if noted is None:
        return None
    if not _CHILD.fullmatch(name):
        advice = "call its directory otherwise: the letters a-z, digits and '-' (not first or last), at most 61"
        problems.append(_problem(file, f'"{name}" is no name of a child', advice))
        return None
    kept = next((key for key in _TOKENS if isinstance(noted.get(key), str) and noted[key]), "")
    identity = file.parent / "ssh_key"
    return Instance(
        name,
        server=_server(noted.get("server_id")) or _word(noted.get("server_name")) or name,
        address=_word(noted.get("ip")),
        region=_word(noted.get("region")),
        server_type=_word(noted.get("server_type")),
        version=_word(noted.get("openclaw_version")),
        bot=_handle(noted.get("telegram_bot")),
        token=f"file:{_below(file, home)}#/{kept}" if kept else "",
        identity=_below(identity, home) if identity.is_file() else "",
    )


def _model_key(file: Path, home: Path, problems: list[Diagnostic]) -> str:
    if not file.exists():
        return "env:ANTHROPIC_API_KEY"
    noted = _json(file, problems)
    if noted is None or not isinstance(noted.get("anthropic_api_key"), str):
        return "env:ANTHROPIC_API_KEY"
    return f"file:{_below(file, home)}#/anthropic_api_key"


def _settings(file: Path, problems: list[Diagnostic]) -> Mapping[str, Any]:
    if not file.exists():
        return {}
    try:
        return _map(yaml.safe_load(file.read_bytes()[:_LARGEST]))
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        problems.append(_problem(file, f"it cannot be read: {type(error).__name__}", "mend it, or take it away"))
        return {}


def _json(file: Path, problems: list[Diagnostic]) -> dict[str, Any] | None:
    if not file.is_file():
        problems.append(_problem(file, "it is no file", "mend it, or take it away"))
        return None
    try:
        with file.open("rb") as opened:
            noted = json.loads(opened.read(_LARGEST))
    except OSError as error:
        problems.append(_problem(file, f"it cannot be read: {error.strerror}", "mend it, or take it away"))
        return None
    except (ValueError, RecursionError):
        noted = None
    if not isinstance(noted, dict):
        problems.append(_problem(file, "it is no JSON object", "mend it, or take it away"))
        return None
    return noted


def _problem(file: Path, summary: str, advice: str) -> Diagnostic:
    return Diagnostic(Severity.ERROR, f"{file}: {summary}", advice, file=str(file))


def _below(file: Path, home: Path) -> str:
    """As the fleet file in `home` refers to it."""
    return os.path.relpath(file.absolute(), home.absolute())


def _word(value: object) -> str:
    """A plain word as it is; what is none would be text of theirs in our file."""
    return value if isinstance(value, str) and _WORD.fullmatch(value) else ""


def _server(value: object) -> str:
    return str(value) if re.fullmatch(r"[1-9][0-9]{0,18}", str(value)) else ""


def _handle(value: object) -> str:
    return value if isinstance(value, str) and re.fullmatch(r"@[A-Za-z0-9_]{1,32}", value) else ""


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _scalar(text: str) -> str:
    """As YAML reads it as this text."""
    return yaml.safe_dump(text, default_style=None, width=1000, allow_unicode=True).partition("\n")[0]


def next_commands(instances: Iterable[Instance], home: Path, more: str = "") -> Iterator[str]:
    """What a person runs for each of them, where they are now; `more` are options of all commands."""
    for instance in instances:
        if not instance.token:
            yield f"fleet bot token {instance.name}{more}"
    for instance in instances:
        key = os.path.relpath(home / instance.identity) if instance.identity else "YOUR_KEY"
        words = f"fleet import {instance.server} --as {instance.name} --identity {shlex.quote(key)}{more}"
        yield f'{words} --host-key "ssh-ed25519 AAAA..."'
