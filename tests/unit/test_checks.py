"""Health, layer by layer: each way to fail, what is not known, and what lies above."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from reconciler.checks import CHECKS, judge
from reconciler.model import Child, Finding, Health, ModelSettings, SecretRef, Verdict
from tests.fakes.worlds import NOW, make_child

NAMES = [check.NAME for check in CHECKS]


def child_with(**gateway: Any) -> Child:
    return make_child("alice", {"spec": {}, "gateway": gateway})


def spending(**gateway: Any) -> Child:
    """A child whose model may cost 20 dollars a month."""
    model = ModelSettings("anthropic", "m", SecretRef("env", "K"), spend_limit=Decimal(20))
    return make_child("alice", {"spec": {"model": model}, "gateway": gateway})


FAILING: list[tuple[str, Child, Health, str]] = [
    ("server", make_child("alice", {"spec": {}, "server": None}), Health.UNREACHABLE, "there is no server"),
    ("server", make_child("alice", {"spec": {}, "server": {"status": "off"}}), Health.UNREACHABLE, "the server is off"),
    ("ssh", make_child("alice", {"spec": {}, "silence": "refused"}), Health.UNREACHABLE, "refused: no answer"),
    ("ssh", make_child("alice", {"spec": {}, "silence": "timed out"}), Health.UNREACHABLE, "timed out: no answer"),
    ("unit", child_with(active="inactive"), Health.OFFLINE, "inactive (success, exit 0)"),
    (
        "unit",
        child_with(active="failed", result="exit-code", exit_status=78),
        Health.OFFLINE,
        "failed (exit-code, exit 78)",
    ),
    ("gateway", child_with(ready=False), Health.DEGRADED, "not ready: starting"),
    ("gateway", child_with(ready=False, failing=["channels"]), Health.DEGRADED, "not ready: channels"),
    ("gateway", child_with(suppressed=["telegram"]), Health.DEGRADED, "channels suppressed: telegram"),
    ("gateway", child_with(version="2026.9.5"), Health.DEGRADED, "runs 2026.9.5, and 2026.9.6 is installed"),
    ("token", child_with(token_accepted=False), Health.DEGRADED, "its own token is not accepted"),
    ("token", child_with(anonymous_refused=False), Health.DEGRADED, "it answers without a token"),
    ("token", child_with(loopback_only=False), Health.DEGRADED, "it listens on another address than loopback"),
    ("channel", child_with(channel_connected=False), Health.DEGRADED, "not connected to Telegram"),
    (
        "channel",
        child_with(channel_connected=False, channel_error="401: Unauthorized"),
        Health.DEGRADED,
        "401: Unauthorized",
    ),
    (
        "channel",
        child_with(channel_activity=NOW.timestamp() - 91),
        Health.DEGRADED,
        "the poller has not moved for 91 s",
    ),
]

FAILING.append(("spend", spending(spent=20.01), Health.DEGRADED, "over its limit: 20.01 of 20 US dollars this month"))

WITHOUT_DATA: list[tuple[str, Child, Health]] = [
    (
        "ssh",
        make_child("alice", {"spec": {}, "server": {"labels": {"openclaw-deploy/unfinished": "true"}}}),
        Health.UNREACHABLE,
    ),
    ("gateway", child_with(ready=None), Health.DEGRADED),
    ("token", child_with(token_accepted=None), Health.DEGRADED),
    ("token", child_with(anonymous_refused=None), Health.DEGRADED),
    ("token", child_with(loopback_only=None), Health.DEGRADED),
    ("channel", child_with(channel_connected=None), Health.DEGRADED),
    ("channel", child_with(channel_activity=None), Health.DEGRADED),
    ("spend", spending(), Health.DEGRADED),
    ("spend", spending(spent=1.0, unpriced=2), Health.DEGRADED),
]


def finding_of(findings: tuple[Finding, ...], name: str) -> Finding:
    return next(finding for finding in findings if finding.check == name)


def check_layers(findings: tuple[Finding, ...], name: str) -> None:
    """All below are OK, all above are skipped."""
    at = NAMES.index(name)
    assert [finding.check for finding in findings] == NAMES
    assert {finding.verdict for finding in findings[:at]} <= {Verdict.OK}
    assert {finding.verdict for finding in findings[at + 1 :]} <= {Verdict.SKIPPED}


def test_all_is_well_when_every_layer_is() -> None:
    health, findings = judge(child_with())
    assert health is Health.HEALTHY
    assert {finding.verdict for finding in findings} == {Verdict.OK}


@pytest.mark.parametrize(("name", "child", "health", "text"), FAILING, ids=[f"{c[0]}: {c[3]}" for c in FAILING])
def test_a_failing_layer_is_named_and_those_above_are_skipped(
    name: str, child: Child, health: Health, text: str
) -> None:
    found, findings = judge(child)
    assert found is health
    assert finding_of(findings, name) == Finding(name, Verdict.FAILED, text)
    check_layers(findings, name)


@pytest.mark.parametrize(("name", "child", "health"), WITHOUT_DATA)
def test_a_layer_without_data_is_unknown_and_never_healthy(name: str, child: Child, health: Health) -> None:
    found, findings = judge(child)
    assert found is health
    assert finding_of(findings, name).verdict is Verdict.UNKNOWN
    check_layers(findings, name)


def test_a_child_that_was_not_looked_at_says_why() -> None:
    unfinished = make_child("alice", {"spec": {}, "server": {"labels": {"openclaw-deploy/unfinished": "true"}}})
    doubtful = make_child("alice", {"spec": {}, "obstacle": "alice has more than one server: demo-bob and demo-alice"})
    said = [finding_of(judge(child)[1], "ssh").text for child in (unfinished, doubtful)]
    assert said == [
        "not looked at: its first apply has not finished",
        "not looked at: alice has more than one server: demo-bob and demo-alice",
    ]


def test_a_sum_below_the_limit_is_told_also_while_the_gateway_counts() -> None:
    sums = "1.50 of 20 US dollars this month"
    for complete, text in ((True, sums), (False, f"{sums}, still counting")):
        health, findings = judge(spending(spent=1.5, spent_complete=complete))
        assert (health, finding_of(findings, "spend").text) == (Health.HEALTHY, text)


def test_over_the_limit_is_over_it_whatever_else_is_unknown() -> None:
    assert finding_of(judge(spending(spent=25.0, unpriced=3))[1], "spend").verdict is Verdict.FAILED


@pytest.mark.parametrize("check", CHECKS, ids=NAMES)
def test_no_check_calls_a_child_well_of_which_nothing_is_known(check: Any) -> None:
    assert check.judge(Child("alice")).verdict is not Verdict.OK


def test_what_the_file_wants_is_a_matter_of_sync_and_not_of_health() -> None:
    """A child that waits for its turn in a rollout was called DEGRADED, and its user had every answer."""
    child = child_with()
    assert child.spec is not None
    for spec in (None, replace(child.spec, version="2026.9.7")):
        assert judge(replace(child, spec=spec))[0] is Health.HEALTHY


def test_the_poller_may_rest_for_a_while() -> None:
    assert judge(child_with(channel_activity=NOW.timestamp() - 90))[0] is Health.HEALTHY
