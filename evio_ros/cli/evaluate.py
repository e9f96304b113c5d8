"""`evio evaluate`: how well a network detects objects in simulated scenes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from evio_ros.training.average_precision import QualityAtScore
    from evio_ros.training.evaluation import ModelQuality

__all__ = ["evaluate"]

_SCORES = (0.3, 0.5, 0.7)


def evaluate(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="Name or file of the network.", show_default=False),
    ],
    scenes: Annotated[
        int, typer.Option(help="Number of simulated scenes of all kinds.", min=1)
    ] = 100,
    empty_scenes: Annotated[
        int,
        typer.Option(
            help="Number of further scenes without objects, for the rate of false alarms.", min=0
        ),
    ] = 100,
    seed: Annotated[
        int, typer.Option(help="Seed of the scenes; trainings use 0 by default.", min=0)
    ] = 1_000_000,
    length: Annotated[int, typer.Option(help="Number of windows in a scene.", min=1)] = 10,
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Folder in which to keep the scenes for later runs.", show_default="not kept"
        ),
    ] = None,
    score: Annotated[
        list[float] | None,
        typer.Option(
            help="Minimum score of a reported box; can be repeated.",
            min=0.0,
            max=1.0,
            show_default="0.3, 0.5 and 0.7",
        ),
    ] = None,
    backend: Annotated[
        str,
        typer.Option(
            help="Backend of the network: auto, eager, traced, openvino, onnxruntime or cuda."
        ),
    ] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,
) -> None:
    """Measure average precision (COCO) and false alarms of MODEL on held-out scenes.

    The scenes are simulated first, which takes some seconds for each.

    Example: evio evaluate rotor --scenes 20 --empty-scenes 20
    """
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
            tuple(score or _SCORES),
            backend,
            folder,
            lambda number: advance(number, ""),
        )
    if as_json:
        typer.echo(json.dumps(_facts(quality, configuration.classes), indent=1))
        return
    for line in _lines(quality, configuration.classes):
        typer.echo(line)


def _facts(quality: ModelQuality, classes: tuple[str, ...]) -> dict[str, object]:
    def by_class(figures: tuple[float, ...]) -> dict[str, float | None]:
        return {name: _known(value) for name, value in zip(classes, figures, strict=True)}

    def facts_at(at: QualityAtScore) -> dict[str, object]:
        return {
            "recall": by_class(at.recall),
            "precision": by_class(at.precision),
            "false_alarms_a_minute": _known(at.false_alarms_a_minute),
        }

    boxes = quality.boxes
    return {
        "ap50": by_class(boxes.ap50),
        "ap50_published": by_class(boxes.ap50_published),
        "ap": boxes.ap,
        "at_score": [{"score": at.score, **facts_at(at)} for at in boxes.at_score],
        "tracks": facts_at(quality.tracks),
    }


def _known(value: float) -> float | None:
    """None for undefined values: NaN, and COCO's -1."""
    return value if value >= 0 else None


def _lines(quality: ModelQuality, classes: tuple[str, ...]) -> Iterator[str]:
    boxes = quality.boxes
    rows = [("AP50", boxes.ap50), ("AP50, published sizes", boxes.ap50_published)]
    for at in boxes.at_score:
        rows += [
            (f"recall at {at.score:g}", at.recall),
            (f"precision at {at.score:g}", at.precision),
        ]
    rows += [
        ("recall of tracks", quality.tracks.recall),
        ("precision of tracks", quality.tracks.precision),
    ]
    yield f"{'':24}" + "".join(f"{name:>10}" for name in classes)
    for title, figures in rows:
        yield f"{title:24}" + "".join(_cell(value) for value in figures)
    yield f"AP (0.5 to 0.95), all classes: {boxes.ap:.3f}"
    alarms = [f"{at.false_alarms_a_minute:.1f} at {at.score:g}" for at in boxes.at_score]
    alarms.append(f"{quality.tracks.false_alarms_a_minute:.1f} of tracks")
    yield f"false alarms a minute in scenes without objects: {', '.join(alarms)}"


def _cell(value: float) -> str:
    return f"{'-':>10}" if _known(value) is None else f"{value:10.3f}"
