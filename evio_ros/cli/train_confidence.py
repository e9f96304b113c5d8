"""`evio train-confidence`: train the forest that gives fusion's confidence in a speed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evio_ros.cli.outputs import Overwrite, check_outputs
from evio_ros.errors import ParameterError

if TYPE_CHECKING:
    from evio_ros.evaluation.labelled_estimates import LabelledEstimates

__all__ = ["train_confidence"]


def train_confidence(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="File of the forest to write.")
    ] = Path("confidence_forest.npz"),
    scenes: Annotated[
        int, typer.Option(help="Number of scenes to simulate; each takes about 15 s.", min=0)
    ] = 100,
    estimates: Annotated[
        list[Path] | None,
        typer.Option(help="Labelled estimates of an earlier run to add to the training set."),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(help="File in which to save the labelled estimates of the scenes."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the first scene, and of the forest.")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Train the forest that estimates the probability that a speed is right to 1 %.

    Simulates random scenes, runs the rotation detector on them as they are and with fewer events
    and more noise, passes its estimates to fusion, and trains on which of them were right. The
    printed figures are out of fold: no forest is tested on scenes that it was trained on.

    Example: evio train-confidence --scenes 200 --keep estimates.npz
    """
    from evio_ros.evaluation.confidence_training import (
        examples_of,
        expected_calibration_error,
        out_of_fold_probabilities,
        train,
    )
    from evio_ros.evaluation.labelled_estimates import read_labelled, write_labelled

    check_outputs([output, keep], overwrite)
    recordings = [one for path in estimates or [] for one in read_labelled(path)]
    simulated = list(_simulated(seed, scenes))
    if keep is not None:
        write_labelled(keep, simulated)
    recordings += simulated
    if not recordings:
        raise ParameterError("nothing to train on: --scenes is 0 and there are no --estimates")
    examples = examples_of(recordings)
    forest = train(examples, seed)
    forest.write(output)
    out_of_fold = out_of_fold_probabilities(examples, seed)
    typer.echo(
        f"{output}: trained on {len(examples)} estimates of {len(recordings)} recordings, "
        f"{examples.right.mean():.1%} of them right to 1 %"
    )
    for name, probabilities in (("forest", out_of_fold), ("detector", examples.detector)):
        error = expected_calibration_error(probabilities, examples.right)
        squares = float(((probabilities - examples.right) ** 2).mean())
        typer.echo(f"{name}: expected calibration error {error:.3f}, Brier score {squares:.4f}")


def _simulated(first: int, count: int) -> Iterator[LabelledEstimates]:
    from evio_ros.cli.progress import step_bar
    from evio_ros.evaluation.training_scenes import measured_scene

    with step_bar("simulating scenes", count) as advance:
        for done in range(count):
            yield from measured_scene(first + done)
            advance(done + 1, "")
