from __future__ import annotations

import math

import numpy as np
import pytest
from rotor_events import SIZE, IdealRotor, events_of

from evio_ros.rotation.acquisition.spectrum import SpectrumFit, fit_line, line_power
from evio_ros.rotation.angle_time import angle_time_histogram, angular_harmonics
from evio_ros.rotation.tracking.blades import blade_angle, blade_count
from evio_ros.rotation.tracking.disc_map import DiscMap

LENGTH_US = 100_000
RINGS = 4


def harmonics_of(rotor: IdealRotor, bins: int = 400, seed: int = 0) -> np.ndarray:
    events = events_of([rotor], LENGTH_US, seed=seed)
    disc = DiscMap.of(rotor.ellipse, SIZE, RINGS, 0.15, 1.1)
    return angular_harmonics(angle_time_histogram(events, disc, 0, LENGTH_US, bins, 256), 24)


def rings_of(fit: SpectrumFit) -> np.ndarray:
    """Pattern by ring and polarity."""
    return fit.pattern.reshape(2, RINGS, -1).transpose(1, 0, 2)


@pytest.mark.parametrize("frequency_hz", [19.1667, -19.1667, 100.0])
@pytest.mark.parametrize("blades", [2, 3, 5])
def test_fit_finds_signed_frequency_and_blades(frequency_hz, blades):
    rotor = IdealRotor(frequency_hz, blades)
    fit = fit_line(harmonics_of(rotor), LENGTH_US * 1e-6, frequency_hz * 1.004)
    assert fit.frequency_hz == pytest.approx(frequency_hz, rel=1e-4)
    assert blade_count(rings_of(fit), 10) == blades


def test_power_is_greatest_on_the_line_and_noise_like_off_it():
    rotor = IdealRotor(30.0, event_rate_hz=3e5)
    harmonics = harmonics_of(rotor)
    frequencies = np.array([-30.0, 22.0, 30.0, 41.0])
    power = line_power(harmonics, LENGTH_US * 1e-6, frequencies)
    assert power.argmax() == 2
    assert power[2] > 20 * np.delete(power, 2).max()


def harmonics_at_random(bins: int, orders: int) -> np.ndarray:
    random = np.random.default_rng(5)
    values = random.normal(size=(2, 4, bins, orders + 1)).view()
    harmonics = (values[0] + 1j * values[1]).astype(np.complex64)
    harmonics[:, :, 0] = random.poisson(20.0, (4, bins))
    return harmonics


@pytest.mark.parametrize(("bins", "orders"), [(16, 1), (37, 5), (200, 24)])
def test_line_power_is_that_of_its_definition(bins, orders):
    harmonics, length_s = harmonics_at_random(bins, orders), 0.08
    frequencies = np.array([-40.0, 0.0, 13.3, 250.0])
    time_s = (np.arange(bins) + 0.5) * length_s / bins
    k = np.arange(1, orders + 1)
    turns = frequencies[:, None, None] * time_s[:, None] * k
    derotated = harmonics[None, :, :, 1:] * np.exp(2j * np.pi * turns)[:, None]
    expected = (np.abs(derotated.sum(axis=2)) ** 2).sum(axis=(1, 2))
    expected /= harmonics[:, :, 0].real.sum() * orders
    assert line_power(harmonics, length_s, frequencies) == pytest.approx(expected, rel=1e-4)


def test_the_pattern_of_a_fit_is_the_sum_of_derotated_harmonics():
    rotor = IdealRotor(20.0, rate=30.0)
    harmonics = harmonics_of(rotor)
    fit = fit_line(harmonics, LENGTH_US * 1e-6, 21.4)
    bins = harmonics.shape[1]
    time_s = ((np.arange(bins) + 0.5) / bins - 0.5) * LENGTH_US * 1e-6
    turns = fit.frequency_hz * time_s + 0.5 * fit.frequency_rate * time_s**2
    k = np.arange(harmonics.shape[2])
    expected = (harmonics * np.exp(2j * np.pi * turns[:, None] * k)).sum(axis=1)
    assert np.allclose(fit.pattern, expected, atol=1e-3 * np.abs(expected).max())
    power = (np.abs(expected[:, 1:]) ** 2).sum()
    noise = expected[:, 0].real.sum() * (len(k) - 1)
    assert fit.signal_to_noise == pytest.approx(power / noise, rel=1e-4)


def test_standard_deviation_tells_the_size_of_the_errors():
    rotor = IdealRotor(25.0, event_rate_hz=1e5)
    fits = [fit_line(harmonics_of(rotor, seed=seed), LENGTH_US * 1e-6, 25.0) for seed in range(30)]
    scaled = [(fit.frequency_hz - 25.0) / fit.frequency_std_hz for fit in fits]
    assert 0.5 < np.sqrt(np.mean(np.square(scaled))) < 1.5


def test_mean_speed_of_a_ramp_is_that_of_the_windows_middle():
    rotor = IdealRotor(20.0, rate=30.0)
    fit = fit_line(harmonics_of(rotor), LENGTH_US * 1e-6, 21.4)
    assert 60 * fit.frequency_hz == pytest.approx(rotor.mean_rpm(0, LENGTH_US), rel=2e-4)
    assert fit.frequency_rate == pytest.approx(30.0, rel=0.1)


def test_blade_angle_is_the_middle_of_a_dark_blade():
    rotor = IdealRotor(25.0, blades=3)
    fit = fit_line(harmonics_of(rotor), LENGTH_US * 1e-6, 25.0)
    angle = blade_angle(rings_of(fit).sum(axis=0), 3)
    error = (angle - rotor.angle(LENGTH_US / 2)) * 3
    assert math.cos(error) == pytest.approx(1.0, abs=1e-3)


def test_a_single_mark_has_one_blade_and_nothing_has_none():
    fit = fit_line(harmonics_of(IdealRotor(25.0, blades=1, duty=0.05)), LENGTH_US * 1e-6, 25.0)
    assert blade_count(rings_of(fit), 10) == 1
    assert blade_count(np.zeros((RINGS, 2, 25), complex), 10) == 0
