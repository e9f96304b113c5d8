"""Speed of the recurrent vision transformer by backend, and comparison with the official code.

    python bench/rvt.py                       # speed of the tiny network at 640x384
    python bench/rvt.py --official PATH       # differences from a checkout of uzh-rpg/RVT

Speed: median time of a 50 ms window for each installed backend, relative to eager PyTorch in the
same run, and processor time of all threads, which depends less on the machine's load; then the
times of preparing the input and of selecting the boxes. The comparison needs the dependencies of
the official code (omegaconf, einops), but not torchvision, which the compared parts do not use.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import types
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from evio_ros.detection.rvt_configuration import GEN1, GEN4, VARIANTS, RvtConfiguration
from evio_ros.errors import ParameterError
from evio_ros.events import EventBatch, EventWindow
from evio_ros.representations.network_geometry import NetworkGeometry
from evio_ros.representations.stacked_histogram import StackedHistogram, StackedHistogramParameters
from evio_ros.simulation.presets import preset
from evio_ros.simulation.simulator import simulate

if TYPE_CHECKING:
    import torch

    from evio_ros.detection.rvt_network import RvtNetwork

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "test"))

STEPS = 5
CANDIDATES = (50, 1000)
"""Numbers of boxes above the least score in non-maximum suppression: usual, and very many."""
WINDOW_US = 50_000


def main() -> None:
    """Run the selected measurement."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--official", type=Path, help="a checkout of the official code")
    parser.add_argument("--windows", type=int, default=20, help="windows that are timed")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    # As in the node: threads that wait actively slow down others.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        import evlib  # noqa: F401
        import torch
    except ImportError as error:
        print(f"skipped: networks need the extra rvt ({error})")
        return
    torch.set_num_threads(arguments.threads)
    if arguments.official:
        print_equality(arguments.official)
    else:
        print_speed(arguments.windows, arguments.threads)


def print_speed(windows: int, threads: int) -> None:
    """Print the time of each backend, and of pre- and post-processing."""
    from evio_ros.detection.boxes import kept_boxes
    from evio_ros.detection.inference import BACKENDS, inference_of

    window = simulated_window()
    prepare = preparation(window, GEN4)
    weights = patterned_network(GEN4).published_weights()
    reference = None
    print(f"{'tiny at ' + str(GEN4.input_size):>24} {'ms':>6} {'of eager':>9} {'CPU ms':>7}")
    for backend in BACKENDS:
        try:
            inference = inference_of(GEN4, weights, backend, threads)
        except ParameterError as error:
            print(f"{backend:>24}  {error}")
            continue
        histogram = prepare()
        for _ in range(3):
            predictions = inference.step(histogram)
        took, used = milliseconds(partial(inference.step, histogram), windows)
        reference = reference or took
        print(f"{backend:>24} {took:6.1f} {took / reference:9.2f} {used:7.1f}", flush=True)
    scores = np.sort(predictions[:, 4] * predictions[:, 5:].max(axis=1))[::-1]
    rows: list[tuple[str, Callable[[], object]]] = [
        (f"input of {len(window.events)} events", prepare)
    ]
    rows += [
        (f"{n} boxes of {len(scores)}", partial(kept_boxes, predictions, scores[n - 1], 0.45, 100))
        for n in CANDIDATES
    ]
    for what, run in rows:
        took, used = milliseconds(run, windows)
        print(f"{what:>24} {took:6.1f} {'':>9} {used:7.1f}")


def milliseconds(run: Callable[[], object], times: int) -> tuple[float, float]:
    """Median time and mean processor time (all threads) of a call in ms."""
    took = []
    before_s = time.process_time()
    for _ in range(times):
        started_s = time.perf_counter()
        run()
        took.append(time.perf_counter() - started_s)
    used_s = time.process_time() - before_s
    return 1e3 * float(np.median(took)), 1e3 * used_s / times


def simulated_window() -> EventWindow:
    """50 ms of a fan on a sensor of 1280x720 pixels."""
    made = preset("fan_constant", 0.05)
    batches = list(simulate(made.scene, made.camera, WINDOW_US))
    events = EventBatch.concatenate(batches[0].size, batches)
    return EventWindow(0, WINDOW_US, events)


def preparation(window: EventWindow, configuration: RvtConfiguration) -> Callable[[], np.ndarray]:
    """A function that computes the network's input of a window, as in `ObjectDetector`."""
    histogram = StackedHistogram(
        window.events.size, StackedHistogramParameters(downsample=configuration.downsample)
    )
    geometry = NetworkGeometry.padded(histogram.output_size)
    network = geometry.network
    out = np.zeros((configuration.channels, network.height, network.width), np.uint8)
    tensor = np.empty(histogram.shape, np.uint8)

    def prepare() -> np.ndarray:
        histogram.begin(window.start_us, window.length_us)
        histogram.push(window.events)
        histogram.read(tensor)
        geometry.apply(tensor, out)
        return out

    return prepare


def patterned_network(configuration: RvtConfiguration) -> RvtNetwork:
    """A network with reproducible weights."""
    import torch
    from rvt_weights import patterned

    from evio_ros.detection.rvt_network import RvtNetwork

    network = RvtNetwork(configuration).double()
    own = network.published_weights()
    made = patterned({name: tuple(value.shape) for name, value in own.items()})
    network.load_published({name: torch.from_numpy(value) for name, value in made.items()})
    return network.float()


def print_equality(official: Path) -> None:
    """Print the largest differences of each network."""
    import torch

    print("largest difference to the official network over", STEPS, "recurrent steps")
    print(f"{'network':>8} {'input':>8}  {'float64':>20}  {'float32':>20}")
    print(f"{'':>8} {'':>8}  {'px':>9} {'score':>10}  {'px':>9} {'score':>10}")
    for variant in VARIANTS:
        for base in (GEN1, GEN4):
            configuration = replace(base, variant=variant)
            cells = []
            for kind in (torch.float64, torch.float32):
                pixels, score = difference(official, configuration, kind)
                cells.append(f"{pixels:9.1e} {score:10.1e}")
            print(f"{variant:>8} {configuration.input_size!s:>8}  " + "  ".join(cells), flush=True)


def difference(
    official: Path, configuration: RvtConfiguration, kind: torch.dtype
) -> tuple[float, float]:
    """Largest differences of box coordinates in pixels, and of scores."""
    import torch
    from rvt_weights import counts

    own = patterned_network(configuration)
    other = official_network(official, configuration)
    other.load_state_dict(own.published_weights())
    own, other = own.to(kind), other.to(kind)
    size = configuration.input_size
    states, others, pixels, score = own.first_states(), None, 0.0, 0.0
    with torch.inference_mode():
        for step in range(STEPS):
            histogram = torch.from_numpy(counts(20, size.height, size.width, step))[None].to(kind)
            found, states = own(histogram, states)
            wanted, _, others = other(histogram, others)
            apart = (found - wanted).abs()[0]
            pixels = max(pixels, float(apart[:, :4].max()))
            score = max(score, float(apart[:, 4:].max()))
    return pixels, score


def official_network(official: Path, configuration: RvtConfiguration) -> torch.nn.Module:
    """The official detector; torchvision, which it imports only for training, may be missing."""
    for name in ("torchvision", "torchvision.ops"):
        sys.modules.setdefault(name, types.ModuleType(name))
    sys.modules["torchvision"].ops = sys.modules["torchvision.ops"]
    if str(official) not in sys.path:
        sys.path.insert(0, str(official))
    from models.detection.yolox_extension.models.detector import YoloXDetector
    from omegaconf import OmegaConf

    model = OmegaConf.load(official / "config/model/maxvit_yolox/default.yaml").model
    dimensions = configuration.dimensions
    model.backbone.embed_dim = dimensions.embedding
    model.backbone.stage.attention.dim_head = dimensions.head
    model.backbone.stage.attention.partition_size = list(configuration.partition)
    model.backbone.partition_split_32 = configuration.partition_split
    model.fpn.depth = dimensions.pyramid_depth
    model.head.num_classes = len(configuration.classes)
    return YoloXDetector(model).eval()


if __name__ == "__main__":
    main()
