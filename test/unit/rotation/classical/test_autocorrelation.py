from __future__ import annotations

import numpy as np
import pytest
from rotor_events import SIZE

from evio_ros.events import EventBatch
from evio_ros.rotation.classical.autocorrelation import blade_pass_frequency


def test_the_lag_of_a_blade_is_taken_and_not_that_of_a_turn():
    """Bursts of 30, 24 and 24 events every 10 ms repeat exactly only after 30 ms."""
    t = np.concatenate([np.full((30, 24, 24)[i % 3], 10_000 * i) for i in range(60)])
    x = np.full(len(t), 40, np.uint16)
    events = EventBatch(SIZE, t.astype(np.int64), x, x.copy(), np.ones(len(t), bool))
    assert blade_pass_frequency(events, 0, 600_000) == pytest.approx(100.0, rel=1e-3)
