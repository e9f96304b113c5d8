"""The plot, with estimates made by hand; the text of an SVG can be read."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rotor_estimates import FAN

from evio_ros.cli.measurement_plot import open_plot
from evio_ros.cli.measurement_summary import MeasurementSummary
from evio_ros.estimate import Measurement
from evio_ros.events import EventBatch, EventWindow, SensorSize

SIZE = SensorSize(64, 48)


@pytest.mark.parametrize(("unsure", "told"), [(4, "median 1010.00 rpm"), (7, "median 0.00 rpm")])
def test_the_speed_that_is_told_is_of_what_is_more_likely_right_than_wrong(unsure, told, tmp_path):
    summary = MeasurementSummary(SIZE, keep_picture=True)
    speeds = [1000.0, 1010.0, 1020.0][: 7 - unsure] + [0.0] * unsure
    for number, rpm in enumerate(speeds):
        confidence = 0.9 if rpm else 0.1
        end_us = 100_000 * (number + 1)
        rotor = replace(FAN, rpm=rpm, confidence=confidence, center=(30.0, 20.0), t_us=end_us)
        step = EventWindow(end_us - 100_000, 100_000, EventBatch.concatenate(SIZE, []))
        summary.add(Measurement(end_us, 100_000, step, [rotor]))
    with open_plot(tmp_path / "a.svg") as draw:
        draw(summary, "fan")
    assert told in (tmp_path / "a.svg").read_text()
