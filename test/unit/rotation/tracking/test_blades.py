"""Patterns of blades are made by hand: events at their edges, on every ring."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from evio_ros.rotation.tracking.blades import blade_angle, blade_count

RINGS, ORDERS, EVENTS, EDGE_STD_RAD = 4, 24, 1000, 0.02
MAXIMUM = 12


def pattern_of(angles: list[list[NDArray[np.float64]]]) -> NDArray[np.complex128]:
    """Harmonics of the angles of events on each ring, OFF and ON."""
    orders = np.arange(ORDERS + 1)
    return np.array(
        [[np.exp(-1j * np.outer(orders, part)).sum(axis=1) for part in ring] for ring in angles]
    )


def fan(
    blades: int, seed: int, sweep_rad: float = 0.0, taper: float = 0.0, unequal: float = 0.0
) -> NDArray[np.complex128]:
    """A fan's pattern.

    Args:
        blades: their number.
        seed: of the events and of the blades' errors.
        sweep_rad: by how much each ring lies further round than the one inside.
        taper: by what share the outermost blades are narrower.
        unequal: standard deviation of the places of edges, in pitches.
    """
    rng = np.random.default_rng(seed)
    pitch = 2 * np.pi / blades
    errors = unequal * pitch * rng.normal(size=(2, blades))
    rings = []
    for ring in range(RINGS):
        half = 0.22 * pitch * (1 - taper * ring / (RINGS - 1))
        middles = np.arange(blades) * pitch + sweep_rad * ring
        edges = middles - half + errors[0], middles + half + errors[1]
        rings.append([at_places(edge, rng) for edge in edges])
    return pattern_of(rings)


def at_places(places: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Angles of events spread over some edges."""
    return rng.choice(places, EVENTS) + rng.normal(0.0, EDGE_STD_RAD, EVENTS)


def texture(seed: int, patches: int) -> NDArray[np.complex128]:
    """Every ring has edges of its own, at random."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(0.0, 2 * np.pi, (RINGS, 2, patches))
    return pattern_of([[at_places(part, rng) for part in ring] for ring in places])


@pytest.mark.parametrize("blades", range(2, MAXIMUM + 1))
@pytest.mark.parametrize("sweep_rad", [0.0, 0.3, -0.5])
@pytest.mark.parametrize("taper", [0.0, 0.6])
def test_swept_and_tapered_blades_are_counted(blades: int, sweep_rad: float, taper: float) -> None:
    counted = [blade_count(fan(blades, seed, sweep_rad, taper), MAXIMUM) for seed in range(5)]
    assert counted == [blades] * 5


@pytest.mark.parametrize("blades", range(2, MAXIMUM + 1))
@pytest.mark.parametrize("sweep_rad", [0.0, 0.4])
def test_blades_that_are_not_equal_are_counted(blades: int, sweep_rad: float) -> None:
    counted = [blade_count(fan(blades, seed, sweep_rad, 0.5, 0.01), MAXIMUM) for seed in range(10)]
    assert counted == [blades] * 10


@pytest.mark.parametrize("patches", [3, 8, 15, 40])
def test_what_differs_from_ring_to_ring_is_a_texture(patches: int) -> None:
    assert [blade_count(texture(seed, patches), MAXIMUM) for seed in range(20)] == [0] * 20


def test_rings_with_different_numbers_of_blades_are_a_texture() -> None:
    rng = np.random.default_rng(0)
    rings = [[at_places(np.arange(n) * 2 * np.pi / n, rng)] * 2 for n in (3, 5, 7, 4)]
    assert blade_count(pattern_of(rings), MAXIMUM) == 0


def test_a_ring_of_a_few_noise_events_does_not_hide_blades() -> None:
    rng = np.random.default_rng(1)
    pattern = fan(5, 1, sweep_rad=0.3)
    pattern[3] = pattern_of([[rng.uniform(0.0, 2 * np.pi, 25) for _ in range(2)]])[0]
    assert blade_count(pattern, MAXIMUM) == 5


@pytest.mark.parametrize("sweep_rad", [0.0, 0.3])
def test_one_mark_across_all_rings_is_one(sweep_rad: float) -> None:
    assert blade_count(fan(1, 2, sweep_rad), MAXIMUM) == 1


def test_nothing_has_no_blades() -> None:
    assert blade_count(np.zeros((RINGS, 2, ORDERS + 1), complex), MAXIMUM) == 0


@pytest.mark.parametrize("blades", [2, 5, 12])
def test_the_angle_of_a_blade_is_that_of_its_middle(blades: int) -> None:
    """ON events lie at the trailing edge, which comes first."""
    pitch = 2 * np.pi / blades
    pattern = fan(blades, 3)[0]
    away = (blade_angle(pattern, blades) + pitch / 2) % pitch - pitch / 2
    assert away == pytest.approx(0.0, abs=0.005)
