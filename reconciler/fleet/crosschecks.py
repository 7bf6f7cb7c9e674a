"""Checks of a whole fleet: what needs more than one place of its files to be seen. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any, Final

from reconciler.document import Document, Path, Problem, shown
from reconciler.fleet.blocks import Layered, as_map, value_at
from reconciler.fleet.secret_references import reference
from reconciler.fleet.settings import S3, listed
from reconciler.fleet.sources import Sources
from reconciler.model import AccessPolicy, Provider, SecretRef
from reconciler.wording import words

MAX_SERVER_NAME: Final = 63
MENU: Final = ("channels", "telegram", "customCommands")  # where OpenClaw's configuration has a bot's own commands

_REQUIRED: Final[Mapping[Path, str]] = {
    ("region",): "write it under the child or under defaults, for example: region: nbg1",
    ("version",): "write it under the child or under defaults, for example: version: 2026.9.6",
    ("bot", "token"): "every child has its own bot, for example: bot: {token: env:ALICE_BOT_TOKEN}",
    ("model", "name"): "write it under the child or under defaults, for example: model: {name: claude-sonnet-4-6}",
    ("model", "key"): "write it under the child or under defaults, for example: model: {key: env:ANTHROPIC_API_KEY}",
}
_USUAL_TOKEN: Final = SecretRef("env", "HCLOUD_TOKEN")
_OWN_VARIABLES: Final[Mapping[SecretRef, str]] = {
    SecretRef("env", "FLEET_KEY"): "the fleet key",
    _USUAL_TOKEN: "the cloud's API token",
    SecretRef("env", "FLEET_SANDBOX_TOKEN"): "the sandbox's API token",
}
OF_STORAGE: Final = {
    "endpoint": "https://fsn1.your-objectstorage.com",
    "access_key": "env:S3_ACCESS_KEY",
    "secret_key": "env:S3_SECRET_KEY",
}
_OF_CHILDREN: Final = {("bot", "token"): "a bot token", ("model", "key"): "a model key"}
_ALLOWED: Final = {"regions": "region", "server_types": "server_type", "versions": "version"}


def problems_of(sources: Sources, children: Mapping[str, Layered]) -> Iterator[Problem]:
    """Everything wrong between the blocks of the fleet."""
    yield from _cloud(sources.main)
    yield from _cloud_token(sources.main)
    yield from _secrets_of_the_fleet(sources)
    yield from _moves(sources)
    yield from _too_many(sources)
    troubled = {path for problem in sources.problems for path in (problem.path, problem.meant) if path}
    bots: dict[SecretRef, Layered] = {}
    for child in children.values():
        if not isinstance(value_at(child.own.document.data, child.own.path), Mapping):
            continue
        yield from _unknown_group(child, sources)
        yield from _missing(child, troubled)
        yield from _long_name(child, sources.main)
        yield from _shared_bot(child, bots)
        yield from _menu_twice(child)
        yield from _shut_out(child)
        yield from _fallback_to_itself(child)
        yield from _unknown_storage(child, troubled)
    yield from _not_allowed(sources, children)


def _cloud(main: Document) -> Iterator[Problem]:
    cloud = as_map(main.data.get("cloud"))
    provider = cloud.get("provider")
    meant = {problem.meant for problem in main.problems}
    if provider == Provider.HETZNER and "token" not in cloud and ("cloud", "token") not in meant:
        advice = "say where the API token is found, for example: token: env:HCLOUD_TOKEN"
        yield main.problem(("cloud", "provider"), 'provider "hetzner" needs a token', advice)
    if provider == Provider.SANDBOX and "token" in cloud:
        advice = "remove it: the sandbox makes its own token and reads no real one"
        yield main.problem(("cloud", "token"), 'provider "sandbox" takes no token', advice, at_key=True)


def _cloud_token(main: Document) -> Iterator[Problem]:
    """The API token goes to the cloud: it is nothing else as well."""
    path: Path = ("cloud", "token")
    token = _reference_at(main, path)
    if token is None:
        return
    wrong = _own_secrets(main, {("key",): "the fleet key"})
    if token in wrong and token != _USUAL_TOKEN:
        advice = "name the place of a token that is made for the cloud alone"
        yield main.problem(path, f"cloud.token is {wrong[token]}, which would go to the cloud", advice)


def _secrets_of_the_fleet(sources: Sources) -> Iterator[Problem]:
    """What opens all servers goes to none of them."""
    own = _own_secrets(sources.main, {("cloud", "token"): "the cloud's API token", ("key",): "the fleet key"})
    for block in sources.blocks:
        for path, what in _OF_CHILDREN.items():
            text = block.sound(*path)
            found = own.get(reference(text)) if isinstance(text, str) else None
            if found is not None:
                summary = f"{'.'.join(path)} of {block.words} is {found}, which would go to a server"
                yield block.problem(path, summary, f"name the place of {what}")


def _own_secrets(main: Document, places: Mapping[Path, str]) -> dict[SecretRef, str]:
    written = {_reference_at(main, path): name for path, name in places.items()}
    return {**_OWN_VARIABLES, **{found: name for found, name in written.items() if found is not None}}


def _reference_at(main: Document, path: Path) -> SecretRef | None:
    text = value_at(main.data, path)
    return reference(text) if isinstance(text, str) and main.is_sound(path) else None


def _moves(sources: Sources) -> Iterator[Problem]:
    """Each name leaves once and arrives once, and every chain of moves ends at a child that is declared."""
    main = sources.main
    moves: Any = main.data.get("moved", [])
    if not main.is_sound(("moved",)):
        return
    leaves = {move["from"]: index for index, move in reversed(list(enumerate(moves)))}
    arrives = {move["to"]: index for index, move in reversed(list(enumerate(moves)))}
    for index, move in enumerate(moves):
        old, new, place = move["from"], move["to"], ("moved", index)
        if old == new:
            yield main.problem(place, f"moved from {shown(old)} to itself", "remove this entry")
            continue
        first = min(leaves[old], arrives[new])
        if first < index:
            what = f"from {shown(old)}" if leaves[old] == first else f"to {shown(new)}"
            line = main.value_position(("moved", first))[0]
            yield main.problem(place, f"moved {what} twice", f"the first is on line {line}: remove one of them")
        if old in sources.children:
            advice = "remove this entry, or the child if it got another name"
            yield main.problem((*place, "from"), f"moved from {shown(old)}, which is still declared", advice)
        if new not in sources.children and new not in leaves:
            advice = "declare it under children, or remove this entry"
            yield main.problem((*place, "to"), f"moved to {shown(new)}, which is not declared", advice)
    yield from _loops(main, {move["from"]: move["to"] for move in moves if move["from"] != move["to"]})


def _loops(main: Document, moves: Mapping[str, str]) -> Iterator[Problem]:
    seen: set[str] = set()
    for start in moves:
        name, chain = start, list[str]()
        while name in moves and name not in seen:
            seen.add(name)
            chain.append(name)
            name = moves[name]
        if name in chain:
            circle = [*chain[chain.index(name) :], name]
            some = " to ".join(circle if len(circle) <= 6 else [*circle[:5], "..."])
            yield main.problem(("moved",), f"moved goes in a circle: {some}", "remove one of these", at_key=True)


def _too_many(sources: Sources) -> Iterator[Problem]:
    main, limit = sources.main, value_at(sources.main.data, ("policy", "max_children"))
    if isinstance(limit, int) and main.is_sound(("policy", "max_children")) and len(sources.children) > limit:
        summary = f"the fleet has {len(sources.children)} children, and policy.max_children allows {limit}"
        yield main.problem(("policy", "max_children"), summary, "take children out, or raise it on purpose")


def _unknown_group(child: Layered, sources: Sources) -> Iterator[Problem]:
    group = child.own.sound("group")
    if group is not None and group not in sources.groups:
        close = get_close_matches(group, list(islice(sources.groups, 100)), n=1)
        known = f"groups: {', '.join(sorted(sources.groups)[:10])}" if sources.groups else "there are no groups yet"
        advice = f'did you mean "{close[0]}"?' if close else known
        yield child.own.problem(("group",), f"{child.own.words} is in group {shown(group)}, which is not there", advice)


def _missing(child: Layered, troubled: set[Path]) -> Iterator[Problem]:
    for path, advice in _REQUIRED.items():
        if value_at(child.values, path) is not None:
            continue
        places = [(*block.path, *path[:length]) for block in child.blocks for length in (1, 2)]
        if troubled.isdisjoint(places):
            name = ".".join(str(part) for part in path)
            yield child.own.problem(path, f"{child.own.words} has no {name}", advice, at_key=True)


def _long_name(child: Layered, main: Document) -> Iterator[Problem]:
    server = f"{main.data.get('fleet')}-{child.name}"
    if len(server) > MAX_SERVER_NAME and child.own.document.is_sound(child.own.path):
        summary = f"the server of {child.own.words} would have a name of {len(server)} characters"
        advice = f"<fleet>-<child> has at most {MAX_SERVER_NAME}: shorten one of the two"
        yield child.own.problem((), summary, advice, at_key=True)


def _shared_bot(child: Layered, bots: dict[SecretRef, Layered]) -> Iterator[Problem]:
    token = child.own.sound("bot", "token")
    if token is None:
        return
    holder = bots.setdefault(reference(token), child)
    if holder is not child:
        where, path = holder.own.document, (*holder.own.path, "bot", "token")
        line = where.value_position(path)[0]
        place = f"line {line}" if where is child.own.document else f"{where.file}:{line}"
        summary = f"{child.own.words} has the bot token of {holder.own.words} ({place})"
        advice = "Telegram lets one gateway use a bot at a time: make another bot with @BotFather"
        yield child.own.problem(("bot", "token"), summary, advice)


def _menu_twice(child: Layered) -> Iterator[Problem]:
    """One place says what is in the menu."""
    said = child.source(("config", *MENU))
    if value_at(child.values, ("bot", "commands")) is None or not said.says(("config", *MENU)):
        return
    yield child.own.problem(
        ("bot", "commands"),
        f"{child.own.words} has its menu in two places: bot.commands, and config.{'.'.join(MENU)} of {said.words}",
        "write it in one of them",
        at_key=True,
    )


def _shut_out(child: Layered) -> Iterator[Problem]:
    users = as_map(child.values.get("users"))
    allowed, owner, name = users.get("allowed"), users.get("owner"), child.own.words
    if users.get("policy") != AccessPolicy.ALLOWLIST or not isinstance(allowed, list):
        return
    if not allowed:
        advice = "list the Telegram user ids, for example: allowed: [4242], or let people ask: policy: pairing"
        summary = f"nobody may talk to {name}: its allowlist is empty"
        yield child.own.problem(("users",), summary, advice, at_key=True)
    elif isinstance(owner, int) and owner not in allowed and all(isinstance(user, int) for user in allowed):
        summary = f"the owner of {name} may not talk to it: {owner} is not in allowed"
        yield child.own.problem(("users", "owner"), summary, f"add {owner} to allowed")


def _unknown_storage(child: Layered, troubled: set[Path]) -> Iterator[Problem]:
    """A bucket is known by where it is and with whose keys."""
    backup = as_map(child.values.get("backup"))
    if not str(backup.get("to")).startswith(S3) or not troubled.isdisjoint({("backup",), ("defaults", "backup")}):
        return
    block = child.source(("backup", "to"))
    for name, example in OF_STORAGE.items():
        if backup.get(name) is None and troubled.isdisjoint({(*block.path, "backup", name)}):
            summary = f"backup.to of {block.words} is a bucket, and backup has no {name}"
            yield block.problem(("backup", "to"), summary, f"write it beside it, for example: {name}: {example}")


def _fallback_to_itself(child: Layered) -> Iterator[Problem]:
    model = as_map(child.values.get("model"))
    fallback = model.get("fallback")
    if isinstance(fallback, list) and model.get("name") in fallback:
        block = child.source(("model", "fallback"))
        summary = f"model.fallback of {block.words} names {shown(model['name'])}, which {child.own.words} has already"
        yield block.problem(("model", "fallback"), summary, "name another model, or none")


def _not_allowed(sources: Sources, children: Mapping[str, Layered]) -> Iterator[Problem]:
    """One problem for each place that names something, however many children take it from there."""
    policy = as_map(sources.main.data.get("policy"))
    seen: set[tuple[Path, str]] = set()
    for policy_key, key in _ALLOWED.items():
        patterns = policy.get(policy_key)
        if not patterns or not sources.main.is_sound(("policy", policy_key)):
            continue
        for child in children.values():
            block = child.source((key,))
            for name in _names(child.values.get(key)):
                place = (block.path, f"{key} {name}")
                if place in seen or any(fnmatchcase(name, pattern) for pattern in patterns):
                    continue
                seen.add(place)
                summary = f"{words((*block.path, key))} is {shown(name)}, which policy.{policy_key} does not allow"
                yield block.problem((key,), summary, f"allowed: {', '.join(patterns)}")


def _names(value: Any) -> tuple[str, ...]:
    return tuple(name for name in listed(value) if isinstance(name, str)) if isinstance(value, str | list) else ()
