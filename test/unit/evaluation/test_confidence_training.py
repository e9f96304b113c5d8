"""Training and judging confidence on estimates that are right or wrong by construction."""

import math
from dataclasses import replace

import numpy as np
import pytest
from rotor_estimates import FAN

from evio_ros.errors import ParameterError, SourceError
from evio_ros.evaluation.confidence_training import (
    examples_of,
    expected_calibration_error,
    out_of_fold_probabilities,
    train,
)
from evio_ros.evaluation.labelled_estimates import (
    LabelledEstimates,
    measure_labelled,
    read_labelled,
    write_labelled,
)
from evio_ros.evaluation.training_scenes import degraded, training_scene
from evio_ros.events import EventBatch
from evio_ros.simulation.simulator import simulate
from evio_ros.simulation.truth import Truth

FIRST = replace(FAN, id=1, t_us=50_000, window_us=50_000, rpm=1200.0, center=(80.0, 70.0))


def recording(number, is_right):
    """Ten windows of a rotor at 1200 rpm; estimates that are wrong say that they are unsure."""
    random = np.random.default_rng(number)
    windows = []
    for window in range(10):
        t_us = 50_000 * (window + 1)
        error = 0.0 if is_right else 0.05
        windows.append(
            [
                replace(
                    FIRST,
                    t_us=t_us,
                    rpm=1200.0 * (1 + error) + random.normal(),
                    rpm_std=float(random.uniform(0.5, 2.0)) * (1.0 if is_right else 20.0),
                    angle_rad=2 * math.pi * ((1 + error) * window % 1.0),
                    turns=(1 + error) * window,
                    confidence=float(random.uniform(0.5, 0.9)),
                )
            ]
        )
    return LabelledEstimates(f"r{number}", f"scene_{number}", windows, [[1200.0]] * 10)


RECORDINGS = [recording(number, number % 3 > 0) for number in range(18)]


def test_examples_know_what_was_right():
    examples = examples_of(RECORDINGS)
    of_right = [number % 3 > 0 for number in range(18)]
    for number, is_right in enumerate(of_right):
        mine = examples.groups == f"scene_{number}"
        assert mine.any()
        assert set(examples.right[mine].tolist()) == {is_right}


def test_a_forest_tells_right_from_wrong_on_scenes_it_has_not_seen():
    examples = examples_of(RECORDINGS)
    apart = out_of_fold_probabilities(examples)
    assert apart[examples.right].min() > apart[~examples.right].max()
    assert expected_calibration_error(apart, examples.right) < 0.1
    forest = train(examples)
    assert forest.probabilities(examples.inputs).max() < 1.0


def test_calibration_error_by_hand():
    right = np.array([True, True, True, False, False, False, False, True])
    told = np.array([0.95, 0.95, 0.95, 0.95, 0.15, 0.15, 0.15, 0.15])
    # 0.75 of the upper four are right, 0.25 of the lower: 0.2 and 0.1 off.
    assert expected_calibration_error(told, right) == pytest.approx(0.15)


def test_one_group_or_one_verdict_is_too_little():
    with pytest.raises(ParameterError, match="two groups"):
        train(examples_of(RECORDINGS[:1]))
    with pytest.raises(ParameterError, match="two groups"):
        train(examples_of(RECORDINGS[1:3]))
    with pytest.raises(ParameterError, match="no estimates"):
        examples_of([LabelledEstimates("empty", "empty", [[]], [[]])])


def test_verdicts_of_slow_rotors_and_of_no_rotor():
    estimates = [replace(FIRST, rpm=rpm) for rpm in (1200.0, 1211.0, 1213.0, 20.0, 1200.0)]
    truth_rpm = [1200.0, 1200.0, 1200.0, 30.0, math.nan]
    one = LabelledEstimates("r", "g", [estimates], [truth_rpm])
    assert one.verdicts() == [[True, True, False, None, False]]


def test_labelled_estimates_are_kept_in_a_file(tmp_path):
    write_labelled(tmp_path / "kept.jsonl", RECORDINGS[:2])
    assert read_labelled(tmp_path / "kept.jsonl") == RECORDINGS[:2]


def test_a_simulated_fan_is_labelled_by_its_truth():
    chosen = training_scene(6)
    batches = list(simulate(chosen.scene, chosen.camera, 500_000))
    events = EventBatch.concatenate(chosen.camera.size, batches)
    truth = Truth.of(chosen.scene, 500_000)
    found = measure_labelled(events, truth, 100_000, "six")
    assert found.group == chosen.scene.name
    told = [
        (estimate.rpm, right)
        for window, rpm in zip(found.windows, found.truth_rpm, strict=True)
        for estimate, right in zip(window, rpm, strict=True)
    ]
    assert told
    assert all(rpm == pytest.approx(right, rel=0.02) for rpm, right in told)


def test_training_scenes_are_the_same_for_the_same_seed():
    assert training_scene(3) == training_scene(3) != training_scene(4)


def test_harder_recordings_have_fewer_of_their_own_events_in_order():
    random = np.random.default_rng(0)
    t = np.sort(random.integers(0, 1_000_000, 20_000))
    chosen = training_scene(1).camera.size
    events = EventBatch(
        chosen,
        t,
        random.integers(0, 30, len(t)).astype(np.uint16),
        random.integers(0, 30, len(t)).astype(np.uint16),
        t % 2 == 0,
    )
    made = degraded(events, 5)
    assert (np.diff(made.t) >= 0).all()
    own = (made.x < 30) & (made.y < 30)
    assert own.sum() < 0.6 * len(events)
    assert np.array_equal(degraded(events, 5).t, made.t)
    assert len(degraded(EventBatch.empty(chosen), 5)) == 0


@pytest.mark.parametrize("data", [bytes(range(256)) * 1000, b"{}\n", b"[]\n"])
def test_a_file_without_labelled_estimates_is_refused_in_a_short_line(tmp_path, data):
    path = tmp_path / "kept.jsonl"
    path.write_bytes(data)
    with pytest.raises(SourceError, match="holds no labelled estimates: ") as refused:
        read_labelled(path)
    assert len(str(refused.value)) < len(str(path)) + 200
