"""Benefit of cues (boxes of rotors and drones) for the rotation detector.

    python bench/cues.py                      # true boxes with jitter: the limit for cues
    python bench/cues.py --model rotor        # boxes of a network

The random scenes have a drone, near or far, in bright or dim light, in front of clutter, and are
not used for training. A rotor is found if in any window its speed is correct to 1 %, its hub to
half a radius, and its confidence is above 0.5. False rotors are other estimates with such a
confidence.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from evio_ros.estimate import RotorEstimate
from evio_ros.events import EventBatch, EventWindow, SensorSize
from evio_ros.rotation.detector import RotationDetector
from evio_ros.simulation.simulator import simulate
from evio_ros.simulation.truth import RotorTruth, Truth
from evio_ros.training.random_scene import LabelledScene, random_scene
from evio_ros.windowing import windows

SEED = 4_000_000
"""First seed, outside the ranges of training and of `evio evaluate`."""
SIZE = SensorSize(320, 240)
WINDOW_US = 50_000
HOLD_US = 300_000
CONFIDENT = 0.5
RIGHT = 0.01
JITTER = 0.1
"""Standard deviation of the corners of a true box, relative to its side."""

Cues = Callable[[EventWindow], list[tuple[float, float, float, float]]]


def main() -> None:
    """Print the rotors found in each scene, then the shares."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenes", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--model", help="network for the cues; default: ground truth")
    arguments = parser.parse_args()
    print(f"{'scene':>6} {'rotors':>7} {'without':>8} {'with':>5} {'false':>6} {'false with':>11}")
    rows = []
    for number, scene in drone_scenes(arguments.scenes, arguments.seconds):
        events = simulated(scene, arguments.seconds)
        rotors = Truth.of(scene.scene, int(1e6 * arguments.seconds)).rotors
        cues = network_cues(arguments.model) if arguments.model else true_cues(scene, number)
        without, false_without = found(events, rotors, None)
        with_cues, false_with = found(events, rotors, cues)
        rows.append((without, with_cues, len(rotors)))
        print(
            f"{number:6d} {len(rotors):7d} {without:8d} {with_cues:5d} {false_without:6d} "
            f"{false_with:11d}",
            flush=True,
        )
    table = np.array(rows)
    for name, column in (("without", 0), ("with", 1)):
        scenes = np.count_nonzero(table[:, column])
        share = table[:, column].sum() / table[:, 2].sum()
        print(f"{name} cues: a rotor in {scenes} of {len(rows)} scenes, {share:.0%} of all rotors")


def drone_scenes(number: int, seconds: float) -> Iterator[tuple[int, LabelledScene]]:
    """Random scenes with a drone, with their numbers."""
    given = tried = 0
    while given < number:
        scene = random_scene(np.random.default_rng((SEED, tried)), SIZE, seconds)
        if scene.drones:
            yield tried, scene
            given += 1
        tried += 1


def simulated(scene: LabelledScene, seconds: float) -> EventBatch:
    """All events of a scene."""
    batches = list(simulate(scene.scene, scene.camera, int(1e6 * seconds)))
    return EventBatch.concatenate(scene.camera.size, batches)


def true_cues(scene: LabelledScene, number: int) -> Cues:
    """Cues of an ideal network: true boxes with jitter."""
    random = np.random.default_rng(number)

    def cues(window: EventWindow) -> list[tuple[float, float, float, float]]:
        boxes = scene.boxes(window)[:, 1:]
        sides = (boxes[:, 2:] - boxes[:, :2])[:, [0, 1, 0, 1]]
        jittered = boxes + JITTER * sides * random.normal(size=boxes.shape)
        return [(x0, y0, x1, y1) for x0, y0, x1, y1 in jittered.tolist()]

    return cues


def network_cues(model: str) -> Cues:
    """Cues of a network."""
    from evio_ros.detection.network import NetworkParameters, open_network
    from evio_ros.object_detection import ObjectDetector

    _, network = open_network(NetworkParameters(model))
    detector = ObjectDetector(SIZE, network)

    def cues(window: EventWindow) -> list[tuple[float, float, float, float]]:
        return [one.corners for one in detector.process(window).tracks_as_objects()]

    return cues


def found(events: EventBatch, rotors: Sequence[RotorTruth], cues: Cues | None) -> tuple[int, int]:
    """Number of rotors found, and of windows with a false one."""
    detector = RotationDetector(events.size)
    step_us = detector.parameters.step_us
    seen: set[int] = set()
    false = 0
    cue_windows = windows([events], events.size, WINDOW_US, 0, covered_only=True)
    looked_until_us = 0
    for step in windows([events], events.size, step_us, 0, covered_only=True):
        # Cues of a window are available at the end of the next one, as inference takes time.
        while cues is not None and looked_until_us + 2 * WINDOW_US <= step.start_us:
            boxes = cues(next(cue_windows))
            looked_until_us += WINDOW_US
            if boxes:
                detector.cue(boxes, looked_until_us + HOLD_US)
        estimates = [one for one in detector.process(step) if one.confidence > CONFIDENT]
        matched = [matching(one, rotors) for one in estimates]
        seen |= {index for index in matched if index is not None}
        false += None in matched
    return len(seen), false


def matching(estimate: RotorEstimate, rotors: Sequence[RotorTruth]) -> int | None:
    """Index of the rotor for which an estimate is correct; None if there is none."""
    start_us = estimate.t_us - estimate.window_us
    for index, rotor in enumerate(rotors):
        disc = rotor.ellipse(estimate.t_us)
        is_there = math.dist(disc.center, estimate.center) < 0.5 * disc.axes[0]
        rpm = rotor.mean_rpm(start_us, estimate.t_us)
        if is_there and abs(estimate.rpm / rpm - 1.0) < RIGHT:
            return index
    return None


if __name__ == "__main__":
    main()
