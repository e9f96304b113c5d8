from __future__ import annotations

from evio_ros.fusion.sensor_now import SensorNow

OFFSET_NS = 1_700_000_000_000_000_000


def test_the_sensors_time_goes_on_between_windows_and_counts_the_way_here():
    now = SensorNow()
    # A window that ended at 2 s comes 30 ms later, at 100.0 s of the steady clock.
    now.note(2_000_000, OFFSET_NS + 2_000_000_000, OFFSET_NS + 2_030_000_000, 100.0)
    assert now.at(100.0) == (2_030_000, OFFSET_NS + 2_030_000_000)
    assert now.at(100.005) == (2_035_000, OFFSET_NS + 2_035_000_000)
    assert now.offset_ns == OFFSET_NS
    assert now.unusable == 0


def test_stamps_of_another_clock_are_counted_and_windows_taken_to_end_as_they_come():
    now = SensorNow()
    for stamp_ns in (0, OFFSET_NS + 1, OFFSET_NS - 6_000_000_000):
        now.note(7_000, stamp_ns, OFFSET_NS, 50.0)
        assert now.at(50.01) == (17_000, stamp_ns + 10_000_000)
    assert now.unusable == 3
    # Time never goes back before a window's end.
    assert now.at(49.0)[0] == 7_000


def test_a_stamp_at_the_end_of_all_time_is_replaced_by_the_windows_coming():
    now = SensorNow()
    for stamp_ns in ((2**31 - 1) * 10**9 + 2**32 - 1, -(2**31) * 10**9):
        assert not now.note(7_000, stamp_ns, OFFSET_NS, 50.0)
        assert now.at(51.0) == (1_007_000, OFFSET_NS + 10**9)
    assert now.note(7_000, OFFSET_NS - 5, OFFSET_NS, 50.0)
