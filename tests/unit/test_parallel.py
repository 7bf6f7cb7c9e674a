"""The gate that keeps threads from what they must not do after an interrupt."""

from __future__ import annotations

import threading

import pytest

from reconciler.errors import Refused
from reconciler.parallel import Gate


def test_a_gate_that_is_shut_lets_nobody_in() -> None:
    gate = Gate()
    with gate, gate:
        pass
    gate.shut()
    with pytest.raises(Refused), gate:
        pass


def test_whoever_shuts_a_gate_waits_for_those_inside() -> None:
    gate, is_in, go_on = Gate(), threading.Event(), threading.Event()
    order: list[str] = []

    def work() -> None:
        with gate:
            is_in.set()
            go_on.wait(60)
            order.append("out")

    def shut() -> None:
        gate.shut()
        order.append("shut")

    threads = [threading.Thread(target=each) for each in (work, shut)]
    threads[0].start()
    is_in.wait(60)
    threads[1].start()
    threads[1].join(0.1)
    go_on.set()
    for thread in threads:
        thread.join(60)
    assert order == ["out", "shut"]


def test_an_error_inside_leaves_a_gate_as_well() -> None:
    gate = Gate()
    with pytest.raises(ZeroDivisionError), gate:
        raise ZeroDivisionError
    gate.shut()
