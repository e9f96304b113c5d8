"""`evio train`: train a network that detects rotors and drones on simulated scenes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from evio_ros.cli.outputs import Overwrite, check_outputs
from evio_ros.errors import ParameterError

__all__ = ["train"]

_SAVE_EVERY_S = 120.0


def train(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="The model file to write.", show_default=False)
    ],
    folder: Annotated[
        Path,
        typer.Option(
            help="Folder for scenes and the training's state, from which it can be resumed."
        ),
    ] = Path("training"),
    variant: Annotated[
        str, typer.Option(help="Size of the network: nano, tiny, small or base.")
    ] = "nano",
    width: Annotated[int, typer.Option(help="Columns of the network's input.")] = 192,
    height: Annotated[int, typer.Option(help="Rows of the network's input.")] = 128,
    start_from: Annotated[
        str | None,
        typer.Option(
            help="Name or file of the network whose weights to start from.", show_default="none"
        ),
    ] = None,
    steps: Annotated[int, typer.Option(help="Number of optimiser steps.", min=1)] = 6000,
    streams: Annotated[int, typer.Option(help="Number of sequences in parallel.", min=1)] = 6,
    sequences: Annotated[int, typer.Option(help="Number of different scenes.", min=1)] = 1000,
    first_sequences: Annotated[
        int,
        typer.Option(
            help="Number of scenes used from the start; the others are added gradually.", min=1
        ),
    ] = 200,
    learning_rate: Annotated[
        float, typer.Option(help="Highest learning rate of the cycle.")
    ] = 1e-3,
    seed: Annotated[int, typer.Option(help="Seed of the random numbers.", min=0)] = 0,
    simulators: Annotated[
        int, typer.Option(help="Number of processes that simulate scenes.", min=0)
    ] = 1,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    overwrite: Overwrite = False,
) -> None:
    """Train a network on simulated scenes and write it to MODEL.

    Ctrl-C keeps the state; the same command resumes from it. On a GPU: --device cuda.

    Example: evio train mine.safetensors --start-from rotor --steps 2000
    """
    from evio_ros.cli.progress import step_bar
    from evio_ros.detection.model_file import read_model, write_model
    from evio_ros.detection.model_store import find_model
    from evio_ros.detection.rvt_configuration import RvtConfiguration
    from evio_ros.events import SensorSize
    from evio_ros.training.random_scene import CLASSES

    check_outputs([model], overwrite)
    try:
        from evio_ros.training.trainer import Trainer, TrainingParameters
    except ImportError as error:
        raise ParameterError(
            f"training needs PyTorch and evlib: pip install 'evio_ros[train]' ({error})"
        ) from error
    configuration = RvtConfiguration(variant, CLASSES, SensorSize(width, height), 1)
    parameters = TrainingParameters(
        steps=steps,
        streams=streams,
        sequences=sequences,
        first_sequences=first_sequences,
        learning_rate=learning_rate,
        seed=seed,
    )
    first = read_model(find_model(start_from))[1] if start_from else None
    trainer = Trainer(configuration, parameters, folder, device, simulators, first)
    if trainer.step:
        typer.echo(f"{folder}: resuming at step {trainer.step} of {steps}")
    saved_s = time.monotonic()
    smooth = 0.0
    try:
        with step_bar("training", steps) as advance:
            for loss in trainer.run():
                smooth = loss if not smooth else 0.99 * smooth + 0.01 * loss
                advance(trainer.step, f"loss {smooth:.2f}")
                if time.monotonic() - saved_s > _SAVE_EVERY_S:
                    trainer.save()
                    saved_s = time.monotonic()
    finally:
        trainer.save()
    weights = {
        name: value.half() if value.is_floating_point() else value
        for name, value in trainer.averaged_weights().items()
    }
    write_model(model, configuration, weights)
    typer.echo(f"{model}: {variant} network after {steps} steps, loss {smooth:.2f}")
