from __future__ import annotations

from evio_ros.ros.lost_messages import LostMessages


def lost_of(numbers: list[int | None], publishers: int = 1) -> int:
    messages = LostMessages(lambda: publishers)
    for number in numbers:
        messages.note({} if number is None else {"publication_sequence_number": number})
    return messages.count


def test_skipped_numbers_are_lost_messages():
    assert lost_of([5, 6, 9, 10, 12]) == 3


def test_what_was_sent_before_the_first_message_is_not_lost():
    assert lost_of([1000, 1001]) == 0


def test_a_publisher_that_starts_again_has_lost_nothing():
    assert lost_of([7, 8, 1, 2, 4]) == 1


def test_numbers_of_two_publishers_say_nothing():
    assert lost_of([5, 100, 6, 101], publishers=2) == 0


def test_a_middleware_without_numbers_loses_nothing():
    assert lost_of([None, None]) == 0
    assert lost_of([2**64 - 1, 2**64 - 1]) == 0


def test_each_loss_is_reported_once():
    messages = LostMessages(lambda: 1)
    for number in (1, 3):
        messages.note({"publication_sequence_number": number})
    assert messages.unreported() == 1
    messages.note({"publication_sequence_number": 6})
    assert (messages.unreported(), messages.unreported(), messages.count) == (2, 0, 3)
