from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from rotor_events import DISC, SIZE, IdealRotor, events_of
from web_desk import rotor

from evio_ros.web.live_view import EventSample, LiveView
from evio_ros.web.rotor_events import angle_time_of, spectrum_of

FREQUENCY_HZ = 20.0
BLADES = 3


@pytest.fixture(scope="module")
def seen():
    """A second of a simulated rotor, every fourth event, and the rotor's true state."""
    turning = IdealRotor(frequency_hz=FREQUENCY_HZ, blades=BLADES)
    events = events_of([turning], 1_000_000, noise_hz=2e4)
    view = LiveView()
    for start_us in range(0, 1_000_000, 10_000):
        first, last = np.searchsorted(events.t, [start_us, start_us + 10_000])
        part = dataclasses.replace(
            events,
            t=events.t[first:last:4],
            x=events.x[first:last:4],
            y=events.y[first:last:4],
            polarity=events.polarity[first:last:4],
        )
        view.put_events(EventSample(part, start_us, start_us + 10_000, 0.25))
    state = rotor(
        1,
        60 * FREQUENCY_HZ,
        blade_count=BLADES,
        center=DISC.center,
        axes=DISC.axes,
        tilt_rad=DISC.tilt_rad,
    )
    assert events.size == SIZE
    return view, state.estimate


def test_the_spectrum_peaks_where_blades_pass(seen):
    spectrum = spectrum_of(*seen)
    peak_hz = spectrum.frequency_hz[np.argmax(spectrum.power)]
    assert spectrum.blade_pass_hz == BLADES * FREQUENCY_HZ
    assert peak_hz == pytest.approx(spectrum.blade_pass_hz, abs=1.0)
    assert spectrum.power.max() > 30.0


def test_the_histogram_shows_as_many_streaks_as_blades_that_turn_once_a_turn(seen):
    found = angle_time_of(*seen)
    # Four turns.
    assert found.end_us - found.start_us == round(4e6 / FREQUENCY_HZ)
    bins, angles = found.counts.shape
    # Blades advance by so many angle bins from one time bin to the next.
    advance = (found.end_us - found.start_us) / bins * 1e-6 * FREQUENCY_HZ * angles
    turned = [np.roll(row, -round(advance * i)) for i, row in enumerate(found.counts)]
    pattern = np.abs(np.fft.fft(np.sum(turned, axis=0)))[1 : angles // 2]
    assert pattern[BLADES - 1] > 20.0 * max(pattern[: BLADES - 1])
    assert pattern[BLADES - 1] > 0.1 * found.counts.sum()


def test_without_events_there_is_nothing_but_no_error():
    estimate = rotor().estimate
    view = LiveView()
    assert angle_time_of(view, estimate).counts.sum() == 0
    assert np.all(spectrum_of(view, estimate).power == 0)
    broken = dataclasses.replace(estimate, axes=(0.0, 0.0), rpm=0.0)
    assert angle_time_of(view, broken).counts.sum() == 0
