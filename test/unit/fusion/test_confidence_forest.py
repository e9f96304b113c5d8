"""The forest in plain arrays: it gives what scikit-learn gives, and files cannot do harm."""

import math
from dataclasses import replace

import numpy as np
import pytest
from rotor_estimates import FAN
from sklearn.ensemble import RandomForestClassifier

from evio_ros.errors import SourceError
from evio_ros.evaluation.confidence_training import forest_of
from evio_ros.fusion.confidence import RotorFeatures, fading_confidence
from evio_ros.fusion.confidence_forest import INPUTS, ConfidenceForest, inputs_of

ESTIMATE = replace(
    FAN,
    events=6000,
    rpm=-1200.0,
    rpm_std=0.12,
    axes=(40.0, 20.0),
    velocity=(3.0, 4.0),
    center_std=(0.3, 0.4),
)
FEATURES = RotorFeatures(
    detector_confidence=0.99,
    age_s=0.0,
    rpm=-1200.0,
    rpm_std=0.12,
    estimates=10,
    gated=0.1,
    rotation_distance=1.0,
    hub_distance=0.1,
    rate_walk=0.01,
    newest=ESTIMATE,
    unrest=0.001,
    roughness=0.0001,
)


@pytest.fixture(scope="module")
def taught():
    """A forest of scikit-learn on random inputs, some of them equal, and its inputs."""
    random = np.random.default_rng(2)
    rows = np.round(random.normal(size=(600, len(INPUTS))), 1).astype(np.float32)
    right = rows[:, 0] + 0.5 * rows[:, 3] + 0.3 * random.normal(size=600) > 0.2
    model = RandomForestClassifier(25, max_depth=6, min_samples_leaf=3, random_state=1)
    return model.fit(rows, right), rows


def test_outputs_are_those_of_scikit_learn(taught):
    model, rows = taught
    found = forest_of(model).outputs(rows.astype(np.float64))
    assert found == pytest.approx(model.predict_proba(rows)[:, 1], abs=1e-12)


def test_a_file_gives_the_same_forest_without_running_code(taught, tmp_path):
    model, rows = taught
    calibration = np.array(((0.0, 0.4, 1.0), (0.1, 0.2, 0.9)))
    forest = replace(forest_of(model), calibration=calibration)
    forest.write(tmp_path / "forest.npz")
    again = ConfidenceForest.read(tmp_path / "forest.npz")
    told = again.probabilities(rows.astype(np.float64))
    assert told == pytest.approx(forest.probabilities(rows.astype(np.float64)), abs=0)
    # By hand: half way from 0 to 0.4 is half way from 0.1 to 0.2.
    assert np.interp(0.2, *again.calibration) == pytest.approx(0.15)
    assert told.min() >= 0.1
    assert told.max() <= 0.9


def test_inputs_are_those_that_the_names_say():
    row = dict(zip(INPUTS, inputs_of(FEATURES), strict=True))
    assert row["detector_logit"] == pytest.approx(math.log10(99.0))
    assert row["log_relative_std"] == pytest.approx(-4.0)
    assert row["log_turns_in_window"] == pytest.approx(math.log10(2.0))
    assert row["log_events_per_blade"] == pytest.approx(3.0)  # 6000 events, 2 turns, 3 blades
    assert row["log_events_per_px"] == pytest.approx(math.log10(3000 / (800 * math.pi)))
    assert row["axis_ratio"] == pytest.approx(0.5)
    assert row["hub_speed"] == pytest.approx(5 / 40)
    assert row["log_hub_std"] == pytest.approx(math.log10(0.5 / 40))
    assert row["blade_count"] == 3.0


@pytest.mark.parametrize(
    "changes",
    [
        {"center_std": (math.inf, math.inf), "angle_std_rad": math.inf},
        {"rpm": 0.0, "rpm_std": 0.0, "events": 0},
        {"axes": (0.0, 0.0), "blade_count": 0, "confidence": 0.0},
        {"rpm": 1e7, "rpm_std": 1e7, "window_us": 0},
    ],
)
def test_inputs_are_finite_whatever_an_estimate_says(changes):
    strange = replace(ESTIMATE, **changes)
    features = FEATURES._replace(newest=strange, detector_confidence=strange.confidence)
    assert np.isfinite(inputs_of(features)).all()


def test_the_forest_of_the_package_is_sure_of_a_good_rotor_and_not_of_a_poor_one():
    forest = ConfidenceForest.read()
    poor_estimate = replace(
        ESTIMATE, rpm_std=30.0, angle_std_rad=0.4, confidence=0.2, center_std=(8.0, 8.0)
    )
    poor = FEATURES._replace(
        newest=poor_estimate, detector_confidence=0.2, estimates=1, unrest=0.1, roughness=0.1
    )
    # A detector that knows a speed to 1e-4 is surer than 0.99 that it is right to 1e-2.
    assert forest(FEATURES._replace(gated=0.0, detector_confidence=0.9999)) > 0.95
    assert forest(poor) < 0.5


def test_confidence_fades_while_nothing_is_seen():
    forest = ConfidenceForest.read()
    told = [forest(FEATURES._replace(age_s=age)) for age in (0.0, 0.1, 0.5, 2.0)]
    assert told == sorted(told, reverse=True)
    assert told[-1] < 0.1
    alone = FEATURES._replace(newest=None)
    assert forest(alone) == fading_confidence(alone)


def rewritten(tmp_path, **changes):
    """The package's forest with some arrays changed."""
    forest = replace(ConfidenceForest.read(), **changes)
    forest.write(tmp_path / "forest.npz")
    return tmp_path / "forest.npz"


def test_files_that_are_no_forest_are_refused(tmp_path):
    forest = ConfidenceForest.read()
    with pytest.raises(SourceError, match="No such file"):
        ConfidenceForest.read(tmp_path / "missing.npz")
    (tmp_path / "text.npz").write_text("no forest")
    with pytest.raises(SourceError, match="is not a confidence forest"):
        ConfidenceForest.read(tmp_path / "text.npz")
    np.savez(tmp_path / "code.npz", input_names=np.array([{"a": 1}], dtype=object))
    with pytest.raises(SourceError, match="is not a confidence forest"):
        ConfidenceForest.read(tmp_path / "code.npz")
    loop = forest.children.copy()
    loop[0] = (0, 0)
    beyond = forest.inputs.copy()
    beyond[0] = len(INPUTS)
    for changes in (
        {"children": loop},
        {"inputs": beyond},
        {"roots": forest.roots + len(forest.inputs)},
        {"thresholds": forest.thresholds[:-1]},
        {"shares": np.full_like(forest.shares, np.nan)},
        {"calibration": forest.calibration[0]},
    ):
        with pytest.raises(SourceError, match="not a forest; train a new one"):
            ConfidenceForest.read(rewritten(tmp_path, **changes))


def test_a_forest_for_other_inputs_is_refused(tmp_path):
    forest = ConfidenceForest.read()
    names = {name: getattr(forest, name) for name in ConfidenceForest.__dataclass_fields__}
    np.savez(tmp_path / "other.npz", input_names=np.array(["size", "colour"]), **names)
    with pytest.raises(SourceError, match="other inputs"):
        ConfidenceForest.read(tmp_path / "other.npz")
