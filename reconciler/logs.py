"""The logs of children: OpenClaw's own and the journal in the order of time, each line once and without its secrets.

The gateway prints what it logs, so most of the journal is in its log as well: what both have within some seconds is
shown by the log, which knows its level.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, cast

from reconciler import commands, keys
from reconciler.errors import FleetError, HostError, SecretError
from reconciler.model import ChildLog, Fleet, LogLine, LogPlace, LogRequest, LogSource, Secret, Server
from reconciler.ports import Host, OnEach, Ports
from reconciler.redaction import Redactor
from reconciler.steps.work import TOKEN_GENERATION

_WRONG: Final = "fleet status {} says what is wrong"
_TOGETHER: Final = 3.0  # seconds between what the gateway logs and what the journal has of it, at most
_LONGEST: Final = 4000  # characters of a line: no host is asked for longer ones
_LAST_WORD: Final = re.compile(r"[^\s\"',;&(){}\[\]<>]*$")
_PAGES: Final = 40  # answers of a host that are taken in at once; what comes after them, the next look takes
_REMEMBERED: Final = 2000  # lines of which the other copy may still come
# As the gateway prints it: 2026-11-22T07:26:34.913+00:00 [gateway] ready
_PRINTED: Final = re.compile(r"^(?:\d{4}-\d\d-\d\dT\S+ )?(?:\[[^\]]{1,60}\] )?")
_COLORS: Final = re.compile(r"\x1b\[[0-9;]*m")
_LEVELS: Final = {0: "FATAL", 1: "FATAL", 2: "FATAL", 3: "ERROR", 4: "WARN"}  # of syslog; the others say nothing


class Logs:
    """`on_each` asks the hosts of children; `servers` are theirs, by which the secrets derive that are looked for."""

    def __init__(self, fleet: Fleet, ports: Ports, servers: Mapping[str, Server | None], on_each: OnEach) -> None:
        self._fleet, self._ports, self._servers, self._on_each = fleet, ports, servers, on_each
        self._readers = dict[str, _Reader]()

    def read(self, names: Iterable[str], wanted: LogRequest) -> list[ChildLog]:
        """Of each child, in order; what goes wrong with one is said of that one. Raises CloudError."""
        found = self._on_each(names, lambda name, host: self._reader(name).read(host, wanted))
        return [_of(name, answer) for name, answer in sorted(found.items())]

    def follow(self, names: Iterable[str], wanted: LogRequest, every: float) -> Iterator[list[ChildLog]]:
        """The same, and then what comes, by a look each `every` seconds, without end. Raises CloudError.

        A host that is silent for a while has lost nothing when it answers again.
        """
        names = tuple(names)
        yield self.read(names, wanted)
        while True:
            self._ports.clock.sleep(every)
            yield self.read(names, wanted)

    def _reader(self, name: str) -> _Reader:
        if name not in self._readers:
            known, unknown = secrets_of(self._fleet, self._ports, name, self._servers.get(name))
            self._readers[name] = _Reader(name, known, unknown)
        return self._readers[name]


def secrets_of(fleet: Fleet, ports: Ports, name: str, server: Server | None) -> tuple[list[Secret], tuple[str, ...]]:
    """What a child's host was trusted with; and the references of what nobody here can resolve."""
    found, unknown = list[Secret](), list[str]()
    spec, resolve = fleet.children.get(name), ports.secrets
    if server is not None and server.uid is not None:
        subject = ports.fleet_key, server.uid
        found += [keys.gateway_token(*subject, TOKEN_GENERATION), keys.digest_key(*subject)]
        found.append(keys.host_key(*subject, fleet.ssh_generation))
    if spec is not None and not spec.is_throwaway:
        for kind, reference in ((resolve.bot_token, spec.bot_token), (resolve.model_key, spec.model.key)):
            try:
                found.append(kind(reference))
            except SecretError:
                unknown.append(str(reference))
    return found, tuple(unknown)


class _Reader:
    """One child's logs from look to look."""

    def __init__(self, child: str, known: Iterable[Secret], unknown: tuple[str, ...]) -> None:
        self._child, self._unknown, known = child, unknown, tuple(known)
        self._redactors = {source: Redactor(known) for source in LogSource}  # a key may go over many lines of one
        self._names = Redactor(known)
        self._place: LogPlace | None = None
        self._seen = deque[tuple[str, float, LogSource]](maxlen=_REMEMBERED)

    def read(self, host: Host, wanted: LogRequest) -> ChildLog:
        """What there is, or what has come since the look before. Raises HostError."""
        # What a pattern leaves over nobody can tell before the secrets are out of it: a pattern must not find those.
        most = wanted.lines if self._place is None else None  # of what comes later all is wanted
        lines = most if wanted.pattern is None else None
        age = wanted.age.total_seconds() if wanted.age is not None else None
        told, is_cut = list[LogLine](), False
        for _ in range(_PAGES):
            try:
                entries, cut, more = self._page(host, lines, age, wanted)
            except HostError:
                if not told:
                    raise
                break  # what has come is shown, and the next look goes on after it
            told, is_cut = told + entries, is_cut or cut
            if not more:
                break
        shown = [line for line in self._once(told) if wanted.pattern is None or _matches(wanted.pattern, line)]
        kept = shown if most is None else shown[max(0, len(shown) - most) :]
        return ChildLog(self._child, tuple(kept), self._place, is_cut, self._unknown)

    def _page(
        self, host: Host, lines: int | None, age: float | None, wanted: LogRequest
    ) -> tuple[list[LogLine], bool, bool]:
        """What comes next, whether older lines were left out, and whether there is more. Raises HostError."""
        place = self._place
        since = place.now if place is not None else None
        cursors = {"log": place.log, "journal": place.journal} if place is not None else {}
        asked = commands.read_logs(lines, since, None if place else age, errors=wanted.errors, **cursors)
        try:
            answer: Any = json.loads(host.run(asked).stdout)
            of_log, of_journal = answer["log"], answer["journal"]
            told = [
                *(_entry(LogSource.GATEWAY, it) for it in of_log["entries"]),
                *(_entry(LogSource.JOURNAL, it) for it in of_journal["entries"]),
            ]
            found = LogPlace(float(answer["now"]), of_log["cursor"], of_journal["cursor"])
            is_cut, more = (any(it[word] is True for it in (of_log, of_journal)) for word in ("is_cut", "more"))
        except (ValueError, RecursionError, KeyError, TypeError, AttributeError, OverflowError, OSError) as error:
            raise HostError("its host does not say what was logged", _WRONG.format(self._child)) from error
        if place is not None:  # a file that is gone has no cursor, and the next one begins anew
            found = LogPlace(found.now, found.log, found.journal or place.journal)
        self._place = found
        return told, is_cut, more

    def _once(self, told: Iterable[LogLine]) -> Iterator[LogLine]:
        """In the order of time, without secrets; of what both have said, the first."""
        ordered = sorted(_timed(told), key=lambda it: (it[0], it[1].source is LogSource.JOURNAL))
        for at, line in ordered:
            text = _PRINTED.sub("", _COLORS.sub("", line.text)).strip()
            if line.source is LogSource.JOURNAL and line.name == "systemd":
                text = line.text  # systemd's own words are nobody else's
            if (twin := self._twin(text, at, line.source)) is not None:
                self._seen.remove(twin)
                continue
            self._seen.append((text, at, line.source))
            mask = self._redactors[line.source].line
            plain = _COLORS.sub("", line.text).rstrip()
            yield replace(line, child=self._child, name=self._names.line(line.name), text=mask(plain))

    def _twin(self, text: str, at: float, source: LogSource) -> tuple[str, float, LogSource] | None:
        for known in reversed(self._seen):
            if known[2] is not source and known[0] == text and abs(known[1] - at) <= _TOGETHER:
                return known
            if at - known[1] > 2 * _TOGETHER:
                break
        return None


def _matches(pattern: re.Pattern[str], line: LogLine) -> bool:
    """As a person sees it, or its text alone."""
    return bool(pattern.search(line.text) or pattern.search(f"{line.level} {line.name}: {line.text}"))


def _timed(told: Iterable[LogLine]) -> Iterator[tuple[float, LogLine]]:
    """Each with its moment; what has none came right after the line before it."""
    before = dict.fromkeys(LogSource, 0.0)
    for line in told:
        if line.at is not None:
            before[line.source] = line.at.timestamp()
        yield before[line.source], line


def _entry(source: LogSource, said: Any) -> LogLine:
    """What a host says of one line; raises what _Reader.read takes for no answer."""
    try:
        at = datetime.fromtimestamp(float(said["at"]), UTC) if said["at"] is not None else None
    except (ValueError, OverflowError, OSError):
        at = None  # a moment that there is not
    level = said["level"]
    word = _LEVELS.get(level, "") if source is LogSource.JOURNAL else level
    texts = [cast(Any, it) for it in (word, said["name"], said["text"])]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("no text")
    return LogLine("", at, source, *map(_whole_words, texts))


def _whole_words(text: str) -> str:
    """What is cut off ends before the word that the cut goes through: half a secret looks like none."""
    if len(text) < _LONGEST:
        return text
    return f"{_LAST_WORD.sub('', text[:_LONGEST])}..."


def _of(name: str, answer: ChildLog | FleetError) -> ChildLog:
    if isinstance(answer, FleetError):
        return ChildLog(name, problem=answer.summary, advice=answer.advice)
    return answer
