from __future__ import annotations

import math

import pytest
from rotor_events import events_of

from evio_ros.ellipse import Ellipse
from evio_ros.errors import ParameterError
from evio_ros.estimate import RotorEstimate
from evio_ros.events import EventBatch, SensorSize
from evio_ros.rotation.classical.detector import (
    ClassicalDetector,
    ClassicalDetectorParameters,
    region_box,
)
from evio_ros.rotation.classical.registry import CLASSICAL_METHODS
from evio_ros.simulation.camera import SensorParameters
from evio_ros.simulation.scene import BladePattern, Path, Rotor, Scene
from evio_ros.simulation.simulator import simulate
from evio_ros.simulation.speed import SpeedProfile
from evio_ros.windowing import windows

pytest.importorskip("cv2")

DISCS = (Ellipse((40.6, 45.3), (28.0, 28.0), 0.0), Ellipse((130.2, 50.7), (32.0, 20.0), 0.2))
SPEEDS = (1500.0, -2400.0)


@pytest.fixture(scope="module")
def two_fans() -> EventBatch:
    pattern = BladePattern(3, half_width_rad=0.25, differences=0.02)
    rotors = tuple(
        Rotor(Path.fixed(disc), SpeedProfile.constant(rpm), pattern)
        for disc, rpm in zip(DISCS, SPEEDS, strict=True)
    )
    camera = SensorParameters(width=180, height=100, noise_hz=1.0, hot_pixels=2)
    parts = list(simulate(Scene("two fans", rotors), camera, 450_000))
    return EventBatch.concatenate(camera.size, parts)


def detect(
    events: EventBatch, parameters: ClassicalDetectorParameters
) -> list[list[RotorEstimate]]:
    detector = ClassicalDetector(events.size, parameters)
    steps = windows([events], events.size, parameters.step_us, 0, 450_000)
    return [detector.process(step) for step in steps]


@pytest.mark.parametrize("method", CLASSICAL_METHODS)
def test_two_fans_are_found_and_keep_their_numbers(two_fans, method):
    results = detect(two_fans, ClassicalDetectorParameters(method=method, blades=3))
    assert results[0] == []
    for result in results[1:]:
        assert len(result) == 2
        for estimate in result:
            which = estimate.center[0] > 90
            assert math.dist(estimate.center, DISCS[which].center) < 3
            # Without the sense of rotation.
            assert estimate.rpm == pytest.approx(abs(SPEEDS[which]), rel=3e-3)
            assert estimate.blade_count == 3
    assert len({estimate.id for result in results for estimate in result}) == 2


def test_unknown_blades_give_blade_passes(two_fans):
    (first, *_), *_ = detect(two_fans, ClassicalDetectorParameters(method="welch"))[1:]
    assert first.rpm / 3 == pytest.approx(abs(SPEEDS[first.center[0] > 90]), rel=3e-3)
    assert first.blade_count == 0


def test_smoothing_makes_speeds_steadier(two_fans):
    def wobble(smoothing_windows: int) -> float:
        parameters = ClassicalDetectorParameters(
            method="period_filter", blades=3, step_us=25_000, smoothing_windows=smoothing_windows
        )
        results = detect(two_fans, parameters)[8:]
        rpm = [e.rpm for result in results for e in result if e.center[0] > 90]
        return max(rpm) - min(rpm)

    assert wobble(5) < wobble(1)


def test_noise_is_no_rotor():
    events = events_of([], 450_000, noise_hz=2e5)
    assert not any(detect(events, ClassicalDetectorParameters()))


def test_a_gap_starts_afresh(two_fans):
    parameters = ClassicalDetectorParameters(blades=3)
    detector = ClassicalDetector(two_fans.size, parameters)
    steps = list(windows([two_fans], two_fans.size, parameters.step_us, 0, 450_000))
    detector.process(steps[0])
    assert detector.process(steps[1])
    assert detector.process(steps[4]) == []
    assert detector.process(steps[5])


@pytest.mark.parametrize(
    "values",
    [{"method": "fourier"}, {"smoothing_windows": 4}, {"window_us": 70_000}, {"blades": -1}],
)
def test_impossible_parameters_are_refused(values):
    with pytest.raises(ParameterError):
        ClassicalDetectorParameters.from_mapping(values)


def test_a_box_ends_with_the_sensor():
    box = region_box(Ellipse((2.0, 95.0), (10.0, 10.0), 0.0), SensorSize(180, 100))
    assert (box.x0, box.y0, box.x1, box.y1) == (0, 85, 13, 100)
    outside = region_box(Ellipse((-50.0, 300.0), (10.0, 10.0), 0.0), SensorSize(180, 100))
    assert (outside.x0, outside.y0, outside.x1, outside.y1) == (0, 99, 1, 100)
