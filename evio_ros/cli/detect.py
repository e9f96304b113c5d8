"""`evio detect`: detect and track objects with a network."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from evio_ros.cli.outputs import STANDARD_OUTPUT, check_results
from evio_ros.cli.recording_remarks import print_remarks
from evio_ros.cli.section import (
    Duration,
    Size,
    Start,
    TimeUnit,
    section_of,
    size_of,
)

if TYPE_CHECKING:
    from evio_ros.atomic_file import OutputFile
    from evio_ros.object_detection import DetectedObjects, ObjectDetector

__all__ = ["detect"]


def detect(
    recording: Annotated[
        str, typer.Argument(metavar="RECORDING", help="The recording to read.", show_default=False)
    ],
    model: Annotated[
        str,
        typer.Option(
            help="Name or file of the network, see `evio models`.",
            show_default="the included one",
        ),
    ] = "",
    start: Start = 0.0,
    duration: Duration = None,
    size: Size = None,
    time_unit: TimeUnit = None,
    score: Annotated[float, typer.Option(help="Minimum score of a box.", min=0.0, max=1.0)] = 0.3,
    score_to_begin: Annotated[
        float,
        typer.Option(
            help="Minimum score of the best box of a track; boxes with lower scores only "
            "continue it.",
            min=0.0,
            max=1.0,
        ),
    ] = 0.65,
    backend: Annotated[
        str,
        typer.Option(
            help="Backend of the network: auto, eager, traced, openvino, onnxruntime or cuda."
        ),
    ] = "auto",
    json_path: Annotated[
        str | None,
        typer.Option(
            "--json",
            metavar="FILE|-",
            help="Write JSON lines, one for each window, with boxes and tracks.",
        ),
    ] = None,
) -> None:
    """Detect objects in RECORDING with a recurrent vision transformer, and track them.

    A line is printed for each track: its class, when it was seen, and its highest score.

    Example: evio detect drone.raw --score 0.5 --json drone.jsonl
    """
    from evio_ros.cli.progress import progress_bar
    from evio_ros.detection.network import NetworkParameters, open_network
    from evio_ros.detection.object_tracker import TrackingParameters
    from evio_ros.object_detection import ObjectDetectionParameters, ObjectDetector
    from evio_ros.sources.base import refuse_impossible_size
    from evio_ros.sources.registry import open_recording
    from evio_ros.windowing import windows

    parameters = ObjectDetectionParameters(minimum_score=score)
    tracking = TrackingParameters(score_to_begin=score_to_begin)
    seen: dict[int, _Sighting] = {}
    with ExitStack() as stack:
        source = stack.enter_context(
            open_recording(recording, size=size_of(size), time_unit=time_unit)
        )
        refuse_impossible_size(source)
        check_results([json_path], [source.path])
        _, network = open_network(NetworkParameters(model, backend))
        if network.remark:
            typer.echo(f"evio: {network.remark}; using {network.backend}", err=True)
        detector = ObjectDetector(source.size, network, parameters, tracking)
        start_us, end_us = section_of(source, start, duration)
        source.seek(start_us)
        file = _open_lines(stack, json_path)
        length_us = detector.window_us
        advance = stack.enter_context(progress_bar(Path(recording).name, end_us - start_us))
        cut = windows(source.batches(), source.size, length_us, start_us, end_us, covered_only=True)
        for window in cut:
            found = detector.process(window)
            _note(seen, found, start_us)
            if file is not None:
                file.write(json.dumps(_row(found)) + "\n")
            advance(window.end_us - start_us)
    print_remarks(source)
    _print(seen, detector, file=sys.stderr if json_path == STANDARD_OUTPUT else sys.stdout)


@dataclass(slots=True)
class _Sighting:
    """When a track was seen, in seconds from the start, and its highest score."""

    label: int
    first_s: float
    last_s: float
    windows: int
    score: float


def _open_lines(stack: ExitStack, path: str | None) -> OutputFile | TextIO | None:
    from evio_ros.atomic_file import atomic_file

    if path is None:
        return None
    return sys.stdout if path == STANDARD_OUTPUT else stack.enter_context(atomic_file(path))


def _note(seen: dict[int, _Sighting], found: DetectedObjects, start_us: int) -> None:
    t_s = 1e-6 * (found.t_us - start_us)
    for track in found.tracks:
        if not track.is_seen:
            continue
        one = seen.setdefault(track.id, _Sighting(track.label, t_s, t_s, 0, 0.0))
        one.last_s, one.windows = t_s, one.windows + 1
        one.score = max(one.score, track.score)


def _row(found: DetectedObjects) -> dict[str, object]:
    classes = found.classes
    boxes = found.boxes
    return {
        "t_us": found.t_us,
        "boxes": [
            {"class": classes[label], "score": round(score, 4), "corners": _rounded(corners)}
            for label, score, corners in zip(
                boxes.labels.tolist(), boxes.scores.tolist(), boxes.corners.tolist(), strict=True
            )
        ],
        "tracks": [
            {
                "id": track.id,
                "class": classes[track.label],
                "score": round(track.score, 4),
                "corners": _rounded(track.corners.tolist()),
                "velocity": _rounded(track.velocity.tolist()),
                "seen": track.is_seen,
            }
            for track in found.tracks
        ],
    }


def _rounded(numbers: list[float]) -> list[float]:
    return [round(number, 2) for number in numbers]


def _print(seen: dict[int, _Sighting], detector: ObjectDetector, file: TextIO) -> None:
    statistics = detector.statistics
    classes = detector.network.configuration.classes
    if not seen:
        typer.echo(f"No object seen in {statistics.windows} windows.", file=file)
    for number, one in sorted(seen.items()):
        typer.echo(
            f"track {number}: {classes[one.label]}, {one.first_s:.2f} to {one.last_s:.2f} s, "
            f"seen in {one.windows} of {statistics.windows} windows, score up to {one.score:.2f}",
            file=file,
        )
