"""Pictures of rotors hidden for half a second: truth, detector, fusion and its uncertainty."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from evio_ros.fusion.rotor_bank import BankParameters, RotorBank
from evio_ros.fusion.rotor_model import FilterParameters
from fusion_bench.figures import RATE_US, occluded
from fusion_bench.recorded import Run

__all__ = ["draw"]

_FROM_US = 400_000


def draw(runs: list[Run], hidden_us: tuple[int, int], path: Path) -> None:
    """Draw the first rotor of each run.

    Args:
        runs: estimates of recordings.
        hidden_us: start and length of the time for which rotors are hidden.
        path: file of the picture.
    """
    figure = Figure(figsize=(11.0, 3.2 * len(runs)), layout="constrained")
    axes = figure.subplots(len(runs), 2, squeeze=False)
    for run, (left, right) in zip(runs, axes, strict=True):
        rotor = _rotor_of(run)
        seen, times, fused, deviations, angles = _followed(run, rotor, hidden_us)
        truth = 60 * run.truth.rotors[rotor].speed.frequency_hz(times)  # type: ignore[union-attr]
        seconds = 1e-6 * times
        left.plot(seconds, truth, "k", lw=1, label="truth")
        left.plot(*np.array(seen).T, "o", ms=3, label="rotation detector")
        left.plot(seconds, fused, lw=1, label="fused, 200 Hz")
        band = 2 * deviations[:, 1]
        left.fill_between(seconds, fused - band, fused + band, alpha=0.25, label="2 sigma")
        margin = 0.05 * np.abs(truth).max()
        left.set(ylim=(truth.min() - margin, truth.max() + margin), ylabel="rpm", title=run.name)
        left.legend(fontsize=7)
        shown = np.degrees(angles - np.median(angles))
        right.plot(seconds, shown, lw=1)
        band = np.degrees(2 * deviations[:, 0])
        right.fill_between(seconds, -band, band, alpha=0.25)
        right.set(yscale="symlog", ylabel="error of the angle, degrees", xlabel="s")
        for one in (left, right):
            one.axvspan(1e-6 * hidden_us[0], 1e-6 * sum(hidden_us), color="0.9", zorder=0)
    figure.savefig(path, dpi=90)


def _rotor_of(run: Run) -> int:
    assert run.truth is not None
    return run.truth.rotors[0].id


def _followed(
    run: Run, rotor: int, hidden_us: tuple[int, int]
) -> tuple[list[tuple[float, float]], np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Speeds of the detector, and times, speeds, standard deviations and angle errors of fusion."""
    assert run.truth is not None
    truth = run.truth.rotors[rotor]
    bank = RotorBank(FilterParameters(), BankParameters())
    seen, rows = [], []
    pitch = 2 * math.pi / max(truth.blade_count, 1)
    for t_us, estimates in occluded(run, *hidden_us).windows:
        bank.update(t_us, estimates)
        near = [one for one in estimates if run.truth.nearest(*one.center, t_us) is truth]
        seen += [(1e-6 * (t_us - 0.5 * one.window_us), one.rpm) for one in near]
        for at_us in range(t_us, t_us + 50_000, RATE_US) if t_us >= _FROM_US else ():
            for state in bank.states(at_us):
                if run.truth.nearest(*state.center, at_us) is truth:
                    off = math.remainder(state.angle_rad - float(truth.angle_rad(at_us)), pitch)
                    stds = math.sqrt(state.covariance[0, 0]), math.sqrt(state.covariance[1, 1])
                    rows.append((at_us, state.rpm, *stds, off))
    table = np.array(rows)
    return seen, table[:, 0], table[:, 1], table[:, 2:4], table[:, 4]
