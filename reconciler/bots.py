"""Whose bot is whose. Two gateways that ask Telegram for one bot's messages drive each other out, over and over.

The file's references are compared when it is read; here what they mean is, and what the hosts have. Resolves secrets,
and acts on nothing. A bot's number, the part of its token before the colon, is no secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from reconciler import keys
from reconciler.diff import value_at
from reconciler.errors import SecretError
from reconciler.managed import secret_digest
from reconciler.model import Child, ChildSpec, Diagnostic, Json, Secret, Severity
from reconciler.ports import Ports
from reconciler.steps.work import uid_of

_LIVE: Final = "bot token"  # its name in MANAGED


def bot_obstacles(children: Mapping[str, Child], ports: Ports) -> dict[str, Diagnostic]:
    """By child, why nothing may be planned for it: another one has the same bot, or still holds it."""
    tokens = dict(_tokens(children, ports))
    by_bot: dict[str, list[str]] = {}
    for name, token in tokens.items():
        by_bot.setdefault(_number(token), []).append(name)
    found = {name: _same_bot(name, names) for names in by_bot.values() if len(names) > 1 for name in names}
    takers = [name for name in tokens.keys() - found.keys() if _takes_another(children[name])]
    held = list(_held(children.values(), ports)) if takers else []
    for name in takers:
        holder = next((other for other, live, key in held if live == secret_digest(tokens[name], key)), name)
        if holder != name:
            found[name] = _still_held(name, holder)
    return found


def bot_number(spec: ChildSpec, ports: Ports) -> str | None:
    """The bot's own number; None where its token cannot be had."""
    try:
        return _number(ports.secrets.bot_token(spec.bot_token))
    except SecretError:
        return None


def _number(token: Secret) -> str:
    return token.reveal().partition(":")[0]


def _tokens(children: Mapping[str, Child], ports: Ports) -> Iterator[tuple[str, Secret]]:
    """Those that can be had now; one that cannot is an error where it is needed."""
    for name, child in children.items():
        if child.spec is None or not child.spec.enabled or child.obstacle is not None:
            continue
        try:
            yield name, ports.secrets.bot_token(child.spec.bot_token)
        except SecretError:
            continue


def _takes_another(child: Child) -> bool:
    """What it shall have is not what is on its host now."""
    return child.facts is None or child.facts.managed.get(_LIVE) != child.wanted.get(_LIVE)


def _held(children: Iterable[Child], ports: Ports) -> Iterator[tuple[str, Json, Secret]]:
    """Who keeps a token on its host: its digest, and the key of that. Who shall be off is stopped in the first wave."""
    for child in children:
        if child.facts is None or child.server is None or (child.spec is not None and not child.spec.enabled):
            continue
        live = value_at(child.facts.managed.get(_LIVE), ("hmac",))
        if live is not None:
            yield child.name, live, keys.digest_key(ports.fleet_key, uid_of(child.server))


def _same_bot(name: str, names: list[str]) -> Diagnostic:
    others = " and ".join(sorted(other for other in names if other != name))
    return Diagnostic(
        Severity.ERROR,
        f"{name} has the same bot as {others}",
        "give each child a bot of its own, or switch all but one off (`enabled: false`); nothing is planned for them",
        address=name,
    )


def _still_held(name: str, holder: str) -> Diagnostic:
    return Diagnostic(
        Severity.WARNING,
        f"{name}: its bot is still that of {holder}, so nothing is planned for it",
        f"apply, and plan again when {holder} has let go of it: gone, off (`enabled: false`), or with another bot. "
        f"If {name} is {holder} under another name, say so under `moved` instead, and it keeps its memory",
        address=name,
    )
