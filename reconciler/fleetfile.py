"""Changes to the files of a fleet, as a person would write them: looked at as a whole before anything is written."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from reconciler import wholefile
from reconciler.errors import ConfigError, Refused, UsageProblem
from reconciler.fleet import files_of_children, load_fleet
from reconciler.model import Diagnostic, Fleet, Json, Severity
from reconciler.selection import not_declared
from reconciler.yamledit import Text


class FleetFile:
    """The fleet file at `path` and what it includes. Nothing is written before `save`. Raises ConfigError."""

    def __init__(self, path: Path) -> None:
        if not path.is_file() and path.exists():
            raise UsageProblem(f"{path} is no regular file, so it cannot be changed", "name one: --file PATH")
        self.before = load_fleet(path)  # what is wrong already is mended first
        self._path = path
        self._of_child = {name: file.resolve() for name, file in files_of_children(path).items()}
        self._before: dict[Path, bytes] = {}
        self._now: dict[Path, Text] = {}

    def add(self, name: str, values: Mapping[str, Json]) -> None:
        """A child more, at the end of the fleet file itself. Raises UsageProblem, Refused."""
        if name in self._of_child:
            raise UsageProblem(f"{self._shown(self._of_child[name])} declares {name} already", "give another name")
        file = self._path.resolve()
        self._now[file] = self._text(file).with_value(("children", name), dict(values))
        self._of_child[name] = file

    def remove(self, names: Iterable[str]) -> None:
        """Raises UsageProblem, Refused."""
        for file, those in self._by_file(names).items():
            self._now[file] = self._text(file).without(*(("children", name) for name in those))

    def put(self, names: Iterable[str], key: str, value: Json) -> None:
        """One setting of each of these children. Raises UsageProblem, Refused."""
        for file, those in self._by_file(names).items():
            self._now[file] = self._text(file).with_values({("children", name, key): value for name in those})

    def put_within(self, name: str, keys: tuple[str, ...], value: Json) -> None:
        """One value deep in the settings of this child, beside what is there. Raises UsageProblem, Refused."""
        file = self._file(name)
        self._now[file] = self._text(file).with_value(("children", name, *keys), value)

    def allow(self, name: str, users: Iterable[int]) -> None:
        """Whom the child lets in beside those of now, also those of its group. Raises UsageProblem, Refused."""
        file, keys = self._file(name), ("children", name, "users", "allowed")
        text = self._text(file)
        if text.at(keys) is None:  # a list of its own is used instead of the group's
            text = text.with_value(keys, [*self.fleet().children[name].users.allowed, *users])
        else:
            for user in users:
                text = text.with_item(keys, user)
        self._now[file] = text

    @property
    def changes_anything(self) -> bool:
        return any(text.raw != self._before[file] for file, text in self._now.items())

    def fleet(self) -> Fleet:
        """As it will be. Raises ConfigError where that is not valid; the lines are those of the files to be."""
        return load_fleet(self._path, {file: text.raw for file, text in self._now.items()})

    def diff(self) -> Iterator[str]:
        """What changes, as `diff -u` has it."""
        for file, text in self._now.items():
            before, after = (raw.decode("utf-8-sig").splitlines() for raw in (self._before[file], text.raw))
            shown = self._shown(file)
            yield from difflib.unified_diff(before, after, shown, shown, lineterm="")

    def save(self) -> list[str]:
        """The files that were written, each whole: none where one cannot be; their modes stay, and links to them.

        Raises Refused, ConfigError.
        """
        for file in self._now:
            if self._read(file) != self._before[file]:
                raise Refused(f"{self._shown(file)} was changed meanwhile, and is left as it is", "run this again")
        new = {file: text.raw for file, text in self._now.items() if text.raw != self._before[file]}
        try:
            wholefile.rewrite_all(new)
        except OSError as error:
            failed = Path(error.filename) if error.filename else next(iter(new))
            raise self._failure(failed, f"cannot be written: {error.strerror}") from error
        return [self._shown(file) for file in new]

    def _by_file(self, names: Iterable[str]) -> dict[Path, list[str]]:
        found: dict[Path, list[str]] = {}
        for name in names:
            found.setdefault(self._file(name), []).append(name)
        return found

    def _file(self, name: str) -> Path:
        if name not in self._of_child:
            raise not_declared(name, self._of_child)
        return self._of_child[name]

    def _text(self, file: Path) -> Text:
        if file not in self._now:
            self._before[file] = self._read(file)
            return Text(self._before[file], self._shown(file))
        return self._now[file]

    def _read(self, file: Path) -> bytes:
        try:
            return file.read_bytes()
        except OSError as error:
            raise self._failure(file, f"cannot be read: {error.strerror}") from error

    def _shown(self, file: Path) -> str:
        """As a person at the fleet file's place would call it."""
        if file == self._path.resolve():
            return str(self._path)
        top = self._path.resolve().parent
        return str(self._path.parent / file.relative_to(top)) if file.is_relative_to(top) else str(file)

    def _failure(self, file: Path, summary: str) -> ConfigError:
        advice = "nothing was changed in it: see to its rights and to the disk, and run this again"
        return ConfigError([Diagnostic(Severity.ERROR, summary, advice, file=self._shown(file), line=0, column=0)])
