from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from builders import batch_at

from evio_ros.events import EventWindow
from evio_ros.rotation.dead_time import DeadTime

SLICE_US = 5_000


def live_shares(
    times_us: Iterable[int], until_us: int, dead_time: DeadTime | None = None
) -> np.ndarray:
    """The live share of every slice from 0 on."""
    dead_time = dead_time or DeadTime()
    events = batch_at(sorted(times_us))
    shares = []
    for start_us in range(0, until_us, SLICE_US):
        part = EventWindow(start_us, SLICE_US, events.between(start_us, start_us + SLICE_US))
        marked = dead_time.mark(part)
        assert (marked.start_us, marked.length_us) == (start_us, SLICE_US)
        assert marked.events is part.events
        shares.append(marked.live)
    return np.array(shares)


def at_random(rate_hz: float, until_us: int, seed: int = 0) -> list[int]:
    """Times of Poisson events."""
    rng = np.random.default_rng(seed)
    count = rng.poisson(rate_hz * until_us * 1e-6)
    return rng.integers(0, until_us, count).tolist()


@pytest.mark.parametrize("rate_hz", [30, 100, 300, 1e3, 3e3, 1e4, 1e5, 1e6])
def test_what_comes_at_random_is_live_however_rare(rate_hz: float) -> None:
    for seed in range(3):
        assert (live_shares(at_random(rate_hz, 2_000_000, seed), 2_000_000) == 1.0).all()


def test_a_silence_of_the_whole_sensor_is_dead_time() -> None:
    times = [t for t in range(0, 60_000, 20) if not 32_000 < t < 43_000]
    shares = live_shares(times, 60_000)
    # From the event at 32 ms, across three slices, to that at 43 ms.
    assert shares[6:9] == pytest.approx([0.4, 0.0, 0.4])
    assert (np.delete(shares, [6, 7, 8]) == 1.0).all()


def test_a_silence_of_less_than_half_a_millisecond_is_none() -> None:
    times = [t for t in range(0, 60_000, 5) if not 31_000 < t < 31_480]
    assert (live_shares(times, 60_000) == 1.0).all()


def test_a_silence_shorter_than_twenty_intervals_is_none() -> None:
    """Of 100 us each."""
    times = range(0, 200_000, 100)
    short = [t for t in times if not 101_000 < t < 102_900]
    long = [t for t in times if not 101_000 < t < 103_500]
    assert (live_shares(short, 200_000) == 1.0).all()
    assert live_shares(long, 200_000)[20] == pytest.approx(0.5)


@pytest.mark.parametrize("strays_us", [(31_000,), (38_000,), (34_999, 41_000)])
def test_single_events_do_not_make_a_silence_live(strays_us: tuple[int, ...]) -> None:
    times = [t for t in range(0, 60_000, 20) if not 30_000 <= t < 45_000]
    shares = live_shares([*times, *strays_us], 60_000)
    assert shares[6:9] == pytest.approx(0.0, abs=0.01)
    assert (np.delete(shares, [6, 7, 8]) == 1.0).all()


def test_a_burst_of_a_hot_pixel_makes_no_silences_of_what_surrounds_it() -> None:
    """A thousand events a second, and fifty thousand of them in one slice."""
    burst = np.random.default_rng(1).integers(500_000, 505_000, 50_000).tolist()
    times = at_random(1_000, 1_000_000) + burst
    assert (live_shares(times, 1_000_000) == 1.0).all()


@pytest.mark.parametrize("period_us", [600, 1_000, 2_000])
def test_a_sensor_that_is_read_out_in_bursts_is_live(period_us: int) -> None:
    times = np.repeat(np.arange(0, 500_000, period_us), 500)
    shares = live_shares(times.tolist(), 500_000)
    assert (shares == 1.0).all()
    # Yet what is lost of it is dead.
    lost = live_shares([t for t in times.tolist() if not 300_000 <= t < 320_000], 500_000)
    assert lost[61:64] == pytest.approx(0.0)
    assert (lost[66:] == 1.0).all()


@pytest.mark.parametrize("noise_hz", [3e3, 1e4])
def test_a_scene_that_becomes_still_is_live_again_soon(noise_hz: float) -> None:
    """Noise is all that is left of a million events a second."""
    moving = at_random(1e6, 300_000)
    still = [300_000 + t for t in at_random(noise_hz, 500_000, 1)]
    shares = live_shares(moving + still, 800_000)
    assert (shares[:60] == 1.0).all()
    assert (shares[66:] == 1.0).all()


def test_what_stays_silent_may_be_still() -> None:
    shares = live_shares(range(0, 100_000, 20), 600_000)
    assert (shares[:20] == 1.0).all()
    assert (shares[20:40] == 0.0).all()
    assert (shares[80:] == 1.0).all()


def test_nothing_is_known_of_a_recording_that_begins_with_a_silence() -> None:
    assert (live_shares(range(50_000, 100_000, 20), 100_000) == 1.0).all()


def test_time_may_go_back_once_all_is_forgotten() -> None:
    dead_time = DeadTime()
    assert (live_shares(range(0, 100_000, 20), 100_000, dead_time) == 1.0).all()
    dead_time.clear()
    assert (live_shares(range(0, 100_000, 1_500), 100_000, dead_time) == 1.0).all()


def test_what_is_said_to_be_missing_is_dead_however_short_or_long() -> None:
    times = at_random(1e5, 2_000_000)
    spans = (range(502_000, 502_300), range(800_000, 1_300_000))
    events = batch_at(sorted(t for t in times if not any(t in span for span in spans)))
    dead_time = DeadTime()
    for start_us in range(0, 2_000_000, SLICE_US):
        between = events.between(start_us, start_us + SLICE_US)
        marked = dead_time.mark(EventWindow(start_us, SLICE_US, between, missing=spans))
        dead_us = sum(t in span for span in spans for t in range(start_us, start_us + SLICE_US))
        assert marked.live == pytest.approx(1 - dead_us / SLICE_US, abs=0.02)


def test_events_that_are_thinned_are_no_dead_time() -> None:
    """One of a hundred of 1e5 a second, from one slice to the next."""
    events = batch_at(sorted(at_random(1e5, 1_000_000)))
    thin = batch_at(sorted(at_random(1e3, 1_000_000)))
    dead_time = DeadTime()
    for start_us in range(0, 1_000_000, SLICE_US):
        is_thin = start_us >= 500_000
        between = (thin if is_thin else events).between(start_us, start_us + SLICE_US)
        part = EventWindow(start_us, SLICE_US, between, share=0.01 if is_thin else 1.0)
        assert dead_time.mark(part).live == 1.0
