"""Confidence in a fused speed: a calibrated random forest in plain arrays.

The forest (Breiman, Random Forests, Machine Learning 2001) is trained by `evio train-confidence`
with scikit-learn, which is not needed to use it: its trees are kept as arrays, without code, and
walked by a compiled loop that gives what scikit-learn gives. Its output, the mean of the trees'
shares, is calibrated to a probability by isotonic regression (Zadrozny and Elkan, KDD 2002), a
table of points. docs/confidence.md describes its training data and its quality.
"""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numba import njit
from numpy.typing import NDArray

from evio_ros.atomic_file import atomic_path
from evio_ros.errors import SourceError, reason_of
from evio_ros.fusion.confidence import RotorFeatures, fading_confidence
from evio_ros.parameters import Parameters, parameter

__all__ = ["INPUTS", "ConfidenceForest", "ConfidenceParameters", "confidence_of", "inputs_of"]

_Real = NDArray[np.float64]
INPUTS = (
    "detector_logit",
    "log_relative_std",
    "log_angle_std",
    "log_estimates",
    "gated",
    "log_rotation_distance",
    "log_hub_distance",
    "log_rate_walk",
    "log_events_per_blade",
    "log_events_per_px",
    "blade_count",
    "log_axis_minor",
    "axis_ratio",
    "log_turns_in_window",
    "log_hub_std",
    "hub_speed",
    "log_unrest",
    "log_roughness",
)
"""Inputs of the forest, in order; `inputs_of` computes them."""
_MODEL = Path(__file__).with_name("confidence_forest.npz")
_LEAST = 1e-9
"""Values are limited to between this and its inverse before their logarithm is taken; an infinite
standard deviation means unknown."""
_LOGIT_MARGIN = 1e-6


@dataclass(frozen=True)
class ConfidenceParameters(Parameters):
    """How the confidence in a speed is computed."""

    method: str = parameter(
        "forest",
        choices=("forest", "detector"),
        doc="Where the confidence comes from: forest, a random forest over what the detector and "
        "the filter know, or detector, the detector itself. Either decays while a rotor is "
        "not seen.",
        read_only=True,
    )
    file: str = parameter(
        "",
        doc="Random forest written by `evio train-confidence`; empty for the one in the package.",
        read_only=True,
    )


def inputs_of(features: RotorFeatures) -> _Real | None:
    """The forest's inputs, float64 (len(INPUTS),); None if there is no newest estimate.

    Logarithms are to base 10. Events are counted per blade pass, and per turn and pixel of the
    disc. The hub's standard deviation and speed are relative to the longer semi-axis.
    """
    one = features.newest
    if one is None:
        return None
    values = (
        features.detector_confidence,
        one.rpm,
        one.rpm_std,
        one.angle_std_rad,
        features.estimates,
        features.gated,
        features.rotation_distance,
        features.hub_distance,
        features.rate_walk,
        one.events,
        1e-6 * one.window_us,
        one.blade_count,
        *one.axes,
        *one.center_std,
        *one.velocity,
        features.unrest,
        features.roughness,
    )
    row: _Real = _inputs(tuple(map(float, values)))
    return row


@dataclass(frozen=True)
class ConfidenceForest:
    """A calibrated forest; called with a state's features, it returns the state's confidence.

    Attributes:
        roots: (trees,) int32, first node of each tree.
        inputs: (nodes,) int16, index of the input that a node compares; -1 for a leaf.
        thresholds: (nodes,) float64; values up to it go to the left child.
        children: (nodes, 2) int32, left and right child.
        shares: (nodes,) float64, share of right estimates in a node.
        calibration: (2, points) float64: increasing outputs of the forest, and their probabilities.
    """

    roots: NDArray[np.int32]
    inputs: NDArray[np.int16]
    thresholds: _Real
    children: NDArray[np.int32]
    shares: _Real
    calibration: _Real

    @classmethod
    def read(cls, path: str | os.PathLike[str] = _MODEL) -> ConfidenceForest:
        """Read a forest; without a path, the one in the package.

        Raises:
            SourceError: if the file is missing, or is not a forest with these inputs.
        """
        try:
            with np.load(path, allow_pickle=False) as content:
                names = tuple(str(name) for name in content["input_names"])
                arrays = {field.name: content[field.name] for field in fields(cls)}
        except OSError as error:
            raise SourceError(path, f"cannot be read: {reason_of(error)}") from None
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise SourceError(path, f"is not a confidence forest: {error}") from None
        forest = cls(**arrays)
        fault = _fault_of(forest) if names == INPUTS else "it is for other inputs"
        if fault:
            raise SourceError(path, f"{fault}; train a new one: evio train-confidence")
        return forest

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write a file that `read` reads.

        Raises:
            SourceError: where it cannot be written.
        """
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        with atomic_path(path) as name, open(name, "wb") as file:
            np.savez_compressed(file, input_names=np.array(INPUTS), **arrays)

    def outputs(self, rows: _Real) -> _Real:
        """Uncalibrated output: mean of the trees' shares, (n,), for inputs (n, len(INPUTS))."""
        trees = self.roots, self.inputs, self.thresholds, self.children, self.shares
        return _walk(np.ascontiguousarray(rows, np.float32), *trees)

    def probabilities(self, rows: _Real) -> _Real:
        """Probability of being right to 1 %, (n,), for inputs (n, len(INPUTS))."""
        return np.interp(self.outputs(rows), *self.calibration)

    def __call__(self, features: RotorFeatures) -> float:
        """Probability that a speed is right to 1 %; it decays as in `fading_confidence`."""
        row = inputs_of(features)
        if row is None:
            return fading_confidence(features)
        sure = float(self.probabilities(row[None])[0])
        return fading_confidence(features._replace(detector_confidence=sure))


def confidence_of(parameters: ConfidenceParameters) -> Callable[[RotorFeatures], float]:
    """The confidence function that the parameters select.

    Raises:
        SourceError: if the forest's file cannot be used.
    """
    if parameters.method == "detector":
        return fading_confidence
    return ConfidenceForest.read(parameters.file or _MODEL)


def _fault_of(forest: ConfidenceForest) -> str:
    """Why the arrays are not a valid forest; empty if they are."""
    nodes = len(forest.inputs)
    inner = forest.inputs >= 0
    children = forest.children[inner] if forest.children.shape == (nodes, 2) else np.empty(0)
    places = np.flatnonzero(inner)[:, None]
    is_forest = (
        forest.inputs.ndim == 1
        and forest.thresholds.shape == forest.shares.shape == (nodes,)
        and forest.children.shape == (nodes, 2)
        and len(forest.roots) > 0
        and bool(((forest.roots >= 0) & (forest.roots < nodes)).all())
        and bool((forest.inputs < len(INPUTS)).all())
        # Children come after their parents, so that every walk ends.
        and bool(((children > places) & (children < nodes)).all())
        and forest.calibration.ndim == 2
        and len(forest.calibration) == 2
        and bool(np.isfinite(forest.calibration).all() and np.isfinite(forest.shares).all())
    )
    return "" if is_forest else "its arrays are not a forest"


@njit(cache=True, nogil=True)
def _inputs(values):
    """The result of `inputs_of`, from the values in the order in which it lists them."""
    confidence, rpm, rpm_std, angle_std, estimates, gated = values[:6]
    rotation_distance, hub_distance, rate_walk, events, window_s, blades = values[6:12]
    sure = min(max(confidence, _LOGIT_MARGIN), 1.0 - _LOGIT_MARGIN)
    rpm = max(abs(rpm), _LEAST)
    turns = rpm / 60.0 * window_s
    major, minor = max(values[12], _LEAST), max(values[13], _LEAST)
    return np.array(
        (
            math.log10(sure / (1.0 - sure)),
            _log(rpm_std / rpm),
            _log(angle_std),
            _log(estimates),
            gated,
            _log(rotation_distance),
            _log(hub_distance),
            _log(rate_walk),
            _log(events / max(turns * max(blades, 1.0), _LEAST)),
            _log(events / max(turns * math.pi * major * minor, _LEAST)),
            blades,
            _log(minor),
            minor / major,
            _log(turns),
            _log(math.hypot(values[14], values[15]) / major),
            math.hypot(values[16], values[17]) / major,
            _log(values[18]),
            _log(values[19]),
        )
    )


@njit(cache=True, nogil=True)
def _log(value):
    return math.log10(min(max(value, _LEAST), 1.0 / _LEAST))


@njit(cache=True, nogil=True)
def _walk(rows, roots, inputs, thresholds, children, shares):
    found = np.zeros(len(rows))
    for row in range(len(rows)):
        total = 0.0
        for root in roots:
            node = root
            while inputs[node] >= 0:
                right = not rows[row, inputs[node]] <= thresholds[node]
                node = children[node, np.int64(right)]
            total += shares[node]
        found[row] = total / len(roots)
    return found
