"""The command line and the environment say which references a fleet file may use; the file never does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from reconciler.errors import SecretError
from reconciler.model import Secret, SecretRef
from reconciler.secrets.allowed import AllowedSources, allowed_sources
from reconciler.secrets.references import ReferenceSecrets

CI = {"CI": "true"}
TRUST = "If you trust the fleet file with this, add:"
ONLY_IN_CI = "under CI only env:FLEET_SECRET_* may be used"


def refusal(
    text: str, environ: Mapping[str, str], sources: str | None = None, programs: tuple[str, ...] = ()
) -> tuple[str, str] | None:
    environ = {"PATH": "/usr/bin:/bin", **environ}
    try:
        allowed_sources(environ, sources, programs).check(SecretRef(*text.split(":", 1)), environ)
    except SecretError as error:
        return error.summary, error.advice
    return None


@pytest.mark.parametrize("text", ["env:ANY", "env:FLEET_SECRET_A", "file:a", "file:a#/b", "hcloud:", "hcloud:work"])
@pytest.mark.parametrize("environ", [{}, {"CI": ""}, {"CI": "false"}, {"CI": "0"}])
def test_at_home_all_but_commands_may_be_used(text: str, environ: Mapping[str, str]) -> None:
    assert refusal(text, environ) is None


@pytest.mark.parametrize(
    ("text", "environ", "sources", "programs"),
    [
        ("env:FLEET_SECRET_BOT", CI, None, ()),
        ("env:BOT", CI, "env", ()),
        ("env:FLEET_SECRET_BOT", CI, "env", ()),
        ("file:a", CI, "env:FLEET_SECRET_*, file", ()),
        ("hcloud:work", {**CI, "FLEET_ALLOW_SOURCES": "hcloud"}, None, ()),
        ("cmd:cat a", {}, None, ("cat",)),
        ("cmd:cat a", {}, None, ("/usr/bin/cat",)),
        ("cmd:/usr/bin/cat a", {}, None, ("cat",)),
        ("cmd:/usr/bin/cat a", {"FLEET_ALLOW_CMD": "true:/usr/bin/cat"}, None, ("false",)),
        ("cmd:cat a", {**CI, "FLEET_ALLOW_CMD": "cat"}, "cmd", ()),
        ("env:ANY", {"FLEET_ALLOW_SOURCES": ""}, None, ()),
    ],
)
def test_what_is_named_may_be_used(
    text: str, environ: Mapping[str, str], sources: str | None, programs: tuple[str, ...]
) -> None:
    assert refusal(text, environ, sources, programs) is None


@pytest.mark.parametrize(
    ("text", "environ", "sources", "programs", "summary", "option"),
    [
        ("env:HCLOUD_TOKEN", CI, None, (), ONLY_IN_CI, "--allow-sources env"),
        ("env:FLEET_KEY", CI, None, (), ONLY_IN_CI, "--allow-sources env"),
        ("file:a#/b", CI, None, (), ONLY_IN_CI, "--allow-sources 'env:FLEET_SECRET_*,file'"),
        ("hcloud:", CI, None, (), ONLY_IN_CI, "--allow-sources 'env:FLEET_SECRET_*,hcloud'"),
        ("cmd:cat a", CI, None, ("cat",), ONLY_IN_CI, "--allow-sources 'env:FLEET_SECRET_*,cmd'"),
        ("file:a", {}, "env", (), "with --allow-sources only env may be used", "--allow-sources env,file"),
        (
            "env:A",
            {"FLEET_ALLOW_SOURCES": "file,hcloud"},
            None,
            (),
            "with FLEET_ALLOW_SOURCES only file, hcloud may be used",
            "--allow-sources file,hcloud,env",
        ),
        (
            "hcloud:",
            {"FLEET_ALLOW_SOURCES": "hcloud"},
            "file",
            (),
            "with --allow-sources only file may be used",
            "--allow-sources file,hcloud",
        ),
        (
            "cmd:cat a",
            {},
            None,
            (),
            "the program /usr/bin/cat is not named as one that may run",
            "--allow-cmd /usr/bin/cat",
        ),
        (
            "cmd:'/opt/my vault/read' a",
            {"FLEET_ALLOW_CMD": "/opt/my:vault/read"},
            None,
            ("cat", "no-such-program", "./read"),
            "the program /opt/my vault/read is not named as one that may run",
            "--allow-cmd '/opt/my vault/read'",
        ),
        (
            "cmd:cat a",
            {},
            "cmd",
            ("/bin/../bin/cat",),
            "the program /usr/bin/cat is not named as one that may run",
            "--allow-cmd /usr/bin/cat",
        ),
    ],
)
def test_what_is_not_named_is_refused_with_the_option_that_allows_it(
    text: str, environ: Mapping[str, str], sources: str | None, programs: tuple[str, ...], summary: str, option: str
) -> None:
    assert refusal(text, environ, sources, programs) == (summary, f"{TRUST} {option}")


@pytest.mark.parametrize("kind", ["sealed", "env:ANY_*", "", "file:/etc"])
def test_a_kind_that_does_not_exist_is_refused_with_those_that_do(kind: str) -> None:
    with pytest.raises(SecretError) as caught:
        allowed_sources({"FLEET_ALLOW_SOURCES": f"env,{kind}"})
    assert caught.value.summary == f'FLEET_ALLOW_SOURCES: "{kind}" is no kind of reference'
    assert caught.value.advice == "It can be: env, env:FLEET_SECRET_*, file, cmd, hcloud"


def test_a_refused_reference_is_named_with_who_needs_it_and_nothing_is_run_or_read(tmp_path: Path) -> None:
    wanted = SecretRef("cmd", f"touch {tmp_path}/ran")
    secrets = ReferenceSecrets(
        tmp_path, {wanted: 'the bot token of child "alice"'}, allowed_sources({}), {"PATH": "/usr/bin"}
    )
    with pytest.raises(SecretError) as caught:
        secrets.bot_token(wanted)
    assert caught.value.summary == (
        f'cmd:touch {tmp_path}/ran (the bot token of child "alice"): '
        "the program /usr/bin/touch is not named as one that may run"
    )
    assert not (tmp_path / "ran").exists()


def test_what_is_allowed_is_a_value_that_shows_no_secret() -> None:
    assert allowed_sources({"CI": "1", "FLEET_SECRET_A": "planted"}, programs=["/bin/a"]) == AllowedSources(
        ("env:FLEET_SECRET_*",), frozenset({"/bin/a"}), "under CI"
    )
    assert "planted" not in repr(Secret("planted")) + repr(allowed_sources({"FLEET_SECRET_A": "planted"}))
