from __future__ import annotations

import numpy as np
import pytest
from rotor_events import SIZE

from evio_ros.events import EventBatch
from evio_ros.rotation.classical.welch import WelchParameters, blade_pass_frequency


def pulses(strengths: list[int], pulse_us: int, duration_us: int) -> EventBatch:
    """Bursts of events at one place, `pulse_us` apart, as strong as the pattern says."""
    times = [
        np.full(strengths[i % len(strengths)], i * pulse_us) for i in range(duration_us // pulse_us)
    ]
    t = np.concatenate(times).astype(np.int64)
    x = np.full(len(t), 40, np.uint16)
    return EventBatch(SIZE, t, x, x.copy(), np.ones(len(t), bool))


def test_a_line_once_a_turn_is_not_the_blade_pass():
    """Three unequal blades 10 ms apart: lines at 33.3 Hz, once a turn, and at 100 Hz."""
    events = pulses([40, 10, 10], 10_000, 600_000)
    assert blade_pass_frequency(events, 0, 600_000, 3) == pytest.approx(100.0, rel=1e-3)


def test_segments_cost_resolution_but_give_the_same_line():
    events = pulses([20], 4_000, 400_000)
    found = blade_pass_frequency(events, 0, 400_000, 0, WelchParameters(segments=4))
    assert found == pytest.approx(250.0, rel=2e-3)


def test_lines_below_three_periods_or_the_lowest_frequency_are_left_out():
    events = pulses([20], 100_000, 1_000_000)
    assert blade_pass_frequency(events, 0, 1_000_000) == pytest.approx(10.0, rel=1e-2)
    higher = blade_pass_frequency(events, 0, 1_000_000, 0, WelchParameters(minimum_hz=15.0))
    assert higher is None or higher >= 15.0
