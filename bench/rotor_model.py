"""How well a model finds rotors and drones, beyond what `evio evaluate` measures.

    python bench/rotor_model.py                            # figures of the model `rotor`
    python bench/rotor_model.py --pictures docs/pictures   # and pictures of what it finds
    python bench/rotor_model.py --held-out held_out        # recall by size, on held-out scenes

The first table covers the scenes of `evio simulate`, which no training sees, and recordings of
real cameras, where they are beside the checkout. Each row gives the number of windows, the windows
in which rotors can be seen, those of them with a box at the right place (intersection over union of
0.5 or more), and the windows with a box although nothing turns.

`--held-out` names the folder that `evio evaluate --folder` keeps its scenes in; scenes that are not
there are simulated first. It prints the recall of rotors and drones by the shorter side of their
true box, in pixels of the network's input.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evio_ros import open_source
from evio_ros.detection.boxes import Boxes, overlaps
from evio_ros.detection.model_file import read_model
from evio_ros.detection.model_store import find_model
from evio_ros.detection.network import NetworkParameters, open_network
from evio_ros.errors import EvioError
from evio_ros.events import EventBatch, EventWindow, SensorSize
from evio_ros.object_detection import ObjectDetectionParameters, ObjectDetector
from evio_ros.simulation.presets import PRESETS, REALISTIC_PRESETS, preset
from evio_ros.simulation.simulator import simulate
from evio_ros.training.evaluation import boxes_of_scenes
from evio_ros.training.random_scene import CLASSES, LabelledScene
from evio_ros.windowing import windows

RECORDINGS = Path(__file__).resolve().parents[2] / "shared" / "recordings"
DISCS = "half_disc"
"""Folder of takes of a disc, each cut to the disc: what has events is the disc."""
NEVER_TURNS = ("ncars.dat", "event_packet_db3", "gen41_evt3.raw")
LEAST_DISC_EVENTS = 3000
"""A take's window with fewer shows a disc at rest, or nearly."""
LEAST_OVERLAP = 0.5
HELD_OUT = ((1_000_000, 40, 120), (2_000_000, 40, 20), (3_000_000, 60, 100))
"""Seed, scenes of all kinds, and further scenes without objects, as of the model's card."""
LENGTH = 10
"""Windows of a held-out scene."""
SIDES_PX = (0, 8, 16, 24, 1 << 30)
"""Bounds of the size classes; boxes are predicted at places that lie 8 pixels apart."""
PICTURED = (5, 8, 16)
"""Held-out scenes of the first seed that are drawn: drones, rotors, lamps and textures."""
MARGIN_PX = 12
"""Around what is drawn of a recording."""
DRONES = {"drone_idle": (0, 1, 2, 3), "drone_moving": (0, 1, 2, 3), "drone_flying": (0, 1, 2, 3)}


@dataclass(frozen=True, slots=True)
class Shown:
    """A window, and what turns in it ((n, 5): class, x0, y0, x1, y1)."""

    window: EventWindow
    truth: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Panel:
    """What a picture shows of one window: an RGB image, true boxes as in `Shown`, found boxes."""

    image: NDArray[np.uint8]
    truth: NDArray[np.float64]
    boxes: Boxes


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
    parser.add_argument("--held-out", type=Path, help="folder of held-out scenes: recall by size")
    arguments = parser.parse_args()
    if arguments.held_out:
        panels = recall_by_size(arguments)
        name = "rotor_model_scenes.png"
    else:
        panels = named_takes(arguments)
        name = "rotor_model_real.png"
    if arguments.pictures and panels:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
        draw(arguments.pictures / name, panels)


def named_takes(arguments: argparse.Namespace) -> list[Panel]:
    """Print a row for each scene and recording; the panels of the recordings."""
    only = arguments.only.split(",") if arguments.only else None
    panels = []
    print(f"{'':22} windows  turning  found  false")
    for name, size, shown in takes(arguments.seconds):
        if only and name not in only:
            continue
        try:
            panel = judge(name, size, shown, arguments)
        except EvioError as error:
            print(f"{name}: {error}")
            continue
        if panel and len(panel.boxes) and name not in (*PRESETS, *REALISTIC_PRESETS):
            panels.append(panel)
    return panels


def recall_by_size(arguments: argparse.Namespace) -> list[Panel]:
    """Print recall by size over the held-out scenes; the panels of some of them."""
    configuration, weights = read_model(find_model(arguments.model))
    sizes: list[tuple[int, float, float]] = []
    panels = []
    for seed, scenes, empty in HELD_OUT:
        looked_at = boxes_of_scenes(
            configuration, weights, scenes, empty, LENGTH, seed, folder=arguments.held_out
        )
        for number, (sequence, found) in enumerate(looked_at):
            found = [boxes[boxes.scores >= arguments.score] for boxes in found]
            for truth, boxes in zip(sequence.boxes, found, strict=True):
                sizes += sizes_and_overlaps(truth, boxes)
            if seed == HELD_OUT[0][0] and number in PICTURED:
                histogram = sequence.inputs[-1]
                counts = histogram.reshape(2, -1, *histogram.shape[1:]).sum(axis=1)
                panels.append(Panel(image_of(counts), sequence.boxes[-1], found[-1]))
        print_recall(f"up to seed {seed}, {scenes + empty} scenes", sizes)
    return panels


def sizes_and_overlaps(
    truth: NDArray[np.float64], boxes: Boxes
) -> Iterator[tuple[int, float, float]]:
    """Class, shorter side and greatest overlap with a found box of its class, of each true box."""
    for label, *corners in truth.tolist():
        x0, y0, x1, y1 = corners
        found = boxes.corners[boxes.labels == label]
        overlap = overlaps(np.array([corners]), found).max(initial=0.0)
        yield int(label), min(x1 - x0, y1 - y0), float(overlap)


def print_recall(title: str, sizes: list[tuple[int, float, float]]) -> None:
    """Print recall by class and size, and what the boxes that are not found have instead."""
    table = np.array(sizes)
    print(title)
    for label, name in enumerate(CLASSES):
        own = table[table[:, 0] == label]
        cells = []
        for low, high in itertools.pairwise(SIDES_PX):
            overlap = own[(own[:, 1] >= low) & (own[:, 1] < high), 2]
            if len(overlap):
                cells.append(f"{low}+ px {np.mean(overlap >= LEAST_OVERLAP):.1%} of {len(overlap)}")
        none = np.mean(own[:, 2] == 0)
        poor = np.mean(own[:, 2] < LEAST_OVERLAP) - none
        print(f"  {name:6} {', '.join(cells)}; poor box {poor:.1%}, none {none:.1%}")


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
) -> Panel | None:
    """Print a take's row; the panel of the window with the most boxes."""
    _, network = open_network(NetworkParameters(arguments.model))
    detector = ObjectDetector(
        size, network, ObjectDetectionParameters(minimum_score=arguments.score)
    )
    count = turning = found = false = 0
    best: tuple[Shown, Boxes] | None = None
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
    if best is None:
        return None
    events = best[0].window.events
    counts = np.zeros((2, size.height, size.width), np.int64)
    np.add.at(counts, (events.polarity.astype(np.int64), events.y, events.x), 1)
    # Of a recording's frame, what has events and boxes.
    seen = np.concatenate((np.array([extent(events)]), best[0].truth[:, 1:], best[1].corners))
    x0, y0 = np.maximum(seen[:, :2].min(axis=0) - MARGIN_PX, 0).astype(int).tolist()
    x1, y1 = (seen[:, 2:].max(axis=0) + MARGIN_PX).astype(int).tolist()
    shift = np.array([x0, y0, x0, y0], float)
    truth = best[0].truth - np.r_[0.0, shift]
    boxes = Boxes(best[1].corners - shift, best[1].scores, best[1].labels)
    return Panel(image_of(counts[:, y0:y1, x0:x1]), truth, boxes)


def image_of(counts: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Blue where ON events prevail, red where OFF events do, from (2, rows, columns), OFF first."""
    off, on = counts
    image = np.full((*off.shape, 3), 255, np.uint8)
    image[off > 0] = (225, 110, 90)
    image[(on > 0) & (on >= off)] = (60, 90, 220)
    return image


def draw(path: Path, panels: list[Panel]) -> None:
    """Panels in a row: true boxes dotted, found rotors green, drones orange, with their scores."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot
    from matplotlib.patches import Rectangle

    widths = [panel.image.shape[1] / panel.image.shape[0] for panel in panels]
    figure, row = pyplot.subplots(
        1,
        len(panels),
        figsize=(11, 11 / sum(widths)),
        dpi=110,
        width_ratios=widths,
        squeeze=False,
        layout="constrained",
    )
    for axes, panel in zip(row[0], panels, strict=True):
        axes.imshow(panel.image, interpolation="nearest")
        for _, x0, y0, x1, y1 in panel.truth.tolist():
            axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, ls=":", ec="gray"))
        for label, score, (x0, y0, x1, y1) in zip(
            panel.boxes.labels.tolist(),
            panel.boxes.scores.tolist(),
            panel.boxes.corners.tolist(),
            strict=True,
        ):
            color = ("green", "darkorange")[label]
            axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, ec=color))
            axes.text(x0, y0 - 2, f"{score:.2f}", color=color, fontsize=7)
        axes.set(xticks=[], yticks=[])
    figure.savefig(path, bbox_inches="tight", pad_inches=0.02)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
