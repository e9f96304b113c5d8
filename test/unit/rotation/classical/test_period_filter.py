from __future__ import annotations

import numpy as np
import pytest
from rotor_events import SIZE

from evio_ros.errors import ParameterError
from evio_ros.events import EventBatch
from evio_ros.rotation.classical.period_filter import (
    PeriodFilterParameters,
    blade_pass_frequency,
    pixel_periods,
)


def flicker(periods_us: list[int], duration_us: int = 500_000) -> EventBatch:
    """Pixels side by side that each see three ON and, half a period later, three OFF events."""
    columns = []
    for x, period in enumerate(periods_us):
        for start in range(0, duration_us - period, period):
            for k in range(3):
                columns.append((start + 100 * k, x, True))
                columns.append((start + period // 2 + 100 * k, x, False))
    columns.sort()
    t, x, on = (np.array(column) for column in zip(*columns, strict=True))
    return EventBatch(
        SIZE, t.astype(np.int64), x.astype(np.uint16), np.zeros(len(t), np.uint16), on
    )


def test_each_pixel_has_its_own_period():
    periods = pixel_periods(flicker([4_000, 10_000, 25_000]), 0, 500_000)
    # While the filter settles, the crossing moves from one event to the next.
    np.testing.assert_allclose(sorted(periods), [4_000, 10_000, 25_000], rtol=1e-3)


def test_the_median_of_the_region_is_taken():
    events = flicker([10_000] * 12 + [3_000] * 5)
    assert blade_pass_frequency(events, 0, 500_000) == pytest.approx(100.0, rel=1e-3)


def test_periods_out_of_range_and_too_few_pixels():
    events = flicker([10_000] * 12)
    narrow = PeriodFilterParameters(minimum_hz=150.0)
    assert blade_pass_frequency(events, 0, 500_000, 0, narrow) is None
    assert blade_pass_frequency(flicker([10_000] * 3), 0, 500_000) is None
    with pytest.raises(ParameterError, match="minimum_hz"):
        PeriodFilterParameters(minimum_hz=10.0, maximum_hz=10.0)
