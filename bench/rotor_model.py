"""How well a model finds rotors and drones: simulated scenes with names, and real recordings.

    python bench/rotor_model.py                            # figures of the model `rotor`
    python bench/rotor_model.py --pictures docs/pictures   # and pictures of what it finds

`evio evaluate` measures average precision on random scenes like those of the training; here are the
scenes of `evio simulate`, which no training sees, and recordings of real cameras, where they are
beside the checkout. A row tells windows, those in which rotors can be seen, how many of these have
a box at the right place (intersection over union of 0.5 or more), and windows with a box where
nothing turns.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evio_ros import open_source
from evio_ros.detection.boxes import overlaps
from evio_ros.detection.network import NetworkParameters, open_network
from evio_ros.errors import EvioError
from evio_ros.events import EventBatch, EventWindow, SensorSize
from evio_ros.object_detection import ObjectDetectionParameters, ObjectDetector
from evio_ros.simulation.presets import PRESETS, REALISTIC_PRESETS, preset
from evio_ros.simulation.simulator import simulate
from evio_ros.training.random_scene import LabelledScene
from evio_ros.windowing import windows

RECORDINGS = Path(__file__).resolve().parents[2] / "shared" / "recordings"
DISCS = "half_disc"
"""Folder of takes of a disc, each cut to the disc: what has events is the disc."""
NEVER_TURNS = ("ncars.dat", "event_packet_db3", "gen41_evt3.raw")
LEAST_DISC_EVENTS = 3000
"""A take's window with fewer shows a disc at rest, or nearly."""
LEAST_OVERLAP = 0.5
DRONES = {"drone_idle": (0, 1, 2, 3), "drone_moving": (0, 1, 2, 3), "drone_flying": (0, 1, 2, 3)}


@dataclass(frozen=True, slots=True)
class Shown:
    """A window, what turns in it ((n, 5): class, x0, y0, x1, y1), and whether this is known."""

    window: EventWindow
    truth: NDArray[np.float64]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="rotor")
    parser.add_argument("--score", type=float, default=0.3)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each simulated scene")
    parser.add_argument("--pictures", type=Path, help="folder for pictures")
    parser.add_argument("--only", help="names of scenes and recordings, joined by commas")
    arguments = parser.parse_args()
    only = arguments.only.split(",") if arguments.only else None
    if arguments.pictures:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
    print(f"{'':22} windows  turning  found  false")
    for name, size, shown in takes(arguments.seconds):
        if only and name not in only:
            continue
        try:
            judge(name, size, shown, arguments)
        except EvioError as error:
            print(f"{name}: {error}")


def takes(seconds: float) -> Iterator[tuple[str, SensorSize, Iterator[Shown]]]:
    """Scenes and recordings: name, geometry, windows."""
    for name in (*PRESETS, *REALISTIC_PRESETS):
        made = preset(name)
        labelled = LabelledScene(made.scene, made.camera, (DRONES[name],) if name in DRONES else ())
        yield name, made.camera.size, simulated(labelled, seconds)
    for path in sorted((RECORDINGS / DISCS).glob("*.aedat4")):
        with open_source(str(path)) as source:
            yield path.name, source.size, of_disc(source)
    for name in NEVER_TURNS:
        path = RECORDINGS / name
        if path.exists():
            with open_source(str(path)) as source:
                nothing = np.empty((0, 5))
                yield name, source.size, (Shown(window, nothing) for window in cut(source))


def simulated(labelled: LabelledScene, seconds: float) -> Iterator[Shown]:
    """Windows of a simulated scene."""
    size, end_us = labelled.camera.size, int(1e6 * seconds)
    batches = simulate(labelled.scene, labelled.camera, end_us)
    for window in windows(batches, size, 50_000, 0, end_us):
        yield Shown(window, labelled.boxes(window))


def cut(source) -> Iterator[EventWindow]:
    """Windows of a recording."""
    yield from windows(source.batches(), source.size, 50_000, source.start_us, source.end_us)


def of_disc(source) -> Iterator[Shown]:
    """Windows of a disc's take: it is where all events are."""
    found = list(cut(source))
    box = np.array([[0.0, *extent(EventBatch.concatenate(source.size, [w.events for w in found]))]])
    for window in found:
        turns = len(window.events.x) >= LEAST_DISC_EVENTS
        yield Shown(window, box if turns else np.empty((0, 5)))


def extent(events: EventBatch) -> tuple[float, float, float, float]:
    """The box of nearly all events."""
    x0, x1 = np.quantile(events.x, (0.001, 0.999)).tolist()
    y0, y1 = np.quantile(events.y, (0.001, 0.999)).tolist()
    return x0, y0, x1 + 1, y1 + 1


def judge(
    name: str, size: SensorSize, shown: Iterator[Shown], arguments: argparse.Namespace
) -> None:
    """Print a take's row, and draw it where pictures are asked for."""
    _, network = open_network(NetworkParameters(arguments.model))
    detector = ObjectDetector(
        size, network, ObjectDetectionParameters(minimum_score=arguments.score)
    )
    count = turning = found = false = 0
    best = None
    for one in shown:
        boxes = detector.process(one.window).boxes
        truth = one.truth[one.truth[:, 0] == 0, 1:]
        rotors = boxes.corners[boxes.labels == 0]
        hits = (overlaps(truth, rotors).max(axis=1, initial=0.0) >= LEAST_OVERLAP).sum()
        count += 1
        turning += bool(len(truth))
        found += bool(hits)
        false += bool(len(boxes) and not len(one.truth))
        if best is None or len(boxes) > len(best[1]):
            best = one, boxes
    print(f"{name:22} {count:7} {turning:8} {found:6} {false:6}", flush=True)
    if arguments.pictures and best is not None:
        draw(arguments.pictures / f"rotor_model_{Path(name).stem}.png", *best, detector)


def draw(path: Path, shown: Shown, boxes, detector: ObjectDetector) -> None:
    """Events of a window, true boxes dashed, found ones with class and score."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot
    from matplotlib.patches import Rectangle

    events, size = shown.window.events, shown.window.events.size
    picture = np.full((size.height, size.width, 3), 255, np.uint8)
    picture[events.y, events.x] = np.where(events.polarity[:, None], (60, 90, 220), (225, 110, 90))
    figure, axes = pyplot.subplots(figsize=(4.5, 4.5 * size.height / size.width), dpi=110)
    axes.imshow(picture, interpolation="nearest")
    for _, x0, y0, x1, y1 in shown.truth.tolist():
        axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, ls=":", ec="gray"))
    for label, score, (x0, y0, x1, y1) in zip(
        boxes.labels.tolist(), boxes.scores.tolist(), boxes.corners.tolist(), strict=True
    ):
        color = ("green", "darkorange")[label % 2]
        axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, ec=color))
        text = f"{detector.network.configuration.classes[label]} {score:.2f}"
        axes.text(x0, y0 - 2, text, color=color, fontsize=7)
    axes.set_axis_off()
    figure.savefig(path, bbox_inches="tight", pad_inches=0.02)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
