from __future__ import annotations

from evio_ros.rotation.acquisition.work_units import Pieces, all_at_once


def count_to(last: int) -> Pieces[int]:
    for _ in range(last):
        yield
    return last


def twice(last: int) -> Pieces[int]:
    return (yield from count_to(last)) + (yield from count_to(last))


def test_all_pieces_are_done_and_the_result_comes_back():
    assert all_at_once(count_to(0)) == 0
    assert all_at_once(twice(3)) == 6
    assert len(list(twice(3))) == 6
