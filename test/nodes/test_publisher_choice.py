"""Whose messages are taken where several drivers publish on one topic."""

from __future__ import annotations

import pytest

from evio_ros.ros import publisher_choice
from evio_ros.ros.publisher_choice import MessageMark, PublisherChoice

CAMERA = ("camera", 320, 240)


@pytest.fixture
def clock(monkeypatch):
    """The time that passes, in seconds; a list of one."""
    now = [100.0]
    monkeypatch.setattr(publisher_choice.time, "monotonic", lambda: now[0])
    return now


def first(seq: int, offset_ns: int = 10**9) -> MessageMark:
    return MessageMark(CAMERA, seq, offset_ns)


def second(seq: int) -> MessageMark:
    return MessageMark(CAMERA, seq, 7 * 10**9)


def test_one_publisher_may_do_anything_and_nobody_is_asked_while_it_goes_on():
    asked = []

    def names() -> list[str]:
        asked.append(1)
        return ["/driver"]

    choice = PublisherChoice(names)
    marks = [first(0), first(1), first(5), first(6, 2 * 10**9), first(0), second(1), second(0)]
    assert all(choice.follows(mark) for mark in marks)
    # The first message, two restarts of the numbers.
    assert len(asked) == 3
    assert choice.ignored == []


def test_the_first_is_followed_by_name_through_losses_and_loops(clock):
    names = ["/one"]
    choice = PublisherChoice(lambda: names)
    assert choice.follows(first(10))
    names.append("/two")
    assert not choice.follows(second(3))
    assert choice.ignored == ["/two"]
    assert choice.follows(first(11))
    # Two lost; a loop of the first; numbers of the second that would go on by chance.
    assert choice.follows(first(14))
    assert choice.follows(first(15, 3 * 10**9))
    assert not choice.follows(second(15))
    assert not choice.follows(second(16))
    assert choice.follows(first(16, 3 * 10**9))
    # The second is gone for two seconds: it is no longer named.
    for seq in range(17, 40):
        clock[0] += 0.1
        assert choice.follows(first(seq, 3 * 10**9))
    assert choice.ignored == []


def test_another_takes_over_when_the_first_is_silent_for_a_second(clock):
    choice = PublisherChoice(lambda: ["/one", "/two"])
    assert choice.follows(first(10))
    for seq in range(9):
        clock[0] += 0.1
        assert not choice.follows(second(seq))
    clock[0] += 0.2
    assert choice.follows(second(9))
    assert choice.follows(second(10))
    assert not choice.follows(first(11))


def test_another_camera_is_another_publisher_even_where_the_numbers_go_on():
    choice = PublisherChoice(lambda: ["/one", "/two"])
    assert choice.follows(first(10))
    assert not choice.follows(MessageMark(("camera", 640, 480), 11, 10**9))
    assert not choice.follows(MessageMark(("other", 320, 240), 11, 10**9))


def test_packets_without_an_exact_clock_are_told_apart_by_their_numbers():
    choice = PublisherChoice(lambda: ["/one", "/two"])
    assert choice.follows(MessageMark(CAMERA, 5000, None))
    assert not choice.follows(MessageMark(CAMERA, 3, None))
    assert choice.follows(MessageMark(CAMERA, 5010, None))
    assert not choice.follows(MessageMark(CAMERA, 90_000, None))
