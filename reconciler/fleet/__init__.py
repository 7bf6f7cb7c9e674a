"""fleet.yaml and all that it names -> Fleet: layers are put on each other, problems of all kinds come together."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from decimal import Decimal
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

from reconciler.document import MAX_PROBLEMS, Problem, failure_of
from reconciler.fleet import crosschecks, settings, watched
from reconciler.fleet.blocks import Layered, as_map, layered, merge
from reconciler.fleet.contents import Problems, workspace_files
from reconciler.fleet.durations import duration
from reconciler.fleet.secret_references import reference
from reconciler.fleet.sources import Sources, load
from reconciler.model import (
    AccessPolicy,
    BackupSettings,
    BotProfile,
    Bucket,
    ChildSpec,
    Fleet,
    ModelSettings,
    Percent,
    Policy,
    Provider,
    Rollout,
    SecretRef,
    UpdateSettings,
    Users,
    WorkspaceFile,
)
from reconciler.schema import built_in


def load_fleet(path: Path, instead: Mapping[Path, bytes] = MappingProxyType({})) -> Fleet:
    """The fleet of the file at `path` and of what it names. Raises ConfigError with every problem of all files.

    `instead` of what lies at these resolved paths, to look at a change before it is made.
    """
    with _without_garbage_collection():
        return parse(load(path, instead))


def files_of_children(path: Path) -> dict[str, Path]:
    """By name the file that declares each child. Raises ConfigError."""
    return {name: Path(block.document.file) for name, block in load(path).children.items()}


def parse(sources: Sources) -> Fleet:
    """The fleet that the files describe. Raises ConfigError with every problem, in the order of the lines."""
    children = layered(built_in(), sources.defaults, sources.groups, sources.children)
    of_blocks = chain.from_iterable(settings.problems_of(block) for block in sources.blocks)
    found = chain(sources.problems, of_blocks, crosschecks.problems_of(sources, children))
    _raise_if_any(found)
    data = sources.main.data
    cloud, name = as_map(data["cloud"]), str(data["fleet"])
    problems: Problems = {}
    files = workspace_files(children.values(), sources, name, problems)
    _raise_if_any(problems.values())
    specs = {child: _spec(children[child], of_child) for child, of_child in files.items()}
    return Fleet(
        name=name,
        provider=Provider(cloud["provider"]),
        token=_optional_reference(cloud.get("token")),
        key=_optional_reference(data.get("key")),
        ssh_generation=as_map(data.get("keys")).get("ssh", 1),
        probe_generation=as_map(data.get("keys")).get("probe"),
        children=specs,
        path=sources.main.file,
        policy=_policy(as_map(data.get("policy"))),
        rollout=_rollout(as_map(data.get("rollout"))),
        backup=_default_backup(sources),
        alerts=watched.alerts(as_map(data.get("monitoring"))),
        moved={move["to"]: move["from"] for move in _maps(data.get("moved"))},
        digest=sources.digest,
    )


def references(fleet: Fleet) -> dict[SecretRef, str]:
    """Every secret reference of the fleet, and who needs it, in words for an error."""
    uses = ((fleet.token, "the cloud's API token"), (fleet.key, "the fleet key"))
    wanted = {found: use for found, use in uses if found is not None}
    for name, child in fleet.children.items():
        wanted.setdefault(child.bot_token, f'the bot token of child "{name}"')
        wanted.setdefault(child.model.key, f'the model key of child "{name}"')
        _add_storage(wanted, child.backup, f'child "{name}"')
    _add_storage(wanted, fleet.backup, "children that are gone from the file")
    for index, place in enumerate(fleet.alerts.to):
        wanted.setdefault(place.url, f"the URL of monitoring.to[{index}]")
    if fleet.alerts.ping is not None:
        wanted.setdefault(fleet.alerts.ping, "the URL of monitoring.ping")
    return wanted


def _add_storage(wanted: dict[SecretRef, str], backup: BackupSettings, whose: str) -> None:
    if isinstance(backup.to, Bucket):
        wanted.setdefault(backup.to.access_key, f"the access key of the backups of {whose}")
        wanted.setdefault(backup.to.secret_key, f"the secret key of the backups of {whose}")


def former_names(fleet: Fleet, name: str) -> tuple[str, ...]:
    """Names that the child's server may still have, the latest first: `moved`, followed back from entry to entry."""
    names: list[str] = []
    while (before := fleet.moved.get(names[-1] if names else name)) is not None:
        names.append(before)
    return tuple(names)


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """A big file makes millions of objects that all stay: collecting in between takes most of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _raise_if_any(problems: Iterable[Problem]) -> None:
    some = list(islice(problems, MAX_PROBLEMS + 1))
    if some:
        raise failure_of(some)


def _spec(child: Layered, files: Mapping[str, WorkspaceFile]) -> ChildSpec:
    values, own = child.values, child.own
    expires = values.get("expires")
    return ChildSpec(
        name=child.name,
        regions=settings.listed(values["region"]),
        server_types=settings.listed(values["server_type"]),
        image=values["image"],
        version=values["version"],
        bot_token=reference(values["bot"]["token"]),
        model=_model(values["model"]),
        users=_users(values["users"]),
        labels=values["labels"],
        protect=values["protect"],
        group=values.get("group"),
        ipv4=values["ipv4"],
        backups=values["backups"],
        enabled=values["enabled"],
        expires=None if expires is None else settings.expiry(expires),
        ssh_from=tuple(settings.network(text) for text in values["access"]["ssh_from"]),
        files=files,
        config=_config(values),
        update=UpdateSettings(**values["update"]),
        backup=_backup(values["backup"]),
        monitoring=watched.monitoring(values["monitoring"]),
        profile=BotProfile(**{field.name: values["bot"].get(field.name) for field in fields(BotProfile)}),
        file=own.document.file,
        line=own.document.key_position(own.path)[0],
    )


def _config(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The free-form configuration; the commands of the bot's menu are a part of it."""
    commands = values["bot"].get("commands")
    if commands is None:
        return as_map(values["config"])
    nested: Any = commands
    for key in reversed(crosschecks.MENU):
        nested = {key: nested}
    return merge(values["config"], nested)


def _model(values: Mapping[str, Any]) -> ModelSettings:
    limit = values.get("spend_limit")
    return ModelSettings(
        provider=values["provider"],
        name=values["name"],
        key=reference(values["key"]),
        fallback=tuple(values["fallback"]),
        spend_limit=None if limit is None else Decimal(str(limit)),
    )


def _users(values: Mapping[str, Any]) -> Users:
    return Users(AccessPolicy(values["policy"]), tuple(values["allowed"]), values.get("owner"))


def _backup(values: Mapping[str, Any]) -> BackupSettings:
    every, max_age = values.get("every"), values.get("max_age")
    return BackupSettings(
        to=_bucket(values) if values["to"].startswith(settings.S3) else values["to"],
        recipient=values.get("key"),
        every=None if every is None else duration(every),
        keep=values["keep"],
        max_age=None if max_age is None else duration(max_age),
        rate=values["rate"] * 1_000_000,
    )


def _default_backup(sources: Sources) -> BackupSettings:
    """Of children that no file names any more; where the defaults name half a bucket, the built-in directory."""
    built_ins = built_in()
    values = merge(built_ins["backup"], as_map(sources.defaults.values.get("backup")))
    is_whole = not values["to"].startswith(settings.S3) or all(values.get(name) for name in crosschecks.OF_STORAGE)
    return _backup(values if is_whole else built_ins["backup"])


def _bucket(values: Mapping[str, Any]) -> Bucket:
    name, _, prefix = values["to"].removeprefix(settings.S3).partition("/")
    return Bucket(
        name=name,
        endpoint=values["endpoint"],
        access_key=reference(values["access_key"]),
        secret_key=reference(values["secret_key"]),
        prefix=prefix,
        region=values["region"],
    )


def _policy(values: Mapping[str, Any]) -> Policy:
    return Policy(
        max_children=values.get("max_children"),
        max_monthly=None if (most := values.get("max_monthly")) is None else Decimal(str(most)),
        max_destroys=_share(values.get("max_destroys")),
        regions=tuple(values.get("regions", ())),
        server_types=tuple(values.get("server_types", ())),
        versions=tuple(values.get("versions", ())),
    )


def _rollout(values: Mapping[str, Any]) -> Rollout:
    known, canaries = Rollout(), values.get("canaries")
    return Rollout(
        canaries=known.canaries if canaries is None else canaries if isinstance(canaries, int) else tuple(canaries),
        batch=_share(values.get("batch", known.batch)),
        max_parallel=values.get("max_parallel", known.max_parallel),
        soak=values.get("soak", known.soak),
        max_failures=values.get("max_failures", known.max_failures),
    )


def _share(value: Any) -> Any:
    """A number, or a percentage."""
    return Percent(int(value.removesuffix("%"))) if isinstance(value, str) else value


def _optional_reference(text: object) -> SecretRef | None:
    return reference(text) if isinstance(text, str) else None


def _maps(value: object) -> list[Mapping[str, Any]]:
    return value if isinstance(value, list) else []
