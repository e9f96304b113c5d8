"""Training and evaluation of the random forest that gives the confidence in a fused speed.

Estimates of one scene, or of one disc, are similar, so they form a group that is trained on as a
whole or not at all. Forests are evaluated by cross-validation over groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evio_ros.errors import ParameterError
from evio_ros.evaluation.labelled_estimates import LabelledEstimates
from evio_ros.fusion.confidence_forest import INPUTS, ConfidenceForest, inputs_of
from evio_ros.fusion.rotor_bank import BankParameters, RotorBank
from evio_ros.fusion.rotor_model import FilterParameters

__all__ = [
    "Examples",
    "examples_of",
    "expected_calibration_error",
    "out_of_fold_probabilities",
    "train",
]

_Real = NDArray[np.float64]
_Places = NDArray[np.int64]
_TREES = 80
_LEAST_IN_LEAF = 12
_MOST_DEPTH = 7
_INPUTS_PER_NODE = 5
_MONOTONIC = {
    "detector_logit": 1,
    "log_relative_std": -1,
    "log_angle_std": -1,
    "log_estimates": 1,
    "gated": -1,
    "log_rotation_distance": -1,
    "log_hub_distance": -1,
    "log_hub_std": -1,
    "log_unrest": -1,
    "log_roughness": -1,
}
"""Inputs that can only increase (1) or only decrease (-1) the confidence: regularises a forest
trained on few scenes."""
_FOLDS = 5
_CALIBRATION_POINTS = 64
_CALIBRATION_LIMIT = 0.002
"""Calibrated probabilities are clipped to this distance from 0 and 1."""
_BINS = 10


@dataclass(frozen=True)
class Examples:
    """Estimates as inputs of the forest, and whether they were correct.

    Attributes:
        inputs: float64 (n, len(INPUTS)).
        right: bool (n,), whether the estimate was correct to 1 %.
        groups: str (n,), the group, which is trained on as a whole or not at all.
        detector: float64 (n,), the detector's own confidence.
        of_rotor: bool (n,), whether it is an estimate of a true rotor.
        weights: float64 (n,), inverse square root of the number of estimates of its recording.
    """

    inputs: _Real
    right: NDArray[np.bool_]
    groups: NDArray[np.str_]
    detector: _Real
    of_rotor: NDArray[np.bool_]
    weights: _Real

    def __len__(self) -> int:
        return len(self.right)

    def at(self, places: NDArray[np.int64] | NDArray[np.bool_]) -> Examples:
        """The examples at indices, or with a mask."""
        return Examples(
            self.inputs[places],
            self.right[places],
            self.groups[places],
            self.detector[places],
            self.of_rotor[places],
            self.weights[places],
        )


def examples_of(recordings: Sequence[LabelledEstimates]) -> Examples:
    """Run fusion over the estimates of every recording, and collect the forest's inputs.

    Estimates that fusion rejects, and those of rotors that hardly turn, are left out.

    Raises:
        ParameterError: if no estimate remains.
    """
    rows, right, groups, detector, of_rotor, weights = [], [], [], [], [], []
    for recording in recordings:
        found = list(_fused(recording))
        for row, verdict, confidence, is_there in found:
            rows.append(row)
            right.append(verdict)
            groups.append(recording.group)
            detector.append(confidence)
            of_rotor.append(is_there)
            weights.append(len(found) ** -0.5)
    if not rows:
        raise ParameterError("no estimates to train on: the detector has found no rotor")
    return Examples(
        np.array(rows),
        np.array(right),
        np.array(groups),
        np.array(detector),
        np.array(of_rotor),
        np.array(weights),
    )


def _fused(recording: LabelledEstimates) -> Iterator[tuple[_Real, bool, float, bool]]:
    """Inputs, verdict, the detector's confidence, and whether it is of a true rotor, of each."""
    bank = RotorBank(FilterParameters(), BankParameters())
    verdicts = recording.verdicts()
    for estimates, judged, truth_rpm in zip(
        recording.windows, verdicts, recording.truth_rpm, strict=True
    ):
        if not estimates:
            continue
        known = {
            one.id: (verdict, right == right)
            for one, verdict, right in zip(estimates, judged, truth_rpm, strict=True)
        }
        bank.update(estimates[0].t_us, estimates)
        for features in bank.measured():
            row, newest = inputs_of(features), features.newest
            if row is None or newest is None:
                continue
            verdict, is_there = known[newest.id]
            if verdict is not None:
                yield row, verdict, newest.confidence, is_there


def train(examples: Examples, seed: int = 0) -> ConfidenceForest:
    """Train a forest on all examples and calibrate it by cross-validation over groups.

    Args:
        examples: at least two groups, with correct and wrong estimates.
        seed: seed of all random numbers.

    Raises:
        ParameterError: if all examples are correct, all are wrong, or all belong to one group.
    """
    groups = len(set(examples.groups.tolist()))
    if groups < 2 or examples.right.all() or not examples.right.any():
        raise ParameterError(
            f"{len(examples)} estimates of {groups} groups, {examples.right.sum()} of them right: "
            "two groups are needed, with right and wrong estimates"
        )
    outputs = np.zeros(len(examples))
    for training, held_out in _folds(examples, seed):
        outputs[held_out] = _fitted(examples.at(training), seed).outputs(examples.inputs[held_out])
    forest = _fitted(examples, seed)
    calibration = _calibration(outputs, examples)
    return ConfidenceForest(
        forest.roots, forest.inputs, forest.thresholds, forest.children, forest.shares, calibration
    )


def out_of_fold_probabilities(examples: Examples, seed: int = 0) -> _Real:
    """Probabilities (n,) by forests neither trained nor calibrated on the example's group.

    Raises:
        ParameterError: as for `train`.
    """
    found = np.zeros(len(examples))
    for training, held_out in _folds(examples, seed):
        forest = train(examples.at(training), seed)
        found[held_out] = forest.probabilities(examples.inputs[held_out])
    return found


def expected_calibration_error(probability: _Real, right: NDArray[np.bool_]) -> float:
    """Expected calibration error over ten equal bins (Naeini, Cooper and Hauskrecht, AAAI 2015).

    Args:
        probability: float64 (n,), predicted probabilities, 0 to 1.
        right: bool (n,), whether the prediction was correct.
    """
    bins = np.minimum((probability * _BINS).astype(int), _BINS - 1)
    counts = np.bincount(bins, minlength=_BINS)
    sums = np.bincount(bins, probability - right, minlength=_BINS)
    return float(np.abs(sums).sum() / max(counts.sum(), 1))


def _folds(examples: Examples, seed: int) -> Iterator[tuple[_Places, _Places]]:
    from sklearn.model_selection import StratifiedGroupKFold

    number = min(_FOLDS, len(set(examples.groups.tolist())))
    folds = StratifiedGroupKFold(number, shuffle=True, random_state=seed)
    yield from folds.split(examples.inputs, examples.right, examples.groups)


def _fitted(examples: Examples, seed: int) -> ConfidenceForest:
    """A forest without calibration."""
    from sklearn.ensemble import RandomForestClassifier

    model = RandomForestClassifier(
        _TREES,
        max_depth=_MOST_DEPTH,
        min_samples_leaf=_LEAST_IN_LEAF,
        max_features=_INPUTS_PER_NODE,
        monotonic_cst=[_MONOTONIC.get(name, 0) for name in INPUTS],
        random_state=seed,
    )
    model.fit(examples.inputs.astype(np.float32), examples.right, examples.weights)
    return forest_of(model)


def forest_of(model: Any) -> ConfidenceForest:
    """Convert a fitted scikit-learn RandomForestClassifier of bool classes, without calibration."""
    # With a single class there is only one column.
    is_right = list(model.classes_).index(True) if True in model.classes_ else None
    roots, inputs, thresholds, children, shares = [], [], [], [], []
    first = 0
    for tree in (one.tree_ for one in model.estimators_):
        roots.append(first)
        is_leaf = tree.children_left < 0
        inputs.append(np.where(is_leaf, -1, tree.feature))
        thresholds.append(tree.threshold)
        pairs = np.stack((tree.children_left, tree.children_right), axis=1)
        children.append(np.where(is_leaf[:, None], 0, pairs + first))
        value = tree.value[:, 0, :]
        share = value / value.sum(axis=1, keepdims=True)
        shares.append(np.zeros(len(share)) if is_right is None else share[:, is_right])
        first += tree.node_count
    return ConfidenceForest(
        np.array(roots, np.int32),
        np.concatenate(inputs).astype(np.int16),
        np.concatenate(thresholds).astype(np.float64),
        np.concatenate(children).astype(np.int32),
        np.concatenate(shares).astype(np.float64),
        np.array(((0.0, 1.0), (0.0, 1.0))),
    )


def _calibration(outputs: _Real, examples: Examples) -> _Real:
    """Isotonic calibration: points (2, n) of output and probability."""
    from sklearn.isotonic import IsotonicRegression

    model = IsotonicRegression(out_of_bounds="clip")
    model.fit(outputs, examples.right.astype(float))
    points = np.unique(np.quantile(outputs, np.linspace(0, 1, _CALIBRATION_POINTS)))
    limit = _CALIBRATION_LIMIT
    return np.stack((points, np.clip(model.predict(points), limit, 1 - limit)))
