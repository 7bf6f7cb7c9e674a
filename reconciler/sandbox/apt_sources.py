"""This machine's own Debian sources, so that no mirror's name is written anywhere. Reads /etc/apt, changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from reconciler.errors import SandboxError

_POCKETS = ("", "-updates", "-security")
_DEB822_KEYS = ("types", "uris", "suites", "components")


@dataclass(frozen=True, slots=True)
class AptSource:
    """One archive of Debian: where it is and which of its suites and components are used."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]


def read_sources(etc: Path, release: str) -> tuple[AptSource, ...]:
    """The binary sources of `release` ("bookworm"), its updates and its security suite; other archives are left out.

    `etc` is the directory that holds `apt/`. Raises SandboxError when there is none.
    """
    wanted = {release + pocket for pocket in _POCKETS}
    found = []
    for types, uris, suites, components in _entries(etc / "apt"):
        chosen = tuple(suite for suite in suites if suite in wanted)
        if "deb" in types and chosen:
            found += [AptSource(uri.rstrip("/"), chosen, components) for uri in uris]
    if not found:
        raise SandboxError(
            f"no source of Debian {release} in {etc / 'apt'}",
            f"sandbox machines run Debian {release} and take its packages from where this machine does: add a source",
        )
    return tuple(found)


def one_line_entries(sources: Iterable[AptSource]) -> tuple[str, ...]:
    """sources.list lines that point at the mirror; `{base}` stands for the mirror's address without a closing slash.

    The mirror may serve a copy older than the archive allows, so the date alone is not checked; signatures are.
    """
    return tuple(
        f"deb [check-valid-until=no] {{base}}/debian/{number} {suite} {' '.join(source.components)}"
        for number, source in enumerate(sources)
        for suite in source.suites
    )


Entry = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], tuple[str, ...]]


def _entries(apt: Path) -> Iterable[Entry]:
    lists = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.list"))]
    for path in filter(Path.is_file, lists):
        yield from (_one_line(line) for line in path.read_text().splitlines() if line.startswith("deb "))
    for path in sorted((apt / "sources.list.d").glob("*.sources")):
        yield from _deb822(path.read_text())


def _one_line(line: str) -> Entry:
    """`deb [options] uri suite component...`"""
    before, _, after = line.partition("]") if "[" in line else ("", "", line.removeprefix("deb "))
    del before
    uri, suite, *components = after.split("#")[0].split()
    return ("deb",), (uri,), (suite,), tuple(components)


def _deb822(text: str) -> Iterable[Entry]:
    """Stanzas of `Key: value`, divided by blank lines, with comments and continued lines (deb822(5))."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for stanza in "\n".join(lines).split("\n\n"):
        fields = _fields(stanza)
        if all(key in fields for key in _DEB822_KEYS[:3]) and fields.get("enabled", ("yes",)) != ("no",):
            types, uris, suites, components = (fields.get(key, ()) for key in _DEB822_KEYS)
            yield types, uris, suites, components


def _fields(stanza: str) -> Mapping[str, tuple[str, ...]]:
    fields: dict[str, tuple[str, ...]] = {}
    key = ""
    for line in stanza.splitlines():
        name, colon, value = line.partition(":")
        if line[:1].isspace():
            fields[key] = (*fields.get(key, ()), *line.split())
        elif colon:
            key = name.strip().lower()
            fields[key] = tuple(value.split())
    return fields
