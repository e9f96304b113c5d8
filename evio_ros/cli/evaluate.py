"""`evio evaluate`: how well a network finds what simulated scenes show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["evaluate"]


def evaluate(
    model: Annotated[str, typer.Argument(help="Name or file of the network.", show_default=False)],
    scenes: Annotated[int, typer.Option(help="Simulated scenes of all kinds.", min=1)] = 100,
    empty_scenes: Annotated[
        int, typer.Option(help="Further scenes without objects, for false alarms.", min=0)
    ] = 100,
    seed: Annotated[
        int, typer.Option(help="Their seed; trainings use 0 unless told.", min=0)
    ] = 1_000_000,
    length: Annotated[int, typer.Option(help="Windows of a scene.", min=1)] = 10,
    folder: Annotated[
        Path | None,
        typer.Option(help="Keep the scenes there for the next time.", show_default="not kept"),
    ] = None,
    score: Annotated[
        float, typer.Option(help="From which a box counts as an alarm.", min=0.0, max=1.0)
    ] = 0.3,
    backend: Annotated[
        str, typer.Option(help="What runs it: auto, eager, traced, openvino, onnxruntime or cuda.")
    ] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,
) -> None:
    """Measure average precision (COCO) and false alarms of MODEL on held-out scenes."""
    from evio_ros.cli.progress import step_bar
    from evio_ros.detection.model_file import read_model
    from evio_ros.detection.model_store import find_model
    from evio_ros.training.evaluation import evaluate_model

    configuration, weights = read_model(find_model(model))
    with step_bar("scenes", scenes + empty_scenes) as advance:
        quality = evaluate_model(
            configuration,
            weights,
            scenes,
            empty_scenes,
            length,
            seed,
            score,
            backend,
            folder,
            lambda number: advance(number, ""),
        )
    if as_json:
        facts = {
            "ap50": dict(zip(configuration.classes, quality.ap50, strict=True)),
            "ap": quality.ap,
            "false_alarms_a_minute": quality.false_alarms_a_minute,
        }
        typer.echo(json.dumps(facts, indent=1))
        return
    for name, ap50 in zip(configuration.classes, quality.ap50, strict=True):
        typer.echo(f"{name}: AP50 {ap50:.3f}")
    typer.echo(f"AP (0.5 to 0.95): {quality.ap:.3f}")
    typer.echo(
        f"false alarms a minute in scenes without objects: {quality.false_alarms_a_minute:.1f}"
    )
