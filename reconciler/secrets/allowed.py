"""Which references a fleet file may use. The command line and the environment decide, never the file itself.

A fleet file that comes with a pull request must not be able to read this machine's files or run its programs.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from reconciler.errors import FleetError, SecretError, UsageProblem
from reconciler.model import SecretRef
from reconciler.secrets import cmd, env, file, hcloud

CI_PREFIX: Final = "FLEET_SECRET_"
CI_VARIABLES: Final = f"{env.SOURCE}:{CI_PREFIX}*"
KINDS: Final = (env.SOURCE, CI_VARIABLES, file.SOURCE, cmd.SOURCE, hcloud.SOURCE)

_IF_TRUSTED: Final = "If you trust the fleet file with this, add:"


@dataclass(frozen=True, slots=True)
class AllowedSources:
    """`kinds` out of KINDS, the absolute paths of the `programs` that `cmd:` may run, and in words who chose them."""

    kinds: tuple[str, ...]
    programs: frozenset[str]
    chosen: str

    def check(self, reference: SecretRef, environ: Mapping[str, str]) -> None:
        """Raises SecretError when the reference may not be used, with the option that would allow it."""
        if not self._has_kind_of(reference):
            others = [kind for kind in self.kinds if kind.partition(":")[0] != reference.source]
            raise SecretError(
                f"{self.chosen} only {', '.join(self.kinds)} may be used",
                f"{_IF_TRUSTED} --allow-sources {shlex.quote(','.join([*others, reference.source]))}",
            )
        if reference.source != cmd.SOURCE:
            return
        program = cmd.arguments(reference.locator, environ)[0]
        if program not in self.programs:
            raise SecretError(
                f"the program {program} is not named as one that may run",
                f"{_IF_TRUSTED} --allow-cmd {shlex.quote(program)}",
            )

    def _has_kind_of(self, reference: SecretRef) -> bool:
        if reference.source == env.SOURCE and reference.locator.startswith(CI_PREFIX):
            return env.SOURCE in self.kinds or CI_VARIABLES in self.kinds
        return reference.source in self.kinds


def allowed_sources(
    environ: Mapping[str, str], sources: str | None = None, programs: Sequence[str] = ()
) -> AllowedSources:
    """What --allow-sources and --allow-cmd say; without them FLEET_ALLOW_SOURCES and FLEET_ALLOW_CMD, then the default.

    The default is every kind, under CI only `env:FLEET_SECRET_*`. `cmd:` needs its program named in any case: an
    absolute path, or a bare name that PATH finds now. Programs of option and variable add up; a program that is not
    here is not allowed. Raises for a kind that does not exist: UsageProblem for the option's, else SecretError.
    """
    named = (*programs, *filter(None, environ.get("FLEET_ALLOW_CMD", "").split(":")))
    found = frozenset(path for name in named for path in _found(name, environ))
    if sources is not None:
        return AllowedSources(_kinds(sources, "--allow-sources", UsageProblem), found, "with --allow-sources")
    if environ.get("FLEET_ALLOW_SOURCES"):
        kinds = _kinds(environ["FLEET_ALLOW_SOURCES"], "FLEET_ALLOW_SOURCES", SecretError)
        return AllowedSources(kinds, found, "with FLEET_ALLOW_SOURCES")
    if environ.get("CI", "").lower() not in ("", "0", "false"):
        return AllowedSources((CI_VARIABLES,), found, "under CI")
    return AllowedSources(KINDS, found, "by default")


def _kinds(text: str, place: str, problem: type[FleetError]) -> tuple[str, ...]:
    kinds = tuple(kind.strip() for kind in text.split(","))
    for kind in kinds:
        if kind not in KINDS:
            raise problem(f'{place}: "{kind}" is no kind of reference', f"It can be: {', '.join(KINDS)}")
    return kinds


def _found(name: str, environ: Mapping[str, str]) -> Iterator[str]:
    try:
        yield cmd.program(name, environ)
    except SecretError:
        return
