"""Signals become exceptions that reach the program once."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable

import pytest

from evio_ros.cli.interruption import unwinding


@pytest.fixture(autouse=True)
def hook_put_back(monkeypatch):
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)


def ended(work: Callable[[], None]) -> int:
    """Exit code of work that waits for a signal."""
    with pytest.raises(SystemExit) as end, unwinding():
        work()
    assert isinstance(end.value.code, int)
    return end.value.code


def wait_to_be_ended() -> None:
    for _ in range(1000):
        time.sleep(0.01)
    pytest.fail("nothing was raised in ten seconds")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_unwinds_the_program_and_handlers_are_put_back(number, code):
    def work() -> None:
        signal.raise_signal(number)
        wait_to_be_ended()

    before = signal.getsignal(number)
    assert ended(work) == code
    assert signal.getsignal(number) is before


def test_what_is_lost_in_a_finaliser_is_raised_again():
    class Finalised:
        def __del__(self) -> None:
            # Python reports what a finaliser raises, and continues.
            signal.raise_signal(signal.SIGINT)
            time.sleep(0)

    def work() -> None:
        thing = Finalised()
        del thing
        wait_to_be_ended()

    assert ended(work) == 130


def test_what_is_raised_in_its_place_does_not_hide_it():
    def work() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
            wait_to_be_ended()
        except SystemExit:
            raise RuntimeError("a compiler that was broken off") from None

    assert ended(work) == 143


def test_errors_pass_where_no_signal_came():
    def work() -> None:
        raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect"), unwinding():
        work()


def test_a_second_signal_leaves_the_clean_up_alone():
    done = []

    def work() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
            wait_to_be_ended()
        finally:
            signal.raise_signal(signal.SIGINT)
            time.sleep(0)
            done.append("cleaned up")

    assert ended(work) == 130
    assert done == ["cleaned up"]


def test_what_a_shell_started_in_the_background_still_ignores_ctrl_c():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with unwinding():
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
