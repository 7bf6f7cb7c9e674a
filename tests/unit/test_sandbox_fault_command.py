"""What `fleet sandbox fault` says to what makes no sense. Nothing here reaches a sandbox."""

from __future__ import annotations

import pytest

from reconciler.cli.main import USAGE, run
from reconciler.sandbox.emulator.faults import RULES


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("explode x", "'explode' is not one of 'refuse', 'drop'"),
        ("limit serverz 3", "limit: ON must be one of servers, primary_ips"),
        ("limit servers few", "limit: VALUE must be a whole number, not 'few'"),
        ("stock cx99@fsn1 sold-out", "stock: ON must be TYPE@LOCATION"),
        ("drop GET", 'drop: ON must be "METHOD /path"'),
        ("lock web --times 0", "0 is not in the range x>=1"),
        ("lock", "Missing argument 'ON'"),
    ],
)
def test_a_senseless_fault_is_one_error(typed: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sandbox", "fault", "set", *typed.split()]) == USAGE
    shown = capsys.readouterr().err
    assert said in shown
    assert shown.count("Error: ") == 1
    assert "Traceback" not in shown


def test_help_explains_every_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sandbox", "fault", "set", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for kind, rule in RULES.items():
        assert f"{kind} ON" in shown
        assert rule.does in shown
