from __future__ import annotations

import math
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from evio_ros.errors import ParameterError
from evio_ros.rotation.detector_parameters import DetectorSettings, RotationDetectorParameters


def parameters_of(step_us: int) -> RotationDetectorParameters:
    """The shortest window that a step allows."""
    return RotationDetectorParameters(
        window_us=max(-(-5_000 // step_us), 1) * step_us, step_us=step_us
    )


@given(st.integers(1_000, 2_000_000))
@example(10_007)
@example(11_111)
@example(1_995_001)
def test_a_step_is_cut_into_as_few_slices_as_are_short_enough(step_us):
    lengths_us = parameters_of(step_us).slice_lengths_us
    assert sum(lengths_us) == step_us
    assert len(lengths_us) == math.ceil(step_us / 5_000)
    assert max(lengths_us) <= 5_000
    # All alike but for the last, which is shorter by what does not divide.
    assert len(set(lengths_us[:-1])) <= 1
    assert 0 <= lengths_us[0] - lengths_us[-1] < len(lengths_us)


@pytest.mark.parametrize(
    ("step_us", "slices"), [(1_000, 1), (5_000, 1), (10_000, 2), (20_000, 4), (50_000, 10)]
)
def test_slices_of_steps_that_they_divide_are_alike(step_us, slices):
    p = RotationDetectorParameters(window_us=100_000, step_us=step_us)
    assert p.slice_lengths_us == (step_us // slices,) * slices


@pytest.mark.parametrize(("window_us", "patience_us"), [(10_000, 150_000), (100_000, 300_000)])
def test_patience_is_counted_in_windows_but_not_in_tiny_ones(window_us, patience_us):
    p = RotationDetectorParameters(window_us=window_us, step_us=10_000, patience=3)
    assert p.patience_us == patience_us


def test_settings_have_the_names_of_the_node():
    file = Path(__file__).parents[3] / "config" / "evio.yaml"
    node = yaml.safe_load(file.read_text())["/**/rotation_detector"]["ros__parameters"]
    for name, description in DetectorSettings.describe().items():
        group, _, own_name = name.rpartition(".")
        assert (node[group] if group else node)[own_name] == description.default


def test_settings_are_changed_by_name():
    settings = DetectorSettings().replaced(
        {"patience": 3, "acquisition.minimum_hz": 1.0, "tracking.rings": 5}
    )
    assert settings.detector.patience == 3
    assert settings.acquisition.minimum_hz == 1.0
    assert settings.tracking.rings == 5
    assert settings.regions == DetectorSettings().regions
    again = settings.replaced({"window_us": 20_000, "step_us": 10_000})
    assert (again.window_us, again.step_us, again.tracking.rings) == (20_000, 10_000, 5)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"acquisition.minimum_h": 1.0}, "acquisition.minimum_h: no such parameter; did you mean"),
        (
            {"minimum_hz": 1.0},
            "minimum_hz: no such parameter; did you mean acquisition.",
        ),
        ({"acquisition.minimum_hz": -1.0}, "minimum_hz: -1.0 is below the minimum"),
    ],
)
def test_wrong_settings_are_refused(values, message):
    with pytest.raises(ParameterError) as refused:
        DetectorSettings().replaced(values)
    assert str(refused.value).startswith(message)
