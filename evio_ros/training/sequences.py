"""Simulated training sequences: inputs and boxes of consecutive windows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from evio_ros.atomic_file import atomic_path
from evio_ros.detection.rvt_configuration import RvtConfiguration
from evio_ros.events import SensorSize
from evio_ros.representations.base import represent
from evio_ros.representations.network_geometry import NetworkGeometry
from evio_ros.representations.stacked_histogram import StackedHistogram, StackedHistogramParameters
from evio_ros.simulation.simulator import simulate
from evio_ros.training.random_scene import LabelledScene, random_scene
from evio_ros.windowing import windows

__all__ = ["Sequence", "kept_sequence", "random_sequence"]


@dataclass(frozen=True, slots=True)
class Sequence:
    """Consecutive windows of a scene.

    Attributes:
        inputs: uint8 (windows, channels, rows, columns), the network's inputs.
        boxes: for each window float64 (n, 5) at its end: class, then x0, y0, x1, y1 in pixels.
        name: name of the scene.
    """

    inputs: NDArray[np.uint8]
    boxes: tuple[NDArray[np.float64], ...]
    name: str


def random_sequence(
    seed: tuple[int, ...], configuration: RvtConfiguration, length: int, kind: str | None = None
) -> Sequence:
    """Simulate a random scene of the size of the network's input; determined by the seed.

    Args:
        seed: any whole numbers.
        configuration: configuration of the network.
        length: number of windows.
        kind: kind of scene, see `random_scene`.
    """
    random = np.random.default_rng(seed)
    seconds = 1e-6 * length * configuration.window_us
    return _labelled_sequence(
        random_scene(random, configuration.input_size, seconds, kind), configuration, length
    )


def _labelled_sequence(
    labelled: LabelledScene, configuration: RvtConfiguration, length: int
) -> Sequence:
    """Simulate a scene and cut it into windows.

    Raises:
        ParameterError: if the sensor is larger than the network's input.
    """
    size = labelled.camera.size
    window_us = configuration.window_us
    inputs = np.zeros((length, configuration.channels, *_rows_columns(configuration)), np.uint8)
    histogram = StackedHistogram(
        size, StackedHistogramParameters(bins=configuration.bins, cutoff=configuration.cutoff)
    )
    geometry = NetworkGeometry(
        size, NetworkGeometry.padded(size, multiple=1).region, 1, configuration.input_size
    )
    batches = simulate(labelled.scene, labelled.camera, length * window_us)
    boxes = []
    for i, window in enumerate(windows(batches, size, window_us, 0, length * window_us)):
        geometry.apply(represent(histogram, window), inputs[i])
        boxes.append(labelled.boxes(window))
    return Sequence(inputs, tuple(boxes), labelled.scene.name)


def _rows_columns(configuration: RvtConfiguration) -> tuple[int, int]:
    size: SensorSize = configuration.input_size
    return size.height, size.width


def kept_sequence(
    folder: Path,
    seed: int,
    number: int,
    configuration: RvtConfiguration,
    length: int,
    kind: str | None = None,
) -> Sequence:
    """Read a sequence from its cache file, or simulate and cache it.

    Args:
        folder: folder of the cache files.
        seed, number: seed of the scene.
        configuration, length, kind: see `random_sequence`.

    Raises:
        SourceError: if the file cannot be written.
    """
    shape = f"{configuration.input_size}x{configuration.channels}_{length}"
    path = folder / f"{kind or 'sequence'}_{shape}_{seed}_{number:06}.npz"
    try:
        with np.load(path, allow_pickle=False) as file:
            inputs, boxes, ends = file["inputs"], file["boxes"], file["ends"]
            return Sequence(inputs, tuple(np.split(boxes, ends[:-1])), str(file["name"]))
    except FileNotFoundError:
        pass
    except (KeyError, OSError, ValueError, BadZipFile):
        path.unlink()
    made = random_sequence((seed, number), configuration, length, kind)
    folder.mkdir(parents=True, exist_ok=True)
    ends = np.cumsum([len(found) for found in made.boxes])
    with atomic_path(path) as partial, open(partial, "wb") as file:
        np.savez_compressed(
            file,
            inputs=made.inputs,
            boxes=np.concatenate(made.boxes),
            ends=ends,
            name=np.array(made.name),
        )
    return made
