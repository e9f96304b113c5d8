"""What winds about a hub by count time, on events made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evio_ros.events import EventBatch, SensorSize
from evio_ros.explanation import Reason, Rejection
from evio_ros.rotation.acquisition.count_time_search import candidates
from evio_ros.rotation.acquisition.regions import Region
from evio_ros.rotation.acquisition.work_units import result_of
from evio_ros.rotation.phase_path.event_count_time import CountedEvents

SIZE = SensorSize(96, 96)
CELL_PX = 4
EVENTS = 12_000


def seen(x: np.ndarray, y: np.ndarray, polarity: np.ndarray) -> tuple[CountedEvents, Region]:
    """Those of some events that the sensor sees, evenly spaced in time, and their region."""
    inside = (x >= 0) & (x < SIZE.width) & (y >= 0) & (y < SIZE.height)
    x, y = x[inside].astype(np.uint16), y[inside].astype(np.uint16)
    events = EventBatch(SIZE, np.arange(len(x), dtype=np.int64) * 20, x, y, polarity[inside])
    cells = np.unique(np.stack((y // CELL_PX, x // CELL_PX), axis=1), axis=0).astype(np.int64)
    return CountedEvents.of(events, EVENTS), Region(cells, len(events), CELL_PX)


def half_disc(
    hub: tuple[float, float], turns: float, radius: float = 40.0
) -> tuple[CountedEvents, Region]:
    """Two edges, half a turn apart, one bright and one dark."""
    generator = np.random.default_rng(5)
    is_on = generator.random(EVENTS) < 0.5
    angle = 2 * math.pi * turns * np.linspace(0.0, 1.0, EVENTS) + math.pi * is_on
    angle += generator.normal(0.0, 0.03, EVENTS)
    distance = radius * np.sqrt(generator.random(EVENTS))
    return seen(hub[0] + distance * np.cos(angle), hub[1] + distance * np.sin(angle), is_on)


@pytest.mark.parametrize("turns", [1.2, -1.3])
@pytest.mark.parametrize("hub", [(48.0, 48.0), (14.0, 50.0)])
def test_hub_and_turns_of_a_half_disc(hub: tuple[float, float], turns: float) -> None:
    """Also where the view cuts it, so that its outline tells no hub."""
    found = result_of(candidates(*half_disc(hub, turns), 6.0, 3))
    assert not isinstance(found, Rejection)
    best = found[0]
    assert math.dist(best.disc.center, hub) < 5.0
    assert best.turns == pytest.approx(turns, abs=0.25)


def test_noise_winds_about_no_hub() -> None:
    generator = np.random.default_rng(6)
    x, y = generator.uniform(0, 96, (2, EVENTS))
    found = result_of(candidates(*seen(x, y, generator.random(EVENTS) < 0.5), 6.0, 3))
    assert isinstance(found, Rejection)
    assert found.reason is Reason.NO_HUB
