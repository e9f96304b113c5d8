"""Calibration of fusion's confidence: the forest, the detector's own and a fixed rule.

python bench/confidence.py ESTIMATES...             from labelled estimates, with the picture
python bench/confidence.py --measure-takes OUT      the real takes, re-timed, as labelled estimates
python bench/confidence.py --measure-scenes OUT     the scenes of `evio simulate`, the same

`evio train-confidence --keep FILE` writes labelled estimates of random scenes. Forests are
evaluated on groups (scenes or takes) on which they were neither trained nor calibrated. The fixed
rule is 0.7 times the detector's confidence plus 0.3 times the RVT detector's score, which is set to
its ideal value, 1 for a true rotor and 0 otherwise.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from real_takes import FOLDER, from_zero, retime_of, retimed
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score

from evio_ros.ellipse import Ellipse
from evio_ros.evaluation.confidence_training import (
    Examples,
    examples_of,
    expected_calibration_error,
    out_of_fold_probabilities,
)
from evio_ros.evaluation.labelled_estimates import (
    LabelledEstimates,
    measure_labelled,
    read_labelled,
    write_labelled,
)
from evio_ros.evaluation.training_scenes import degraded
from evio_ros.events import EventBatch
from evio_ros.playback.simulated_recording import cached_recording
from evio_ros.simulation.presets import PRESETS
from evio_ros.simulation.scene import Path as DiscPath
from evio_ros.simulation.speed import SpeedProfile
from evio_ros.simulation.truth import RotorTruth, Truth, truth_path
from evio_ros.sources.registry import open_recording

PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "confidence_reliability.png"
WINDOWS_US = (100_000, 50_000, 20_000)
VARIANTS = 12
DISC_PX = 40.0
Probabilities = dict[str, NDArray[np.float64]]


def main() -> int:
    """Print the table and draw the picture; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("estimates", nargs="*", type=Path, help="files of labelled estimates")
    parser.add_argument("--measure-takes", type=Path, metavar="OUT")
    parser.add_argument("--measure-scenes", type=Path, metavar="OUT")
    parser.add_argument("--picture", type=Path, default=PICTURE)
    options = parser.parse_args()
    if options.measure_takes:
        write_labelled(options.measure_takes, takes())
    if options.measure_scenes:
        write_labelled(options.measure_scenes, scenes())
    recordings = [one for path in options.estimates for one in read_labelled(path)]
    if recordings:
        examples = examples_of(recordings)
        confidences = {
            "forest": out_of_fold_probabilities(examples),
            "detector": examples.detector,
            "0.7 / 0.3": 0.7 * examples.detector + 0.3 * examples.of_rotor,
        }
        Console(width=None if sys.stdout.isatty() else 120).print(table_of(examples, confidences))
        draw(examples, confidences, options.picture)
    return 0


def kinds_of(examples: Examples) -> dict[str, NDArray[np.bool_]]:
    """Mask of the examples of each kind."""
    is_drawn = np.char.startswith(examples.groups, "training_")
    is_take = np.char.startswith(examples.groups, "take_")
    return {
        "scenes drawn at random": is_drawn,
        "re-timed real takes": is_take,
        "scenes of evio simulate": ~is_drawn & ~is_take,
        "all": np.ones(len(examples), np.bool_),
    }


def table_of(examples: Examples, confidences: Probabilities) -> Table:
    """A row for each kind of examples and each rule."""
    table = Table("", "", "estimates", "right", "calibration error", "AUC", "Brier", title="")
    for kind, places in kinds_of(examples).items():
        right = examples.right[places]
        if not len(right):
            continue
        for name, probability in confidences.items():
            of_kind = probability[places]
            area = "-" if right.all() else f"{roc_auc_score(right, of_kind):.3f}"
            table.add_row(
                kind,
                name,
                str(len(right)),
                f"{right.mean():.1%}",
                f"{expected_calibration_error(of_kind, right):.3f}",
                area,
                f"{((of_kind - right) ** 2).mean():.4f}",
            )
    return table


def draw(examples: Examples, confidences: Probabilities, path: Path) -> None:
    """The reliability diagram."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 5.2), layout="constrained")
    axes.plot((0, 1), (0, 1), color="0.7", linewidth=1)
    for name, probability in confidences.items():
        bins = np.minimum((probability * 10).astype(int), 9)
        used = [one for one in range(10) if (bins == one).sum() >= 20]
        x = [probability[bins == one].mean() for one in used]
        y = [examples.right[bins == one].mean() for one in used]
        error = expected_calibration_error(probability, examples.right)
        axes.plot(x, y, marker="o", label=f"{name}, expected calibration error {error:.3f}")
    axes.set(xlabel="confidence", ylabel="share that is right to 1 %", xlim=(0, 1), ylim=(0, 1))
    axes.legend(loc="upper left", frameon=False)
    figure.savefig(path, dpi=110)


def takes() -> Iterator[LabelledEstimates]:
    """The real takes re-timed to random speeds, as recorded and degraded."""
    random = np.random.default_rng(5)
    retime = retime_of(FOLDER / "retime.py")
    paths = [path for path in sorted(FOLDER.glob("*.aedat4")) if "_crop" not in path.stem]
    for number, path in enumerate(paths):
        record = json.loads((FOLDER / f"{path.stem}.truth.json").read_text())
        events = from_zero(path)
        for variant in range(VARIANTS):
            rpm = math.exp(random.uniform(math.log(200.0), math.log(2500.0)))
            share = float(random.choice((1.0, 0.33, 0.1)))
            take = retimed(path.stem, events, record, rpm, share, retime)
            seed = number * VARIANTS + variant
            batch = degraded(take.events, seed) if variant % 3 else take.events
            disc = DiscPath.fixed(Ellipse(take.truth.hub, (DISC_PX, DISC_PX), 0.0))
            speed = SpeedProfile.constant(take.truth.rpm(0, 1e5))
            rotor = RotorTruth(0, 1, 0.0, speed, disc)
            truth = Truth(f"take_{path.stem}", int(batch.t[-1]) + 1, (rotor,))
            window_us = WINDOWS_US[seed % len(WINDOWS_US)]
            yield measure_labelled(batch, truth, window_us, f"take_{path.stem}_{variant}")


def scenes() -> Iterator[LabelledEstimates]:
    """The scenes of `evio simulate` seen by a modern camera."""
    for name in PRESETS:
        path = cached_recording(name)
        with open_recording(str(path)) as source:
            events = EventBatch.concatenate(source.size, source.batches())
        for window_us in (100_000, 20_000):
            yield measure_labelled(
                events, Truth.read(truth_path(path)), window_us, f"{name}_{window_us}"
            )


if __name__ == "__main__":
    sys.exit(main())
