from __future__ import annotations

from dataclasses import replace

from rotor_estimates import FAN

from evio_ros.ros.rotor_log import RotorLog

ROTOR = replace(FAN, id=3, center=(40.2, 30.6))


class Lines(list):
    """A node whose log is this list."""

    def get_logger(self):
        return self

    def info(self, line: str) -> None:
        self.append(line)


def told(*windows: tuple[int, bool]) -> list[str]:
    """What is told of windows: their ends in ms, and whether the rotor was seen."""
    lines = Lines()
    log = RotorLog(lines)
    for end_ms, is_seen in windows:
        seen = [replace(ROTOR, t_us=1000 * end_ms)] if is_seen else []
        log.note(1000 * end_ms, seen)
    return lines


FOUND = "rotor 3 found: 1150.0 rpm, centre (40, 31) px"
LOST = "rotor 3 lost, last at 1150.0 rpm"


def test_a_rotor_is_told_when_it_comes_and_when_it_has_been_away_for_half_a_second():
    assert told((50, False), (100, True), (150, True)) == [FOUND]
    assert told((100, True), (150, False), (200, True)) == [FOUND]
    assert told((100, True), (600, False)) == [FOUND]
    assert told((100, True), (601, False), (651, True)) == [FOUND, LOST, FOUND]


AGAIN = "time went back: searching for rotors again"


def test_a_rotor_that_is_found_again_when_time_starts_again_is_not_told():
    turn = [(50, False), (300, True), (1000, True)]
    assert told(*turn) == [FOUND]
    assert told(*turn, *turn) == [FOUND, AGAIN]
    assert told(*turn, *turn, *turn, *turn) == [FOUND, AGAIN]


def test_a_rotor_that_is_not_there_any_more_when_time_starts_again_is_lost():
    assert told((3000, True), (50, False), (1000, False)) == [FOUND, AGAIN]
    assert told((3000, True), (50, False), (2000, False)) == [FOUND, AGAIN, LOST]


def test_another_rotor_after_time_starts_again_is_found():
    lines = Lines()
    log = RotorLog(lines)
    log.note(1_000_000, [replace(ROTOR, t_us=1_000_000)])
    for number, changed in enumerate(({"center": (90.0, 30.6)}, {"rpm": 900.0}), 4):
        log.note(50_000, [replace(ROTOR, id=number, t_us=50_000, **changed)])
    assert lines == [
        FOUND,
        AGAIN,
        "rotor 4 found: 1150.0 rpm, centre (90, 31) px",
        "rotor 5 found: 900.0 rpm, centre (40, 31) px",
    ]
